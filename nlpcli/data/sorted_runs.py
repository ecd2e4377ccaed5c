"""Counts of many keys, more than memory holds: sorted runs, merged a range of keys at a time.

External sorting as in Knuth, The Art of Computer Programming 3, section 5.4; all runs are merged in
one pass. A range is cut out of every run by a sparse index, so that ranges are independent: threads
merge several at once, and no more than a few are in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from nlpcli.data.spool import Room, Spool
from nlpcli.text import parallel
from nlpcli.text.counted import Counted, add_up

U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]

_SPARSE = 1 << 12
"""Keys of a run from one entry of its index to the next."""


class SortedKeys:
    """Runs of ascending keys; ``ordered`` gives all of them as one."""

    def __init__(self, room: Room) -> None:
        self._keys = Spool(np.uint64, room)
        self._begins: list[int] = [0]
        self._index: list[U64] = []

    def __len__(self) -> int:
        """Keys of all runs together."""
        return len(self._keys)

    def add_keys(self, keys: U64) -> int:
        """A run more. Gives its number."""
        self._keys.add(keys)
        self._begins.append(len(self._keys))
        self._index.append(keys[::_SPARSE].copy())
        return len(self._index) - 1

    def keys(self, number: int) -> U64:
        """The keys of a run."""
        keys: U64 = self._keys.read(self._begins[number], self._begins[number + 1])
        return keys

    def clear(self) -> None:
        """Forgets all runs."""
        self._keys.clear()
        self._begins, self._index = [0], []

    def ordered(self, block: int) -> Iterator[U64]:
        """All keys, ascending, about ``block`` of them at a time."""
        for spans in self._ranges(block):
            parts = [self._keys.read(*span) for span in spans]
            yield np.sort(np.concatenate([np.empty(0, np.uint64), *parts]))

    def _ranges(self, block: int) -> Iterator[list[tuple[int, int]]]:
        """Where the keys of one range after the other lie, in each run that has some."""
        before = list(self._begins[:-1])
        for after in [*map(self._cuts, self._borders(block)), self._begins[1:]]:
            yield [(b, e) for b, e in zip(before, after, strict=True) if b < e]
            before = after

    def _borders(self, block: int) -> list[int]:
        samples = np.sort(np.concatenate([np.empty(0, np.uint64), *self._index]))
        some = samples[:: max(1, block // _SPARSE)]
        return [int(key) for key in np.unique(some)[1:]]

    def _cuts(self, border: int) -> list[int]:
        """Where in each run the keys from ``border`` on begin."""
        found = []
        for number, index in enumerate(self._index):
            begin, end = self._begins[number], self._begins[number + 1]
            step = int(np.searchsorted(index, np.uint64(border)))
            low = begin + max(0, step - 1) * _SPARSE
            keys = self._keys.read(low, min(end, begin + step * _SPARSE))
            found.append(low + int(np.searchsorted(keys, np.uint64(border))))
        return found


class SortedRuns(SortedKeys):
    """Runs of ascending keys with their counts; ``merged`` gives the sum of all."""

    def __init__(self, room: Room) -> None:
        super().__init__(room)
        self._counts, self._documents = Spool(np.uint32, room), Spool(np.uint32, room)

    def add(self, run: Counted) -> int:
        """A run more; its counts are below 2^32. Gives its number."""
        self._counts.add(run.counts)
        self._documents.add(run.documents)
        return self.add_keys(run.keys)

    def clear(self) -> None:
        """Forgets all runs."""
        super().clear()
        self._counts.clear()
        self._documents.clear()

    def merged(self, pool: ThreadPoolExecutor, block: int, ahead: int) -> Iterator[Counted]:
        """Distinct keys, ascending, with the sum of their counts, about ``block`` entries of runs
        at a time; ``ahead`` blocks are worked on at once."""
        for _, merged in parallel.ahead(pool, ahead - 1, self._merge, self._ranges(block)):
            yield merged

    def _merge(self, spans: list[tuple[int, int]]) -> Counted:
        return add_up(
            [
                Counted(*(s.read(*span) for s in (self._keys, self._counts, self._documents)))
                for span in spans
            ]
        )
