"""True labels of rows, and how probabilities become answers that are right or wrong.

What needs many sets of answers to the same rows (perturbed texts, attacks) asks here, whether a
row has one label or several.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nlpcli.evaluation.bootstrap import Estimate, count_blocks, estimate, generator
from nlpcli.evaluation.metrics import confusion_cells, confusion_estimates
from nlpcli.evaluation.multilabel import evaluate_multilabel

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Bools = NDArray[np.bool_]
Answers = NDArray[Any]
"""One a row: a label's number (B,), or which labels hold (B, K)."""


class Truths(Protocol):
    """Rows with their true labels. ``rows`` (B,) picks those that arguments are about."""

    def __len__(self) -> int: ...

    def take(self, rows: I64) -> Truths:
        """Some of the rows, as rows of their own."""

    def answers(self, probabilities: F64) -> Answers:
        """What a model with these probabilities (B, K) answers."""

    def right(self, answers: Answers, rows: I64) -> Bools:
        """Which answers are the truth, (B,)."""

    def margins(self, probabilities: F64, rows: I64) -> F64:
        """How far each row is from a wrong answer, (B,): below zero it is wrong."""

    def estimates(self, answers: Answers, *, resamples: int, seed: int) -> dict[str, Estimate]:
        """Headline metrics of answers to all rows, the strictest first."""


@dataclass(frozen=True)
class OneLabel:
    """``true`` (B,): numbers below ``n_labels``, of which those from K on no model knows."""

    true: I64
    n_labels: int

    def __len__(self) -> int:
        return len(self.true)

    def take(self, rows: I64) -> OneLabel:
        """As of Truths."""
        return OneLabel(self.true[rows], self.n_labels)

    def answers(self, probabilities: F64) -> Answers:
        """The label of the highest probability."""
        found: Answers = probabilities.argmax(axis=1)
        return found

    def right(self, answers: Answers, rows: I64) -> Bools:
        """As of Truths."""
        found: Bools = answers == self.true[rows]
        return found

    def margins(self, probabilities: F64, rows: I64) -> F64:
        """The true label's probability less the highest other one; -1 for an unknown label."""
        true, every = self.true[rows], np.arange(len(rows))
        known = true < probabilities.shape[1]
        own = np.where(known, probabilities[every, np.where(known, true, 0)], -1.0)
        others = probabilities.copy()
        others[every[known], true[known]] = 0.0
        found: F64 = np.where(known, own - others.max(axis=1), -1.0)
        return found

    def estimates(self, answers: Answers, *, resamples: int, seed: int) -> dict[str, Estimate]:
        """Accuracy and macro F1."""
        cells = confusion_cells(self.true, answers, self.n_labels)
        found = confusion_estimates(cells, resamples, seed)
        return {name: found[name] for name in ("accuracy", "macro_f1")}


@dataclass(frozen=True)
class SeveralLabels:
    """``true`` (B, L): which labels hold; a label is answered from ``threshold`` on."""

    true: Bools
    threshold: float

    def __len__(self) -> int:
        return len(self.true)

    def take(self, rows: I64) -> SeveralLabels:
        """As of Truths."""
        return SeveralLabels(self.true[rows], self.threshold)

    def answers(self, probabilities: F64) -> Answers:
        """The labels whose probability is high enough."""
        return probabilities >= self.threshold

    def right(self, answers: Answers, rows: I64) -> Bools:
        """Whether all labels are right."""
        known, true = answers.shape[1], self.true[rows]
        found: Bools = (answers == true[:, :known]).all(axis=1) & ~true[:, known:].any(axis=1)
        return found

    def margins(self, probabilities: F64, rows: I64) -> F64:
        """The least distance of a label from the threshold, on its right side."""
        true, known = self.true[rows], probabilities.shape[1]
        beyond = probabilities - self.threshold
        found: F64 = np.where(true[:, :known], beyond, -beyond).min(axis=1)
        return np.where(true[:, known:].any(axis=1), -1.0, found)

    def estimates(self, answers: Answers, *, resamples: int, seed: int) -> dict[str, Estimate]:
        """Subset accuracy, micro F1 and macro F1."""
        names = [str(i) for i in range(self.true.shape[1])]
        scores = answers.astype(np.float32)
        document = evaluate_multilabel(
            self.true, scores, 0.5, names, ks=(), resamples=resamples, seed=seed
        )
        return {name: document[name] for name in ("subset_accuracy", "micro_f1", "macro_f1")}


def label_truths(
    labels: Sequence[tuple[str, ...]], known: Sequence[str], threshold: float | None
) -> Truths:
    """The truths of labelled rows for a model that knows the labels ``known``.

    ``threshold``: of models that answer several labels a row; None for the others.
    """
    unknown = sorted({name for row in labels for name in row} - set(known))
    position = {name: i for i, name in enumerate([*known, *unknown])}
    if threshold is None:
        return OneLabel(np.array([position[row[0]] for row in labels], np.int64), len(position))
    sets = np.zeros((len(labels), len(position)), dtype=np.bool_)
    for i, row in enumerate(labels):
        sets[i, [position[name] for name in row]] = True
    return SeveralLabels(sets, threshold)


def mean_estimates(
    columns: F64, *, shares: tuple[int, ...], resamples: int, seed: int
) -> list[Estimate]:
    """The mean of each column of (B, C) with its bootstrap interval over rows, rows kept whole;
    ``shares``: the columns of values from 0 to 1, of which all that are alike tell less.

    Rows that are alike are drawn together, so this is fast where values are few.
    """
    cells, counts = np.unique(columns, axis=0, return_counts=True)
    drawn = [
        weights @ cells / len(columns)
        for weights in count_blocks(counts, resamples, generator(seed, 9))
    ]
    means = columns.mean(axis=0)
    samples = np.concatenate(drawn)
    return [
        estimate(float(mean), samples[:, i], share_of=len(columns) if i in shares else None)
        for i, mean in enumerate(means)
    ]
