"""Lines -> rows, one small parser a format."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from nlpcli.data.conll import ConllParser
from nlpcli.data.json_lines import JsonParser
from nlpcli.data.line_parsing import LineByLine, checked_header, expect_whole
from nlpcli.data.lines import BadRow
from nlpcli.data.squad import SquadParser
from nlpcli.errors import DataError

if TYPE_CHECKING:
    from nlpcli.data.rows import RowFormat


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
        self.header = checked_header(first, name, self.line)
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


class TextParser(LineByLine):
    """One document a line; a blank line is an empty document."""

    def __init__(self, lines: Iterator[str]) -> None:
        super().__init__(lines)
        self.header = ["text"]

    def next_row(self) -> list[str] | None:
        """The next line without its end."""
        line = self._next_line()
        return None if line is None else [line.rstrip("\r\n")]


class FastTextParser(LineByLine):
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
                expect_whole(labels, separator)
            except ValueError as error:
                raise BadRow(str(error), [line.rstrip("\r\n")]) from None
        return [text, (separator or "").join(labels)]
