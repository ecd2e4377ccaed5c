"""N-grams of a corpus of units, order by order: which, how often, in how many documents.

An n-gram is its first n - 1 units, known by their number among those of its order, and its last
unit: both fit into 64 bits, so nothing is hashed. Numbers ascend as the n-grams do, unit by unit.
What is rare is left out as soon as it is counted: an n-gram is looked at only where the two of one
order less within it are frequent (Agrawal & Srikant 1994, Fast Algorithms for Mining Association
Rules, section 2.1), which loses none that is frequent.

Each piece of the corpus is sorted by itself, and the runs are merged (see sorted_runs).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from nlpcli.data.sorted_runs import SortedRuns
from nlpcli.data.spool import Room, Spool, let_go
from nlpcli.data.unit_corpus import Piece, UnitCorpus
from nlpcli.errors import Unavailable
from nlpcli.text.counted import Counted, count_keys
from nlpcli.text.parallel import ahead
from nlpcli.text.units import BREAK, CODE_POINT_BITS, border_signs

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]
T = TypeVar("T")

_MOST = 2**31 - 1
"""N-grams of one order that are kept."""
_LABEL_BITS = 32


@dataclass(frozen=True)
class ByLabel:
    """What single labels hold of one order: ``ngrams`` int64 and ``labels`` int64 [E], ascending,
    with ``counts`` and ``documents`` int64 [E]."""

    ngrams: I64
    labels: I64
    counts: I64
    documents: I64


@dataclass
class NgramLevel:
    """The frequent n-grams of order ``n``, ascending unit by unit.

    ``keys`` uint64 [K]: number of the first n - 1 units << unit_bits | last unit. ``counts`` and
    ``documents`` int64 [K], or [0] of an order that is only a step to longer ones. ``total``:
    n-grams of this order in all texts, rare ones too. Arrays may be maps of files.
    """

    n: int
    keys: U64
    counts: I64
    documents: I64
    total: int
    by_label: ByLabel | None = None

    def __len__(self) -> int:
        return len(self.keys)


@dataclass(frozen=True)
class Counting:
    """How the work is done; changes nothing but time and memory. ``block``: entries merged at
    once."""

    pool: ThreadPoolExecutor
    workers: int
    room: Room
    block: int
    progress: Callable[[int, int], None] | None = None
    """The order that is counted, and units that are done with."""


class NgramCounter:
    """Counts orders 1 to ``max_n``; ``levels`` gives them one after the other.

    ``labels``: the numbers of the labels of each group, whose counts are wanted apart; None for
    texts without labels. Raises Unavailable for more than 2^31 n-grams of one order.
    """

    def __init__(
        self,
        corpus: UnitCorpus,
        min_count: int,
        counting: Counting,
        labels: list[list[int]] | None = None,
    ) -> None:
        self.corpus, self._min_count, self._how = corpus, min_count, counting
        words = corpus.words
        self.unit_bits = max(1, len(words).bit_length()) if words is not None else CODE_POINT_BITS
        self._labelled, labels = labels is not None, labels or []
        self._label_sizes = np.array([len(group) for group in labels], np.int64)
        self._labels = np.array([label for group in labels for label in group], np.int64)
        self._prefixes: Spool | None = None
        """By unit: the number of the n-gram that begins there, BREAK where that is rare."""

    def levels(self, min_n: int, max_n: int) -> Iterator[NgramLevel]:
        """Orders 1 to ``max_n``; those below ``min_n`` without counts."""
        for n in range(1, max_n + 1):
            yield self._level(n, whole=n >= min_n, last=n == max_n)
        if self._prefixes is not None:
            self._prefixes.clear()

    def _level(self, n: int, *, whole: bool, last: bool) -> NgramLevel:
        labelled = whole and self._labelled
        # the prefixes of order 1 are the units themselves, which are numbered already
        number = labelled or (not last and n > 1)
        runs, numbers = SortedRuns(self._how.room), Spool(np.int32, self._how.room)
        apart, run_of = _LongDocument(runs, self._how), dict[Piece, int]()
        for piece, (found, own) in self._each(lambda piece: self._count(n, piece, number)):
            if number:
                numbers.add(own)
            run_of[piece] = apart.add(piece, found)
            self._tell(n, piece)
        apart.close()
        level = self._merged(n, runs, whole=whole)
        if number:
            self._number(
                level,
                lambda piece: runs.keys(run_of[piece]),
                numbers,
                keep=not last,
                labelled=labelled,
            )
        runs.clear()
        numbers.clear()
        for column in (level.keys, level.counts, level.documents):
            let_go(column)
        return level

    def _tell(self, n: int, piece: Piece) -> None:
        if self._how.progress is not None:
            self._how.progress(n, piece.end)

    def _each(self, work: Callable[[Piece], T]) -> Iterator[tuple[Piece, T]]:
        return ahead(self._how.pool, self._how.workers, work, self.corpus.pieces)

    def _keys(self, n: int, piece: Piece) -> tuple[U64, npt.NDArray[np.bool_]]:
        """The keys of the n-grams that may be frequent, and where in the piece they begin."""
        units = self.corpus.units(piece.begin + n - 1, piece.end + n - 1)
        if len(units) < piece.end - piece.begin:
            missing = np.full(piece.end - piece.begin - len(units), BREAK, np.int32)
            units = np.concatenate((units, missing))
        if n == 1:
            there = units != BREAK
            if self.corpus.borders:
                around = self.corpus.units(max(0, piece.begin - 1), piece.end + 1)
                before = int(around[0]) if piece.begin else BREAK
                behind = int(around[-1]) if piece.end < len(self.corpus) else BREAK
                there &= ~border_signs(units, before, behind)
            return units[there].astype(np.uint64), there
        prefixes = self._prefix(n - 1, piece.begin, piece.end + 1)
        size = piece.end - piece.begin
        there = (prefixes[:size] >= 0) & (units >= 0)
        there[: len(prefixes) - 1] &= prefixes[1:] >= 0
        keys = prefixes[:size][there].astype(np.uint64)
        keys <<= np.uint64(self.unit_bits)
        keys |= units[there].view(np.uint32)
        return keys, there

    def _prefix(self, n: int, begin: int, end: int) -> I32:
        if n == 1:
            return self.corpus.units(begin, end)
        assert self._prefixes is not None
        found: I32 = self._prefixes.read(begin, end)
        return found

    def _count(self, n: int, piece: Piece, number: bool) -> tuple[Counted, I32]:
        """One piece's n-grams; the number of each unit's among them, BREAK where none is."""
        keys, there = self._keys(n, piece)
        found, numbers = count_keys(keys, self.corpus.documents(piece)[there], numbered=number)
        own = np.empty(0, np.int32)
        if number:
            own = np.full(len(there), BREAK, np.int32)
            own[there] = numbers
        return found, own

    def _merged(self, n: int, runs: SortedRuns, *, whole: bool) -> NgramLevel:
        """The frequent ones of all pieces; keys alone unless ``whole``."""
        columns = [Spool(kind, self._how.room) for kind in (np.uint64, np.int64, np.int64)]
        for block in runs.merged(self._how.pool, self._how.block, self._how.workers + 1):
            block = block.frequent(self._min_count)
            values = (block.keys, block.counts, block.documents)
            for spool, own in zip(columns[: 3 if whole else 1], values, strict=False):
                spool.add(own)
        if len(columns[0]) > _MOST:
            raise Unavailable(
                f"{len(columns[0]):,} different {n}-grams, wanted at most {_MOST:,}",
                hint=f"--min-count {self._min_count + 1}",
            )
        keys, counts, documents = (spool.whole() for spool in columns)
        return NgramLevel(n, keys, counts, documents, self.corpus.n_ngrams(n))

    def _number(
        self,
        level: NgramLevel,
        keys_of: Callable[[Piece], U64],
        numbers: Spool,
        *,
        keep: bool,
        labelled: bool,
    ) -> None:
        """Each unit gets the number of its n-gram among all; labels are counted by these."""
        prefixes = Spool(np.int32, self._how.room)
        by_label = SortedRuns(self._how.room)
        apart = _LongDocument(by_label, self._how)

        def work(piece: Piece) -> tuple[I32, Counted | None]:
            places = _places(level.keys, keys_of(piece))
            own = np.append(places, np.int32(BREAK))[numbers.read(piece.begin, piece.end)]
            return own, self._count_labels(piece, own) if labelled else None

        for piece, (own, found) in self._each(work):
            if keep:
                prefixes.add(own)
            if found is not None:
                apart.add(piece, found)
        apart.close()
        if keep:
            if self._prefixes is not None:
                self._prefixes.clear()
            self._prefixes = prefixes
        if labelled:
            level.by_label = self._merged_labels(by_label)

    def _count_labels(self, piece: Piece, own: I32) -> Counted:
        """The pairs of n-gram and label of a piece; one occurrence counts for each label of its
        document."""
        there = np.flatnonzero(own >= 0)
        documents = self.corpus.documents(piece)[there]
        groups = self.corpus.owners(piece)[documents]
        sizes = self._label_sizes[groups]
        firsts = (np.cumsum(self._label_sizes) - self._label_sizes)[groups]
        total = np.cumsum(sizes)
        at = np.arange(int(sizes.sum())) + np.repeat(firsts - total + sizes, sizes)
        keys = np.repeat(own[there], sizes).astype(np.uint64)
        keys <<= np.uint64(_LABEL_BITS)
        keys |= self._labels[at].view(np.uint64)
        return count_keys(keys, np.repeat(documents, sizes), numbered=False)[0]

    def _merged_labels(self, runs: SortedRuns) -> ByLabel:
        kinds = (np.uint64, np.int64, np.int64)
        columns = [Spool(kind, self._how.room) for kind in kinds]
        for block in runs.merged(self._how.pool, self._how.block, self._how.workers + 1):
            for spool, values in zip(
                columns, (block.keys, block.counts, block.documents), strict=True
            ):
                spool.add(values)
        runs.clear()
        keys, counts, documents = (spool.whole() for spool in columns)
        labels = (keys & np.uint64((1 << _LABEL_BITS) - 1)).view(np.int64)
        return ByLabel((keys >> np.uint64(_LABEL_BITS)).view(np.int64), labels, counts, documents)


class _LongDocument:
    """Adds the runs of pieces; a document of several pieces is one document all the same."""

    def __init__(self, runs: SortedRuns, how: Counting) -> None:
        self._runs, self._how = runs, how
        self._long: int | None = None
        self._parts: SortedRuns | None = None

    def add(self, piece: Piece, found: Counted) -> int:
        """The run of the next piece; gives its number among all runs."""
        if self._parts is not None and piece.long != self._long:
            self.close()
        if piece.long is None:
            return self._runs.add(found)
        if self._parts is None:
            self._long, self._parts = piece.long, SortedRuns(self._how.room)
        nothing = np.zeros(len(found), np.uint32)
        self._parts.add(Counted(found.keys, nothing, found.documents))
        return self._runs.add(Counted(found.keys, found.counts, nothing))

    def close(self) -> None:
        """The long document is at its end: each of its n-grams is in one document more."""
        if self._parts is None:
            return
        for block in self._parts.merged(self._how.pool, self._how.block, self._how.workers + 1):
            self._runs.add(Counted(block.keys, block.counts, np.minimum(block.documents, 1)))
        self._parts.clear()
        self._parts = None


def _places(level: U64, keys: U64) -> I32:
    """Where each of some ascending keys stands in the level, int32; BREAK for those left out."""
    if not len(level):
        return np.full(len(keys), BREAK, np.int32)
    found = np.minimum(np.searchsorted(level, keys), len(level) - 1)
    return np.where(level[found] == keys, found, BREAK).astype(np.int32)


def units_of(levels: dict[int, NgramLevel], n: int, chosen: I64, unit_bits: int) -> I32:
    """The units of some n-grams of order ``n``, int32 [N, n]; ``levels`` has all orders to n."""
    units = np.empty((len(chosen), n), np.int32)
    mask = np.uint64((1 << unit_bits) - 1)
    for k in range(n, 1, -1):
        keys = levels[k].keys[chosen]
        units[:, k - 1] = keys & mask
        chosen = (keys >> np.uint64(unit_bits)).view(np.int64)
    units[:, 0] = chosen if n > 1 else levels[1].keys[chosen]
    return units
