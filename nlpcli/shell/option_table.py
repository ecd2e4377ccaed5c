"""The options of every command, read off the built command tree.

Settings, the manual page, completion and messages all take an option's name, range and default
from here, so that none of them can disagree with the command line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

PROGRAM = "nlpcli"
PREFIX = "NLPCLI_"
NOT_SETTINGS = frozenset({"help", "version", "show_config", "debug"})
"""Options that ask for something once; no variable and no configuration key sets them."""
NO_VARIABLES = NOT_SETTINGS | {"output"}
"""-o is a model for one command and rows for another: a variable would overwrite one with both."""


@dataclass(frozen=True)
class OptionRow:
    """One option of one command."""

    name: str
    key: str
    flags: tuple[str, ...]
    off_flags: tuple[str, ...]
    kind: str
    choices: tuple[str, ...]
    low: float | None
    high: float | None
    multiple: bool
    required: bool
    default: Any
    help: str

    @property
    def variable(self) -> str | None:
        """The environment variable that sets it; None where there is none."""
        return None if self.key in NO_VARIABLES else PREFIX + self.key.upper()

    @property
    def flag(self) -> str:
        """The long spelling."""
        return max(self.flags, key=len)

    @property
    def wanted(self) -> str:
        """What a value must be, as messages say it."""
        if self.kind == "choice":
            return f"one of {', '.join(self.choices)}"
        noun = {"flag": "true or false", "int": "a whole number", "float": "a number"}
        return noun.get(self.kind, "text") + self.range

    @property
    def range(self) -> str:
        """' from 1 to 8', ' of 1 or more', or nothing."""
        if self.low is not None and self.high is not None:
            return f" from {_number(self.low)} to {_number(self.high)}"
        if self.low is not None:
            return f" of {_number(self.low)} or more"
        return "" if self.high is None else f" of at most {_number(self.high)}"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:g}"


def option_row(param: Any) -> OptionRow:
    """The row of one option of the built command."""
    kind, choices = _kind(param)
    return OptionRow(
        name=param.name,
        key=max(param.opts, key=len).lstrip("-").replace("-", "_"),
        flags=tuple(param.opts),
        off_flags=tuple(param.secondary_opts),
        kind=kind,
        choices=choices,
        low=param.min,
        high=param.max,
        multiple=bool(param.multiple),
        required=bool(param.required),
        default=plain(param.default),
        help=param.help or "",
    )


def _kind(param: Any) -> tuple[str, tuple[str, ...]]:
    descriptor = param.type_descriptor
    if param.is_flag:
        return "flag", ()
    if descriptor.choices is not None:
        return "choice", tuple(str(plain(choice)) for choice in descriptor.choices)
    return {int: "int", float: "float", Path: "path"}.get(descriptor.annotation, "text"), ()


def plain(value: Any) -> Any:
    """A default or a parsed value as JSON has it."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value] or None
    return value


def options(command: Any) -> list[OptionRow]:
    """The visible options of a command, in the order of its help."""
    return [option_row(p) for p in command.params if _is_option(p) and not p.hidden]


def settings(command: Any) -> dict[str, OptionRow]:
    """Options that configuration files, and mostly variables, can set, by key."""
    return {row.key: row for row in options(command) if row.key not in NOT_SETTINGS}


def arguments(command: Any) -> list[Any]:
    """The positional parameters of a command."""
    return [p for p in command.params if not _is_option(p)]


def _is_option(param: Any) -> bool:
    return str(param.param_type_name) == "option"


def commands(group: Any) -> dict[str, Any]:
    """The visible commands of a group by name; none for a command that has none."""
    found = getattr(group, "commands", {})
    return {name: command for name, command in found.items() if not command.hidden}


def leaves(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that runs, with the words that call it: ('models', 'list')."""
    inside = commands(group)
    if not inside:
        yield path, group
    for name, command in inside.items():
        yield from leaves(command, (*path, name))
