"""Which labels are likely wrong, from what models say that did not learn from the row.

Confident learning (Northcutt et al. 2021, "Confident learning: estimating uncertainty in dataset
labels", sections 3.1 and 3.2): a label's threshold is the mean probability of the label over the
rows that have it; a row counts as a likely error when the most probable of the labels that reach
their threshold is another than its own. Rows are ranked by self-confidence, the probability of the
label that they have, lowest first (section 3.2, method 2; on data with known errors better than
margins and than thresholds taken off, see benchmarks/LOG.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class LabelDoubts:
    """What speaks against the labels of N rows.

    ``confidence`` [N]: the probability of what the row's label says; ``errors`` bool [N]: likely
    wrong; ``order`` int64: rows whose model answers otherwise, least confidence first.
    """

    confidence: Floats
    errors: Bools
    order: I64


def doubt_labels(probabilities: Floats, labels: I64) -> LabelDoubts:
    """Rows of one label each.

    probabilities: (N, K) out of sample, of rows that are judged; labels: (N,) in [0, K).
    """
    rows, n_labels = np.arange(len(labels)), probabilities.shape[1]
    confidence = probabilities[rows, labels]
    counts = np.bincount(labels, minlength=n_labels)
    sums = np.bincount(labels, weights=confidence, minlength=n_labels)
    # a label that no row has is never reached
    thresholds = np.divide(sums, counts, out=np.full(n_labels, np.inf), where=counts > 0)
    reached = probabilities >= thresholds
    best = np.where(reached, probabilities, -1.0).argmax(axis=1)
    errors = reached.any(axis=1) & (best != labels)
    return _ranked(confidence, errors, probabilities.argmax(axis=1) != labels)


def doubt_label_sets(probabilities: Floats, sets: Bools) -> LabelDoubts:
    """Rows of any number of labels, each a question of yes or no with two thresholds of its own.

    probabilities, sets: (N, K). A row is as doubtful as its most doubtful label.
    """
    given = np.where(sets, probabilities, 1.0 - probabilities)
    other = 1.0 - given
    errors = np.zeros(len(sets), dtype=np.bool_)
    for with_it in (True, False):
        mine = sets == with_it
        counts = mine.sum(axis=0)
        sums = np.where(mine, given, 0.0).sum(axis=0)
        reaches = np.divide(sums, counts, out=np.full(len(counts), np.inf), where=counts > 0)
        # what speaks for the other answer reaches the mean of the rows that gave it, and wins
        errors |= (~mine & (other >= reaches) & (other > given)).any(axis=1)
    otherwise: Bools = np.any(other > given, axis=1)
    return _ranked(given.min(axis=1, initial=1.0), errors, otherwise)


def _ranked(confidence: Floats, errors: Bools, otherwise: Bools) -> LabelDoubts:
    order = np.argsort(confidence, kind="stable")
    return LabelDoubts(confidence, errors & otherwise, order[otherwise[order]])
