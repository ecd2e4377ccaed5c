"""The files behind an encoded corpus: written as words are met, then made smaller in place."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from nlpcli.errors import OutputFailed

IDS, STARTS, BLOCKS = "words.ids", "sentences.starts", "blocks.starts"
_CHUNK = 1 << 20
"""Numbers in memory at once."""

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]


@contextlib.contextmanager
def told(path: Path) -> Iterator[None]:
    """A file that cannot be written is an OutputFailed."""
    try:
        yield
    except OSError as error:
        raise OutputFailed(f"{path}: {error.strerror}") from None


def sentence_chunks(
    starts: I64, n_words: int, size: int, *, whole: bool = False
) -> Iterator[tuple[int, int]]:
    """Consecutive ranges of about ``size`` words between borders of sentences, int64 [S + 1].

    A sentence that is longer is cut, unless it is to stay ``whole``.
    """
    begin = 0
    while begin < n_words:
        at = int(np.searchsorted(starts, begin + size, side="right")) - 1
        end = int(starts[at])
        if end <= begin:
            end = int(starts[at + 1]) if whole else min(begin + size, n_words)
        yield begin, end
        begin = end


class IdFiles:
    """Numbers of words int32, one after the other, and where lines end, in a folder.

    Raises OutputFailed when they cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open_line = 0
        self.n_words = 0
        self._streams: list[IO[bytes]] = []
        with told(folder):
            self._ids = self._opened(IDS)
            self._ends = self._opened(STARTS)
            self._blanks = self._opened(BLOCKS)

    def _opened(self, name: str) -> IO[bytes]:
        stream = open(self.folder / name, "wb")  # noqa: SIM115  closed by close
        self._streams.append(stream)
        return stream

    def add(self, numbers: I32, sizes: I64, *, goes_on: bool) -> None:
        """Words of a few lines, of so many words each; the last line may go on in the next ones."""
        ends = self.n_words + np.cumsum(sizes)
        self.n_words += len(numbers)
        blank = sizes == 0
        if len(sizes):
            blank[0] &= not self._open_line
            # what went before belongs to the first line
            self._open_line = int(sizes[-1]) + self._open_line * (len(sizes) == 1) if goes_on else 0
        done = slice(None, -1) if goes_on else slice(None)
        with told(self.folder):
            self._ids.write(numbers.tobytes())
            self._ends.write(ends[done].tobytes())
            self._blanks.write(ends[done][blank[done]].tobytes())

    def end_text(self) -> None:
        """What comes next is another text: neither a line nor a block goes on."""
        self.add(np.empty(0, np.int32), np.zeros(1, np.int64), goes_on=False)
        with told(self.folder):
            self._blanks.write(np.array([self.n_words]).tobytes())

    def close(self) -> None:
        """Closes the files."""
        with told(self.folder):
            for stream in self._streams:
                stream.close()

    def renumber(self, ranks: I32) -> None:
        """Every number becomes its rank; words of rank -1 are left out, and what is then empty.

        ``ranks`` int32, by number. Files are rewritten chunk by chunk; starts begin with 0.
        """
        self.close()
        borders = [
            _Borders(stream)
            for stream in (_reopened(self.folder / STARTS), _reopened(self.folder / BLOCKS))
        ]
        ids = _Rewriting(_reopened(self.folder / IDS), np.int32)
        with told(self.folder):
            before, kept = 0, 0
            while len(numbers := ids.take(_CHUNK)):
                found = ranks[numbers]
                stays = found >= 0
                places = np.empty(len(found) + 1, np.int64)
                places[0] = kept
                np.cumsum(stays, out=places[1:])
                places[1:] += kept
                for border in borders:
                    border.move(before, places)
                ids.put(found[stays])
                before, kept = before + len(found), int(places[-1])
            ids.end()
            for border in borders:
                border.end(kept)


def _reopened(path: Path) -> IO[bytes]:
    with told(path):
        return open(path, "r+b", buffering=0)


class _Rewriting:
    """A file of numbers that is read and, never further than that, written."""

    def __init__(self, stream: IO[bytes], kind: type[np.int32] | type[np.int64]) -> None:
        self._stream, self._kind = stream, np.dtype(kind)
        self._read_to = self._written_to = 0

    def take(self, most: int) -> npt.NDArray[Any]:
        """The next numbers, none at the end."""
        self._stream.seek(self._read_to)
        data = _read_all(self._stream, most * self._kind.itemsize)
        self._read_to += len(data)
        return np.frombuffer(data, self._kind)

    def put(self, numbers: npt.NDArray[Any]) -> None:
        """Writes behind what was written."""
        self._stream.seek(self._written_to)
        data = memoryview(numbers.tobytes())
        while data:  # a file without a buffer may take a part
            n_bytes = self._stream.write(data)
            self._written_to += n_bytes
            data = data[n_bytes:]

    def end(self) -> None:
        """Cuts off what is left of the old numbers."""
        self._stream.truncate(self._written_to)
        self._stream.close()


def _read_all(stream: IO[bytes], size: int) -> bytes:
    parts = []
    while size and (part := stream.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


class _Borders:
    """Ascending places in the old numbers, one by one replaced by those in the new ones."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._file = _Rewriting(stream, np.int64)
        self._waiting: I64 = np.empty(0, np.int64)
        self._ready: list[I64] = [np.zeros(1, np.int64)]
        self._last = 0

    def move(self, before: int, places: I64) -> None:
        """Borders among the numbers from ``before`` on; ``places`` [n + 1] where those go."""
        after = before + len(places) - 1
        while True:
            if not len(self._waiting):
                self._waiting = self._file.take(_CHUNK)
                self._write()
            n_inside = int(np.searchsorted(self._waiting, after, side="right"))
            moved = places[self._waiting[:n_inside] - before]
            fresh = np.diff(moved, prepend=self._last) > 0
            if fresh.any():
                self._ready.append(moved[fresh])
                self._last = int(moved[-1])
            done = n_inside < len(self._waiting) or not n_inside
            self._waiting = self._waiting[n_inside:]
            if done:
                return

    def end(self, n_words: int) -> None:
        """The last border is the end of all numbers."""
        if self._last < n_words:
            self._ready.append(np.array([n_words]))
        self._write(at_end=True)
        self._file.end()

    def _write(self, *, at_end: bool = False) -> None:
        """Writes what is ready, but for one number, as long as the file is still read."""
        ready = np.concatenate(self._ready)
        rest = len(ready) if at_end else len(ready) - 1
        self._file.put(ready[:rest])
        self._ready = [ready[rest:]]
