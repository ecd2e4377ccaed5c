"""Which words a model has met, in a few kilobytes: a Bloom filter (Bloom 1970)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import blake2b

import numpy as np

HASHES = 3
BITS_A_WORD = 10
"""With 3 hashes about 2 % of the words that were never met pass for known."""
LARGEST = 1 << 19
"""Bits, 64 KiB: for about 50,000 words, the most frequent ones."""
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_]+")


def plain_words(text: str) -> list[str]:
    """Lower-cased runs of letters and digits; Chinese, Japanese and Korean ones by character."""
    return _WORD.findall(text.lower())


class KnownWords:
    """Answers "met" for every word that was put in, and for few others."""

    def __init__(self, bits: bytes) -> None:
        """``bits``: 2^n of them, n >= 3. Raises ValueError for another number."""
        size = 8 * len(bits)
        if not 8 <= size <= LARGEST or size & (size - 1):
            raise ValueError(f"{len(bits)} bytes of a Bloom filter, wanted 2^n up to 65,536")
        self.bits = bits
        self._mask = size - 1
        self._cache: dict[str, bool] = {}

    @staticmethod
    def of(texts: Iterable[str], fewest: int = 2) -> KnownWords:
        """Of the words that occur in ``fewest`` texts or more, so that words which a text has for
        itself count as unknown there too."""
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(set(plain_words(text)))
        most = LARGEST // BITS_A_WORD
        kept = sorted((w for w, n in counts.items() if n >= fewest), key=lambda w: (-counts[w], w))
        kept = kept[:most]
        size = 64
        while size < min(LARGEST, BITS_A_WORD * len(kept)):
            size *= 2
        bits = np.zeros(size, np.bool_)
        for word in kept:
            bits[[place & (size - 1) for place in _places(word)]] = True
        return KnownWords(np.packbits(bits, bitorder="little").tobytes())

    def __contains__(self, word: str) -> bool:
        found = self._cache.get(word)
        if found is None:
            if len(self._cache) > 200_000:
                self._cache.clear()
            places = (place & self._mask for place in _places(word))
            found = all(self.bits[at >> 3] >> (at & 7) & 1 for at in places)
            self._cache[word] = found
        return found

    def unknown_share(self, text: str) -> float:
        """Of the words of a text those that were never met; 0 for a text without words."""
        words = plain_words(text)
        return sum(word not in self for word in words) / len(words) if words else 0.0


def _places(word: str) -> Sequence[int]:
    digest = blake2b(word.encode("utf-8", "surrogatepass"), digest_size=4 * HASHES).digest()
    return [int.from_bytes(digest[4 * i : 4 * i + 4], "little") for i in range(HASHES)]
