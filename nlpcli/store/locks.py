"""One writer a name: a kernel lock, gone with its process, so never stale."""

from __future__ import annotations

import contextlib
import fcntl
import os
import weakref
from collections.abc import Callable
from pathlib import Path

from nlpcli.errors import Busy, CannotCreate


class NameLock:
    """Exclusive lock on a file, held until ``release`` or the end of the process.

    Worker processes forked meanwhile do not keep it alive.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = None
        ours = weakref.WeakMethod(self.release)
        os.register_at_fork(after_in_child=lambda: _call(ours()))

    @property
    def held(self) -> bool:
        """Whether this process has it."""
        return self._handle is not None

    def acquire(self, *, wait: bool = False) -> None:
        """Takes the lock. Raises Busy naming the holder, unless ``wait``; CannotCreate."""
        while self._handle is None:
            handle = self._open()
            try:
                self._lock(handle, wait)
                if not self._still_there(handle):
                    os.close(handle)
                    continue
            except BaseException:
                os.close(handle)
                raise
            self._handle = handle
        with contextlib.suppress(OSError):  # only the message for others suffers
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, f"{os.getpid()}\n".encode(), 0)

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            return os.open(self.path, flags, 0o666)
        except OSError as error:
            raise CannotCreate(f"{self.path}: {error.strerror}") from None

    def _lock(self, handle: int, wait: bool) -> None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            holder = os.pread(handle, 20, 0).decode("ascii", "replace").strip()
            holder = holder if holder.isdecimal() else "unknown"
            raise Busy(
                f"{self.path.name[1:-5]}: process {holder} is writing this model", hint="--wait"
            ) from None
        except OSError as error:
            raise CannotCreate(f"{self.path}: no lock: {error.strerror}") from None

    def _still_there(self, handle: int) -> bool:
        """Whether the locked file is still the one with this name, and not removed meanwhile."""
        try:
            return os.path.samestat(os.fstat(handle), os.lstat(self.path))
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Gives the lock back; harmless when it is not held."""
        if self._handle is not None:
            with contextlib.suppress(OSError):  # what a close reports, the number of the holder
                os.close(self._handle)
            self._handle = None


def _call(function: Callable[[], None] | None) -> None:
    if function is not None:
        function()
