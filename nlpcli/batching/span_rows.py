"""The spans of words that rows have, as numbers: which there are, and which go together.

Shapes: W words in all, N rows, B of them chosen, S spans of a row at most, M spans of these rows;
G spans that are known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nlpcli.batching.word_rows import WordRows, ranges

I64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

MOST_PAIRED = 64
"""Spans of a row, at most, of which all pairs are looked at."""


@dataclass(frozen=True)
class Spans:
    """Spans of B rows, one behind the other, all int64 [M], row by row.

    ``row``: which of the B; ``begin`` and ``behind``: the first word and the one behind the last,
    counted over all sentences; ``first`` and ``last``: positions of its pieces in the row.
    """

    row: I64
    begin: I64
    behind: I64
    first: I64
    last: I64

    def __len__(self) -> int:
        return len(self.row)

    def take(self, at: I64 | Bools) -> Spans:
        """Some of them."""
        return Spans(self.row[at], self.begin[at], self.behind[at], self.first[at], self.last[at])

    @property
    def slot(self) -> I64:
        """The number of each among those of its row."""
        return places(self.row)


@dataclass(frozen=True)
class SpanRows:
    """All spans of at most ``longest`` words of sentences.

    A row answers those that begin with a word which it answers and end within it. ``pieces`` int64
    [W + 1]: before each word; ``ends`` int64 [N]: the word behind the last one of a row.
    """

    words: WordRows
    longest: int
    pieces: I64
    ends: I64

    @staticmethod
    def of(words: WordRows, longest: int) -> SpanRows:
        """The spans of such rows."""
        pieces = np.concatenate([np.zeros(1, np.int64), np.cumsum(words.sizes)])
        core = words.words[:-1]
        left = words.rows.indptr[1:] - 1 - words.firsts[core]  # pieces from there to [SEP]
        ends = np.searchsorted(pieces, pieces[core] + left).astype(np.int64)
        return SpanRows(words, longest, pieces, ends)

    @property
    def counts(self) -> I64:
        """Spans of each row, int64 [N]."""
        words = self.words.words
        row = np.repeat(np.arange(len(words) - 1), np.diff(words))
        room = np.minimum(self.longest, self.ends[row] - ranges(words[:-1], np.diff(words)))
        return np.bincount(row, weights=room, minlength=len(words) - 1).astype(np.int64)

    def spans(self, chosen: I64) -> Spans:
        """All spans of the rows ``chosen`` [B], by begin, shorter ones first."""
        words = self.words
        begins = words.words[chosen]
        counts = words.words[chosen + 1] - begins
        begin = ranges(begins, counts)
        row = np.repeat(np.arange(len(chosen)), counts)
        room = np.minimum(self.longest, self.ends[chosen][row] - begin)
        width = ranges(np.ones_like(room), room)
        begin, row = np.repeat(begin, room), np.repeat(row, room)
        first = words.firsts[begin] - words.rows.indptr[chosen][row]
        behind = begin + width
        last = first + self.pieces[behind] - self.pieces[begin] - 1
        return Spans(row, begin, behind, first, last)

    def n_words(self, chosen: I64) -> int:
        """How many words the rows ``chosen`` answer."""
        return int((self.words.words[chosen + 1] - self.words.words[chosen]).sum())

    def key(self, begin: I64, behind: I64) -> I64:
        """A number for each span that no other has."""
        keys: I64 = begin * (self.longest + 1) + behind - begin
        return keys


@dataclass(frozen=True)
class KnownSpans:
    """``keys`` int64 [G], ascending, as ``SpanRows.key``; ``labels`` int64 [G] from 1.

    Related pairs by ``pair_keys`` (number of the head times G, and that of the tail), ascending,
    with ``pair_labels`` from 1.
    """

    keys: I64
    labels: I64
    pair_keys: I64
    pair_labels: I64

    def numbers(self, keys: I64) -> I64:
        """Which of the G each key is, -1 for none."""
        return _found(self.keys, keys)

    def relations(self, heads: I64, tails: I64) -> I64:
        """Labels of pairs of the G, 0 for none."""
        at = _found(self.pair_keys, heads * len(self.keys) + tails)
        labels: I64 = np.append(self.pair_labels, 0)[at]
        return labels


def known_spans(
    keys: I64, labels: I64, heads: I64, tails: I64, relations: I64
) -> KnownSpans:  # fmt: skip
    """Of spans that may occur twice, the first counts; ``heads`` and ``tails``: their numbers."""
    kept, first, number = np.unique(keys, return_index=True, return_inverse=True)
    pairs = number[heads] * len(kept) + number[tails]
    pairs, once = np.unique(pairs, return_index=True)
    return KnownSpans(kept, labels[first], pairs, relations[once])


def _found(table: I64, wanted: I64) -> I64:
    """Where in an ascending table each value stands, -1 where it does not."""
    at = np.searchsorted(table, wanted)
    at[at == len(table)] = 0
    there = table[at] == wanted if len(table) else np.zeros(len(wanted), bool)
    return np.where(there, at, -1).astype(np.int64)


def places(group: I64) -> I64:
    """The number of each entry within its group; entries of one group stand together."""
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    sizes = np.diff(np.append(starts, len(group)))
    return np.arange(len(group)) - np.repeat(starts, sizes)


def ordered_pairs(group: I64) -> tuple[I64, I64]:
    """All (i, j), i and j different entries of one group; those of one group stand together."""
    sizes = np.bincount(group)[group] if len(group) else np.zeros(0, np.int64)
    first = np.arange(len(group)) - places(group)
    left, right = np.repeat(np.arange(len(group)), sizes), ranges(first, sizes)
    apart = left != right
    return left[apart], right[apart]


def sampled(spans: Spans, known: Bools, n: int, random: npt.NDArray[np.float32]) -> Bools:
    """Those that are ``known``, and of each row the ``n`` others of the lowest ``random``."""
    order = np.lexsort((random, known, spans.row))
    rank = np.empty(len(spans), np.int64)
    rank[order] = places(spans.row[order])
    return known | (rank < n)


def without_overlap(begin: I64, behind: I64, score: npt.NDArray[np.float64]) -> Bools:
    """Of spans of words those that stay, bool [M], when the best is taken, what overlaps it falls
    away, and so on; of equal scores the first one, then the shorter one."""
    order = np.lexsort((behind, begin, -score))
    taken = np.zeros(int(behind.max(initial=0)), bool)
    kept = np.zeros(len(begin), bool)
    bounds = zip(order.tolist(), begin[order].tolist(), behind[order].tolist(), strict=True)
    for number, first, after in bounds:
        if not taken[first:after].any():
            taken[first:after] = kept[number] = True
    return kept
