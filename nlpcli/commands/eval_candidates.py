"""The models and files of predictions that eval was given: each measured, then compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import typer

from nlpcli.commands.asking import is_answerer
from nlpcli.commands.eval_kinds import SOME_HEED, Kind, check_heeded, kind_of
from nlpcli.commands.eval_measured import Asked, Measured
from nlpcli.commands.eval_predictions import measure_file
from nlpcli.commands.eval_tables import comparison_table, cost_lines
from nlpcli.commands.opening import check_asked, for_encoders, model_place, open_measurable
from nlpcli.errors import NegativeAnswer, UsageError, shown
from nlpcli.shell.console import Console, RejectFile

Options = dict[str, Any]


@dataclass(frozen=True)
class Candidate:
    """A model (``opened``), or a file of predictions, and how it did."""

    name: str
    measured: Measured
    opened: Any = None


def check_candidates(options: Options) -> None:
    """Raises UsageError for a command line without anything to measure, or with options that have
    no meaning for it."""
    models, files, test = options["model"] or [], options["predictions"] or [], options["test"]
    if not models and not files:
        raise UsageError("missing option --model / -m, or --predictions")
    if options["task"] is not None and not models:
        raise UsageError("--task has no meaning for --predictions")
    if models and test is None:
        raise UsageError("missing argument TEST: labelled rows to measure the model on")
    if not models and test is not None:
        raise UsageError(f"TEST {test}: --predictions hold the truth themselves",
                         hint=f"eval --predictions {files[0]}")  # fmt: skip
    inputs = [*files, *([test] if test is not None else [])]
    for name in ("calibration_file", "out_of_scope"):  # each model reads these anew
        inputs += [options[name]] * max(1, len(models))
    if sum(str(each) == "-" for each in inputs) > 1:
        raise UsageError("- stands for stdin, which can be read once")
    if options["robustness"] and (len(models) != 1 or files):
        raise UsageError("--robustness: wanted one model")
    if options["require_better"] and len(models) + len(files) < 2:
        raise UsageError("--require-better: one model, wanted two or more to compare")
    sliced = options["slices"] or options["slice_by"]
    if options["slice_rows"] != SOME_HEED["slice_rows"] and not sliced:
        raise UsageError(f"--slice-rows {options['slice_rows']}: only with --slices or --slice-by")
    for name in ("predicted_column", "probability_column"):
        if options[name] is not None and not files:
            raise UsageError(f"--{name.replace('_', '-')} has no meaning without --predictions")


def measure_all(context: typer.Context, console: Console, reject: RejectFile) -> list[Candidate]:
    """Every model in the order given, then every file. Raises UsageError, InputMissing,
    DataError, Unavailable."""
    options = context.params
    models, files = options["model"] or [], options["predictions"] or []
    several = len(models) + len(files) > 1
    wanted = several if options["measure_cost"] is None else options["measure_cost"]
    found: list[Candidate] = []
    rows: Any = None
    opened, kind = _opened(context, console)
    for name, model in zip(models, opened, strict=True):
        if rows is None:
            rows = kind.read(model, options, reject)
            measured = kind.measure(model, rows, options, reject)
        else:
            measured = kind.measure(model, rows, options, None)
        for line in measured.told:
            console.say(f"{name}: {line}" if several else line)
        if wanted and measured.asked is not None:
            cost = _cost(model, name, measured.asked, options)
            measured.document["cost"] = cost
            if cost["startup_seconds"] is None:
                console.warn(f"{name}: a fresh predict failed, so start-up is not known")
        found.append(Candidate(name, measured, model))
    return [*found, *(Candidate(*measure_file(path, options, reject)) for path in files)]


def _opened(context: typer.Context, console: Console) -> tuple[list[Any], Kind]:
    """All models, and what they are. Raises UsageError for several kinds."""
    options, opened = context.params, []
    for model in options["model"] or []:
        opened.append(
            open_measurable(
                model, options["store"], console, options["task"], **for_encoders(options)
            )
        )
        check_asked(opened[-1], model, context)
        kind, first = kind_of(opened[-1]), kind_of(opened[0])
        if kind is not first:
            raise UsageError(
                f"{model} is {kind.name}, {options['model'][0]} is {first.name}: wanted models of "
                "one kind"
            )
        check_heeded(kind, model, options)
    return opened, kind_of(opened[0] if opened else None)


def tell_unknown(candidates: list[Candidate], console: Console) -> None:
    """Warns of labels that a model does not know, and of what a comparison then means."""
    unseen = {c.name: c.measured.document.get("unknown_words") for c in candidates}
    counts = {name: seen for name, seen in unseen.items() if isinstance(seen, int)}
    if len(set(counts.values())) > 1:
        each = ", ".join(f"{name} {seen:,}" for name, seen in counts.items())
        console.warn(f"unknown words: {each}; such a word costs a language model little")
    for candidate in candidates:
        strange = candidate.measured.document.get("tags_of_no_scheme")
        if strange:
            some = ", ".join(shown(tag) for tag in strange[:5])
            console.warn(f"{candidate.name}: {len(strange)} tags of no scheme count as O: {some}")
        unknown = candidate.measured.document.get("unknown_labels")
        if unknown:
            who = f"{candidate.name}: " if len(candidates) > 1 else ""
            some = ", ".join(map(shown, unknown[:5]))
            console.warn(f"{who}{len(unknown)} labels the model does not know: {some}")


def _cost(opened: Any, model: str, asked: Asked, options: Options) -> dict[str, Any]:
    """Of a model that answered all rows."""
    from nlpcli.runs.costing import MOST_ROWS, disk_bytes, latency, start

    rows, arguments = asked.rows, ["-m", model, "-q", "--only", *asked.arguments]
    if options["store"] is not None:
        arguments += ["--store", str(options["store"])]
    if getattr(opened, "task", None) is not None:
        arguments += ["--task", options["task"]]
    encoder = hasattr(opened, "pair") or is_answerer(opened)
    for name in ("device", "precision", "threads") if encoder else ():
        if options[name] is not None:
            arguments += [f"--{name}", str(options[name])]
    cells = [asked.cells(row) for row in range(min(rows, MOST_ROWS))]
    return {
        "rows_per_second": round(rows / max(asked.seconds, 1e-9), 1),
        **latency(asked.one, rows), **start(arguments, asked.header, cells),
        "disk_bytes": disk_bytes(model_place(model, options["store"])),
    }  # fmt: skip


def rendered(candidates: list[Candidate], options: Options) -> tuple[dict[str, Any], str]:
    """The document of --json and the table for people. Raises DataError, UsageError for models
    that did not answer the same rows."""
    measured = [candidate.measured for candidate in candidates]
    if len(candidates) == 1:
        document = measured[0].document
        return document, measured[0].table + cost_lines(document)
    from nlpcli.runs.comparing import comparison, of_common_rows, outcomes_of

    models = [(c.name, c.measured.answered) for c in candidates if c.measured.answered]
    outcomes, documents = outcomes_of(models), [m.document for m in measured]
    drawn = {name: options[name] for name in ("resamples", "seed")}
    if any(answers.known is not None for _, answers in models):
        documents = of_common_rows(documents, outcomes, **drawn)
    document = comparison([name for name, _ in models], documents, outcomes, **drawn)
    return document, comparison_table(document)


def expect_better(document: dict[str, Any]) -> None:
    """Raises NegativeAnswer unless the last model is better than the first."""
    first, last = document["models"][0]["model"], document["models"][-1]["model"]
    pair = document["comparisons"][len(document["models"]) - 2]
    if pair["verdict"] != "better":
        raise NegativeAnswer(f"--require-better: {last} against {first}: {pair['says']}")
