"""Predictions that were made elsewhere: rows that hold the truth and what a model answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nlpcli.data.rows import Reject, RowFormat, RowStream, open_rows
from nlpcli.errors import DataError, shown

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Predictions:
    """B rows with a truth and an answer, each one of the different cells ``truths``, ``answers``.

    true, predicted: (B,) positions in them; confidence: (B,) in what was predicted, or None;
    labels, probabilities: names and (B, K) values of the columns with one label's probability, or
    None.
    """

    name: str
    truths: list[str]
    answers: list[str]
    true: Ids
    predicted: Ids
    confidence: Floats | None
    labels: list[str]
    probabilities: Floats | None
    n_skipped: int


@dataclass
class _Collector:
    """Keeps rows as numbers, so that a million of them are small."""

    truth: int
    answer: int
    numbers: list[int]
    blank_truth: bool
    truths: dict[str, int] = field(default_factory=dict)
    answers: dict[str, int] = field(default_factory=dict)
    ids: list[Ids] = field(default_factory=list)
    values: list[Floats] = field(default_factory=list)

    def add(self, rows: Sequence[Sequence[str]]) -> str | None:
        """Keeps all of the rows; or none, and gives the reason of one that is bad."""
        true = [row[self.truth] for row in rows]
        if not self.blank_truth and not all(map(str.strip, true)):
            return "the label is blank"
        values = np.empty((len(rows), len(self.numbers)))
        for column, at in enumerate(self.numbers):
            cells = [row[at] for row in rows]
            try:
                values[:, column] = list(map(float, cells))
            except ValueError:
                return next(_wanted(cell) for cell in cells if not _is_number(cell))
            # NaN is not between either
            bad = ~((values[:, column] >= 0) & (values[:, column] <= 1))
            if bad.any():
                return _wanted(cells[int(bad.argmax())])
        pair = ((self.truths, true), (self.answers, [row[self.answer] for row in rows]))
        ids = [[known.setdefault(cell, len(known)) for cell in cells] for known, cells in pair]
        self.ids.append(np.array(ids, dtype=np.int64))
        self.values.append(values)
        return None


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _wanted(cell: str) -> str:
    return f"probability {shown(cell)}, wanted a number from 0 to 1"


def read_predictions(
    path: str,
    fmt: RowFormat,
    *,
    label_column: str = "label",
    predicted_column: str = "predicted_label",
    probability_column: str | None = None,
    on_reject: Reject | None = None,
) -> Predictions:
    """Reads a whole file of predictions.

    Confidence is the column asked for, else ``predicted_probability`` where it is; probabilities
    of labels are in columns of that name with a colon and the label, as ``predict
    --probabilities`` writes them. With ``fmt.label_separator`` a blank truth is none of the
    labels. Raises InputMissing; DataError for a bad row (unless skipped) or when no row is left.
    """
    rows = open_rows(path, fmt, on_reject)
    name = probability_column or "predicted_probability"
    each = {c: at for at, c in enumerate(rows.header) if c.startswith(f"{name}:")}
    sure = []
    if name in rows.header or (probability_column is not None and not each):
        sure = [rows.column(name)]
    several = fmt.label_separator is not None
    kept = _Collector(
        rows.column(label_column), rows.column(predicted_column), [*sure, *each.values()], several
    )
    skipped = _read(rows, kept, fmt, on_reject)
    if not kept.ids:
        raise DataError(f"{rows.name}: no rows with a label and a prediction")
    ids, values = np.concatenate(kept.ids, axis=1), np.concatenate(kept.values)
    return Predictions(
        rows.name, list(kept.truths), list(kept.answers), ids[0], ids[1],
        values[:, 0] if sure else None, [c.removeprefix(f"{name}:") for c in each],
        values[:, len(sure) :] if each else None, rows.skipped + skipped,
    )  # fmt: skip


def _read(rows: RowStream, kept: _Collector, fmt: RowFormat, on_reject: Reject | None) -> int:
    """Keeps the good rows; the number of bad ones. Raises DataError unless they are skipped."""
    skipped = 0
    for batch in rows.batches():
        if kept.add(batch.rows) is None:
            continue
        for row, line in zip(batch.rows, batch.lines, strict=True):
            reason = kept.add([row])
            if reason is None:
                continue
            if fmt.on_error != "skip":
                raise DataError(
                    f"{rows.name} line {line}: {reason}", hint="--on-error skip drops such rows"
                )
            skipped += 1
            if on_reject is not None:
                on_reject(line, reason, ",".join(row))
    return skipped
