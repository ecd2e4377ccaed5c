"""Lines -> rows, one small parser a format."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

from nlpcli.errors import DataError, shown

if TYPE_CHECKING:
    from nlpcli.data.rows import RowFormat


class BadRow(Exception):
    """A row that cannot be used; ``fatal`` when reading on would make no sense."""

    def __init__(self, reason: str, row: list[str], *, fatal: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.row, self.fatal = reason, row, fatal


class Parser(Protocol):
    """``header``; ``next_row`` until None, ``line`` is where the last row began."""

    header: list[str]
    line: int

    def next_row(self) -> list[str] | None:
        """The next row, or None at the end. Raises BadRow."""


def make_parser(format: str, fmt: RowFormat, lines: Iterator[str], name: str) -> Parser:
    """The parser of a format, its header read."""
    if format in ("csv", "tsv"):
        return CsvParser(lines, fmt, "," if format == "csv" else "\t", name)
    if format == "jsonl":
        return JsonParser(lines, fmt, name)
    if format == "fasttext":
        return FastTextParser(lines, fmt)
    return TextParser(lines)


class CsvParser:
    """RFC 4180 with any line end; a field may hold line ends when quoted."""

    def __init__(self, lines: Iterator[str], fmt: RowFormat, delimiter: str, name: str) -> None:
        csv.field_size_limit(fmt.max_field)
        self._reader = csv.reader(lines, delimiter=delimiter, strict=True)
        self._max_field = fmt.max_field
        self.line = 0
        self._first: list[str] | None = None
        self._single = False
        try:
            first = self._first_row()
        except BadRow as bad:
            raise DataError(f"{name} line {self.line}: {bad.reason}") from None
        if first is None:
            raise DataError(f"{name}: empty: no header and no rows")
        if fmt.header:
            self.header = first
        else:
            self.header = [str(i) for i in range(1, len(first) + 1)]
            self._first = first
        self._single = len(first) == 1

    def _first_row(self) -> list[str] | None:
        while (row := self._next()) is not None:
            if row:
                return row
        return None

    def _next(self) -> list[str] | None:
        self.line = self._reader.line_num + 1
        try:
            return next(self._reader, None)
        except csv.Error as error:
            raise self._explained(str(error)) from None

    def _explained(self, reason: str) -> BadRow:
        if "unexpected end" in reason:
            return BadRow("a quote opened here is never closed", [], fatal=True)
        if "field larger" in reason:
            cap = f"a field of more than {self._max_field:,} characters begins here"
            return BadRow(f"{cap}, or a quote is never closed", [], fatal=True)
        if "expected after" in reason:
            return BadRow("text after a closing quote", [])
        return BadRow(reason, [])

    def next_row(self) -> list[str] | None:
        """The next row; a blank line is a row only where there is one column."""
        if self._first is not None:
            first, self._first = self._first, None
            return first
        while True:
            row = self._next()
            if row or row is None:
                return row
            if self._single:
                return [""]


class TextParser:
    """One document a line; a blank line is an empty document."""

    def __init__(self, lines: Iterator[str]) -> None:
        self.header = ["text"]
        self.line = 0
        self._lines = lines

    def next_row(self) -> list[str] | None:
        """The next line without its end."""
        self.line += 1
        for line in self._lines:
            return [line.rstrip("\r\n")]
        return None


class FastTextParser:
    """``__label__x words``; several labels are joined by the separator."""

    def __init__(self, lines: Iterator[str], fmt: RowFormat) -> None:
        self.header = ["text", "label"]
        self.line = 0
        self._lines, self._fmt = lines, fmt

    def next_row(self) -> list[str] | None:
        """Text and labels of the next line. Raises BadRow for several labels without separator."""
        prefix, separator = self._fmt.label_prefix, self._fmt.label_separator
        self.line += 1
        for line in self._lines:
            words = line.split()
            labels = [w.removeprefix(prefix) for w in words if w.startswith(prefix)]
            text = " ".join(w for w in words if not w.startswith(prefix))
            if len(labels) > 1 and separator is None:
                raise BadRow(f"{len(labels)} labels, wanted one (or a --label-separator)", [line])
            return [text, (separator or "").join(labels)]
        return None


class JsonParser:
    """One object a line; the columns are the keys of the first."""

    def __init__(self, lines: Iterator[str], fmt: RowFormat, name: str) -> None:
        self.line = 0
        self._lines, self._separator = lines, fmt.label_separator
        self.header: list[str] = []
        try:
            first = self._object()
        except BadRow as bad:
            raise DataError(f"{name} line {self.line}: {bad.reason}") from None
        if first is None:
            raise DataError(f"{name}: empty: no rows")
        self.header = list(first)
        self._first: dict[str, Any] | None = first

    def _object(self) -> dict[str, Any] | None:
        for line in self._lines:
            self.line += 1
            if not line.strip():
                continue
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise BadRow(f"not JSON: {shown(str(error))}", [line.rstrip("\r\n")]) from None
            if not isinstance(value, dict):
                raise BadRow("not a JSON object", [line.rstrip("\r\n")])
            return value
        return None

    def next_row(self) -> list[str] | None:
        """Values in the order of the header; text as it is, null empty, else as JSON."""
        value, self._first = (self._first or self._object()), None
        if value is None:
            return None
        extra = next((key for key in value if key not in self.header), None)
        if extra is not None:
            raise BadRow(f"key {shown(extra)} is not in the first row", [json.dumps(value)])
        return [self._cell(value.get(key)) for key in self.header]

    def _cell(self, value: Any) -> str:
        if isinstance(value, str):
            return value
        if value is None:
            return ""
        if self._separator is not None and isinstance(value, list):
            return self._separator.join(map(str, value))
        return json.dumps(value, ensure_ascii=False)
