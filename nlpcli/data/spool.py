"""Arrays that are written once and read back: in memory while there is room, then in a file.

The file has no name, so nothing is left of it however the process ends.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import threading
import weakref
from bisect import bisect_right
from typing import Any

import numpy as np
import numpy.typing as npt

from nlpcli.errors import OutputFailed

Array = npt.NDArray[Any]


class Room:
    """Bytes of memory that several spools share."""

    def __init__(self, n_bytes: int) -> None:
        self._left = n_bytes
        self._lock = threading.Lock()

    def take(self, n_bytes: int) -> bool:
        """Whether there was room for so many bytes, which is then taken."""
        with self._lock:
            if n_bytes > self._left:
                return False
            self._left -= n_bytes
            return True

    def give(self, n_bytes: int) -> None:
        """Gives back what was taken."""
        with self._lock:
            self._left += n_bytes


def let_go(array: Array) -> None:
    """Where an array is a map of a file: its pages need not stay in memory until the next use."""
    mapped = getattr(array.base, "obj", None)  # a view of the map
    if isinstance(mapped, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)


class _NamelessFile:
    """A temporary file, open as ``handle``; it is closed when nobody has it any more."""

    def __init__(self) -> None:
        try:
            with tempfile.TemporaryFile(prefix="nlpcli-") as stream:
                self.handle = os.dup(stream.fileno())
        except OSError as error:
            raise OutputFailed(f"a temporary file: {error.strerror}") from None
        weakref.finalize(self, os.close, self.handle)


class Spool:
    """Numbers of one kind, in the order in which they were added; read by several threads at once.

    Raises OutputFailed when the disk is full.
    """

    def __init__(self, kind: Any, room: Room) -> None:
        self._kind, self._room = np.dtype(kind), room
        self._starts: list[int] = []
        self._parts: list[Array | int] = []
        """An array, or where it lies in the file."""
        self._file: _NamelessFile | None = None
        self._written = self._taken = self._length = 0

    def __len__(self) -> int:
        return self._length

    def add(self, numbers: Array) -> None:
        """Numbers go behind those that are there; the spool may keep the array itself."""
        if not len(numbers):
            return
        numbers = np.ascontiguousarray(numbers, self._kind)
        self._starts.append(self._length)
        self._length += len(numbers)
        if self._room.take(numbers.nbytes):
            self._taken += numbers.nbytes
            # a slice would keep the whole array alive
            self._parts.append(numbers if numbers.base is None else numbers.copy())
            return
        self._parts.append(self._written)
        self._write(numbers)

    def _write(self, numbers: Array) -> None:
        if self._file is None:
            self._file = _NamelessFile()
        data = numbers.data.cast("B")
        while data:
            try:
                done = os.pwrite(self._file.handle, data, self._written)
            except OSError as error:
                raise OutputFailed(
                    f"{tempfile.gettempdir()}: {error.strerror}; temporary files hold what "
                    "--memory does not",
                    hint="TMPDIR=FOLDER chooses another folder",
                ) from None
            self._written += done
            data = data[done:]

    def read(self, begin: int, end: int) -> Array:
        """Numbers ``begin`` to ``end``, fewer at the end of all; not to be written to."""
        end, found = min(end, self._length), []
        number = bisect_right(self._starts, begin) - 1
        while begin < end:
            start = self._starts[number]
            after = self._starts[number + 1] if number + 1 < len(self._starts) else self._length
            stop = min(end, after)
            part = self._parts[number]
            if isinstance(part, int):
                found.append(self._from_file(part, begin - start, stop - start))
            else:
                found.append(part[begin - start : stop - start])
            begin, number = stop, number + 1
        if len(found) == 1:
            return found[0]
        return np.concatenate([np.empty(0, self._kind), *found], dtype=self._kind)

    def _from_file(self, offset: int, begin: int, end: int) -> Array:
        assert self._file is not None
        size = self._kind.itemsize
        numbers = np.empty(end - begin, self._kind)
        rest, at = numbers.data.cast("B"), offset + begin * size
        while rest:
            done = os.preadv(self._file.handle, [rest], at)
            if not done:
                raise OutputFailed(f"{tempfile.gettempdir()}: a temporary file was cut short")
            rest, at = rest[done:], at + done
        return numbers

    def whole(self) -> Array:
        """All numbers: an array in memory, or a map of the file; nothing is added after this."""
        if len(self._parts) == 1 and not isinstance(self._parts[0], int):
            return self._parts[0]
        if not any(isinstance(part, int) for part in self._parts):
            whole = self.read(0, self._length)
            self._starts, self._parts = [0], [whole]
            return whole
        file = Spool(self._kind, Room(0))
        for start, after in zip(self._starts, [*self._starts[1:], self._length], strict=True):
            file.add(self.read(start, after))
        self.clear()
        assert file._file is not None
        mapped = mmap.mmap(file._file.handle, file._written, prot=mmap.PROT_READ)
        self.__dict__.update(file.__dict__)
        return np.frombuffer(mapped, self._kind)

    def clear(self) -> None:
        """Forgets all numbers and gives the room back; arrays that were read live on."""
        self._room.give(self._taken)
        self.__init__(self._kind, self._room)  # type: ignore[misc]
