"""Lists of features that a model is to have: written by ``ngrams --save``, read by training."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO

from nlpcli.data.rows import RowFormat, open_rows
from nlpcli.errors import DataError, shown


@dataclass(frozen=True)
class FeatureList:
    """``features``: level and n-gram of each; ``sha256`` of the file."""

    features: list[tuple[str, str]]
    sha256: str


HEADER = ["level", "ngram"]
LEVELS = ("word", "subword")


def write_features(stream: BinaryIO, level: str, names: Iterable[str]) -> None:
    """CSV: level, and the n-gram; words stand between single blanks."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows((level, name) for name in names)
    stream.write(text.getvalue().encode())


def read_features(path: str) -> FeatureList:
    """Reads a whole list. Raises InputMissing; DataError for a file of another form or without
    features."""
    rows = open_rows(path, RowFormat(format="csv"))
    level, name = (rows.column(column) for column in HEADER)
    found = []
    for batch in rows.batches():
        for row, line in zip(batch.rows, batch.lines, strict=True):
            if row[level] not in LEVELS:
                raise DataError(
                    f"{rows.name} line {line}: level {shown(row[level])}, wanted word or subword"
                )
            if not row[name].strip():
                raise DataError(f"{rows.name} line {line}: a blank n-gram")
            found.append((row[level], row[name]))
    if not found:
        raise DataError(f"{rows.name}: no features")
    return FeatureList(found, rows.sha256())
