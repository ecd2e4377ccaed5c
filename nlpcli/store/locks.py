"""One writer a name: a kernel lock, gone with its process, so never stale."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from nlpcli.errors import Busy, CannotCreate


class NameLock:
    """Exclusive lock on a file, held until ``release`` or the end of the process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = None

    def acquire(self, *, wait: bool = False) -> None:
        """Takes the lock. Raises Busy naming the holder, unless ``wait``; CannotCreate."""
        try:
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise CannotCreate(f"{self.path}: {error.strerror}") from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            holder = os.pread(handle, 20, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(handle)
            raise Busy(
                f"{self.path.name[1:-5]}: process {holder} is writing this model", hint="--wait"
            ) from None
        try:
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        except OSError:  # only the message for others suffers
            pass
        self._handle = handle

    def release(self) -> None:
        """Gives the lock back; harmless when it is not held."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
