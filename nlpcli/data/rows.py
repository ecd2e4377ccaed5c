"""Rows in: any format, from a path or stdin, as a stream of batches; bad rows apart.

A thread reads and parses ahead, bounded; what it has is handed over before it waits for more
input, so a row on a slow pipe is answered when it arrives.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NoReturn

from nlpcli.data.lines import BadRow, Lines
from nlpcli.data.parsers import Parser, make_parser
from nlpcli.data.source import Source
from nlpcli.errors import DataError, UsageError, nearest, shown

FORMATS = ("csv", "tsv", "jsonl", "text", "fasttext", "conll", "squad")
_AHEAD = 2
_ENDINGS = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".txt": "text",
            ".conll": "conll", ".json": "squad"}  # fmt: skip
Reject = Callable[[int, str, str], None]


@dataclass(frozen=True, kw_only=True)
class RowFormat:
    """How rows are read. ``format`` None: by the file's ending, else ``otherwise``, which is CSV
    where that is None. ``label_separator`` joins several labels of a fastText line. ``max_field``
    in bytes. ``keep_json``: what is no text in JSON lines is a ``JsonCell``. ``empty_columns``: of
    JSON lines without a line; none: there must be one."""

    format: str | None = None
    header: bool = True
    on_error: str = "fail"
    max_field: int = 64 * 2**20
    label_separator: str | None = None
    label_prefix: str = "__label__"
    otherwise: str | None = None
    keep_json: bool = False
    empty_columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.format is not None and self.format not in FORMATS:
            raise UsageError(f"--format {self.format}: not one of {', '.join(FORMATS)}")
        if self.label_separator == "":
            raise UsageError("--label-separator: wanted a character or more")
        prefix = self.label_prefix
        if prefix.split() != [prefix] or not prefix.isprintable():
            raise UsageError(f"--label-prefix {prefix!r}: wanted characters, none of them blank")

    def for_path(self, path: str) -> str:
        """The format of a path: as given, or by its ending (also before .gz and the like)."""
        if self.format is not None:
            return self.format
        name = path.lower()
        for packed in (".gz", ".bz2", ".xz", ".zst"):
            name = name.removesuffix(packed)
        named = (f for ending, f in _ENDINGS.items() if name.endswith(ending))
        return next(named, self.otherwise or "csv")


@dataclass
class RowBatch:
    """Rows and the line each begins on (from 1)."""

    rows: list[list[str]]
    lines: list[int]


class RowStream:
    """An open input; ``header`` is known, rows come by ``batches``.

    Raises DataError for an input without a header or with a bad one.
    """

    def __init__(self, path: str, fmt: RowFormat, on_reject: Reject | None) -> None:
        self.skipped = 0
        self._fmt, self._on_reject = fmt, on_reject
        self._source = Source(path)
        self.name = self._source.name
        self._ready = RowBatch([], [])
        self._queue: queue.Queue[RowBatch | BaseException | None] = queue.Queue(_AHEAD)
        self._started = False
        self._lines = Lines(self._source, fmt.max_field, self._hand_over)
        self.format = fmt.for_path(path)
        try:
            self._parser: Parser = make_parser(self.format, fmt, iter(self._lines), self.name)
            self.header = self._parser.header
            self._check_header()
        except BaseException:
            self._source.close()
            raise

    def _check_header(self) -> None:
        """Raises DataError for bad bytes in it; those of a first row without one are the row's.

        Of JSON lines, where bad ones are skipped, it is the first that has none.
        """
        skipped = self.format == "jsonl" and self._fmt.on_error == "skip"
        if self._lines.dirty and (self._fmt.header or skipped):
            fault = self._lines.take_fault(self._parser.last_line)
            if fault and not skipped:
                self._refuse(self._parser.line, fault)

    def close(self) -> None:
        """Of a stream whose rows nobody has asked for."""
        self._source.close()

    def sha256(self) -> str:
        """Of the bytes read so far: of all, once the batches are exhausted."""
        return self._source.sha256()

    def column(self, name: str) -> int:
        """Position of a column. Raises DataError with the columns there and the nearest one."""
        if not name:
            raise DataError(f"{self.name} line 1: a column without a name cannot be asked for")
        name = name if name in self.header else _as_utf8(name)
        at = [i for i, column in enumerate(self.header) if column == name]
        if len(at) == 1:
            return at[0]
        if at:
            places = " and ".join(str(i + 1) for i in at)
            raise DataError(f"{self.name} line 1: column {shown(name)} occurs twice, at {places}")
        there = ", ".join(shown(c, 30) if c else "(unnamed)" for c in self.header[:12])
        near = nearest(name, self.header)
        hint = f"did you mean {shown(near)}?" if near else None
        if len(self.header) == 1 and "\t" in self.header[0]:
            hint = "1 column; tab-separated? --format tsv"
        if len(self.header) == 1 and self.format == "tsv" and "," in self.header[0]:
            hint = "1 column; comma-separated? --format csv"
        raise DataError(f"{self.name}: no column {shown(name)}; there: {there}", hint=hint)

    def batches(self, size: int = 4096) -> Iterator[RowBatch]:
        """All rows in order, at most ``size`` at a time; rows before a bad one come first.

        Raises DataError at a bad row, unless bad rows are skipped.
        """
        if not self._started:
            self._started = True
            threading.Thread(target=self._read_ahead, daemon=True).start()
        while True:
            item = self._queue.get()
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            for i in range(0, len(item.rows), size):
                yield RowBatch(item.rows[i : i + size], item.lines[i : i + size])

    def _hand_over(self) -> None:
        if self._ready.rows:
            self._queue.put(self._ready)
            self._ready = RowBatch([], [])

    def _read_ahead(self) -> None:
        end: BaseException | None = None
        try:
            self._read()
        except BaseException as error:
            end = error
        self._source.close()
        self._hand_over()
        self._queue.put(end)

    def _read(self) -> None:
        parser, lines, width = self._parser, self._lines, len(self.header)
        while True:
            try:
                row = parser.next_row()
                if row is None:
                    return
                if lines.dirty:
                    self._check_bytes(row)
                if len(row) != width:
                    raise BadRow(f"{len(row):,} fields, the header has {width:,}", row)
            except BadRow as bad:
                self._reject(parser.line, bad)
                continue
            ready = self._ready
            ready.rows.append(row)
            ready.lines.append(parser.line)

    def _check_bytes(self, row: list[str]) -> None:
        fault = self._lines.take_fault(self._parser.last_line)
        if fault:
            fault.row = row
            raise fault

    def _reject(self, line: int, bad: BadRow) -> None:
        # bad bytes may be why a row makes no sense, and must not be laid to the next one
        fault = self._lines.take_fault(self._parser.last_line) if self._lines.dirty else None
        if fault and not bad.fatal:
            fault.row, bad = bad.row, fault
        if self._fmt.on_error != "skip" or bad.fatal:
            self._refuse(line, bad)
        self.skipped += 1
        if self._on_reject is not None:
            where = f"line {bad.at} " if bad.at not in (None, line) else ""
            where = f"{bad.where}: " if bad.where else where
            row = bad.row
            if not row and self.format in ("csv", "tsv"):  # which do not say what they met
                row = [self._lines.last()]
            self._on_reject(line, where + bad.reason, ",".join(row))

    def _refuse(self, line: int, bad: BadRow) -> NoReturn:
        joiner = " " if bad.reason.startswith("byte") else ": "
        hint = bad.hint or (None if bad.fatal else "--on-error skip drops such rows")
        place = bad.where or f"line {bad.at or line}"
        raise DataError(f"{self.name} {place}{joiner}{bad.reason}", hint=hint)


def naming(on_reject: Reject | None, path: str, *others: str | None) -> Reject | None:
    """For the rows of a file: reasons say of which one where there are others."""
    if on_reject is None or not any(other is not None for other in others):
        return on_reject
    name = Source.name_of(path)
    return lambda line, reason, row: on_reject(line, f"{name}: {reason}", row)


def told_apart(
    on_reject: Reject | None, path: str, other: str | None
) -> tuple[Reject | None, Reject | None]:
    """``naming`` for each of two files."""
    return naming(on_reject, path, other), naming(on_reject, other or path, path)


def _as_utf8(name: str) -> str:
    """A name from the command line whose bytes another locale has decoded, read as UTF-8."""
    try:
        return os.fsencode(name).decode()
    except UnicodeError:
        return name


def open_rows(path: str, fmt: RowFormat, on_reject: Reject | None = None) -> RowStream:
    """Opens a path, or stdin for ``-``. Raises InputMissing, DataError."""
    return RowStream(path, fmt, on_reject)
