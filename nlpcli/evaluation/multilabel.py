"""Metrics of multi-label classification, with bootstrap intervals, and the threshold.

Averages follow scikit-learn's multi-label ones with ``zero_division=0`` over the labels
present in truth or prediction. Precision and recall at k are those of ``fasttext test``
(Joulin et al. 2017): hits over predictions made, and over true labels, on rows that have a
label. Every metric is a function of sums over rows, so the bootstrap is a matrix product of
row weights and row values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlpcli.errors import DataError
from nlpcli.evaluation.bootstrap import (
    UNIT,
    Counts,
    Estimate,
    FloatArray,
    Floats,
    count_blocks,
    estimate,
    generator,
    row_groups,
)
from nlpcli.evaluation.metrics import (
    LabelCounts,
    averaged_scores,
    label_table,
    ratio,
)
from nlpcli.evaluation.multilabel_ranking import multilabel_ranking

BoolArray = NDArray[np.bool_]

CHUNK_ELEMENTS = 2_000_000
MAX_PRODUCTS = 15_000_000_000
"""Multiplications of one bootstrap: with more, rows are resampled in random groups."""
MIN_GROUPS = 1_000
ROW_COLUMNS = ("rows", "exact", "samples_precision", "samples_recall", "samples_f1", "labelled")


@dataclass(frozen=True)
class RowSums:
    """Sums over rows or groups of rows: what all metrics are computed from.

    rows: (G, C) float64, the columns of ROW_COLUMNS, then (hits, predictions) for each k
    and true labels of labelled rows; labels: (G, 3 S) float32 hits, truth and prediction
    of the S labels that occur (exact: counts stay below 2^24).
    """

    rows: Floats
    labels: NDArray[np.float32]


def _chunks(rows: int, columns: int) -> Iterator[slice]:
    """Slices of rows that hold about CHUNK_ELEMENTS elements of ``columns`` columns."""
    step = max(1, CHUNK_ELEMENTS // max(columns, 1))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def _require_finite(scores: FloatArray, start: int) -> None:
    """DataError naming the first row (1-based) that has a NaN or an infinity."""
    bad = ~np.isfinite(scores).all(axis=1)
    if bad.any():
        row = start + int(bad.argmax()) + 1
        raise DataError(f"prediction {row}: a score is NaN or infinite, wanted a number")


def _decide(scores: FloatArray, threshold: float, labels: int) -> BoolArray:
    """scores >= threshold, compared in float64: (b, K) to (b, L), False beyond K."""
    out = np.zeros((len(scores), labels), dtype=np.bool_)
    out[:, : scores.shape[1]] = scores >= np.float64(threshold)
    return out


def hits_at(true: BoolArray, scores: FloatArray, ks: Sequence[int]) -> Counts:
    """True labels among the k best-scored of each row; ties go to the lower column.

    true: (b, L); scores: (b, K), finite. Returns (b, len(ks)); a k beyond K counts as K.
    """
    rows, columns = scores.shape
    left = scores.copy()
    every = np.arange(rows)
    running = np.zeros(rows, dtype=np.int64)
    out = np.zeros((rows, len(ks)), dtype=np.int64)
    for k in range(1, min(max(ks, default=0), columns) + 1):
        best = left.argmax(axis=1)
        running += true[every, best]
        left[every, best] = -np.inf
        for i, wanted in enumerate(ks):
            if k == min(wanted, columns):
                out[:, i] = running
    return out


def _row_values(true: BoolArray, guess: BoolArray, scores: FloatArray, ks: Sequence[int]) -> Floats:
    """The row columns of RowSums for a chunk: (b, L), (b, L), (b, K) to (b, C)."""
    hits = (true & guess).sum(axis=1).astype(np.float64)
    truth, guessed = (a.sum(axis=1).astype(np.float64) for a in (true, guess))
    labelled = (truth > 0).astype(np.float64)
    columns = [
        np.ones(len(true)),
        ((hits == truth) & (hits == guessed)).astype(np.float64),
        ratio(hits, guessed),
        ratio(hits, truth),
        ratio(2.0 * hits, truth + guessed),
        labelled,
    ]
    at_k = hits_at(true, scores, ks)
    for i, k in enumerate(ks):
        columns += [at_k[:, i] * labelled, min(k, scores.shape[1]) * labelled]
    return np.stack([*columns, truth], axis=1)


def row_sums(
    true: BoolArray,
    scores: FloatArray,
    threshold: float,
    kept: Counts,
    ks: Sequence[int],
    order: Counts | None,
    starts: Counts,
) -> RowSums:
    """Sum row values by group, a chunk of rows at a time.

    true: (B, L); scores: (B, K); kept: (S,) label ids to count; order, starts: the groups
    of ``bootstrap.row_groups``.
    """
    groups = len(starts)
    size = len(kept)
    rows = np.zeros((groups, len(ROW_COLUMNS) + 2 * len(ks) + 1), dtype=np.float64)
    labels = np.zeros((groups, 3 * size), dtype=np.float32)
    for part in _chunks(len(true), 4 * true.shape[1]):
        select = part if order is None else order[part]
        truth, score = true[select], scores[select]
        guess = _decide(score, threshold, true.shape[1])
        values = _row_values(truth, guess, score, ks)
        group = np.searchsorted(starts, np.arange(part.start, part.stop), side="right") - 1
        first = np.flatnonzero(np.diff(group, prepend=-1))
        where = group[first]
        rows[where] += np.add.reduceat(values, first, axis=0)
        truth, guess = truth[:, kept], guess[:, kept]
        for i, table in enumerate((truth & guess, truth, guess)):
            columns = slice(i * size, (i + 1) * size)
            labels[where, columns] += np.add.reduceat(table.astype(np.float32), first, axis=0)
    return RowSums(rows, labels)


def multilabel_metrics(
    rows: Floats, counts: LabelCounts, labels: int, ks: Sequence[int]
) -> dict[str, Floats]:
    """Every metric of R samples, each (R,), NaN where it is not defined.

    rows: (R, C) row sums; counts: (R, S); labels: L, all labels, for the Hamming loss.
    """
    total = rows[:, 0]
    sums = {name: rows[:, i] for i, name in enumerate(ROW_COLUMNS)}
    hits, truth, guess = (a.sum(axis=1) for a in (counts.hits, counts.truth, counts.guess))
    out = {
        "micro_precision": ratio(hits, guess),
        "micro_recall": ratio(hits, truth),
        "micro_f1": ratio(2.0 * hits, truth + guess),
        **averaged_scores(counts),
    }
    for name in ("samples_precision", "samples_recall", "samples_f1"):
        out[name] = sums[name] / total
    out["subset_accuracy"] = sums["exact"] / total
    out["hamming_loss"] = (truth + guess - 2.0 * hits) / (total * labels)
    for i, k in enumerate(ks):
        at_k, made = rows[:, len(ROW_COLUMNS) + 2 * i], rows[:, len(ROW_COLUMNS) + 2 * i + 1]
        for name, below in (("precision", made), ("recall", rows[:, -1])):
            value = np.full_like(at_k, np.nan)
            out[f"{name}_at_{k}"] = np.divide(at_k, below, out=value, where=below != 0)
    return out


def _split(labels: Floats) -> LabelCounts:
    """(R, 3 S) summed label columns as LabelCounts of (R, S)."""
    size = labels.shape[1] // 3
    return LabelCounts(labels[:, :size], labels[:, size : 2 * size], labels[:, 2 * size :])


def _estimates(
    sums: RowSums, labels: int, ks: Sequence[int], resamples: int, rng: np.random.Generator
) -> tuple[dict[str, Estimate], LabelCounts]:
    """All metrics with intervals, and the label counts (1, S) of the data itself."""
    counts = _split(sums.labels.sum(axis=0, dtype=np.float64)[None, :])
    values = multilabel_metrics(sums.rows.sum(axis=0)[None, :], counts, labels, ks)
    drawn: dict[str, list[Floats]] = {name: [np.empty(0)] for name in values}
    step = max(1, CHUNK_ELEMENTS // max(sums.labels.shape[1], 1))
    for weights in count_blocks(np.ones(len(sums.rows), dtype=np.int64), resamples, rng):
        for start in range(0, len(weights), step):
            weight = weights[start : start + step]
            drawn_labels = (weight.astype(np.float32) @ sums.labels).astype(np.float64)
            drawn_rows = weight.astype(np.float64) @ sums.rows
            block = multilabel_metrics(drawn_rows, _split(drawn_labels), labels, ks)
            for name, metric in block.items():
                drawn[name].append(metric)
    out = {
        name: estimate(
            float(value[0]), np.concatenate(drawn[name]),
            share_of=len(sums.rows) if name == "subset_accuracy" else None,
            bounds=UNIT,
        )
        for name, value in values.items()
    }  # fmt: skip
    return out, counts


def _present(true: BoolArray, scores: FloatArray, threshold: float) -> Counts:
    """Ids of labels that occur in truth or prediction, rising; checks scores are finite."""
    found = true.any(axis=0)
    for part in _chunks(len(true), true.shape[1]):
        _require_finite(scores[part], part.start)
        found |= _decide(scores[part], threshold, true.shape[1]).any(axis=0)
    return np.flatnonzero(found)


def _check(true: BoolArray, scores: FloatArray, labels: int, ks: Sequence[int]) -> None:
    """DataError for no rows; ValueError for arguments that break the contract."""
    if not len(true):
        raise DataError("no rows to evaluate: 0 rows, wanted at least 1")
    if true.ndim != 2 or scores.ndim != 2 or len(true) != len(scores):
        raise ValueError(f"shapes {true.shape} and {scores.shape}")
    if true.dtype != np.bool_ or true.shape[1] != labels or not 0 < scores.shape[1] <= labels:
        raise ValueError(f"{true.dtype} {true.shape}, {scores.shape}, {labels} labels")
    if any(k < 1 for k in ks):
        raise ValueError(f"ks {tuple(ks)}, wanted at least 1")


def evaluate_multilabel(
    true: BoolArray,
    scores: FloatArray,
    threshold: float,
    names: list[str],
    *,
    ks: Sequence[int] = (1, 3, 5),
    resamples: int = 1000,
    seed: int = 1,
) -> dict[str, Any]:
    """The result document of ``eval --json`` for multi-label data.

    true: (B, L); scores: (B, K), a label is predicted where its score >= threshold; names:
    L >= K label names, the first K in column order, the others unknown to the model (never
    predicted, counted as missed). Contains no NaN: what is not defined is None. DataError
    for B = 0 or a score that is no number.

    The bootstrap is over rows while rows * labels * resamples is below MAX_PRODUCTS / 3,
    beyond it over random groups of rows, at least MIN_GROUPS.
    """
    _check(true, scores, len(names), ks)
    if not np.isfinite(threshold):
        raise ValueError(f"threshold {threshold}, wanted a finite number")
    kept = _present(true, scores, threshold)
    limit = MAX_PRODUCTS // max(3 * len(kept) * resamples, 1)
    rng = generator(seed, 2)
    order, starts = row_groups(len(true), max(limit, MIN_GROUPS), rng)
    sums = row_sums(true, scores, threshold, kept, ks, order, starts)
    estimates, counts = _estimates(sums, len(names), ks, resamples, rng)
    document: dict[str, Any] = {"n": len(true), "threshold": float(threshold), **estimates}
    document.update(multilabel_ranking(true, scores, intervals=resamples > 0))
    document["per_label"] = label_table(counts, [names[i] for i in kept])
    document["unknown_labels"] = [names[i] for i in kept if i >= scores.shape[1]]
    return document


def best_threshold(true: BoolArray, scores: FloatArray) -> tuple[float, float]:
    """The threshold t that maximises micro F1 of ``scores >= t``, and that F1; exact.

    true: (B, K); scores: (B, K), finite. The best t has a true label's score as the lowest
    one taken (taking more without a hit only lowers F1), so only those are tried; compare
    Lipton, Elkan & Naryanaswamy, "Optimal Thresholding of Classifiers to Maximize F1
    Measure" (2014). Of equal F1 the highest t is taken; t lies midway to the next
    lower score (in the scores' own precision), or is the lowest score. Without true labels
    it is (0.5, 0.0).
    """
    if true.shape != scores.shape or true.ndim != 2:
        raise ValueError(f"shapes {true.shape} and {scores.shape}")
    for part in _chunks(len(scores), scores.shape[1]):
        _require_finite(scores[part], part.start)
    steps, positives = np.unique(scores[true], return_counts=True)
    if not len(steps):
        return 0.5, 0.0
    below = np.zeros(len(steps) + 1, dtype=np.int64)
    for part in _chunks(len(scores), scores.shape[1]):
        position = np.searchsorted(steps, scores[part].ravel(), side="right")
        below += np.bincount(position, minlength=len(steps) + 1)
    hits = positives[::-1].cumsum()[::-1]
    taken = below[1:][::-1].cumsum()[::-1]
    f1 = 2.0 * hits / (taken + hits[0])
    best = len(steps) - 1 - int(f1[::-1].argmax())
    return _midway(scores, steps[best]), float(f1[best])


def _midway(scores: FloatArray, high: np.floating[Any]) -> float:
    """A threshold that takes ``high`` and nothing lower: midway to the next lower score."""
    low = -np.inf
    for part in _chunks(len(scores), scores.shape[1]):
        block = scores[part]
        low = max(low, float(np.max(block, where=block < high, initial=-np.inf)))
    if low == -np.inf:
        return float(high)
    middle = float(scores.dtype.type(low / 2.0 + float(high) / 2.0))
    return middle if low < middle <= float(high) else float(high)
