"""Predictions that were made elsewhere: rows that hold the truth and what a model answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from nlpcli.data.rows import Reject, RowFormat, RowStream, open_rows
from nlpcli.errors import DataError, shown

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Row = TypeVar("Row")


@dataclass(frozen=True)
class Predictions:
    """B rows with a truth and an answer, each one of the different cells ``truths``, ``answers``.

    true, predicted: (B,) positions in them; confidence: (B,) in what was predicted, or None;
    labels, probabilities: names and (B, K) values of the columns with one label's probability, or
    None. columns: the cells of other columns that were asked for; ``lines`` (B,) where rows stood,
    empty where no other column was.
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
    columns: dict[str, list[str]] = field(default_factory=dict)
    lines: list[int] = field(default_factory=list)


@dataclass
class _Collector:
    """Keeps rows as numbers, so that a million of them are small."""

    truth: int
    answer: int
    numbers: list[int]
    confidence: int | None
    blank_truth: bool
    others: dict[str, int]
    columns: dict[str, list[str]] = field(default_factory=dict)
    lines: list[int] = field(default_factory=list)
    truths: dict[str, int] = field(default_factory=dict)
    answers: dict[str, int] = field(default_factory=dict)
    ids: list[Ids] = field(default_factory=list)
    values: list[Floats] = field(default_factory=list)

    def add(self, rows: Sequence[Sequence[str]], lines: Sequence[int]) -> str | None:
        """Keeps all of the rows; or none, and gives the reason of one that is bad."""
        true = [row[self.truth] for row in rows]
        if not self.blank_truth and not all(map(str.strip, true)):
            return "the label is blank"
        said = [row[self.answer] for row in rows]
        values = np.empty((len(rows), len(self.numbers)))
        for column, at in enumerate(self.numbers):
            cells = [row[at] for row in rows]
            if at == self.confidence and not all(cells):  # of no answer there need be none
                cells = [c if c or a else "0" for c, a in zip(cells, said, strict=True)]
            try:
                values[:, column] = list(map(float, cells))
            except ValueError:
                return next(_wanted(cell) for cell in cells if not _is_number(cell))
            # NaN is not between either
            bad = ~((values[:, column] >= 0) & (values[:, column] <= 1))
            if bad.any():
                return _wanted(cells[int(bad.argmax())])
        pair = ((self.truths, true), (self.answers, said))
        ids = [[known.setdefault(cell, len(known)) for cell in cells] for known, cells in pair]
        self.ids.append(np.array(ids, dtype=np.int64))
        self.values.append(values)
        for name, at in self.others.items():
            self.columns.setdefault(name, []).extend([row[at] for row in rows])
        if self.others:
            self.lines.extend(lines)
        return None


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _wanted(cell: str) -> str:
    return f"probability {shown(cell) if cell.strip() else '(blank)'}, wanted a number from 0 to 1"


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

    Confidence is the column asked for, else ``predicted_probability`` where it is (of a blank
    prediction it may be blank, and is then 0); probabilities
    of labels are in columns of that name with a colon and the label, as ``predict
    --probabilities`` writes them. With ``fmt.label_separator`` a blank truth is none of the
    labels. Raises InputMissing; DataError for a bad row (unless skipped) or when no row is left.
    """
    return predictions_in(
        open_rows(path, fmt, on_reject), fmt, label_column=label_column,
        predicted_column=predicted_column, probability_column=probability_column,
        on_reject=on_reject,
    )  # fmt: skip


def predictions_in(
    rows: RowStream,
    fmt: RowFormat,
    *,
    label_column: str,
    predicted_column: str,
    probability_column: str | None,
    other_columns: Sequence[str] = (),
    on_reject: Reject | None,
) -> Predictions:
    """The same, of rows that are open."""
    name = probability_column or "predicted_probability"
    each = {c: rows.column(c) for c in rows.header if c.startswith(f"{name}:")}
    sure = []
    if name in rows.header or (probability_column is not None and not each):
        sure = [rows.column(name)]
    several = fmt.label_separator is not None
    kept = _Collector(
        rows.column(label_column), rows.column(predicted_column), [*sure, *each.values()],
        sure[0] if sure else None, several,
        {name: rows.column(name) for name in other_columns},
    )  # fmt: skip
    skipped = _read(rows, kept, fmt, on_reject)
    if not kept.ids:
        raise DataError(f"{rows.name}: no rows with a label and a prediction")
    ids, values = np.concatenate(kept.ids, axis=1), np.concatenate(kept.values)
    return Predictions(
        rows.name, list(kept.truths), list(kept.answers), ids[0], ids[1],
        values[:, 0] if sure else None, [c.removeprefix(f"{name}:") for c in each],
        values[:, len(sure) :] if each else None, rows.skipped + skipped, kept.columns,
        kept.lines,
    )  # fmt: skip


@dataclass(frozen=True)
class ParsedRows(Generic[Row]):
    """The good rows, where they stood, and the number of bad ones."""

    rows: list[Row]
    lines: list[int]
    n_skipped: int


def parsed_rows(
    rows: RowStream, fmt: RowFormat, parse: Callable[[list[str]], Row], on_reject: Reject | None
) -> ParsedRows[Row]:
    """Every row by ``parse``, which raises ValueError with the reason why one is bad. Raises
    DataError for such a row (unless skipped) or when none is left."""
    found, lines, skipped = list[Row](), list[int](), 0
    for batch in rows.batches():
        for row, line in zip(batch.rows, batch.lines, strict=True):
            try:
                found.append(parse(row))
            except ValueError as error:
                skipped += _refused(rows, row, line, str(error), fmt, on_reject)
                continue
            lines.append(line)
    if not found:
        raise DataError(f"{rows.name}: no rows with a label and a prediction")
    return ParsedRows(found, lines, rows.skipped + skipped)


def _refused(
    rows: RowStream, row: list[str], line: int, reason: str, fmt: RowFormat,
    on_reject: Reject | None,
) -> int:  # fmt: skip
    """One bad row. Raises DataError unless such are skipped."""
    if fmt.on_error != "skip":
        raise DataError(
            f"{rows.name} line {line}: {reason}", hint="--on-error skip drops such rows"
        )
    if on_reject is not None:
        on_reject(line, reason, ",".join(row))
    return 1


def _read(rows: RowStream, kept: _Collector, fmt: RowFormat, on_reject: Reject | None) -> int:
    """Keeps the good rows; the number of bad ones. Raises DataError unless they are skipped."""
    skipped = 0
    for batch in rows.batches():
        if kept.add(batch.rows, batch.lines) is None:
            continue
        for row, line in zip(batch.rows, batch.lines, strict=True):
            reason = kept.add([row], [line])
            if reason is not None:
                skipped += _refused(rows, row, line, reason, fmt, on_reject)
    return skipped
