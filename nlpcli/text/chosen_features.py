"""Features by name -> the hashes that a tokenizer would give them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nlpcli.text import hashing
from nlpcli.text.config import TokenizerConfig
from nlpcli.text.features import bucketed, hashed_words
from nlpcli.text.normalize import join_texts

U64 = npt.NDArray[np.uint64]


def chosen_hashes(config: TokenizerConfig, features: Sequence[tuple[str, str]]) -> U64:
    """Hashes of features, each given by its level, word or subword, and its text; ascending.

    Words stand between blanks; they are cleaned and cut as texts are. What the tokenizer does not
    look at, longer runs of words say, has a hash that no text has.
    """
    words = [text for level, text in features if level == "word"]
    found = [np.empty(0, np.uint64)]
    cut = hashed_words(config, words)[1]
    lengths = np.bincount(cut.documents, minlength=len(words))
    for n in np.unique(lengths[lengths > 0]).tolist():
        hashes, owners = (cut.hashes, cut.documents) if n == 1 else hashing.hash_ngrams(cut, n)
        hashes = hashes[lengths[owners] == n]
        found.append(hashes if n == 1 else bucketed(hashes, config.buckets))
    grams = [text for level, text in features if level == "subword"]
    if grams:
        cleaned = join_texts(grams, config.cleaning).split("\0")[:-1]
        hashed = [hashing.subword_hash(gram) for gram in cleaned]
        found.append(bucketed(np.array(hashed, np.uint64), config.buckets))
    return np.unique(np.concatenate(found))
