"""Counts of all n-grams of sentences, order by order, with what smoothing asks of each: which
n-gram it extends to the right, and which one to the left.

An n-gram is the number of its first n - 1 words among all n-grams of that order, and its last word:
both fit into 64 bits, so nothing is hashed. Only numbers are sorted, a range of prefixes at a time,
by as many threads as there are; the ranges do not depend on the threads, nor does the result.

Shapes: T tokens, U different n-grams of an order, E entries, which are pairs of n-gram and label: a
model for each label is counted at once, in one trie. Without labels entries are the n-grams.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nlpcli.errors import Unavailable
from nlpcli.text.counted import in_order
from nlpcli.text.parallel import ahead
from nlpcli.text.sentence_ids import BOS, EOS, UNK

__all__ = ["BOS", "EOS", "UNK", "CountLevel", "NgramCounts", "word_bits"]

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]
Bools = npt.NDArray[np.bool_]

PART = 1 << 22
"""Tokens sorted at once, by each thread."""
TOKEN_BYTES = 40
"""Memory that a token takes while n-grams are counted, all orders together, at most."""
_DENSE = 1 << 26
"""Pairs of word and label that are counted in a table."""
_MOST = 2**31 - 1


@dataclass(frozen=True, eq=False)
class CountLevel:
    """The n-grams of order ``n``, ascending by the number of their first n - 1 words, then by the
    last word.

    ``keys`` uint64 [U]: that number << ``word_bits(V)`` | last word; order 1: the word.
    ``indptr`` int64 [U + 1] and ``labels`` int32 [E]: entries of each n-gram, ascending by label;
    None where there are no labels. ``counts`` int64 [E].
    ``prefix`` and ``suffix`` int32 [E]: entry in the order below of the n-gram without its last
    word, and without its first; order 1: the label. ``opens`` bool [E]: it begins with <s>.
    """

    n: int
    keys: U64
    indptr: I64 | None
    labels: I32 | None
    counts: I64
    prefix: I32
    suffix: I32
    opens: Bools

    def __len__(self) -> int:
        """How many entries."""
        return len(self.counts)


def word_bits(n_words: int) -> int:
    """Bits of a key that hold its last word."""
    return max(1, (n_words - 1).bit_length())


@dataclass
class _Numbers:
    """By token: the n-gram that begins there, and its entry; -1 where none fits."""

    ngrams: I32
    entries: I32


class NgramCounts:
    """Counts orders 1 to ``order`` of sentences, each of which is <s>, words, </s>.

    ``tokens`` int32 [T] below ``n_words``; ``labels`` int32 [T] the label of each token's sentence,
    None for one model of all. ``held_out`` int64 [H]: tokens; of each the entry of the n-gram that
    ends there is in ``held_entries``, int32 [order, H], -1 where it would begin before its
    sentence. ``levels`` are then all orders. Raises Unavailable for 2^31 tokens.
    """

    def __init__(
        self,
        tokens: I32,
        n_words: int,
        order: int,
        pool: ThreadPoolExecutor,
        *,
        workers: int = 1,
        labels: I32 | None = None,
        n_labels: int = 1,
        held_out: I64 | None = None,
        part: int = PART,
    ) -> None:
        if len(tokens) > _MOST:
            raise Unavailable(f"{len(tokens):,} tokens, wanted at most {_MOST:,}")
        self._tokens, self._labels, self._n_labels = tokens, labels, n_labels
        self._bits = word_bits(n_words)
        self._label_bits = 0 if labels is None else max(1, (n_labels - 1).bit_length())
        self._pool, self._workers, self._part = pool, workers, part
        self.n_words = n_words
        self.levels: list[CountLevel] = []
        size = 0 if held_out is None else len(held_out)
        self.held_entries: I32 = np.full((order, size), -1, np.int32)
        numbers = self._first()
        self._hold(0, numbers, held_out)
        for n in range(2, order + 1):
            numbers = self._next(n, numbers, last=n == order and held_out is None)
            self._hold(n - 1, numbers, held_out)

    def _hold(self, row: int, numbers: _Numbers, held_out: I64 | None) -> None:
        if held_out is not None:
            begins = held_out - row
            inside = begins >= 0
            self.held_entries[row, inside] = numbers.entries[begins[inside]]

    def _first(self) -> _Numbers:
        """Order 1: words are counted in a table, where that is not too large."""
        n_labels, tokens = self._n_labels, self._tokens
        if self._labels is None:
            cells, counts, entries = _distinct(tokens, self.n_words)
            words, ngrams, indptr, labels = cells, entries, None, None
            owners = np.zeros(len(cells), np.int32)
        else:
            both = tokens.astype(np.int64) * n_labels + self._labels
            cells, counts, entries = _distinct(both, self.n_words * n_labels)
            of_words, owners = cells // n_labels, (cells % n_labels).astype(np.int32)
            new = _changes(of_words)
            words, labels = of_words[new], owners
            indptr = np.append(np.flatnonzero(new), len(cells))
            ngrams = (np.cumsum(new, dtype=np.int32) - np.int32(1))[entries]
        opens = words == BOS
        if indptr is not None:
            opens = np.repeat(opens, np.diff(indptr))
        self.levels.append(
            CountLevel(1, words.astype(np.uint64), indptr, labels, counts, owners, owners, opens)
        )
        return _Numbers(ngrams, entries)

    def _next(self, n: int, before: _Numbers, *, last: bool) -> _Numbers:
        """Order ``n``; the numbers are of no use after the last one."""
        size = max(0, len(self._tokens) - n + 1)
        prefixes = before.ngrams[:size].copy()
        prefixes[self._tokens[n - 1 :] == BOS] = -1  # what is beyond the end of a sentence
        ngrams = np.full(0 if last else len(self._tokens), -1, np.int32)
        entries = ngrams if self._labels is None else ngrams.copy()
        parts: list[_Part] = []
        n_ngrams = n_entries = 0
        ranges = list(self._ranges(self.levels[-1]))
        for _, found in ahead(
            self._pool, self._workers, lambda r: self._count(n, prefixes, *r), ranges
        ):
            if not last:
                ngrams[found.places] = found.ngrams + np.int32(n_ngrams)
                if self._labels is not None:
                    entries[found.places] = found.entries + np.int32(n_entries)
            n_ngrams, n_entries = n_ngrams + len(found.keys), n_entries + len(found.counts)
            parts.append(found.kept())
        self._put_together(n, parts, before)
        return _Numbers(ngrams, entries)

    def _ranges(self, level: CountLevel) -> Iterator[tuple[int, int]]:
        """Ranges of prefixes of about as many tokens, narrow enough for keys of 64 bits."""
        counts = level.counts
        if level.indptr is not None:
            counts = np.diff(np.append(0, np.cumsum(counts))[level.indptr])
        ends = np.cumsum(counts)
        widest = 1 << min(31, 64 - self._bits - self._label_bits)
        begin = 0
        while begin < len(ends):
            done = int(ends[begin - 1]) if begin else 0
            end = int(np.searchsorted(ends, done + self._part, side="right"))
            end = min(max(end, begin + 1), begin + widest)
            yield begin, end
            begin = end

    def _count(self, n: int, prefixes: I32, low: int, high: int) -> _Part:
        """The n-grams of a range of prefixes."""
        places = np.flatnonzero((prefixes >= low) & (prefixes < high)).astype(np.int32)
        keys = (prefixes[places] - np.int32(low)).astype(np.uint64)
        keys <<= np.uint64(self._bits)
        keys |= self._tokens[places + (n - 1)].view(np.uint32)
        if self._labels is not None:
            keys <<= np.uint64(self._label_bits)
            keys |= self._labels[places].view(np.uint32)
        ordered, order = in_order(keys)
        places = places[order]
        new_entry = _changes(ordered)
        labels = None
        if self._labels is not None:
            mask = np.uint64((1 << self._label_bits) - 1)
            labels = (ordered[new_entry] & mask).astype(np.int32)
            ordered >>= np.uint64(self._label_bits)
        new = new_entry if labels is None else _changes(ordered)
        first = np.flatnonzero(new_entry)
        own = np.cumsum(new_entry, dtype=np.int32) - np.int32(1)
        return _Part(
            ordered[new] + (np.uint64(low) << np.uint64(self._bits)),
            np.diff(first, append=len(places)),
            places[first],
            labels,
            np.flatnonzero(new[first]),
            places,
            own if labels is None else np.cumsum(new, dtype=np.int32) - np.int32(1),
            own,
        )

    def _put_together(self, n: int, parts: list[_Part], before: _Numbers) -> None:
        below = self.levels[-1]
        firsts = np.concatenate([np.empty(0, np.int32), *(p.firsts for p in parts)])
        prefix = before.entries[firsts]
        indptr = labels = None
        if self._labels is not None:
            labels = np.concatenate(
                [np.empty(0, np.int32), *(p.labels for p in parts if p.labels is not None)]
            )
            begins, at = [], 0
            for part in parts:
                begins.append(part.begins + at)
                at += len(part.counts)
            indptr = np.concatenate([*begins, np.array([at])])
        self.levels.append(
            CountLevel(
                n,
                np.concatenate([np.empty(0, np.uint64), *(p.keys for p in parts)]),
                indptr,
                labels,
                np.concatenate([np.empty(0, np.int64), *(p.counts for p in parts)]),
                prefix,
                before.entries[firsts + np.int32(1)],
                below.opens[prefix],
            )
        )


@dataclass(frozen=True)
class _Part:
    """The n-grams of a range of prefixes: ``keys`` [U], ``counts``, ``labels`` and ``firsts`` [E]
    where each entry first stands, ``begins`` [U] its first entry; ``places`` [N] of all of them,
    with the number of the n-gram and of the entry that begins at each."""

    keys: U64
    counts: I64
    firsts: I32
    labels: I32 | None
    begins: I64
    places: I32
    ngrams: I32
    entries: I32

    def kept(self) -> _Part:
        """Without what is as long as the text."""
        none = np.empty(0, np.int32)
        return _Part(
            self.keys, self.counts, self.firsts, self.labels, self.begins, none, none, none
        )


def _changes(ordered: npt.NDArray[np.int64] | U64) -> Bools:
    """Which values differ from the one before."""
    new = np.ones(len(ordered), bool)
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    return new


def _distinct(cells: I32 | I64, n_cells: int) -> tuple[I64, I64, I32]:
    """Distinct values ascending, how often each occurs, and which of them stands where."""
    if n_cells > _DENSE:
        ordered, places = in_order(cells.astype(np.uint64))
        new = _changes(ordered)
        first = np.flatnonzero(new)
        own = np.empty(len(cells), np.int32)
        own[places] = np.cumsum(new, dtype=np.int32) - np.int32(1)
        return ordered[first].astype(np.int64), np.diff(first, append=len(cells)), own
    counts = np.bincount(cells, minlength=n_cells)
    values = np.flatnonzero(counts)
    numbers: I32 = np.full(n_cells, -1, np.int32)
    numbers[values] = np.arange(len(values), dtype=np.int32)
    return values, counts[values], numbers[cells]
