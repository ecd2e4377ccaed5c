"""Labelled rows as they lie there: a blank text or label is kept, for those who look for faults."""

from __future__ import annotations

from dataclasses import dataclass

from nlpcli.data.rows import Reject, RowFormat, open_rows


@dataclass(frozen=True)
class UncheckedRows:
    """Texts and label tuples of all rows that could be read; no label is an empty tuple."""

    name: str
    texts: list[str]
    labels: list[tuple[str, ...]]
    n_skipped: int
    sha256: str


def read_unchecked(
    path: str,
    fmt: RowFormat,
    *,
    text_column: str = "text",
    label_column: str = "label",
    label_separator: str | None = None,
    on_reject: Reject | None = None,
) -> UncheckedRows:
    """Reads a whole file. Raises InputMissing; DataError for a bad row, unless such are skipped."""
    rows = open_rows(path, fmt, on_reject)
    text, label = rows.column(text_column), rows.column(label_column)
    texts: list[str] = []
    labels: list[tuple[str, ...]] = []
    known: dict[str, tuple[str, ...]] = {}
    for batch in rows.batches():
        for row in batch.rows:
            cell = row[label]
            if cell not in known:
                known[cell] = _names(cell, label_separator)
            texts.append(row[text])
            labels.append(known[cell])
    return UncheckedRows(rows.name, texts, labels, rows.skipped, rows.sha256())


def _names(cell: str, separator: str | None) -> tuple[str, ...]:
    """The labels of a cell, as training reads them."""
    if separator is None:
        return (cell,) if cell.strip() else ()
    parts = (part.strip() for part in cell.split(separator))
    return tuple(dict.fromkeys(part for part in parts if part))
