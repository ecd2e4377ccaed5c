"""N-grams of words, characters and sub-words as strings: the definition the hashes follow."""

from __future__ import annotations

from collections.abc import Sequence

WORD_START = "<"
WORD_END = ">"


def char_ngrams(text: str, n: int) -> list[str]:
    """All runs of ``n`` characters: 我来到 -> 我来 来到 for n = 2."""
    return [text[i : i + n] for i in range(len(text) - n + 1)]


def word_ngrams(words: Sequence[str], n: int, joiner: str = "/") -> list[str]:
    """All runs of ``n`` words, joined: 我 来到 达观数据 -> 我/来到 来到/达观数据 for n = 2."""
    return [joiner.join(words[i : i + n]) for i in range(len(words) - n + 1)]


def subwords(word: str, min_n: int, max_n: int) -> list[str]:
    """Character n-grams of ``<word>``, shortest first, without a lone border sign.

    Source: Bojanowski et al. 2017, section 3.2: <matter> has <ma mat att tte ter er> for n = 3.
    """
    bordered = WORD_START + word + WORD_END
    return [
        gram
        for n in range(max(min_n, 1), max_n + 1)
        for gram in char_ngrams(bordered, n)
        if gram not in (WORD_START, WORD_END)
    ]
