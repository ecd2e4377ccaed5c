"""Reading a binary file whose every length is checked against the file's size before it is used."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from nlpcli.errors import DataError, InputMissing


class BoundedReader:
    """A file of a known size, read front to back; nothing is allocated that it cannot fill."""

    def __init__(self, stream: BinaryIO, size: int, where: str) -> None:
        self._stream, self._size, self._at = stream, size, 0
        self.where = where

    @property
    def remaining(self) -> int:
        """Bytes not yet read."""
        return self._size - self._at

    def bad(self, message: str) -> DataError:
        """The error to raise about this file."""
        return DataError(f"{self.where}: {message}")

    def need(self, count: int, what: str) -> None:
        """Raises DataError when fewer than ``count`` bytes are left."""
        if not 0 <= count <= self.remaining:
            raise self.bad(f"truncated: {what} wants {count:,} bytes, {self.remaining:,} are left")

    def read(self, count: int, what: str) -> bytes:
        """Exactly ``count`` bytes."""
        self.need(count, what)
        data = self._stream.read(count)
        self._advance(len(data), count)
        return data

    def unpack(self, form: str, what: str) -> tuple[Any, ...]:
        """Little-endian, unpadded values."""
        layout = struct.Struct("<" + form)
        return layout.unpack(self.read(layout.size, what))

    def array(self, kind: str, shape: tuple[int, ...], what: str) -> npt.NDArray[Any]:
        """An aligned array of its own, filled from the file. ``kind``: a numpy type code."""
        count = 1
        for length in shape:
            count *= length
        self.need(count * np.dtype(kind).itemsize, what)
        values = np.empty(shape, dtype=np.dtype(kind))
        if values.size:
            target = values.reshape(-1).view(np.uint8).data
            done = 0
            while done < len(target):
                got = self._stream.readinto(target[done:])  # type: ignore[attr-defined]
                if not got:
                    break
                done += got
            self._advance(done, len(target))
        return values

    def skip(self, count: int, what: str) -> None:
        """Passes over ``count`` bytes that are there."""
        self.need(count, what)
        self._stream.seek(count, os.SEEK_CUR)
        self._at += count

    def give_back(self, count: int) -> None:
        """Makes the last ``count`` bytes unread again."""
        self._stream.seek(-count, os.SEEK_CUR)
        self._at -= count

    def finish(self) -> None:
        """Raises DataError when anything is left."""
        if self.remaining:
            raise self.bad(f"{self.remaining:,} bytes after the end of the model")

    def _advance(self, got: int, wanted: int) -> None:
        self._at += got
        if got != wanted:
            raise self.bad("it became shorter while it was read")


@contextmanager
def open_bounded(path: Path) -> Iterator[BoundedReader]:
    """A regular file, links followed. Raises InputMissing when it cannot be opened, DataError."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise InputMissing(f"{path}: {error.strerror}") from None
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode):  # a pipe or a device has no size to check against
        os.close(handle)
        raise DataError(f"{path}: not a regular file")
    with open(handle, "rb") as stream:
        try:
            yield BoundedReader(stream, found.st_size, str(path))
        except OSError as error:
            raise DataError(f"{path}: {error.strerror}") from None
