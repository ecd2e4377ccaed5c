"""Frequent words are left out at random, so that they do not drown the others."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

SampleFormula = Literal["word2vec", "paper"]

SAMPLE, NEVER_DROPPED = 1e-4, 30
"""The usual sample; words that occur up to so often are kept in a short text too."""


def keep_probabilities(
    counts: npt.NDArray[np.int64], sample: float | None, formula: SampleFormula
) -> npt.NDArray[np.float32]:
    """How probable it is that an occurrence of each word is kept, float32 [V].

    With f the word's share of all words and t ``sample``: ``word2vec`` is (sqrt(f/t) + 1) · t/f,
    as word2vec.c and gensim have it; ``paper`` is sqrt(t/f) (Mikolov et al. 2013, Distributed
    Representations, section 2.3: left out with 1 - sqrt(t/f)). At most 1; a sample of 0 keeps all.
    None: ``SAMPLE``, or more in a text of few words, where each is a large share.
    """
    if sample is None:
        sample = max(SAMPLE, NEVER_DROPPED / max(1, int(counts.sum())))
    if not sample:
        return np.ones(len(counts), np.float32)
    ratio = sample / np.maximum(counts / max(1, counts.sum()), 1e-300)
    kept = np.sqrt(ratio) if formula == "paper" else np.sqrt(ratio) + ratio
    found: npt.NDArray[np.float32] = np.minimum(kept, 1).astype(np.float32)
    return found
