"""N-gram rows out, as CSV or JSON lines."""

from __future__ import annotations

import csv
import io
import json
from typing import BinaryIO, Literal

from nlpcli.data.ngram_table import NgramTable, Rank, Rows
from nlpcli.data.spool import let_go

_BLOCK = 1 << 15
"""Rows in memory at once."""
_LET_GO = _BLOCK << 3
"""Rows after which pages of files are given back."""
OutputFormat = Literal["csv", "jsonl"]


def write_table(
    stream: BinaryIO,
    table: NgramTable,
    order: Rank,
    format: OutputFormat,
    *,
    header: bool = True,
) -> None:
    """The rows in this order: ``ngram,n,count,document_frequency[,label][,score]``.

    CSV has a header unless told otherwise, ``\\n`` and minimal quoting; scores are written so
    that they read back as the same number.
    """
    scored = any(part.scores is not None for part in table.parts)
    names = ["ngram", "n", "count", "document_frequency"]
    names += ["label"] * table.by_label + ["score"] * scored
    if format == "csv" and header:
        stream.write(",".join(names).encode() + b"\n")
    for begin in range(0, len(order), _BLOCK):
        rows = table.rows(order[begin : begin + _BLOCK])
        stream.write(_csv(rows) if format == "csv" else _json(rows, names))
        if begin % _LET_GO == 0:
            table.let_go()
            let_go(order)


def _columns(rows: Rows) -> list[list[str] | list[int] | list[float]]:
    columns: list[list[str] | list[int] | list[float]]
    columns = [rows.names, rows.orders, rows.counts, rows.documents]
    if rows.labels is not None:
        columns.append(rows.labels)
    if rows.scores is not None:
        columns.append(rows.scores)
    return columns


def _csv(rows: Rows) -> bytes:
    text = io.StringIO()
    if rows.labels is not None and "\r" in "".join(rows.labels):
        # csv.writer leaves a bare CR unquoted unless it is part of the line terminator
        for row in zip(*_columns(rows), strict=True):
            line = io.StringIO()
            csv.writer(line, lineterminator="\r\n").writerow(row)
            text.write(line.getvalue().removesuffix("\r\n") + "\n")
    else:
        csv.writer(text, lineterminator="\n").writerows(zip(*_columns(rows), strict=True))
    return text.getvalue().encode()


def _json(rows: Rows, header: list[str]) -> bytes:
    documents = (dict(zip(header, row, strict=True)) for row in zip(*_columns(rows), strict=True))
    return "".join(json.dumps(d, ensure_ascii=False) + "\n" for d in documents).encode()
