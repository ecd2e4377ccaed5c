"""What finetune reads: one file of rows, or one for each of several tasks."""

from __future__ import annotations

import re
from typing import Any

from nlpcli.commands.configuring import weights_file
from nlpcli.errors import UsageError, nearest, shown

Options = dict[str, Any]

SEVERAL = "multitask"
"""The task of several files."""
_NAME = re.compile(r"[^\W\d]\w*")


def with_sources(options: Options) -> Options:
    """The options with one file in ``train`` and ``dev``, or with files by the names of tasks in
    ``tasks`` and ``devs``. Raises UsageError."""
    named, devs = options["trains"] or [], options["dev"] or []
    if named and options["train"] is not None:
        raise UsageError(
            f"TRAIN {options['train']} and --train {named[0]}: give one of them, the rows of one "
            "task or a file for each of several"
        )
    if not named:
        if options["train"] is None:
            raise UsageError("missing argument TRAIN: labelled rows, or --train NAME=FILE twice")
        if len(devs) > 1:
            raise UsageError(f"--dev {devs[1]}: there is one task, and --dev {devs[0]} already")
        return {**options, "tasks": {}, "devs": {}, "dev": devs[0] if devs else None}
    tasks, files = _by_name(named, "--train"), _by_name(devs, "--dev")
    if len(tasks) < 2:
        raise UsageError(f"--train {named[0]}: one task, wanted several",
                         hint=f"nlpcli finetune {next(iter(tasks.values()))}")  # fmt: skip
    for name in files:
        if name not in tasks:
            near = nearest(name, list(tasks))
            raise UsageError(
                f"--dev {name}=…: no --train has that name; there: {', '.join(tasks)}",
                hint=f"did you mean {near}?" if near else None,
            )
    first = next(iter(tasks.values()))
    return {**options, "train": first, "dev": None, "tasks": tasks, "devs": files}


def _by_name(given: list[str], option: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in given:
        name, equals, path = text.partition("=")
        if not equals or not path:
            raise UsageError(f"{option} {shown(text)}: wanted NAME=FILE",
                             hint=f"{option} {_name_for(text)}={text.rstrip('=')}")  # fmt: skip
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"{option} {shown(text)}: a task's name begins with a letter and has letters, "
                "digits and _ alone"
            )
        if name in found:
            raise UsageError(f"{option} {shown(text)}: {name} is {shown(found[name])} already")
        if path == "-":
            raise UsageError(f"{option} {shown(text)}: of several tasks none is read from stdin")
        found[name] = path
    return found


def _name_for(path: str) -> str:
    """A name that would do."""
    stem = path.rpartition("/")[2].partition(".")[0]
    return stem if _NAME.fullmatch(stem) else "topics"


def files_read(options: Options) -> dict[str, str | None]:
    """What is read, by what it is called on the command line."""
    weights = {"--class-weight": weights_file(options)}
    if not options.get("tasks"):
        return {"TRAIN": options["train"], "--dev": options["dev"], **weights}
    named = {"--train": options["tasks"], "--dev": options["devs"]}
    return weights | {
        f"{option} {name}": path for option, files in named.items() for name, path in files.items()
    }
