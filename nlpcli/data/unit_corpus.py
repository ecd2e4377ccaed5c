"""A corpus as one long row of units, kept in memory or in files, cut into pieces for counting."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nlpcli.data.spool import Room, Spool
from nlpcli.text.packed_words import PackedWords
from nlpcli.text.units import BREAK, UnitRun

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Piece:
    """Units ``begin`` to ``end``, of the documents ``first`` to ``last`` in the list of sizes.

    ``long``: the number of the document of which this is a part, None for whole documents.
    """

    begin: int
    end: int
    first: int
    last: int
    long: int | None


class UnitCorpus:
    """Filled by ``add`` and ``finish``, then read piece by piece.

    ``words`` names the units of words, None for code points. ``borders``: the first and the last
    unit of a stretch are border signs, which are no n-gram alone. ``group_sizes``: documents of
    each group, which is a set of labels. A piece has ``piece_size`` units or little more.
    """

    def __init__(self, room: Room, piece_size: int, most_n: int, *, borders: bool = False) -> None:
        self.borders = borders
        self.words: PackedWords | None = None
        self.pieces: list[Piece] = []
        self.n_documents = 0
        self.n_units = 0
        self._units, self._sizes = Spool(np.int32, room), Spool(np.int64, room)
        self._owners = Spool(np.int32, room)
        self._places: I32 | None = None
        self._piece_size = piece_size
        self._begin = self._first = 0
        self._long: int | None = None
        self._lengths = np.zeros(most_n + 1, np.int64)
        self._open_stretch = 0
        self.group_sizes: list[int] = []

    def __len__(self) -> int:
        """Units and breaks."""
        return len(self._units)

    def n_ngrams(self, n: int) -> int:
        """How many n-grams of this order stand in all texts, rare ones too."""
        shorter = np.arange(n)
        rest = int(self._lengths[n:].sum())
        return self.n_units - int(shorter @ self._lengths[:n]) - (n - 1) * rest

    def add(self, run: UnitRun, owners: I32 | None = None, *, goes_on: bool = False) -> None:
        """Texts more; the first one goes on from the last run where that said so.

        ``owners`` int32 [B]: the number of each text's group.
        """
        if not len(run.sizes):
            return
        owners = np.zeros(len(run.sizes), np.int32) if owners is None else owners
        self._count(run, owners, goes_on=goes_on)
        simple = self._long is None and not goes_on
        if simple and int(run.sizes.max()) <= self._piece_size:
            self._append(run.units, run.sizes, owners)
        else:
            self._add_one_by_one(run, owners, goes_on=goes_on)
        if self._long is None and len(self._units) - self._begin >= self._piece_size:
            self._close()

    def _count(self, run: UnitRun, owners: I32, *, goes_on: bool) -> None:
        fresh = self._long is None
        self.n_documents += len(run.sizes) - (not fresh)
        found = np.bincount(owners[0 if fresh else 1 :], minlength=len(self.group_sizes))
        known = [*self.group_sizes, *[0] * (len(found) - len(self.group_sizes))]
        self.group_sizes = [a + b for a, b in zip(known, found.tolist(), strict=True)]
        stretches = run.stretches
        self.n_units += int(stretches.sum())
        if self._open_stretch:
            stretches = np.concatenate((stretches[:1] + self._open_stretch, stretches[1:]))
        self._open_stretch = 0
        if goes_on and len(stretches):
            self._open_stretch, stretches = int(stretches[-1]), stretches[:-1]
        self._note(stretches)

    def _note(self, stretches: I64) -> None:
        most = len(self._lengths) - 1
        self._lengths += np.bincount(np.minimum(stretches, most), minlength=most + 1)

    def _append(self, units: I32, sizes: I64, owners: I32) -> None:
        self._units.add(units)
        self._sizes.add(sizes)
        self._owners.add(owners)

    def _add_one_by_one(self, run: UnitRun, owners: I32, *, goes_on: bool) -> None:
        """Documents that may be longer than a piece; each part of such a one is a piece."""
        ends = np.cumsum(run.sizes).tolist()
        begin = 0
        for number, end in enumerate(ends):
            unfinished = goes_on and number == len(ends) - 1
            if self._long is None and (unfinished or end - begin > self._piece_size):
                self._close()
                self._long = self.n_documents - len(ends) + number
            owner = owners[number : number + 1]
            if self._long is None:
                self._append(run.units[begin:end], np.array([end - begin]), owner)
            while self._long is not None and begin < end:
                stop = min(end, begin + self._piece_size)
                self._append(run.units[begin:stop], np.array([stop - begin]), owner)
                self._close()
                begin = stop
            if not unfinished:
                self._long = None
            begin = end

    def _close(self) -> None:
        if len(self._units) > self._begin:
            self.pieces.append(
                Piece(self._begin, len(self._units), self._first, len(self._sizes), self._long)
            )
        self._begin, self._first = len(self._units), len(self._sizes)

    def end_text(self) -> None:
        """What comes next is another file: no document goes on."""
        if self._open_stretch or self._long is not None:
            self._note(np.array([self._open_stretch]))
            self._open_stretch = 0
            if self._long is not None:
                self._append(np.array([BREAK], np.int32), np.array([1]), self._owner_of_last())
                self._close()
            self._long = None

    def _owner_of_last(self) -> I32:
        owners: I32 = self._owners.read(len(self._owners) - 1, len(self._owners))
        return owners

    def finish(self, words: PackedWords | None = None, places: I32 | None = None) -> None:
        """All is there. ``places`` int32: what the units that were added mean now, BREAK for those
        that are never part of a frequent n-gram."""
        self.end_text()
        self._close()
        self.words = words
        if places is not None:
            self._places = np.append(places, np.int32(BREAK))  # a break is the last one

    def units(self, begin: int, end: int) -> I32:
        """Some of the units, int32; not to be written to."""
        found: I32 = self._units.read(begin, end)
        return found if self._places is None else self._places[found]

    def documents(self, piece: Piece) -> I32:
        """The number within the piece of the document of each of its units, int32, ascending."""
        sizes = self._sizes.read(piece.first, piece.last)
        found: I32 = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
        return found

    def owners(self, piece: Piece) -> I32:
        """The group of each document of a piece, int32."""
        found: I32 = self._owners.read(piece.first, piece.last)
        return found
