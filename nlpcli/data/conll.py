"""CoNLL files: a word a line with its columns, a blank line behind each sentence.

A sentence becomes one row: ``tokens``, ``column_2`` and so on, and ``tags``, which is the last
column; each cell holds that column of all its words, joined by blanks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from nlpcli.data.lines import BadRow
from nlpcli.errors import DataError

TOKENS, TAGS = "tokens", "tags"
DIVIDER = "-DOCSTART-"
"""Begins a line that stands between documents and is no word."""
MOST_WORDS = 1_000_000
"""Of a sentence."""
BLANKS = re.compile("[ \t\r\n\v\f]+")
"""Those in ASCII; others may be words."""


def split_blanks(text: str) -> list[str]:
    """What stands between blanks."""
    return [part for part in BLANKS.split(text) if part]


class ConllParser:
    """Rows of sentences; the columns are those of the first line."""

    def __init__(self, lines: Iterator[str], name: str) -> None:
        self.line = self.last_line = 0
        self._lines = lines
        first = self._fields()
        while first == []:
            first = self._fields()
        if first is None:
            raise DataError(f"{name}: empty: no sentences")
        self._first: list[str] | None = first
        self._width = len(first)
        more = [f"column_{number}" for number in range(2, len(first))]
        self.header = [TOKENS, *more, TAGS][: len(first)]

    def _fields(self) -> list[str] | None:
        """Columns of the next line; none where a sentence ends, None at the end."""
        line = next(self._lines, None)
        if line is None:
            return None
        self.last_line += 1
        fields = split_blanks(line)
        return [] if fields and fields[0] == DIVIDER else fields

    def next_row(self) -> list[str] | None:
        """The next sentence. Raises BadRow for words that differ in their number of columns."""
        words: list[list[str]] = []
        bad: BadRow | None = None
        fields, self._first = self._first, None
        while True:
            if fields is None:
                fields = self._fields()
            if not fields and words:
                break
            if fields is None:
                return None
            if fields:
                if not words:
                    self.line = self.last_line
                if len(fields) != self._width and bad is None:
                    bad = self._ragged(fields)
                words.append(fields)
                if len(words) > MOST_WORDS:
                    raise BadRow(
                        f"a sentence of more than {MOST_WORDS:,} words begins here, wanted blank "
                        "lines between sentences", [], fatal=True,
                    )  # fmt: skip
            fields = None
        if bad is not None:
            raise bad
        return [" ".join(column) for column in zip(*words, strict=True)]

    def _ragged(self, fields: list[str]) -> BadRow:
        seen = f"{len(fields)} column{'s' * (len(fields) != 1)}"
        return BadRow(
            f"{seen}, the first line has {self._width}", [" ".join(fields)], at=self.last_line
        )


class ConllWriter:
    """Writes sentences as they were read, with a column or more behind."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write_header(self) -> None:
        """Such files have none."""

    def write(self, rows: list[list[str]], columns: list[list[str]]) -> None:
        """Each row, cells of blank-joined columns, followed by its cell of every extra column.

        Raises ValueError for cells of one row that differ in their number of words.
        """
        lines = []
        for row, more in zip(rows, zip(*columns, strict=True), strict=True):
            cells = [split_blanks(cell) for cell in (*row, *more)]
            lines += [" ".join(word) + "\n" for word in zip(*cells, strict=True)]
            lines.append("\n")
        self._stream.write("".join(lines).encode())
