"""How freely the weights of a feature may move, from how unevenly the labels use it.

A linear SVM holds all weights back alike. A feature that the labels hardly differ in is then given
weight by chance, the more so the fewer the texts. So the penalty on its weights is raised, and that
on a telling one lowered: log odds as scales of features (Wang & Manning 2012, section 2, there of
two labels) and a penalty of its own for each weight (Zou 2006), while texts and their lengths
stay as they are.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nlpcli.batching.labels import LabelSets, ragged_positions
from nlpcli.text.tokenizer import Bags

SMOOTHING = 0.5
"""Added to each of four counts, so that no odds are zero (Haldane 1956)."""
MOST_LABELS = 32
"""With more, a mean over labels says little of a feature that matters to one: see LOG.md."""
LEAST = 1e-3
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


def feature_freedom(
    bags: Bags, labels: LabelSets, chosen: I64, n_features: int, power: float
) -> npt.NDArray[np.float32] | None:
    """What the squared weights of each feature are divided by in the penalty, float32 [V].

    The mean square of the log odds of the feature in texts of a label against all others, weighed
    by the labels' shares, as a multiple of that of features of a single text, to ``power``. Only
    texts ``chosen`` [S], ascending, are looked at: the others are still to judge the model, and a
    feature that no chosen text has is taken for one of a single text. None where all would
    be 1, and with many labels.
    """
    if not power or labels.n_labels > MOST_LABELS or not len(chosen):
        return None
    counts = _count(bags, chosen, n_features)
    squares = _mean_squares(bags, labels, chosen, counts)
    once = counts == 1
    unit = float(squares[once].mean()) if once.any() else 1.0
    found = np.maximum(squares / max(unit, LEAST), LEAST) ** power
    found[counts == 0] = 1
    return found.astype(np.float32)


def _count(bags: Bags, chosen: I64, n_features: int) -> I64:
    """In how many of some texts each feature occurs, int64 [V]."""
    sizes = bags.indptr[chosen + 1] - bags.indptr[chosen]
    entries = bags.ids[ragged_positions(bags.indptr[chosen], sizes)]
    return np.bincount(entries, minlength=n_features)


def _mean_squares(bags: Bags, labels: LabelSets, chosen: I64, counts: I64) -> F64:
    """Of the log odds, over labels by their shares, float64 [V].

    A label that no text with the feature has: its log odds depend on the feature's count alone.
    """
    sizes = labels.indptr[chosen + 1] - labels.indptr[chosen]
    names = labels.ids[ragged_positions(labels.indptr[chosen], sizes)]
    owners = np.repeat(chosen, sizes)
    per_label = np.bincount(names, minlength=labels.n_labels)
    distinct, place = np.unique(counts, return_inverse=True)
    absent, present = np.zeros(len(distinct)), np.zeros(len(counts))
    for label in np.flatnonzero(per_label).tolist():
        share = per_label[label] / len(names)
        n_label, n_texts = float(per_label[label]), float(len(chosen))
        never = share * _log_odds(np.zeros(1), distinct, n_label, n_texts) ** 2
        absent += never
        both = _count(bags, owners[names == label], len(counts))
        here = np.flatnonzero(both)
        odds = _log_odds(both[here], counts[here], n_label, n_texts)
        present[here] += share * odds**2 - never[place[here]]
    return absent[place] + present


def _log_odds(both: npt.NDArray[np.generic], feature: I64, label: float, texts: float) -> F64:
    """Of texts with the feature being of the label; counts of both, of each, and of all texts."""
    a = np.asarray(both, dtype=np.float64)
    others = np.maximum(texts - label - feature + a, 0)
    s = SMOOTHING
    found: F64 = np.log((a + s) * (others + s) / ((label - a + s) * (feature - a + s)))
    return found
