"""A vocabulary of WordPiece from counted words, the same whenever it is made again.

Pieces that stand side by side most often are joined, again and again (Sennrich et al. 2016,
§3.2), as the ``tokenizers`` library does under the name of WordPiece; the WordPiece of Schuster
and Nakajima (2012) joins what raises the likelihood most. Ties: the pair of lower ids is joined.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise

from nlpcli.text.wordpiece_file import LONGEST_WORD, PREFIX, SPECIALS

_SHIFT = 32
_MASK = (1 << _SHIFT) - 1
_ALPHABET_SHARE = 0.75
"""Of the vocabulary that single characters take at most."""


def learn_pieces(words: Mapping[str, int], vocab_size: int, min_frequency: int) -> list[str]:
    """At most ``vocab_size`` pieces by id: special ones, characters, and what was joined.

    ``words``: how often each occurs. A character, at the start of words or inside, and a pair is
    left out when it occurs less than ``min_frequency`` times; the most frequent characters take
    three quarters of the vocabulary at most. Fewer pieces where the words give no more.
    """
    ordered = sorted((word, n) for word, n in words.items() if 0 < len(word) <= LONGEST_WORD)
    alphabet = _alphabet(ordered, vocab_size, min_frequency)
    pairs = _Pairs([*SPECIALS, *alphabet], ordered, min_frequency)
    while len(pairs.pieces) < vocab_size and pairs.join_next():
        pass
    return pairs.pieces


def _symbols(word: str) -> list[str]:
    return [word[0], *(PREFIX + character for character in word[1:])]


def _alphabet(words: Iterable[tuple[str, int]], vocab_size: int, least: int) -> list[str]:
    counts: Counter[str] = Counter()
    for word, n in words:
        for symbol in _symbols(word):
            counts[symbol] += n
    often = sorted(
        (symbol for symbol, n in counts.items() if n >= least),
        key=lambda symbol: (-counts[symbol], symbol),
    )
    most = max(0, int(_ALPHABET_SHARE * (vocab_size - len(SPECIALS))))
    return sorted(symbol for symbol in often[:most] if symbol not in SPECIALS)


class _Pairs:
    """Words as lists of pieces, and how often each pair of neighbours occurs.

    A pair is one number, the first id in its high bits. ``_where``: words that may hold it.
    """

    def __init__(self, pieces: list[str], words: Iterable[tuple[str, int]], least: int) -> None:
        self.pieces, self._least = pieces, least
        self._ids = {piece: number for number, piece in enumerate(pieces)}
        self._words: list[list[int]] = []
        self._counts: list[int] = []
        self._pairs: dict[int, int] = {}
        self._where: dict[int, list[int]] = {}
        for word, n in words:
            ids = [self._ids.get(symbol, -1) for symbol in _symbols(word)]
            if len(ids) > 1 and -1 not in ids:
                self._add(ids, n)
        self._queue = [(-n, pair) for pair, n in self._pairs.items() if n >= least]
        heapq.heapify(self._queue)

    def _add(self, ids: list[int], n: int) -> None:
        number = len(self._words)
        self._words.append(ids)
        self._counts.append(n)
        for first, second in pairwise(ids):
            self._more(first << _SHIFT | second, n, number)

    def _more(self, pair: int, n: int, word: int) -> None:
        self._pairs[pair] = self._pairs.get(pair, 0) + n
        where = self._where.setdefault(pair, [])
        if not where or where[-1] != word:
            where.append(word)

    def join_next(self) -> bool:
        """Joins the most frequent pair everywhere; False when none is frequent enough."""
        while self._queue:
            count, pair = heapq.heappop(self._queue)
            now = self._pairs.get(pair, 0)
            if now == -count:
                self._join(pair)
                return True
            if self._least <= now < -count:  # a higher count has an entry of its own
                heapq.heappush(self._queue, (-now, pair))
        return False

    def _join(self, pair: int) -> None:
        first, second = pair >> _SHIFT, pair & _MASK
        piece = self.pieces[first] + self.pieces[second].removeprefix(PREFIX)
        joined = self._ids.setdefault(piece, len(self.pieces))
        if joined == len(self.pieces):
            self.pieces.append(piece)
        changed: set[int] = set()
        for number in self._where.pop(pair):
            self._join_in(number, first, second, joined, changed)
        self._pairs.pop(pair, None)
        for each in changed:
            now = self._pairs.get(each, 0)
            if now >= self._least:
                heapq.heappush(self._queue, (-now, each))

    def _join_in(
        self, number: int, first: int, second: int, joined: int, changed: set[int]
    ) -> None:
        """Within one word; ``changed`` takes the pairs that occur more often now."""
        ids, n = self._words[number], self._counts[number]
        pairs = self._pairs
        at = 0
        while at < len(ids) - 1:
            if ids[at] != first or ids[at + 1] != second:
                at += 1
                continue
            if at:
                before = ids[at - 1] << _SHIFT
                pairs[before | first] -= n
                self._more(before | joined, n, number)
                changed.add(before | joined)
            if at + 2 < len(ids):
                after = ids[at + 2]
                pairs[second << _SHIFT | after] -= n
                self._more(joined << _SHIFT | after, n, number)
                changed.add(joined << _SHIFT | after)
            ids[at : at + 2] = [joined]
            at += 1
