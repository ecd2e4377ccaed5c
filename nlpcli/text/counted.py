"""Keys -> distinct keys, how often each occurs and in how many documents: by sorting alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Counted:
    """``keys`` uint64 [K] distinct, ascending; ``counts`` [K], and ``documents`` [K] that hold it;
    both are whole numbers of 32 or 64 bits."""

    keys: U64
    counts: npt.NDArray[Any]
    documents: npt.NDArray[Any]

    def __len__(self) -> int:
        return len(self.keys)

    def frequent(self, min_count: int) -> Counted:
        """Those that occur so often."""
        if min_count <= 1:
            return self
        keep = self.counts >= min_count
        return Counted(self.keys[keep], self.counts[keep], self.documents[keep])


def in_order(keys: U64) -> tuple[U64, I64]:
    """The keys in ascending order and where each one stood, int64; equal ones as they stood.

    Where key and place fit into 64 bits, both are sorted as one number, which numpy does several
    times as fast as it sorts places.
    """
    if not len(keys):
        return keys, np.empty(0, np.int64)
    bits = (len(keys) - 1).bit_length()
    if int(keys.max()).bit_length() + bits > 64:
        places = np.argsort(keys, kind="stable")
        return keys[places], places
    packed = keys << np.uint64(bits)
    packed |= np.arange(len(keys), dtype=np.uint64)
    packed.sort()
    places = (packed & np.uint64((1 << bits) - 1)).view(np.int64)
    packed >>= np.uint64(bits)
    return packed, places


def _firsts(ordered: U64) -> npt.NDArray[np.bool_]:
    """Which of the ordered keys, at least one, differ from the one before."""
    new = np.empty(len(ordered), bool)
    new[:1] = True
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    return new


def count_keys(keys: U64, documents: I32, *, numbered: bool = True) -> tuple[Counted, I32]:
    """Counts each key, and in how many of the documents it occurs.

    ``documents`` [N] ascending: the document that each key stands in. Also gives the number of
    each key among the distinct ones, int32 [N]; none unless ``numbered``.
    """
    numbers = np.empty(0, np.int32)
    if not len(keys):
        none = np.empty(0, np.uint32)
        return Counted(keys, none, none), numbers
    ordered, places = in_order(keys)
    new = _firsts(ordered)
    at = np.flatnonzero(new)
    owners = documents[places]
    fresh = new.copy()
    fresh[1:] |= owners[1:] != owners[:-1]
    if numbered:
        numbers = np.empty(len(keys), np.int32)
        numbers[places] = np.cumsum(new, dtype=np.int32) - np.int32(1)
    found = Counted(
        ordered[at],
        np.diff(at, append=len(keys)).astype(np.uint32),
        np.diff(np.append(np.cumsum(fresh, dtype=np.int32)[at], fresh.sum() + 1)).astype(np.uint32),
    )
    return found, numbers


def add_up(parts: Sequence[Counted]) -> Counted:
    """Several counts as one; int64."""
    keys, places = in_order(np.concatenate([np.empty(0, np.uint64), *(p.keys for p in parts)]))
    if not len(keys):
        return Counted(keys, np.empty(0, np.int64), np.empty(0, np.int64))
    at = np.flatnonzero(_firsts(keys))
    counts, documents = (
        np.add.reduceat(np.concatenate(several)[places], at, dtype=np.int64)
        for several in ([p.counts for p in parts], [p.documents for p in parts])
    )
    return Counted(keys[at], counts, documents)
