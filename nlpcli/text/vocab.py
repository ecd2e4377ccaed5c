"""Hash -> row: which features a model knows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

U64 = npt.NDArray[np.uint64]
I32 = npt.NDArray[np.int32]

PROBES = 1000
"""Random hashes need a few dozen; more are a sign that somebody made them up."""
_EMPTY = np.int32(-1)


class HashIndex:
    """An open-addressing table from 64-bit hashes to their positions, probed a whole array at once.

    ``keys`` are distinct uint64 [V]; row i is keys[i]. With ``bits`` below 64 only the highest
    bits of a hash are looked at; the rest of the keys must be zero. Raises ValueError when too many
    want one place.
    """

    def __init__(self, keys: U64, bits: int = 64) -> None:
        self.keys = self._room = np.ascontiguousarray(keys, dtype=np.uint64)
        self.bits = bits
        self.ordered = bits == 64 and bool((self.keys[1:] > self.keys[:-1]).all())
        """Whether rows ascend as hashes do."""
        self._place_all()

    def add(self, keys: U64) -> None:
        """New keys, distinct and none of them there yet, get the rows behind the last one."""
        n_old, n_all = len(self.keys), len(self.keys) + len(keys)
        if n_all > len(self._room):
            self._room = np.empty(2 * n_all, np.uint64)
            self._room[:n_old] = self.keys
        self._room[n_old:n_all] = keys
        self.keys, self.ordered = self._room[:n_all], False
        if 2 * n_all > len(self._slots):
            self._place_all()
        else:
            self._insert(np.arange(n_old, n_all, dtype=np.int32))

    def _place_all(self) -> None:
        room = max(4, (4 * max(1, len(self.keys)) - 1).bit_length())
        self._shift = np.uint64(64 - room)
        self._wrap = (1 << room) - 1
        self._slots: I32 = np.full(1 << room, _EMPTY, dtype=np.int32)
        self._insert(np.arange(len(self.keys), dtype=np.int32))

    def _insert(self, rows: I32) -> None:
        slots = (self.keys[rows] >> self._shift).astype(np.int64)
        for _ in range(PROBES):
            if not len(rows):
                return
            free = self._slots[slots] == _EMPTY
            self._slots[slots[free]] = rows[free]
            lost = self._slots[slots] != rows
            rows, slots = rows[lost], (slots[lost] + 1) & self._wrap
        raise ValueError(f"{len(rows):,} hashes fall together")

    def __len__(self) -> int:
        return len(self.keys)

    def rows(self, hashes: U64) -> I32:
        """Row of each hash, -1 where the hash is not known; int32, same shape [N]."""
        if not len(self.keys):
            return np.full(len(hashes), _EMPTY, dtype=np.int32)
        if self.bits < 64:
            hashes = highest(hashes, self.bits)
        slots = (hashes >> self._shift).astype(np.int64)
        found = self._slots[slots]
        wrong = (found != _EMPTY) & (self.keys[found] != hashes)
        pending = np.flatnonzero(wrong)
        slots = slots[pending]
        while len(pending):
            slots = (slots + 1) & self._wrap
            candidate = self._slots[slots]
            found[pending] = candidate
            again = (candidate != _EMPTY) & (self.keys[candidate] != hashes[pending])
            pending, slots = pending[again], slots[again]
        return found


def highest(hashes: U64, bits: int) -> U64:
    """The same with all but the highest ``bits`` bits, 1 to 64, set to zero."""
    return hashes & np.uint64((1 << 64) - (1 << (64 - bits)))


def count_hashes(hashes: U64) -> tuple[U64, npt.NDArray[np.int64]]:
    """Distinct hashes in ascending order and how often each occurs."""
    ordered = np.sort(hashes)
    if not len(ordered):
        return ordered, np.empty(0, np.int64)
    first = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    return ordered[first], np.diff(np.append(first, len(ordered)))


def number_hashes(hashes: U64) -> tuple[U64, npt.NDArray[np.int64], I32]:
    """Distinct hashes in ascending order, how often each occurs, the number of each occurrence.

    As np.unique with its inverse, but by a sort of numbers alone: the highest bits of a hash and
    the place where it stands.
    """
    n_hashes = len(hashes)
    if not n_hashes:
        return hashes, np.empty(0, np.int64), np.empty(0, np.int32)
    bits = np.uint64(n_hashes.bit_length())
    keys = (hashes >> bits << bits) | np.arange(n_hashes, dtype=np.uint64)
    keys.sort()
    places = (keys & ((np.uint64(1) << bits) - np.uint64(1))).astype(np.int64)
    ordered = hashes[places]
    if (ordered[1:] < ordered[:-1]).any():  # the highest bits of two are the same
        places = np.argsort(hashes, kind="stable")
        ordered = hashes[places]
    new = np.concatenate(([True], ordered[1:] != ordered[:-1]))
    first = np.flatnonzero(new)
    numbers = np.empty(n_hashes, np.int32)
    numbers[places] = np.cumsum(new, dtype=np.int32) - np.int32(1)
    return ordered[first], np.diff(np.append(first, n_hashes)), numbers
