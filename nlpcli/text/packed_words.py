"""Many words in little memory: their UTF-8 bytes one after the other, sorted without a loop."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]
U64 = npt.NDArray[np.uint64]

_STEP = 8
"""Bytes that are compared at once."""
_BLOCK = 1 << 16
"""Words looked at together."""
_NEWLINE = ord("\n")


class PackedWords:
    """V words; ``codes`` uint8 [N] are their bytes, word i lies from ``starts``[i] to ``ends``[i].

    No word holds a NUL.
    """

    def __init__(self, codes: U8, starts: I64, ends: I64) -> None:
        self.codes, self.starts, self.ends = codes, starts, ends

    @staticmethod
    def from_lines(lines: bytes) -> PackedWords:
        """Words that are closed by a newline each, and hold none."""
        codes = np.frombuffer(lines, np.uint8)
        ends = np.flatnonzero(codes == _NEWLINE)
        starts = np.empty_like(ends)
        starts[:1] = 0
        starts[1:] = ends[:-1] + 1
        return PackedWords(codes, starts, ends)

    @staticmethod
    def of(words: Iterable[str]) -> PackedWords:
        """The same of strings, none of which holds a newline."""
        return PackedWords.from_lines("".join(f"{word}\n" for word in words).encode())

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, number: int) -> str:
        return self.codes[self.starts[number] : self.ends[number]].tobytes().decode()

    def strings(self, numbers: Sequence[int]) -> list[str]:
        """Some of the words."""
        at = np.asarray(numbers, np.int64)
        spans = zip(self.starts[at].tolist(), self.ends[at].tolist(), strict=True)
        codes = memoryview(self.codes.data)
        return [str(codes[start:end], "utf-8") for start, end in spans]

    def chosen(self, numbers: I64) -> PackedWords:
        """Some of the words, in this order; their bytes are shared."""
        return PackedWords(self.codes, self.starts[numbers], self.ends[numbers])

    def order(self) -> I64:
        """The numbers of the words, int64 [V], by their bytes, which is by code points.

        Eight bytes are compared at once; only words that agree so far are looked at further.
        Words that are alike keep their order.
        """
        order: I64 = np.argsort(self._bytes_at(np.arange(len(self)), 0), kind="stable")
        pending, groups = np.arange(len(self)), np.zeros(len(self), np.int64)
        keys = self._bytes_at(order, 0)
        depth, longest = _STEP, int((self.ends - self.starts).max(initial=0))
        while True:
            same = (groups[1:] == groups[:-1]) & (keys[1:] == keys[:-1])
            tied = np.zeros(len(pending), bool)
            tied[1:] |= same
            tied[:-1] |= same
            if depth >= longest or not tied.any():
                return order
            groups = np.cumsum(np.concatenate(([True], ~same)))[tied]
            pending = pending[tied]
            rows = order[pending]
            keys = self._bytes_at(rows, depth)
            new = np.lexsort((keys, groups))
            order[pending], keys = rows[new], keys[new]
            depth += _STEP

    def _bytes_at(self, rows: I64, depth: int) -> U64:
        """Eight bytes of each word from ``depth`` on, zeros behind its end, as numbers that compare
        as the bytes do; uint64 [rows]."""
        found = np.empty(len(rows), np.uint64)
        for begin in range(0, len(rows), _BLOCK):
            some = rows[begin : begin + _BLOCK]
            at = (self.starts[some] + depth)[:, None] + np.arange(_STEP)
            inside = at < self.ends[some][:, None]
            block = np.where(inside, self.codes[np.where(inside, at, 0)], np.uint8(0))
            found[begin : begin + _BLOCK] = block.view(">u8")[:, 0]
        return found
