"""man: the manual page, written in roff from the same tree as --help."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from nlpcli import __version__
from nlpcli.errors import UsageError, shown
from nlpcli.shell import option_table as table
from nlpcli.shell.usage import EXIT_CODES, near_name

EXAMPLES = """\b
Examples:
  nlpcli man > nlpcli.1
  nlpcli man predict > nlpcli-predict.1
"""
_SPECIAL = {
    "\\": r"\e",
    "-": r"\-",
    "'": r"\(aq",
    "`": r"\(ga",
    "^": r"\(ha",
    "~": r"\(ti",
    '"': r"\(dq",
}
_FILES = (
    ("./models", "The store, where --store or NLPCLI_STORE names no other."),
    ("NAME/VERSION/manifest.json", "In the store: what a model is, with the SHA-256 of its files."),
    ("FILE of --config", "YAML. Keys are options (batch_size or batch-size) and apply to every "
     "command that has them; a key that is a command's name holds a section for it, which wins. "
     "Paths in it are relative to the working folder."),
)  # fmt: skip


def man(
    ctx: typer.Context,
    command: Annotated[
        list[str] | None, typer.Argument(help="A command; left out: one page of all.")
    ] = None,
) -> None:
    """Print the manual page as roff."""
    root = ctx.find_root().command
    found, path = root, [table.PROGRAM]
    for word in command or []:
        inside = table.commands(found)
        if word not in inside:
            near = near_name(word, list(inside))
            hint = f"did you mean {near}?" if near else None
            raise UsageError(f"no such command: {shown(word)}", hint=hint)
        found = inside[word]
        path.append(word)
    typer.echo("\n".join(_page(found, path)))


def escaped(text: str) -> str:
    """Text as roff reads it back: nothing in it is a request, an escape or a thin hyphen."""
    plain = "".join(
        _SPECIAL.get(c, c if c.isascii() else f"\\[u{ord(c):04X}]") for c in " ".join(text.split())
    )
    return "\\&" + plain if plain.startswith(".") else plain


def _page(command: Any, path: list[str]) -> list[str]:
    name = "-".join(path)
    lines = [
        f'.TH {escaped(name).upper()} 1 "" "{escaped(table.PROGRAM + " " + __version__)}"',
        ".nh",
        ".ad l",
        ".SH NAME",
        f"{escaped(name)} \\- {escaped(_summary(command))}",
        ".SH SYNOPSIS",
    ]
    found = [([*path, *words], leaf) for words, leaf in table.leaves(command)]
    for words, leaf in found:
        lines += [*_synopsis(leaf, words), ".br"]
    lines[-1:] = [".SH DESCRIPTION", escaped(_paragraph(command))]
    if len(found) == 1:
        lines += [".SH OPTIONS", *_options(found[0][1])]
    else:
        lines += [".SH OPTIONS", *_options(command), ".SH COMMANDS"]
        for words, leaf in found:
            lines += [f".SS {escaped(' '.join(words))}", escaped(_paragraph(leaf))]
            lines += _options(leaf)
    return [*lines, *_closing(command, found)]


def _closing(command: Any, found: list[tuple[list[str], Any]]) -> list[str]:
    """Exit status, environment, files and examples."""
    lines = [".SH EXIT STATUS"]
    for code, text in EXIT_CODES.items():
        lines += _item(str(code), text)
    lines.append(".SH ENVIRONMENT")
    lines.append(escaped("A flag wins over a variable, a variable over the --config file."))
    variables = {row.variable: row for _, leaf in found for row in table.settings(leaf).values()}
    for variable, row in sorted(variables.items(), key=lambda item: str(item[0])):
        lines += _item(str(variable), f"Sets {row.flag}: {row.wanted}.")
    lines += _item("NO_COLOR", "Not empty: as --no-color.")
    lines.append(".SH FILES")
    for name, text in _FILES:
        lines += _item(name, text)
    lines += [".SH EXAMPLES", ".nf"]
    for holder in dict.fromkeys([command, *(leaf for _, leaf in found)]):
        lines += [_verbatim(line) for line in examples(holder)]
    return [*lines, ".fi"]


def _verbatim(line: str) -> str:
    """A line of an example with its indentation."""
    return "\\&" + " " * (len(line) - len(line.lstrip())) + escaped(line)


def examples(command: Any) -> list[str]:
    """The example lines of a command's help, without their common indentation."""
    lines = (command.epilog or "").splitlines()
    if "Examples:" not in lines:
        return []
    rest = lines[lines.index("Examples:") + 1 :]
    end = rest.index("") if "" in rest else len(rest)
    return [line.removeprefix("  ") for line in rest[:end]]


def _summary(command: Any) -> str:
    first = _paragraph(command).split(". ")[0].rstrip(".")
    return first[:1].lower() + first[1:]


def _paragraph(command: Any) -> str:
    return " ".join((command.help or "").split())


def _synopsis(command: Any, path: list[str]) -> list[str]:
    parts = [f"\\fB{escaped(' '.join(path))}\\fR"]
    for row in table.options(command):
        if row.required:
            parts.append(f"\\fB{escaped(row.flag)}\\fR \\fI{_value(row)}\\fR")
    parts.append("[\\fIOPTION\\fR]...")
    for param in table.arguments(command):
        name = f"\\fI{escaped(param.name.upper())}\\fR" + "..." * (param.nargs != 1)
        parts.append(name if param.required else f"[{name}]")
    return [" ".join(parts)]


def _options(command: Any) -> list[str]:
    lines = []
    for param in table.arguments(command):
        lines += _item(param.name.upper(), param.help or "")
    for row in table.options(command):
        spelled = ", ".join(f"\\fB{escaped(flag)}\\fR" for flag in row.flags + row.off_flags)
        value = "" if row.kind == "flag" else f" \\fI{_value(row)}\\fR"
        lines += [".TP", spelled + value, escaped(_about(row)) or "\\&"]
    return [*lines, *_item("-h, --help", "Show the help.")]


def _value(row: table.OptionRow) -> str:
    names = {"int": "N", "float": "X", "path": "PATH"}
    if row.kind == "choice":
        return escaped("|".join(row.choices)).replace("|", "|\\:")  # where a line may break
    return names.get(row.kind, "TEXT")


def _about(row: table.OptionRow) -> str:
    """Help, range, default and variable of an option, in sentences."""
    parts = [row.help.rstrip(".") + "."] if row.help else []
    if row.range:
        parts.append(f"{row.wanted[:1].upper()}{row.wanted[1:]}.")
    if row.required:
        parts.append("Required.")
    elif row.default not in (None, False, ""):
        value = row.flag if row.default is True else row.default
        parts.append(f"Default: {value}.")
    if row.variable:
        parts.append(f"Environment: {row.variable}.")
    return " ".join(parts)


def _item(tag: str, text: str) -> list[str]:
    return [".TP", f"\\fB{escaped(tag)}\\fR", escaped(text) or "\\&"]
