"""Rows out: the input's columns and the answers, as CSV or JSON lines."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from typing import BinaryIO

from nlpcli.data.json_cell import JsonCell
from nlpcli.errors import DataError, shown

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class RowWriter:
    """Writes whole batches; UTF-8, RFC 4180 with ``\\n`` and minimal quoting, no BOM.

    Cells of ``numeric_columns`` and ``json_columns`` are numbers and JSON in JSON lines, not text;
    a ``JsonCell`` is there what it was read from. ``spreadsheet_safe`` puts ' before other cells
    that a spreadsheet would take for formulas. Raises DataError for JSON lines with a name that
    occurs twice: an object would keep one of the two.
    """

    def __init__(
        self,
        stream: BinaryIO,
        header: list[str],
        format: str = "csv",
        *,
        numeric_columns: set[str] | None = None,
        json_columns: set[str] | None = None,
        spreadsheet_safe: bool = False,
    ) -> None:
        self._stream, self._header, self._format = stream, header, format
        self._numeric = [name in (numeric_columns or set()) for name in header]
        self._json = [name in (json_columns or set()) for name in header]
        self._text = [not (a or b) for a, b in zip(self._numeric, self._json, strict=True)]
        self._safe = spreadsheet_safe
        self._encode = json.JSONEncoder(ensure_ascii=False).encode
        self._begun = False
        if format != "csv":
            self._expect_distinct()

    def _expect_distinct(self) -> None:
        for name, times in Counter(self._header).items():
            if times > 1:
                raise DataError(
                    f"output: column {shown(name)} occurs {times} times, JSON lines hold it once",
                    hint="--output-format csv",
                )

    def write_header(self) -> None:
        """The header row; JSON lines have none."""
        if self._format != "csv":
            return
        self._write_csv([[_safe(name) for name in self._header] if self._safe else self._header])

    def write(self, rows: list[list[str]], columns: list[list[str]]) -> None:
        """Each row followed by its entry of every extra column."""
        if not rows:
            return
        whole = [
            row + list(more) for row, more in zip(rows, zip(*columns, strict=False), strict=True)
        ]
        if self._safe:
            whole = [
                [_safe(cell) if text else cell for cell, text in zip(row, self._text, strict=True)]
                for row in whole
            ]
        if self._format == "csv":
            self._write_csv(whole)
        else:
            self._write_json(whole)

    def _write_csv(self, rows: list[list[str]]) -> None:
        if not self._begun and rows[0][:1] and rows[0][0].startswith("\ufeff"):
            self._stream.write(_marked(rows[0]).encode())
            rows = rows[1:]
        self._begun = True
        text = io.StringIO()
        if "\r" in "".join(map("".join, rows)):
            # csv.writer leaves a bare CR unquoted unless it is part of the line terminator
            text.writelines(map(_quoted, rows))
        else:
            csv.writer(text, lineterminator="\n").writerows(rows)
        self._stream.write(text.getvalue().encode())

    def _write_json(self, rows: list[list[str]]) -> None:
        names = [self._encode(name) for name in self._header]
        kinds = list(zip(names, self._numeric, self._json, strict=True))
        lines = []
        for row in rows:
            cells = (
                f"{name}: {self._value(cell, number, whole)}"
                for (name, number, whole), cell in zip(kinds, row, strict=True)
            )
            lines.append(f"{{{', '.join(cells)}}}\n")
        self._stream.write("".join(lines).encode())

    def _value(self, cell: str, number: bool, whole: bool) -> str:
        """A cell as JSON: text, a ``number``, or JSON as a ``whole``."""
        if number:
            return self._encode(float(cell)) if cell else "null"
        if whole:
            return self._encode(json.loads(cell or "null"))
        return cell.json if isinstance(cell, JsonCell) else self._encode(cell)


def _safe(cell: str) -> str:
    if isinstance(cell, JsonCell):
        return cell
    return "'" + cell if cell.startswith(_FORMULA) else cell


def _marked(row: list[str]) -> str:
    """A line whose U+FEFF stands in quotes: at the very beginning it would be a byte order mark."""
    first = row[0].replace('"', '""')
    rest = "," + _quoted(row[1:]) if len(row) > 1 else "\n"
    return f'"{first}"{rest}'


def _quoted(row: list[str]) -> str:
    """One CSV line, with CR and LF quoted alike."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(row)
    return line.getvalue().removesuffix("\r\n") + "\n"
