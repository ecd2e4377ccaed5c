"""The features of one text by name: the strings behind the hashes, for explanations."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nlpcli.text import hashing
from nlpcli.text.config import TokenizerConfig
from nlpcli.text.features import bucketed, hashed_words
from nlpcli.text.ngrams import WORD_END, WORD_START, char_ngrams, word_ngrams
from nlpcli.text.segment import CJK, LETTER
from nlpcli.text.tokenizer import Tokenizer

U64 = npt.NDArray[np.uint64]


def feature_names(tokenizer: Tokenizer, text: str) -> dict[int, str]:
    """Row -> name of the features of a text that have a row; words of a run are joined by ``/``.

    Different n-grams that share a bucket are joined by `` | ``.
    """
    names, hashes = _names(tokenizer.config, text)
    found: dict[int, list[str]] = {}
    for name, row in zip(names, tokenizer.index.rows(hashes).tolist(), strict=True):
        if row >= 0 and name not in found.setdefault(row, []):
            found[row].append(name)
    return {row: " | ".join(several) for row, several in found.items()}


def _names(config: TokenizerConfig, text: str) -> tuple[list[str], U64]:
    """All features of a text and their hashes, in the order in which they are hashed."""
    joined, words = hashed_words(config, [text])
    spans = zip(words.starts.tolist(), words.ends.tolist(), strict=True)
    strings = [joined[start:end] for start, end in spans]
    names, parts = list(strings), []
    for n in range(2, config.word_ngrams + 1):
        names += word_ngrams(strings, n)
        parts.append(hashing.hash_ngrams(words, n)[0])
    kinds = words.kinds.tolist()
    if config.word_ngrams == 1:
        names += _cjk_pairs(strings, kinds, words)
        parts.append(hashing.hash_cjk_bigrams(words)[0])
    if config.max_n:
        letters = [word for word, kind in zip(strings, kinds, strict=True) if kind == LETTER]
        names += _subwords(letters, config.min_n, config.max_n)
        parts.append(hashing.hash_subwords(words, config.min_n, config.max_n)[0])
    hashes = [words.hashes, *(bucketed(part, config.buckets) for part in parts)]
    return names, np.concatenate(hashes)


def _cjk_pairs(strings: list[str], kinds: list[int], words: hashing.Words) -> list[str]:
    return [
        strings[i] + strings[i + 1]
        for i in range(len(strings) - 1)
        if kinds[i] == kinds[i + 1] == CJK and words.ends[i] == words.starts[i + 1]
    ]


def _subwords(words: list[str], min_n: int, max_n: int) -> list[str]:
    return [
        gram
        for n in range(max(min_n, 1), max_n + 1)
        for word in words
        for gram in char_ngrams(WORD_START + word + WORD_END, n)
        if gram not in (WORD_START, WORD_END)
    ]
