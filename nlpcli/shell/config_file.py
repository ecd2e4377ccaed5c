"""--config: a YAML file of option values, read strictly, every value with its line.

Top-level keys are options of all commands that have them; a key that names a command holds a
section for it, which wins. YAML guesses types; here a value must have its option's type as
written, and what YAML 1.1 and 1.2 read differently is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nlpcli.errors import ConfigError, InputMissing, nearest, shown
from nlpcli.shell import option_table as table

MAX_BYTES = 1 << 16
MAX_DEPTH = 64
_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]{0,29})")
_REAL = re.compile(r"[-+]?(0|[1-9][0-9]*)\.[0-9]*([eE][-+][0-9]+)?")
_ALMOST_REAL = re.compile(r"([-+]?[0-9]+)(\.[0-9]*)?[eE]([-+]?)([0-9]+)")
_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True)
class Schema:
    """What a file or a section may hold: options, and sections for commands."""

    options: Mapping[str, table.OptionRow]
    sections: Mapping[str, Schema] = field(default_factory=dict)

    @classmethod
    def of(cls, command: Any) -> Schema:
        """The schema of a command, or of a group of commands."""
        sections = {name: cls.of(inner) for name, inner in table.commands(command).items()}
        options = {k: row for inner in sections.values() for k, row in inner.options.items()}
        if not sections:
            options = table.settings(command)
        options.pop("config", None)
        return cls(options, sections)


@dataclass(frozen=True)
class Found:
    """A value of the file, where it stands, and how it is written there."""

    value: Any
    line: int
    file: str

    @property
    def where(self) -> str:
        """FILE line N"""
        return f"{self.file} line {self.line}"


def read_settings(path: str, schema: Schema, command: tuple[str, ...]) -> dict[str, Found]:
    """The file's values for one command, by option key.

    Raises InputMissing for a file that cannot be opened and ConfigError for whatever is wrong
    in it: every key of every section is checked, the values of this command's options too.
    """
    return _Reader(path, schema).settings(command)


class _Reader:
    """One file against one schema."""

    def __init__(self, path: str, schema: Schema) -> None:
        self._file, self._schema = path, schema
        self._node = _parse(self._file, _read_text(self._file))

    def settings(self, command: tuple[str, ...]) -> dict[str, Found]:
        leaf = self._schema
        for name in command:
            leaf = leaf.sections[name]
        if self._node is None:
            return {}
        return self._section(self._node, self._schema, command, leaf.options, "the file")

    def _section(
        self,
        node: Any,
        schema: Schema,
        command: tuple[str, ...] | None,
        wanted: Mapping[str, table.OptionRow],
        what: str,
    ) -> dict[str, Found]:
        """Values of one section; ``command`` is what is left of its words, None off its way."""
        if _kind(node) != "mapping":
            raise self._error(node, f"{what} is {_described(node)}, wanted keys and values")
        plain: dict[str, Found] = {}
        inner: dict[str, Found] = {}
        names = {name.replace("-", "_"): name for name in schema.sections}
        for key, value in self._pairs(node):
            name = names.get(key)
            if name is not None:
                on_the_way = command[1:] if command and command[0] == name else None
                found = self._section(value, schema.sections[name], on_the_way, wanted, name)
                inner.update(found if on_the_way is not None else {})
            elif key in schema.options:
                if command is not None and key in wanted:
                    plain[key] = self._value(value, wanted[key])
            else:
                raise self._unknown(key, value, schema, what)
        return {**plain, **inner}

    def _pairs(self, node: Any) -> list[tuple[str, Any]]:
        """Keys as options are called, without doubles."""
        seen: dict[str, int] = {}
        pairs = []
        for key_node, value in node.value:
            if not isinstance(key_node.value, str):
                raise self._error(key_node, f"a key that is {_described(key_node)}, wanted a name")
            key = key_node.value.replace("-", "_")
            if key in seen:
                raise self._error(
                    key_node, f"{shown(key_node.value)} stands on line {seen[key]} already"
                )
            seen[key] = _line(key_node)
            pairs.append((key, value))
        return pairs

    def _unknown(self, key: str, node: Any, schema: Schema, what: str) -> ConfigError:
        names = [*schema.options, *schema.sections]
        near = nearest(key, names)
        # a mapping under an unknown key is a section for a command there is not
        if _kind(node) == "mapping":
            wanted = "no command" if what == "the file" else f"no command of {what}"
        else:
            wanted = f"no option of {'any command' if what == 'the file' else what}"
        return self._error(
            node,
            f"{shown(key)} is {wanted}",
            hint=f"did you mean {near}?" if near else None,
        )

    def _value(self, node: Any, option: table.OptionRow) -> Found:
        if option.multiple and _kind(node) == "sequence":
            values = [self._scalar(item, option) for item in node.value]
            return Found(values, _line(node), self._file)
        value = self._scalar(node, option)
        if option.multiple and value is not None:
            value = [value]
        return Found(value, _line(node), self._file)

    def _scalar(self, node: Any, option: table.OptionRow) -> Any:
        kind, text = _kind(node), node.value
        if kind == "null" and option.default is None and not option.required:
            return None
        if option.kind == "flag" and kind == "bool":
            return text.lower() in {"yes", "true", "on"}
        if option.kind in {"int", "float"} and kind == "int" and _WHOLE.fullmatch(text):
            return int(text)
        if option.kind == "float" and kind == "float" and _REAL.fullmatch(text):
            return float(text)
        if option.kind in {"text", "path", "choice"} and kind == "str":
            return text
        message = f"{option.key} is {_described(node)}, wanted {option.wanted}"
        raise self._error(node, message, hint=_hint(node, option))

    def _error(self, node: Any, message: str, hint: str | None = None) -> ConfigError:
        return ConfigError(f"{self._file} line {_line(node)}: {message}", hint=hint)


def _kind(node: Any) -> str:
    """int, float, bool, str, null, timestamp, mapping or sequence."""
    if isinstance(node.value, str):
        return str(node.tag).removeprefix(_TAG)
    return str(node.id)


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1


def _described(node: Any) -> str:
    kind = _kind(node)
    if kind in {"mapping", "sequence"}:
        return {"mapping": "a mapping", "sequence": "a list"}[kind]
    if kind == "null":
        return "empty"
    text = shown(node.value, 40)
    if kind == "str":
        return f"text '{text}'"
    if kind in {"int", "float"}:
        exact = _WHOLE if kind == "int" else _REAL
        return f"number {text}" if exact.fullmatch(node.value) else f"ambiguous number {text}"
    return f"{'true or false' if kind == 'bool' else kind} ({text})"


def _hint(node: Any, option: table.OptionRow) -> str | None:
    """What to type instead, where that can be told."""
    kind, text = _kind(node), str(node.value)
    if kind in {"mapping", "sequence", "null"}:
        return None
    if option.kind in {"text", "path", "choice"}:
        return f'{option.key}: "{shown(text, 40)}"'
    if option.kind in {"int", "float"} and kind in {"int", "str"} and _WHOLE.fullmatch(text):
        return f"{option.key}: {text}, without quotes"
    match = _ALMOST_REAL.fullmatch(text)
    if option.kind == "float" and match:
        whole, rest, sign, power = match.groups()
        rest = rest if rest and rest != "." else ".0"
        return f"{option.key}: {whole}{rest}e{sign or '+'}{power}"
    if option.kind == "flag" and text in {"0", "1"}:
        return f"{option.key}: {'true' if text == '1' else 'false'}"
    return None


def _read_text(path: str) -> str:
    try:
        with open(path, "rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputMissing(f"--config {path}: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{path}: more than {MAX_BYTES:,} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{path} line {line}: invalid UTF-8 (0x{data[error.start]:02x})"
        ) from None


def _parse(path: str, text: str) -> Any:
    """The root node, or None for an empty file; nothing is constructed from tags."""
    import yaml

    try:
        _refuse_cleverness(path, text)
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark: Any = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise ConfigError(f"{path} line {line}: {shown(error.problem or 'no YAML', 200)}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(f"{path} line {line}: {shown(str(error.reason))}") from None


def _refuse_cleverness(path: str, text: str) -> None:
    """Anchors, aliases, tags, several documents and deep nesting, before a tree is built."""
    import yaml

    depth, documents = 0, 0
    event: Any
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        where = f"{path} line {event.start_mark.line + 1}"
        if getattr(event, "anchor", None) is not None:
            raise ConfigError(f"{where}: anchors and aliases are not allowed")
        if getattr(event, "tag", None) is not None:
            raise ConfigError(f"{where}: tags are not allowed ({shown(str(event.tag))})")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        documents += isinstance(event, yaml.DocumentStartEvent)
        if depth > MAX_DEPTH:
            raise ConfigError(f"{where}: nested deeper than {MAX_DEPTH}")
        if documents > 1:
            raise ConfigError(f"{where}: a second document")
