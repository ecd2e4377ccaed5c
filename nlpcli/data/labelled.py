"""Labelled rows in memory, for training and evaluation."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from nlpcli.data.pairs import texts_of
from nlpcli.data.rows import Reject, RowFormat, open_rows
from nlpcli.errors import DataError, shown

MOST_WEIGHT = 1e9
"""Of a row; sums of squares of such weights stay within float32."""
MOST_NUMBER = 1e15
"""Of a label that is a number, either way."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True)
class Labelled:
    """Texts with their label tuples (one label each, unless multi-label) and where they stood.

    ``label_twins``: pairs of labels that differ in their Unicode normal form alone.
    ``columns``: the cells of other columns that were asked for.
    """

    texts: list[str]
    labels: list[tuple[str, ...]]
    weights: npt.NDArray[np.float32] | None
    lines: list[int]
    sha256: str
    n_rows: int
    n_blank: int
    n_skipped: int
    n_conflicts: int
    label_twins: list[tuple[str, str]] = field(default_factory=list)
    columns: dict[str, list[str]] = field(default_factory=dict)


@dataclass
class _Collector:
    """Checks rows one by one and keeps the good ones."""

    separator: str | None
    keep_blank: bool
    numbers: bool
    texts: list[str] = field(default_factory=list)
    labels: list[tuple[str, ...]] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    n_rows: int = 0
    n_blank: int = 0
    _sets: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def add_all(self, texts: list[str], labels: list[str], lines: list[int]) -> bool:
        """Keeps many rows of one label each; False, and nothing is kept, where one needs a look."""
        if self.separator is not None or self.numbers or not all(map(str.strip, labels)):
            return False
        if not all(map(str.strip, texts)):
            return False
        known = self._sets
        for label in set(labels) - known.keys():
            known[label] = (label,)  # one tuple a label: equal ones are then the same object
        self.texts += texts
        self.labels += [known[label] for label in labels]
        self.weights += [1.0] * len(texts)
        self.lines += lines
        self.n_rows += len(texts)
        return True

    def add(self, text: str, label: str, weight: str | None, line: int) -> str | None:
        """Keeps a row, or gives the reason why it is bad."""
        self.n_rows += 1
        if self.separator is None:
            names = self._sets.setdefault(label, (label,))
            if not label.strip():
                return "the label is blank"
            if self.numbers and number_of(label) is None:
                return f"label {shown(label)}, wanted a number up to {MOST_NUMBER:g}"
        else:
            parts = (part.strip() for part in label.split(self.separator))
            names = tuple(dict.fromkeys(part for part in parts if part))
        number = 1.0 if weight is None else _weight(weight)
        if number is None:
            return f"weight {shown(weight or '')}, wanted a number from 0 to {MOST_WEIGHT:g}"
        if not self.keep_blank and not text.strip():
            self.n_blank += 1
            return None
        self.texts.append(text)
        self.labels.append(names)
        self.weights.append(number)
        self.lines.append(line)
        return None


def number_of(text: str) -> float | None:
    """The number that a label is, written in decimals; None for anything else."""
    if not _NUMBER.fullmatch(text.strip()):
        return None
    value = float(text)
    return value if -MOST_NUMBER <= value <= MOST_NUMBER else None


def _weight(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value <= MOST_WEIGHT else None


def read_labelled(
    path: str,
    fmt: RowFormat,
    *,
    text_column: str = "text",
    text_b_column: str | None = None,
    label_column: str = "label",
    weight_column: str | None = None,
    label_separator: str | None = None,
    keep_blank: bool = False,
    other_columns: Sequence[str] = (),
    numbers: bool = False,
    on_reject: Reject | None = None,
) -> Labelled:
    """Reads a whole file of labelled rows; blank texts are dropped and counted.

    With ``text_b_column`` a text is a pair, as ``data/pairs.py`` joins it. ``numbers``: labels
    must be such.
    Raises InputMissing; DataError for a bad row (unless skipped) or when no row is left.
    """
    rows = open_rows(path, fmt, on_reject)
    text, label = rows.column(text_column), rows.column(label_column)
    other = None if text_b_column is None else rows.column(text_b_column)
    weight = None if weight_column is None else rows.column(weight_column)
    more = {name: rows.column(name) for name in other_columns}
    cells: dict[str, list[str]] = {name: [] for name in more}
    kept = _Collector(label_separator, keep_blank, numbers)
    skipped = 0
    for batch in rows.batches():
        texts = texts_of(batch.rows, text, other)
        plain = weight is None and not more
        if plain and kept.add_all(texts, [row[label] for row in batch.rows], batch.lines):
            continue
        for row, whole, line in zip(batch.rows, texts, batch.lines, strict=True):
            before = len(kept.texts)
            reason = kept.add(whole, row[label], None if weight is None else row[weight], line)
            if len(kept.texts) > before:
                for name, at in more.items():
                    cells[name].append(row[at])
            if reason is None:
                continue
            if fmt.on_error != "skip":
                raise DataError(
                    f"{rows.name} line {line}: {reason}", hint="--on-error skip drops such rows"
                )
            skipped += 1
            if on_reject is not None:
                on_reject(line, reason, ",".join(row))
    if not kept.texts:
        raise DataError(f"{rows.name}: no rows with a text and a label")
    return Labelled(
        kept.texts,
        kept.labels,
        None if weight is None else np.array(kept.weights, dtype=np.float32),
        kept.lines,
        rows.sha256(),
        kept.n_rows,
        kept.n_blank,
        rows.skipped + skipped,
        _conflicts(kept.texts, kept.labels),
        label_twins(name for names in kept.labels for name in names),
        cells,
    )


def label_twins(names: Iterable[str]) -> list[tuple[str, str]]:
    """Neighbours among the labels of one normal form, sorted by code point."""
    forms: dict[str, list[str]] = {}
    for name in sorted(set(names)):
        forms.setdefault(unicodedata.normalize("NFC", name), []).append(name)
    return [pair for group in forms.values() for pair in pairwise(group)]


def _conflicts(texts: list[str], labels: list[tuple[str, ...]]) -> int:
    """How many distinct texts occur with more than one label (set)."""
    seen: dict[str, tuple[str, ...]] = {}
    conflicts: set[str] = set()
    for text, names in zip(texts, labels, strict=True):
        first = seen.setdefault(text, names)
        if first is not names and set(first) != set(names):
            conflicts.add(text)
    return len(conflicts)
