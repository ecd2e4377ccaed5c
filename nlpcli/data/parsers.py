"""Lines -> rows, one small parser a format."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

from nlpcli.data.conll import ConllParser
from nlpcli.data.json_cell import JsonCell
from nlpcli.data.lines import BadRow, bad_character, named_fault
from nlpcli.data.squad import SquadParser
from nlpcli.errors import DataError, shown

if TYPE_CHECKING:
    from nlpcli.data.rows import RowFormat


MAX_COLUMNS = 65_536
_WRONG_IN_TEXT = re.compile("[\0\ud800-\udfff]")


class Parser(Protocol):
    """``header``; ``next_row`` until None, ``line`` is where the last row began, ``last_line``
    the last line taken."""

    header: list[str]
    line: int

    @property
    def last_line(self) -> int:
        """Number of the last line taken from the lines."""

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
    if format == "conll":
        return ConllParser(lines, name)
    if format == "squad":
        return SquadParser(lines, name)
    return TextParser(lines)


def _checked_header(header: list[str], name: str, line: int) -> list[str]:
    if len(header) > MAX_COLUMNS:
        raise DataError(
            f"{name} line {line}: {len(header):,} columns, wanted at most {MAX_COLUMNS:,}"
        )
    return header


class CsvParser:
    """RFC 4180 with any line end; a field may hold line ends when quoted."""

    def __init__(self, lines: Iterator[str], fmt: RowFormat, delimiter: str, name: str) -> None:
        csv.field_size_limit(min(fmt.max_field, sys.maxsize))
        self._reader = csv.reader(lines, delimiter=delimiter, strict=True)
        self._max_field = fmt.max_field
        self.line = 0
        self._first: list[str] | None = None
        self._single = False
        try:
            first = self._first_row()
        except BadRow as bad:
            raise DataError(f"{name} line {self.line}: {bad.reason}", hint=bad.hint) from None
        if first is None:
            raise DataError(f"{name}: empty: no header and no rows")
        self.header = _checked_header(first, name, self.line)
        if not fmt.header:
            self.header = [str(i) for i in range(1, len(first) + 1)]
            self._first = first
        self._single = len(first) == 1

    @property
    def last_line(self) -> int:
        """The line the last row ended on."""
        return self._reader.line_num

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
        if "expected after" in reason and self.last_line > self.line:
            # whole rows may have been swallowed: to go on would lose them without a word
            opened = "a quote opened here, and text after the quote that closes it"
            return BadRow(f"{opened} in line {self.last_line}", [], fatal=True)
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


class _LineByLine:
    """A parser whose rows are lines."""

    def __init__(self, lines: Iterator[str]) -> None:
        self.header: list[str] = []
        self.line = 0
        self._lines = lines

    @property
    def last_line(self) -> int:
        """The line of the last row."""
        return self.line

    def _next_line(self) -> str | None:
        self.line += 1
        return next(self._lines, None)


class TextParser(_LineByLine):
    """One document a line; a blank line is an empty document."""

    def __init__(self, lines: Iterator[str]) -> None:
        super().__init__(lines)
        self.header = ["text"]

    def next_row(self) -> list[str] | None:
        """The next line without its end."""
        line = self._next_line()
        return None if line is None else [line.rstrip("\r\n")]


class FastTextParser(_LineByLine):
    """``__label__x words``; several labels are joined by the separator."""

    def __init__(self, lines: Iterator[str], fmt: RowFormat) -> None:
        super().__init__(lines)
        self.header = ["text", "label"]
        self._fmt = fmt

    def next_row(self) -> list[str] | None:
        """Text and labels of the next line. Raises BadRow for several labels without separator."""
        prefix, separator = self._fmt.label_prefix, self._fmt.label_separator
        line = self._next_line()
        if line is None:
            return None
        # of blanks only those in ASCII stand between words, as for the program
        raw = line.encode("utf-8", "surrogateescape").split()
        words = [word.decode("utf-8", "surrogateescape") for word in raw]
        labels = [w.removeprefix(prefix) for w in words if w.startswith(prefix)]
        text = " ".join(w for w in words if not w.startswith(prefix))
        if len(labels) > 1 and separator is None:
            raise BadRow(f"{len(labels)} labels, wanted one (or a --label-separator)", [line])
        if separator is not None:
            try:
                _expect_whole(labels, separator)
            except ValueError as error:
                raise BadRow(str(error), [line.rstrip("\r\n")]) from None
        return [text, (separator or "").join(labels)]


class _Number(str):
    """A number as it was written; only its digits are passed on."""

    __slots__ = ()


class JsonParser(_LineByLine):
    """One object a line; the columns are the keys of the first, or of the first good one where bad
    ones are skipped."""

    def __init__(self, lines: Iterator[str], fmt: RowFormat, name: str) -> None:
        super().__init__(lines)
        self._separator, self._keep_json = fmt.label_separator, fmt.keep_json
        self._decode = json.JSONDecoder(
            object_pairs_hook=_once_each, parse_int=_Number, parse_float=_Number
        ).decode
        self._begun: deque[tuple[int, list[str] | BadRow]] = deque()
        skip = fmt.on_error == "skip"
        try:
            while not self._begins(fmt, name, skip=skip):
                pass
        except BadRow as bad:
            hint = bad.hint or "--on-error skip drops such rows"
            raise DataError(f"{name} line {self.line}: {bad.reason}", hint=hint) from None

    def _begins(self, fmt: RowFormat, name: str, *, skip: bool) -> bool:
        """Reads what may be the first row, and whether it is; bad ones are kept to be told of.

        Raises BadRow, unless such rows are skipped; DataError where there is none.
        """
        try:
            first = self._object()
            if first is None and not fmt.empty_columns:
                raise DataError(f"{name}: empty: no rows")
            self.header = list(fmt.empty_columns)
            if first is not None:
                self.header = _checked_header(list(first[1]), name, self.line)
                if skip:
                    _expect_clean(first[0])
                self._begun.append((self.line, self._cells(*first)))
        except BadRow as bad:
            if not skip:
                raise
            self._begun.append((self.line, bad))
            return False
        self._known = frozenset(self.header)
        return True

    def _object(self) -> tuple[str, dict[str, Any]] | None:
        while (line := self._next_line()) is not None:
            if line.isspace():
                continue
            try:
                value = self._decode(line.rstrip())
            except json.JSONDecodeError as error:
                reason = f"not JSON at character {error.colno}: {error.msg}"
                raise BadRow(reason, [line.rstrip("\r\n")]) from None
            except (ValueError, RecursionError) as error:
                raise BadRow(_json_fault(error), [line.rstrip("\r\n")]) from None
            if not isinstance(value, dict):
                raise BadRow("not a JSON object", [line.rstrip("\r\n")])
            return line, value
        return None

    def next_row(self) -> list[str] | None:
        """Values in the order of the header; text as it is, null empty, else as JSON. With a label
        separator the items of a list are joined by it."""
        if self._begun:
            self.line, row = self._begun.popleft()  # the last is of the line that was read last
            if isinstance(row, BadRow):
                raise row
            return row
        found = self._object()
        if found is None:
            return None
        line, value = found
        extra = next((key for key in value if key not in self._known), None)
        if extra is not None:
            raise BadRow(f"key {shown(extra)} is not in the first row", [line.rstrip("\r\n")])
        return self._cells(line, value)

    def _cells(self, line: str, value: dict[str, Any]) -> list[str]:
        try:
            if any(isinstance(v, dict | list) for v in value.values()):
                # numbers inside must be numbers again when they are written as JSON
                value = value | _nested(json.loads(line))
            cells = [self._kept(value.get(key)) for key in self.header]
        except (ValueError, RecursionError) as error:
            raise BadRow(_json_fault(error), [line.rstrip("\r\n")]) from None
        # an escape may stand for what no UTF-8 output can hold
        if "\\u" in line:
            for key, cell in zip(self.header, cells, strict=True):
                wrong = _WRONG_IN_TEXT.search(key + cell)
                if wrong:
                    code = f"\\u{ord(wrong.group()):04x}"
                    raise BadRow(f"{code} in {shown(key)} is not text", [line.rstrip("\r\n")])
        return cells

    def _kept(self, value: Any) -> str:
        cell = self._cell(value)
        if not self._keep_json or type(value) is str:
            return cell
        if isinstance(value, _Number):
            return JsonCell(cell, cell)
        try:
            return JsonCell(cell, json.dumps(value, ensure_ascii=False, allow_nan=False))
        except ValueError:  # NaN, which Python reads and JSON has not
            return cell

    def _cell(self, value: Any) -> str:
        if isinstance(value, str):
            return str(value)
        if value is None:
            return ""
        if self._separator is not None and isinstance(value, list):
            items = [
                item if isinstance(item, str) else json.dumps(item, ensure_ascii=False)
                for item in value
                if item is not None
            ]
            _expect_whole(items, self._separator)
            return self._separator.join(items)
        return json.dumps(value, ensure_ascii=False)


def _expect_whole(labels: list[str], separator: str) -> None:
    """Raises ValueError for a label that would come apart when joined labels are parted again."""
    for label in labels:
        if separator in label:
            raise ValueError(f"{shown(label)} holds the --label-separator {shown(separator)}")


def _expect_clean(line: str) -> None:
    """Raises BadRow for a NUL or bytes that are not UTF-8."""
    found = bad_character(line)
    if found is not None:
        before = len(line[: found.start()].encode("utf-8", "surrogateescape"))
        reason = f"byte {before + 1}: {named_fault(found.group())}"
        raise BadRow(reason, [line.rstrip("\r\n")])


def _nested(value: dict[str, Any]) -> dict[str, Any]:
    return {key: inner for key, inner in value.items() if isinstance(inner, dict | list)}


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object. Raises ValueError for a key that occurs twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"key {shown(key)} occurs twice")
            seen.add(key)
    return found


def _json_fault(error: ValueError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return "JSON that is nested too deeply"
    if "integer string conversion" in str(error):
        return "a number of more than 4,300 digits inside a list or object"
    return str(error)
