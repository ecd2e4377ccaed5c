"""Which rows to label next: those that the model is unsure of, and that are not alike.

How unsure: one less the margin between the two most probable labels (Scheffer et al. 2001; Settles
2009, "Active learning literature survey", section 3.1). Rows are taken one by one, each the one
with the largest product of that, to the power SHARPNESS, and of its distance to the nearest row
taken before: the farthest first of k-center (Sener & Savarese 2018, section 4.2), weighed by the
doubt. The distance is one
less the cosine of what the texts hold, words and pairs of words weighed by IDF, so it is the same
for every kind of model.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from nlpcli.text.config import TokenizerConfig
from nlpcli.text.tokenizer import Tokenizer

Floats = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

CANDIDATES = 10
"""Times the rows wanted: so many of the least sure are looked at."""
AT_LEAST = 1000
"""Candidates, where there are so many rows."""
SHARPNESS = 3
"""How much more the doubt counts than the distance; chosen on held-out rows, see LOG.md."""
SAME = 1e-6
"""Distance of what a text has from one that holds the same; it comes after all others."""


def doubt(probabilities: Floats, threshold: float | None = None) -> Floats:
    """How unsure of each row, 0 to 1, float64 [N]. probabilities: (N, K).

    With a ``threshold`` labels are questions of yes or no: the row's most doubtful one counts, by
    how near its probability is to the threshold.
    """
    if threshold is not None:
        reach = np.where(probabilities >= threshold, max(1 - threshold, SAME), max(threshold, SAME))
        nearest = 1 - np.abs(probabilities - threshold) / reach
        found: Floats = nearest.max(axis=1, initial=0.0)
        return found
    if probabilities.shape[1] < 2:
        only: Floats = 1 - probabilities.max(axis=1, initial=0.0)
        return only
    two = np.partition(probabilities, -2, axis=1)[:, -2:]
    margin: Floats = two[:, 1] - two[:, 0]
    return 1 - margin


def text_vectors(texts: Sequence[str]) -> csr_array[np.float64]:
    """Words and pairs of words by TF-IDF, each text of length one: (N, V). A text without a word
    is nothing, and like nothing."""
    if not any(text.strip() for text in texts):
        return csr_array((len(texts), 1))
    tokenizer, bags = Tokenizer.fit(TokenizerConfig(), list(texts))
    shape = (len(texts), tokenizer.n_features)
    return csr_array((bags.weights.astype(np.float64), bags.ids, bags.indptr), shape=shape)


def select_rows(doubts: Sequence[float], texts: Sequence[str], wanted: int) -> I64:
    """Numbers of ``wanted`` rows, or of all where there are not so many, int64, the first most
    worth a label. Blank texts are never taken. Ties go to the lower row."""
    filled = np.array([bool(text.strip()) for text in texts], dtype=np.bool_)
    unsure = np.asarray(doubts, dtype=np.float64)
    order = np.argsort(-unsure, kind="stable")
    order = order[filled[order]]
    pool = order[: max(CANDIDATES * wanted, AT_LEAST)]
    chosen = farthest_first(unsure[pool], text_vectors([texts[i] for i in pool.tolist()]), wanted)
    return pool[chosen]


def farthest_first(doubts: Floats, vectors: csr_array[np.float64], wanted: int) -> I64:
    """The greedy choice among candidates, int64 [min(wanted, N)].

    doubts: (N,); vectors: (N, V), rows of length one, or nothing.
    """
    n = len(doubts)
    distance = np.ones(n)
    left = np.ones(n, dtype=np.bool_)
    found = np.empty(min(wanted, n), np.int64)
    for i in range(len(found)):
        # of rows without any doubt, those that are far are taken first
        worth = np.where(left, (doubts**SHARPNESS + SAME) * (distance + SAME), -1.0)
        best = int(worth.argmax())
        found[i], left[best] = best, False
        likeness = np.asarray((vectors @ vectors[[best]].T).todense()).ravel()
        distance = np.minimum(distance, np.maximum(1 - likeness, 0.0))
    return found
