"""What is said of a command line that makes no sense: value seen, value wanted, nearest name."""

from __future__ import annotations

import difflib
from typing import Any

from nlpcli.errors import ConfigError, NlpcliError, UsageError, shown
from nlpcli.shell import option_table as table

EXIT_CODES = {
    0: "done",
    1: "the answer is no",
    2: "usage",
    65: "bad data or model file",
    66: "input missing",
    69: "part, device or memory missing",
    70: "our bug",
    73: "cannot create output",
    74: "I/O error, full disk",
    75: "busy",
    78: "bad configuration",
    130: "INT",
    141: "PIPE",
    143: "TERM",
}
CONFIG_VALUES = "nlpcli.config_values"
"""Where a context keeps what --config gave: parameter name -> config_file.Found."""


class HelpWanted(UsageError):
    """A command line so far from complete that its help is shown as well."""

    def __init__(self, message: str, help: str) -> None:
        super().__init__(message)
        self.help = f"{help}\n\n"


class InputExpected(UsageError):
    """Rows should come from stdin, and stdin is a terminal."""


def exit_code_line() -> str:
    """The exit codes as help shows them."""
    return f"Exit codes: {'; '.join(f'{code} {text}' for code, text in EXIT_CODES.items())}."


def usage_error(error: Any) -> NlpcliError:
    """Typer's complaint in our form: one line, lower case, what was seen and what is wanted."""
    context: Any = getattr(error, "ctx", None)
    param: Any = getattr(error, "param", None)
    message = " ".join(str(getattr(error, "message", error)).split())
    if message == "Missing command.":
        return HelpWanted("no command given", context.get_help())
    if message.startswith("No such command"):
        typed = message.split("'")[1]
        near = near_name(typed, list(table.commands(context.command)))
        return UsageError(f"no such command: {shown(typed)}", hint=_did_you_mean(near))
    if message.startswith("No such option") and context is not None:
        return _no_such_option(error.option_name, context)
    if hasattr(error, "param_type") and param is not None:
        return UsageError(_missing(param))
    if param is not None:
        return _bad_value(error, context, param)
    return UsageError(shown(message[:1].lower() + message[1:].rstrip("."), 200))


def near_name(typed: str, names: list[str]) -> str | None:
    """The name most like the typed one, dashes apart; short names must be nearer than long."""
    bare = {name.lstrip("-"): name for name in names}
    word = typed.lstrip("-").replace("_", "-")
    cutoff = 0.6 if len(word) > 4 else 0.7
    found = difflib.get_close_matches(word, list(bare), n=1, cutoff=cutoff)
    return bare[found[0]] if found else None


def _did_you_mean(near: str | None) -> str | None:
    return f"did you mean {near}?" if near else None


def _no_such_option(typed: str, context: Any) -> UsageError:
    typed = typed.partition("=")[0]
    owners = [
        " ".join(path)
        for path, command in table.leaves(context.find_root().command)
        for row in table.options(command)
        if typed in row.flags + row.off_flags and command is not context.command
    ]
    message = f"no such option: {shown(typed)}"
    if owners:
        listed = ", ".join(owners[:3]) + (", …" if len(owners) > 3 else "")
        place = "here; it belongs after" if context.parent is None else "here; it belongs to"
        return UsageError(f"{message} {place} {listed}", hint=f"nlpcli {owners[0]} --help")
    names = [name for param in context.command.params for name in param.opts]
    names += [name for param in context.command.params for name in param.secondary_opts]
    return UsageError(message, hint=_did_you_mean(near_name(typed, [*names, "--help"])))


def _missing(param: Any) -> str:
    if param.param_type_name == "argument":
        name = param.name.upper()
        return f"missing argument {name}: {param.help}" if param.help else f"no {name} given"
    row = table.option_row(param)
    return f"missing option {' / '.join(sorted(row.flags, key=len, reverse=True))}"


def _bad_value(error: Any, context: Any, param: Any) -> NlpcliError:
    cause: Any = getattr(error, "__cause__", None)
    seen = shown(str(cause.errors()[0]["input"] if hasattr(cause, "errors") else error.message))
    if param.param_type_name == "argument":
        return UsageError(f"{param.name.upper()} {seen}: wrong value")
    row = table.option_row(param)
    near = near_name(seen, list(row.choices))
    origin = context.get_parameter_source(param.name).name
    if origin == "ENVIRONMENT":
        return UsageError(f"{row.variable}={seen}: wanted {row.wanted}", hint=_did_you_mean(near))
    if origin == "DEFAULT_MAP":
        place = context.meta[CONFIG_VALUES][param.name].where
        message = f"{place}: {row.key} is {seen}, wanted {row.wanted}"
        return ConfigError(message, hint=_did_you_mean(near))
    return UsageError(f"{row.flag} {seen}: wanted {row.wanted}", hint=_did_you_mean(near))
