"""N-grams counted in a fixed number of buckets by their hashes: bounded memory, some mixed up.

The hashing trick (Weinberger et al. 2009, Feature Hashing for Large Scale Multitask Learning).
A bucket goes by the name of the n-gram that was first put into it; how often another one was put
there is counted, so that the loss is known. Every order has buckets of its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nlpcli.data.ngram_levels import ByLabel
from nlpcli.data.ngram_table import Part
from nlpcli.text.counted import Counted, count_keys
from nlpcli.text.hashing import mix
from nlpcli.text.units import BREAK, border_signs

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]

BUCKET_BYTES, LABEL_BYTES = 130, 16
"""Memory that a bucket takes with its name, and for each label."""
_STEP = np.uint64(0xD1342543DE82EF95)
_HALF = np.uint64(32)


@dataclass(frozen=True)
class HashedRun:
    """``units`` int32 [N], BREAK behind each stretch; ``hashes`` uint64 [N] of them. ``documents``
    int32 [N] ascending, ``owners`` int32 [B] the group of each document. ``names`` of some n-grams,
    by their units int32 [M, n].

    ``long``: a part of one document; its last part is followed by a run that is not long, if only
    by an empty one. The first ``skip`` units
    were in the last run too.
    """

    units: I32
    hashes: U64
    documents: I32
    owners: I32
    names: Callable[[I32], list[str]]
    long: bool = False
    skip: int = 0


@dataclass(frozen=True)
class Collisions:
    """``used`` buckets of ``buckets``; ``mixed`` of ``total`` occurrences were counted under the
    name of another n-gram. ``distinct`` n-grams, and the share of them that are not alone in their
    bucket, are estimates from the empty buckets."""

    buckets: int
    used: int
    total: int
    mixed: int

    @property
    def distinct(self) -> float:
        """-N ln(empty / N): linear counting (Whang et al. 1990, A Linear-Time Probabilistic
        Counting Algorithm for Database Applications, section 2)."""
        empty = max(0.5, self.buckets - self.used)
        return float(-self.buckets * np.log(empty / self.buckets))

    @property
    def share(self) -> float:
        """1 - (1 - 1/N)^(distinct - 1)."""
        others = max(0.0, self.distinct - 1)
        if self.buckets == 1:
            return 1.0 if others else 0.0
        return float(-np.expm1(others * np.log1p(-1 / self.buckets)))


@dataclass(frozen=True)
class _Found:
    """One order of a run: its n-grams, where each first begins; its buckets; these by label."""

    ngrams: Counted
    begins: I64
    buckets: Counted
    by_label: Counted | None


class BucketCounts:
    """The n-grams of order ``n`` in ``buckets`` buckets; ``labels``: the labels of each group."""

    def __init__(self, n: int, buckets: int, labels: list[list[int]], *, borders: bool) -> None:
        self.n, self._n_buckets, self._labels = n, buckets, labels
        self._borders = borders
        self._keys = np.zeros(buckets, np.uint64)
        self._used = np.zeros(buckets, bool)
        self._counts, self._documents = np.zeros(buckets, np.int64), np.zeros(buckets, np.int64)
        self._names: dict[int, str] = {}
        self._seen: npt.NDArray[np.bool_] | None = None
        """Buckets of the long document that is read."""
        self._label_counts: dict[int, I64] = {}
        self._label_documents: dict[int, I64] = {}
        self._total = self._mixed = 0

    def count(self, run: HashedRun) -> _Found:
        """One run's n-grams; changes nothing here, so that threads may share it."""
        n, units = self.n, run.units
        size = max(0, len(units) - n + 1)
        there = np.ones(size, bool)
        keys = np.full(size, n, np.uint64)
        for i in range(n):
            there &= units[i : i + size] != BREAK
            keys *= _STEP
            keys += run.hashes[i : i + size]
        if n == 1 and self._borders:
            there &= ~border_signs(units, BREAK, BREAK)
        there[: max(0, run.skip - n + 1)] = False
        at = np.flatnonzero(there)
        keys, documents = mix(keys[at]), run.documents[at]
        ngrams, numbers = count_keys(keys, documents)
        begins = np.empty(len(ngrams), np.int64)
        begins[numbers[::-1]] = at[::-1]
        places = self._places(keys)
        buckets = count_keys(places, documents, numbered=False)[0]
        by_label = self._by_label(places, documents, run.owners) if self._labels else None
        return _Found(ngrams, begins, buckets, by_label)

    def _places(self, keys: U64) -> U64:
        return ((keys >> _HALF) * np.uint64(self._n_buckets)) >> _HALF

    def _by_label(self, places: U64, documents: I32, owners: I32) -> Counted:
        sizes = np.array([len(self._labels[group]) for group in owners.tolist()], np.int64)
        flat = np.array([k for group in owners.tolist() for k in self._labels[group]], np.int64)
        firsts, own = (np.cumsum(sizes) - sizes)[documents], sizes[documents]
        total = np.cumsum(own)
        at = np.arange(int(own.sum())) + np.repeat(firsts - total + own, own)
        keys = (np.repeat(places, own) << _HALF) | flat[at].view(np.uint64)
        return count_keys(keys, np.repeat(documents, own), numbered=False)[0]

    def add(self, run: HashedRun, found: _Found) -> None:
        """Adds what ``count`` found, run after run."""
        if not run.long:
            self._seen = None
        elif self._seen is None:
            self._seen = np.zeros(self._n_buckets, bool)
        self._claim(run, found)
        at = found.buckets.keys.view(np.int64)
        fresh = found.buckets.documents.astype(np.int64)
        if self._seen is not None:
            fresh[self._seen[at]] = 0
            self._seen[at] = True
        self._counts[at] += found.buckets.counts
        self._documents[at] += fresh
        if found.by_label is not None:
            self._add_labels(found.by_label)

    def _claim(self, run: HashedRun, found: _Found) -> None:
        """Empty buckets take the n-gram that comes first among those with the lowest hash."""
        places = self._places(found.ngrams.keys).view(np.int64)
        first = np.ones(len(places), bool)
        first[1:] = places[1:] != places[:-1]
        new = np.flatnonzero(first & ~self._used[places])
        self._keys[places[new]] = found.ngrams.keys[new]
        self._used[places[new]] = True
        at = found.begins[new][:, None] + np.arange(self.n)
        self._names.update(zip(places[new].tolist(), run.names(run.units[at]), strict=True))
        other = self._keys[places] != found.ngrams.keys
        self._total += int(found.ngrams.counts.sum())
        self._mixed += int(found.ngrams.counts[other].sum())

    def _add_labels(self, found: Counted) -> None:
        places = (found.keys >> _HALF).view(np.int64)
        labels = (found.keys & np.uint64(2**32 - 1)).view(np.int64)
        for label in np.flatnonzero(np.bincount(labels)).tolist():
            mine = labels == label
            at = places[mine]
            counts = self._label_counts.setdefault(label, np.zeros(self._n_buckets, np.int64))
            held = self._label_documents.setdefault(label, np.zeros(self._n_buckets, np.int64))
            counts[at] += found.counts[mine]
            held[at] += found.documents[mine]

    def collisions(self) -> Collisions:
        """How much was mixed up."""
        return Collisions(self._n_buckets, int(self._used.sum()), self._total, self._mixed)

    def part(self, min_count: int, ranks: I64 | None) -> Part:
        """The buckets that hold so many, by their names; ``ranks``: where each label's number is
        among all labels, None when texts have none."""
        rows = np.flatnonzero(self._counts >= max(1, min_count)).tolist()
        rows.sort(key=lambda bucket: (self._names[bucket], bucket))
        names = [self._names[bucket] for bucket in rows]
        at = np.array(rows, np.int64)
        return Part(
            self.n,
            self._counts[at],
            self._documents[at],
            self._total,
            None if ranks is None else self._labels_of(at, ranks),
            lambda chosen, _: [names[i] for i in chosen.tolist()],
        )

    def _labels_of(self, at: I64, ranks: I64) -> ByLabel:
        """The counts of some buckets by label."""
        found: list[tuple[I64, I64, I64, I64]] = []
        for label, counts in self._label_counts.items():
            ngrams = np.flatnonzero(counts[at])
            there = at[ngrams]
            own = np.full(len(ngrams), ranks[label])
            found.append((ngrams, own, counts[there], self._label_documents[label][there]))
        none = np.empty(0, np.int64)
        columns = [np.concatenate([none, *(row[i] for row in found)]) for i in range(4)]
        order = np.lexsort((columns[1], columns[0]))
        return ByLabel(*(column[order] for column in columns))


def count_all(
    counts: list[BucketCounts],
    runs: Iterator[HashedRun],
    pool: ThreadPoolExecutor,
    workers: int,
) -> None:
    """Counts all orders of all runs; a few runs are worked on at once."""
    waiting: deque[tuple[HashedRun, list[Future[_Found]]]] = deque()

    def take() -> None:
        run, found = waiting.popleft()
        for order, one in zip(counts, found, strict=True):
            order.add(run, one.result())

    for run in runs:
        waiting.append((run, [pool.submit(order.count, run) for order in counts]))
        if len(waiting) > workers:
            take()
    while waiting:
        take()
