"""Bytes in: a path or stdin, packed or not, in blocks as they arrive."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import sys
from collections.abc import Iterator

from nlpcli.data.packed import may_be_packed, packing_of, unpacked
from nlpcli.errors import DataError, InputMissing, shown

BLOCK = 1 << 18
_LONGEST_NAME = 4096


class Source:
    """An open input. ``blocks`` yields what has arrived, unpacked; ``sha256`` is over those bytes.

    Raises InputMissing when it cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self.name = self.name_of(path)
        self._digest = hashlib.sha256()
        self._opened: os.stat_result | None = None
        self._is_own = path != "-"
        self.plain_size: int | None = None
        """Bytes of a regular file that is not packed; known when its first block was yielded."""
        self.n_read = 0
        """Bytes read so far, as they are packed."""
        self._handle = self._open(path) if self._is_own else _stdin()

    @staticmethod
    def name_of(path: str) -> str:
        """How a path is called in messages."""
        return "<stdin>" if path == "-" else shown(path, _LONGEST_NAME)

    def _open(self, path: str) -> int:
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            status = os.fstat(handle)
            if stat.S_ISDIR(status.st_mode):
                os.close(handle)
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise InputMissing(f"{self.name}: {reason}") from None
        if stat.S_ISREG(status.st_mode):
            self._opened = status
        return handle

    def blocks(self) -> Iterator[bytes]:
        """Unpacked bytes, never empty; recognises gzip, bzip2, xz and zstd by their first bytes.

        Raises InputMissing when reading fails; DataError for damaged packed data, and at the end
        of a file that was written to meanwhile.
        """
        raw = self._raw()
        head = b""
        for block in raw:
            head += block
            # "text\n" alone is an answerable header: wait only for what may still be a packed file
            if not may_be_packed(head):
                break
        packing = packing_of(head, self.name)
        if packing is None and self._opened is not None:
            self.plain_size = self._opened.st_size or None  # files of the kernel's own say 0
        stream = _chain(head, raw)
        for block in stream if packing is None else unpacked(stream, packing, self.name):
            self._digest.update(block)
            yield block

    def sha256(self) -> str:
        """Of all bytes yielded so far, in hexadecimal."""
        return self._digest.hexdigest()

    @property
    def size(self) -> int | None:
        """Bytes of a regular file, as it is packed; None for what does not say."""
        return self._opened.st_size or None if self._opened is not None else None

    def close(self) -> None:
        """Closes the file, if it is still open; stdin stays as it is."""
        if self._is_own:
            self._is_own = False
            os.close(self._handle)

    def _raw(self) -> Iterator[bytes]:
        while True:
            try:
                block = os.read(self._handle, BLOCK)
            except OSError as error:
                raise InputMissing(f"{self.name}: {error.strerror}") from None
            if not block:
                break
            self.n_read += len(block)
            yield block
        if self._opened is not None:
            self._expect_unchanged(self._opened, self.n_read)

    def _expect_unchanged(self, before: os.stat_result, total: int) -> None:
        after = os.fstat(self._handle)
        # files of the kernel's own say 0 bytes whatever they hold
        said = before.st_size or after.st_size or total
        if total != said:
            raise DataError(
                f"{self.name}: changed while it was read: {total:,} bytes, "
                f"{before.st_size:,} when it was opened"
            )
        if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise DataError(f"{self.name}: changed while it was read: it was written to")


def _stdin() -> int:
    if sys.stdin is None:
        raise InputMissing("<stdin>: closed")
    return sys.stdin.fileno()


def _chain(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from rest
