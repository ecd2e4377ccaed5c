"""Metrics of single-label classification, with bootstrap intervals.

Definitions are scikit-learn's with ``zero_division=0``; averages run over the labels that
are present in truth or prediction. All confusion-matrix metrics are functions of three
counts a label (true positives, truth, prediction), so a whole block of bootstrap resamples
is evaluated at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlpcli.errors import DataError
from nlpcli.evaluation.abstention import answered_metrics
from nlpcli.evaluation.bootstrap import (
    BINOMIAL_COST,
    LEVEL,
    UNIT,
    Counts,
    Estimate,
    FloatArray,
    Floats,
    IntArray,
    affordable,
    count_blocks,
    estimate,
    generator,
)
from nlpcli.evaluation.calibration import (
    LARGE,
    LARGE_RESAMPLES,
    PROBABILITY_METRICS,
    mean_estimates,
    probability_metrics,
)
from nlpcli.evaluation.ranking import METRICS, ranking_metrics


@dataclass(frozen=True)
class LabelCounts:
    """Counts a label, for one sample (R = 1) or many resamples.

    hits, truth, guess: (R, S) float64 for S labels: rows where truth and prediction agree
    on the label, where it is the truth, where it is the prediction. silence: which of the S is no
    label but stands for no answer; None: none of them.
    """

    hits: Floats
    truth: Floats
    guess: Floats
    silence: int | None = None


@dataclass(frozen=True)
class Cells:
    """The distinct (truth, prediction) pairs of a data set, sorted by truth.

    labels: (S,) label ids present; truth, guess: (C,) positions in ``labels``;
    counts: (C,) rows of each pair; silence: the position of what stands for no answer.
    """

    labels: Counts
    truth: Counts
    guess: Counts
    counts: Counts
    silence: int | None = None


def ratio(above: Floats, below: Floats) -> Floats:
    """``above / below`` with 0 where ``below`` is 0 (``zero_division=0``); same shapes."""
    return np.divide(above, below, out=np.zeros_like(above), where=below != 0)


def label_scores(counts: LabelCounts) -> tuple[Floats, Floats, Floats]:
    """Precision, recall and F1 of each label, each (R, S)."""
    return (
        ratio(counts.hits, counts.guess),
        ratio(counts.hits, counts.truth),
        ratio(2.0 * counts.hits, counts.guess + counts.truth),
    )


def averaged_scores(counts: LabelCounts) -> dict[str, Floats]:
    """Macro and weighted precision, recall and F1, each (R,).

    Macro: over the labels present in truth or prediction of that resample; no answer is none of
    them. Weighted: by the number of true rows. Both are 0 where there is nothing to average.
    """
    seen = (counts.truth + counts.guess) > 0
    if counts.silence is not None:
        seen[:, counts.silence] = False
    present = seen.sum(axis=1).astype(np.float64)
    support = counts.truth.sum(axis=1)
    out: dict[str, Floats] = {}
    for name, score in zip(("precision", "recall", "f1"), label_scores(counts), strict=True):
        out[f"macro_{name}"] = ratio(score.sum(axis=1), present)
        out[f"weighted_{name}"] = ratio((score * counts.truth).sum(axis=1), support)
    return out


def confusion_metrics(counts: LabelCounts) -> dict[str, Floats]:
    """Every confusion-matrix metric of single-label data, each (R,); NaN: not defined.

    MCC: Gorodkin (2004), 0 where its denominator is 0 as in scikit-learn. Kappa: Cohen
    (1960), not defined when truth and prediction are one and the same single label.
    """
    total = counts.truth.sum(axis=1)
    agreed = counts.hits.sum(axis=1)
    squares = total**2
    chance = (counts.truth * counts.guess).sum(axis=1)
    spread_truth = squares - (counts.truth**2).sum(axis=1)
    spread_guess = squares - (counts.guess**2).sum(axis=1)
    averages = averaged_scores(counts)
    recall = ratio(counts.hits, counts.truth)
    accuracy = agreed / total
    by_chance = squares - chance
    kappa = np.full_like(total, np.nan)
    np.divide((total - agreed) * total, by_chance, out=kappa, where=by_chance != 0)
    return {
        "accuracy": accuracy,
        "macro_precision": averages["macro_precision"],
        "macro_recall": averages["macro_recall"],
        "macro_f1": averages["macro_f1"],
        "micro_f1": accuracy,
        "weighted_precision": averages["weighted_precision"],
        "weighted_recall": averages["weighted_recall"],
        "weighted_f1": averages["weighted_f1"],
        "balanced_accuracy": recall.sum(axis=1) / (counts.truth > 0).sum(axis=1),
        "mcc": ratio(agreed * total - chance, np.sqrt(spread_truth) * np.sqrt(spread_guess)),
        "cohen_kappa": 1.0 - kappa,
    }


def confusion_cells(
    true: IntArray, predicted: IntArray, labels: int, *, silence: int | None = None
) -> Cells:
    """Count the distinct pairs of true and predicted label; both (B,) in [0, labels). silence: the
    id that stands for no answer."""
    code = true.astype(np.int64) * labels + predicted
    if labels * labels <= max(1_000_000, len(code)):
        table = np.bincount(code, minlength=labels * labels)
        found = np.flatnonzero(table)
        counts = table[found]
    else:
        found, counts = np.unique(code, return_counts=True)
    truth, guess = found // labels, found % labels
    present = np.union1d(truth, guess)
    return Cells(
        labels=present,
        truth=np.searchsorted(present, truth),
        guess=np.searchsorted(present, guess),
        counts=counts.astype(np.int64),
        silence=position_of(silence, present),
    )


def position_of(label: int | None, present: Counts) -> int | None:
    """Where an id stands among the sorted (S,) ones; None where it does not."""
    found = np.flatnonzero(present == (-1 if label is None else label))
    return int(found[0]) if len(found) else None


def count_labels(cells: Cells, drawn: Counts) -> LabelCounts:
    """Label counts of resamples given as counts over the cells: (R, C) to (R, S)."""
    shape = (len(drawn), len(cells.labels))
    hits, truth, guess = (np.zeros(shape, dtype=np.float64) for _ in range(3))
    same = np.flatnonzero(cells.truth == cells.guess)
    hits[:, cells.truth[same]] = drawn[:, same]
    first = np.flatnonzero(np.diff(cells.truth, prepend=-1))
    truth[:, cells.truth[first]] = np.add.reduceat(drawn, first, axis=1)
    order = np.argsort(cells.guess, kind="stable")
    by_guess = cells.guess[order]
    first = np.flatnonzero(np.diff(by_guess, prepend=-1))
    guess[:, by_guess[first]] = np.add.reduceat(drawn[:, order], first, axis=1)
    return LabelCounts(hits, truth, guess, cells.silence)


MOST_MATRIX = 1000
"""Labels up to which the confusion matrix is written as one: it takes 16 bytes a cell."""
SHARES = ("accuracy", "micro_f1")
"""Of rows that are right."""


def confusion_estimates(cells: Cells, resamples: int, seed: int) -> dict[str, Estimate]:
    """All confusion-matrix metrics with intervals from a bootstrap over the cells.

    Fewer resamples than asked for (not below 200) only where n and the number of cells are
    both huge; see ``bootstrap.affordable``.
    """
    values = confusion_metrics(count_labels(cells, cells.counts[None, :]))
    resamples = affordable(resamples, _cost(cells))
    drawn: dict[str, list[Floats]] = {name: [] for name in values}
    for block in count_blocks(cells.counts, resamples, generator(seed, 0)):
        for name, metric in confusion_metrics(count_labels(cells, block)).items():
            drawn[name].append(metric)
    return {
        name: estimate(
            float(value[0]), np.concatenate(drawn[name] or [np.empty(0)]),
            share_of=int(cells.counts.sum()) if name in SHARES else None,
            bounds=(-1.0, 1.0) if name in ("mcc", "cohen_kappa") else UNIT,
        )
        for name, value in values.items()
    }  # fmt: skip


def _cost(cells: Cells) -> int:
    """Of one resample, in row draws."""
    return min(int(cells.counts.sum()), BINOMIAL_COST * len(cells.counts)) + len(cells.labels)


def interval_methods(cells: Cells, resamples: int) -> dict[str, Any]:
    """How the intervals of a document were made: resamples of rows for the metrics of the
    confusion matrix, for means of probabilities, and the metrics that have a formula."""
    large = int(cells.counts.sum()) > LARGE
    return {
        "level": LEVEL,
        "resamples": affordable(resamples, _cost(cells)),
        "resamples_of_probabilities": min(resamples, LARGE_RESAMPLES) if large else resamples,
        "by_formula": list(METRICS),
    }


def label_table(counts: LabelCounts, names: list[str]) -> dict[str, dict[str, float | int]]:
    """The ``per_label`` part of the document from counts of one sample (1, S); S names."""
    precision, recall, f1 = label_scores(counts)
    return {
        name: {
            "precision": float(precision[0, i]),
            "recall": float(recall[0, i]),
            "f1": float(f1[0, i]),
            "support": int(counts.truth[0, i]),
        }
        for i, name in enumerate(names)
    }


def _confusion(cells: Cells, names: list[str]) -> dict[str, Any]:
    """The ``confusion`` part of the document. ``matrix`` over the S labels present, rows are truth:
    S lists of S; of more than MOST_MATRIX labels None, and ``cells``: the positions of truth and
    prediction, and the rows, where there are any."""
    size = len(cells.labels)
    if size > MOST_MATRIX:
        each = np.stack([cells.truth, cells.guess, cells.counts], axis=1)
        return {"labels": names, "matrix": None, "cells": each.tolist()}
    matrix: NDArray[np.int64] = np.zeros((size, size), dtype=np.int64)
    matrix[cells.truth, cells.guess] = cells.counts
    return {"labels": names, "matrix": matrix.tolist()}


def _check(true: IntArray, predicted: IntArray, probabilities: FloatArray, labels: int) -> None:
    """DataError for no rows; ValueError for shapes or ids that break the contract."""
    if not len(true):
        raise DataError("no rows to evaluate: 0 rows, wanted at least 1")
    shape = probabilities.shape
    if true.ndim != 1 or predicted.shape != true.shape or len(shape) != 2:
        raise ValueError(f"shapes {true.shape}, {predicted.shape}, {shape}")
    if shape[0] != len(true) or not 0 < shape[1] <= labels:
        raise ValueError(f"probabilities {shape} for {len(true)} rows and {labels} labels")
    if true.min() < 0 or true.max() >= labels:
        raise ValueError(f"a true label is not in [0, {labels})")
    if predicted.min() < 0 or predicted.max() >= shape[1]:
        raise ValueError(f"a predicted label is not in [0, {shape[1]})")


def evaluate_single(
    true: IntArray,
    predicted: IntArray,
    probabilities: FloatArray,
    names: list[str],
    *,
    resamples: int = 1000,
    seed: int = 1,
) -> dict[str, Any]:
    """The result document of ``eval --json`` for single-label data.

    true: (B,) in [0, L); predicted: (B,) in [0, K); probabilities: (B, K); names: L >= K
    label names, the first K in column order, the others unknown to the model. Contains no
    NaN: what is not defined is None. DataError for B = 0 or a probability that is no number.
    """
    _check(true, predicted, probabilities, len(names))
    return evaluate_answers(
        true, predicted, names, probabilities=probabilities, resamples=resamples, seed=seed
    )


def evaluate_answers(
    true: IntArray,
    predicted: IntArray,
    names: list[str],
    *,
    probabilities: FloatArray | None = None,
    confidence: FloatArray | None = None,
    silence: int | None = None,
    resamples: int = 1000,
    seed: int = 1,
) -> dict[str, Any]:
    """The same of answers that need not be the most probable label, nor have probabilities.

    true, predicted: (B,) in [0, L), B > 0; probabilities: (B, K) of the first K labels;
    confidence: (B,) in what was predicted; silence: the id of ``names`` that stands for no answer,
    which is wrong, but no label. What cannot be told without them is None.
    """
    cells = confusion_cells(true, predicted, len(names), silence=silence)
    document: dict[str, Any] = {"n": len(true)}
    document.update(confusion_estimates(cells, resamples, seed))
    nothing = {"value": None, "low": None, "high": None}
    document.update({name: dict(nothing) for name in (*PROBABILITY_METRICS, *METRICS)})
    drawing = {"resamples": resamples, "seed": seed}
    known = len(names)
    if probabilities is not None:
        known = probabilities.shape[1]
        document.update(
            probability_metrics(true, predicted, probabilities, confidence=confidence, **drawing)
        )
        document.update(ranking_metrics(true, probabilities, intervals=resamples > 0))
        if known == 2:
            document["positive_label"] = names[1]
    elif confidence is not None:
        document.update(mean_estimates({}, confidence, true == predicted, **drawing))
    document["intervals"] = interval_methods(cells, resamples)
    present = [names[i] for i in cells.labels]
    table = label_table(count_labels(cells, cells.counts[None, :]), present)
    document["per_label"] = {
        name: row for i, (name, row) in enumerate(table.items()) if i != cells.silence
    }  # fmt: skip
    document["confusion"] = _confusion(cells, present)
    document["unknown_labels"] = [names[i] for i in cells.labels if i >= known and i != silence]
    if cells.silence is not None:
        document |= answered_metrics(true, predicted, silence, confidence, drawing)
    return document
