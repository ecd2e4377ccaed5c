"""Sentences drawn word by word from an n-gram model."""

from __future__ import annotations

import numpy as np

from nlpcli.batching.ngram_counts import BOS, EOS
from nlpcli.models.ngram_lm import NgramModel


def sample(model: NgramModel, rng: np.random.Generator, *, label: int = 0, most: int) -> list[int]:
    """Numbers of the words of a sentence, without its borders; of at most ``most`` words.

    It also ends where the model gives nothing a probability. Probabilities are made to sum to one,
    which those of another program's model may fail to do.
    """
    words = [BOS]
    while len(words) <= most:
        sums = np.cumsum(model.next_words(words, label))
        if not sums[-1] > 0:
            break
        word = int(np.searchsorted(sums, rng.random() * sums[-1], side="right"))
        if word == EOS:
            break
        words.append(min(word, model.n_words - 1))
    return words[1:]
