"""Words of test files found in a vocabulary, whatever their case."""

from __future__ import annotations

from collections.abc import Sequence


class CaseBlind:
    """Rows of ``words`` by their upper case: the first of those alike counts, and all are known.

    As gensim's KeyedVectors match with ``case_insensitive``; of a vocabulary that begins with the
    most frequent word the first is the usual spelling.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self._first: dict[str, int] = {}
        self._more: dict[str, list[int]] = {}
        for row, word in enumerate(words):
            upper = word.upper()
            if self._first.setdefault(upper, row) != row:
                self._more.setdefault(upper, []).append(row)

    def row(self, word: str) -> int:
        """Where a word stands; -1 where it does not."""
        return self._first.get(word.upper(), -1)

    def rows(self, word: str) -> list[int]:
        """Where all its spellings stand."""
        upper = word.upper()
        first = self._first.get(upper)
        return [] if first is None else [first, *self._more.get(upper, ())]
