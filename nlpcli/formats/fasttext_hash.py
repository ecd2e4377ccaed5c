"""fastText's word n-grams, vectorised, and looking words up by their hash."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from nlpcli.text.subwords import hash_words, spread

I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]

_NGRAM = np.uint64(116049371)
_BLOCK = 1 << 12
"""Words of a dictionary hashed together; what that takes is small beside the dictionary."""


def bucket_ngrams(
    hashes: U32, n_follow: I64, places: I64, bucket: int
) -> Iterator[tuple[I64, U64]]:
    """Word n-grams by their length: (place + which of the word's n-grams, bucket) of each.

    ``n_follow`` int64 [T]: how many n-grams begin with each word; ``places``: of the first one.
    """
    values = hashes.view(np.int32).astype(np.int64).view(np.uint64)
    active, running = np.arange(len(values)), values
    for n in range(1, int(n_follow.max(initial=0)) + 1):
        fits = n_follow[active] >= n
        active, running = active[fits], running[fits]
        running = running * _NGRAM + values[active + n]
        yield places[active] + n - 1, running % np.uint64(bucket)


class WordIndex:
    """Words by their hash; what is found has been compared byte by byte."""

    def __init__(self, text: U8, ends: I64) -> None:
        self._text, self._ends = text, ends
        hashes = np.empty(len(ends), dtype=np.uint32)
        for first in range(0, len(ends), _BLOCK):
            numbers = np.arange(first, min(first + _BLOCK, len(ends)))
            begins = self._begins(numbers)
            begin, end = int(begins[0]), int(ends[numbers[-1]])
            hashes[numbers] = hash_words(text[begin:end], begins - begin, ends[numbers] - begins)
        # of equal words the last one counts, as for the program
        backwards = np.argsort(hashes[::-1], kind="stable")
        self._order = backwards.astype(np.int32)
        np.subtract(len(ends) - 1, self._order, out=self._order)
        del backwards
        self._hashes = hashes[self._order]

    def _begins(self, numbers: I64) -> I64:
        return np.where(numbers > 0, self._ends[numbers - 1], 0)

    def find_one(self, word: bytes) -> int:
        """The number of a word, or -1."""
        codes, lengths = np.frombuffer(word, dtype=np.uint8), np.array([len(word)])
        starts = np.zeros(1, dtype=np.int64)
        return int(self.find(codes, starts, lengths, hash_words(codes, starts, lengths))[0])

    def find(self, codes: U8, starts: I64, lengths: I64, hashes: U32) -> I64:
        """The number of each word ``codes[start : start + length]``, or -1: int64 [T]."""
        found = np.full(len(starts), -1, dtype=np.int64)
        at = np.searchsorted(self._hashes, hashes)
        todo = np.flatnonzero(at < len(self._hashes))
        while len(todo):
            todo = todo[self._hashes[at[todo]] == hashes[todo]]
            numbers = self._order[at[todo]]
            same = self._same(codes, starts[todo], lengths[todo], numbers)
            found[todo[same]] = numbers[same]
            todo = todo[~same]
            at[todo] += 1  # another word of this hash
            todo = todo[at[todo] < len(self._hashes)]
        return found

    def _same(self, codes: U8, starts: I64, lengths: I64, numbers: I64) -> npt.NDArray[np.bool_]:
        begins = self._begins(numbers)
        same: npt.NDArray[np.bool_] = self._ends[numbers] - begins == lengths
        chosen = np.flatnonzero(same)
        widths = lengths[chosen]
        left, right = spread(starts[chosen], widths), spread(begins[chosen], widths)
        differ = codes[left] != self._text[right]
        if differ.any():
            same[chosen[np.repeat(np.arange(len(chosen)), widths)[differ]]] = False
        return same
