"""What parsers of several formats share."""

from __future__ import annotations

from collections.abc import Iterator

from nlpcli.errors import DataError, shown

MAX_COLUMNS = 65_536


def checked_header(header: list[str], name: str, line: int) -> list[str]:
    """The header. Raises DataError for more columns than any table has."""
    if len(header) > MAX_COLUMNS:
        raise DataError(
            f"{name} line {line}: {len(header):,} columns, wanted at most {MAX_COLUMNS:,}"
        )
    return header


class LineByLine:
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


def expect_whole(labels: list[str], separator: str) -> None:
    """Raises ValueError for a label that would come apart when joined labels are parted again."""
    for label in labels:
        if separator in label:
            raise ValueError(f"{shown(label)} holds the --label-separator {shown(separator)}")
