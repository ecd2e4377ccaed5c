"""Files -> runs of hashed units, for counting in buckets: only the last few units are kept."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from nlpcli.data.bucket_counts import HashedRun
from nlpcli.data.unit_reading import Cut, Progress, Reading, UnitReader
from nlpcli.text.hashing import mix
from nlpcli.text.units import BREAK, word_units
from nlpcli.text.word_counts import CutRun

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]

_KEPT = -2
"""Units from here downwards are words of the run before, the first of the tail first."""


class HashedRuns:
    """Iterates the runs of all files; ``n_documents`` and ``group_sizes`` are known at the end.

    ``most_n``: the longest n-gram, of which a part may stand at the end of a run.
    """

    def __init__(
        self,
        reading: Reading,
        reader: UnitReader,
        pool: ThreadPoolExecutor,
        workers: int,
        *,
        joiner: str,
        most_n: int,
        progress: Progress | None = None,
    ) -> None:
        self.n_documents = self.n_units = 0
        self.group_sizes: list[int] = []
        self._reading, self._reader, self._pool, self._workers = reading, reader, pool, workers
        self._joiner, self._most_n, self._progress = joiner, most_n, progress
        self._tail: _Tail | None = None
        """What the next run begins with, when the last document goes on."""

    def __iter__(self) -> Iterator[HashedRun]:
        one = len(self._reading.paths) == 1
        for path in self._reading.paths:
            self._tail = None
            for batch, cut in self._reader.cuts(path, self._pool, self._workers):
                owners = self._reader.owners(batch)
                yield from self._runs(cut, owners, goes_on=batch.goes_on)
                if self._progress is not None:
                    self._progress(self.n_units, batch.share if one else None)

    def _runs(self, cut: Cut, owners: I32 | None, *, goes_on: bool) -> Iterator[HashedRun]:
        units, hashes, sizes = _hashed(cut, goes_on=goes_on)
        if not len(sizes):
            return
        owners = np.zeros(len(sizes), np.int32) if owners is None else owners
        tail = self._tail
        names = _Names(cut, self._joiner, tail.words if tail is not None else [])
        first = int(tail is not None or goes_on)  # the first document is a part of a long one
        begin = int(sizes[0]) if first else 0
        self._count(owners[1:] if tail is not None else owners, int((units != BREAK).sum()))
        self._tail = None
        if first:
            own, own_hashes = units[:begin], hashes[:begin]
            if tail is not None:
                own, own_hashes = np.append(tail.units, own), np.append(tail.hashes, own_hashes)
            nobody = np.zeros(len(own), np.int32)
            skip = 0 if tail is None else len(tail.units)
            yield HashedRun(own, own_hashes, nobody, owners[:1], names, long=True, skip=skip)
            if goes_on:
                self._tail = _Tail(own, own_hashes, names, self._most_n - 1)
        if not goes_on:
            documents = np.repeat(np.arange(len(sizes) - first, dtype=np.int32), sizes[first:])
            yield HashedRun(units[begin:], hashes[begin:], documents, owners[first:], names)

    def _count(self, owners: I32, n_units: int) -> None:
        self.n_documents += len(owners)
        self.n_units += n_units
        found = np.bincount(owners, minlength=len(self.group_sizes))
        self.group_sizes += [0] * (len(found) - len(self.group_sizes))
        self.group_sizes = [a + b for a, b in zip(self.group_sizes, found.tolist(), strict=True)]


def _hashed(cut: Cut, *, goes_on: bool) -> tuple[I32, U64, I64]:
    """Units of a run, their hashes, and how many each document has."""
    if isinstance(cut, CutRun):
        run = word_units(cut.numbers, cut.sizes, goes_on=goes_on)
        return run.units, np.append(cut.hashes, np.uint64(0))[run.units], run.sizes
    return cut.units, mix(cut.units.astype(np.int64).view(np.uint64)), cut.sizes


class _Names:
    """Texts of n-grams by their units: code points, or words of a run and of the tail before it."""

    def __init__(self, cut: Cut, joiner: str, kept: list[str]) -> None:
        self._cut, self._joiner, self._kept = cut, joiner, kept

    def __call__(self, units: I32) -> list[str]:
        if not isinstance(self._cut, CutRun):
            return ["".join(map(chr, row)) for row in units.tolist()]
        flat = iter(self.words(units.ravel()))
        return [self._joiner.join(row) for row in zip(*[flat] * units.shape[1], strict=True)]

    def words(self, units: I32) -> list[str]:
        """Words by their numbers; '' for a break."""
        assert isinstance(self._cut, CutRun)
        own = iter(self._cut.words(units[units >= 0].astype(np.int64)))
        return [
            next(own) if unit >= 0 else "" if unit == BREAK else self._kept[_KEPT - unit]
            for unit in units.tolist()
        ]


class _Tail:
    """The last few units of a run; words get other numbers, those of the next run are its own."""

    def __init__(self, units: I32, hashes: U64, names: _Names, length: int) -> None:
        begin = max(0, len(units) - length)
        self.units, self.hashes = units[begin:], hashes[begin:]
        self.words: list[str] = []
        if isinstance(names._cut, CutRun):
            self.words = names.words(self.units)
            numbers = np.arange(_KEPT, _KEPT - len(self.units), -1, dtype=np.int32)
            self.units = np.where(self.units == BREAK, np.int32(BREAK), numbers)
