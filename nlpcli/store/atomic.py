"""Files that appear whole or not at all: written beside the target, synced, renamed over it."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import re
import stat
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, cast

from nlpcli.errors import CannotCreate, OutputFailed


def fsync_folder(folder: Path) -> None:
    """Makes the names in a folder durable. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def exchange(one: Path, other: Path) -> bool:
    """Swaps two names in one step; False where the system cannot."""
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None)
    here, swap = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return renameat2 is not None and (
        renameat2(here, os.fsencode(one), here, os.fsencode(other), swap) == 0
    )


def write_file(path: Path, data: bytes) -> None:
    """Writes a new file and syncs it; for files inside a draft, which is renamed as a whole.

    Raises OutputFailed on a full disk or an I/O error.
    """
    try:
        with open(path, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise OutputFailed(f"{path}: {_reason(error)}; {len(data):,} bytes needed") from None


class AtomicFile:
    """``with AtomicFile(path) as stream``: the target is replaced when the block ends well.

    Raises CannotCreate on entry when the target cannot be made (a folder, a pipe or a device,
    no such folder, not writable), OutputFailed when writing, syncing or renaming fails; the old
    file is then as it was and no temporary file is left. A target that is a link stays a link;
    the file it leads to is replaced.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._target = path
        self._temporary = ""
        self._stream: BinaryIO | None = None

    def __enter__(self) -> BinaryIO:
        try:
            self._target = _replaceable(self.path)
            handle = self._open_temporary()
            self._stream = cast(BinaryIO, os.fdopen(handle, "wb"))
            os.fchmod(handle, 0o666 & ~umask())
        except OSError as error:
            self._discard()
            raise CannotCreate(f"{self.path}: {_reason(error)}") from None
        except BaseException:
            self._discard()
            raise
        return self._stream

    def _open_temporary(self) -> int:
        """A new file beside the target, locked while its writer lives; those of dead ones go."""
        prefix = f".{self._target.name[:40]}.tmp-"
        _sweep_dead(self._target.parent, prefix)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        while True:
            # known before it is made: a signal may come right after that
            self._temporary = str(self._target.parent / f"{prefix}{os.urandom(4).hex()}")
            try:
                handle = os.open(self._temporary, flags, 0o600)
            except FileExistsError:
                continue
            with contextlib.suppress(OSError):  # no locks here: then nobody sweeps either
                fcntl.flock(handle, fcntl.LOCK_EX)
            if os.fstat(handle).st_nlink:  # nobody took it for dead before it was locked
                return handle
            os.close(handle)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._commit()
            return
        self._discard()
        # An error with a file name is about opening another file, not about writing this one.
        if (
            isinstance(error, OSError)
            and error.filename is None
            and not isinstance(error, BrokenPipeError)
        ):
            raise OutputFailed(f"{self.path}: {_reason(error)}") from None

    def _commit(self) -> None:
        assert self._stream is not None
        try:
            self._stream.flush()
            os.fsync(self._stream.fileno())
            self._stream.close()
            self._replace()
        except OSError as failure:
            self._discard()
            raise OutputFailed(f"{self.path}: {_reason(failure)}") from None
        except BaseException:
            self._discard()
            raise

    def _replace(self) -> None:
        """Puts the new file in place of the old; takes that back when it cannot be made durable."""
        temporary, target = Path(self._temporary), self._target
        had_old = os.path.lexists(target)
        exchanged = had_old and exchange(temporary, target)
        if not exchanged:
            os.replace(temporary, target)
        try:
            fsync_folder(target.parent)
        except OSError:
            if exchanged:
                exchange(temporary, target)
            elif not had_old:
                os.rename(target, temporary)
            raise
        if exchanged:
            with contextlib.suppress(OSError):  # swept by the next writer
                os.unlink(temporary)

    def _discard(self) -> None:
        if self._stream is not None:
            with contextlib.suppress(OSError):  # closing flushes, which fails on a full disk
                self._stream.close()
        if self._temporary:
            with contextlib.suppress(OSError):
                os.unlink(self._temporary)


def _sweep_dead(folder: Path, prefix: str) -> None:
    dead = re.compile(re.escape(prefix) + "[a-z0-9_]{8}")
    with contextlib.suppress(OSError):  # a folder may be writable and not readable
        for name in filter(dead.fullmatch, os.listdir(folder)):
            _remove_if_dead(folder / name)


def _remove_if_dead(path: Path) -> None:
    try:
        handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(path)
    except OSError:
        pass
    finally:
        os.close(handle)


def _replaceable(path: Path) -> Path:
    """Where a link leads. Raises CannotCreate for what a rename must not replace, OSError."""
    target = Path(os.path.realpath(path))
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        return target
    if stat.S_ISDIR(mode):
        raise CannotCreate(f"{path}: Is a directory")
    if not stat.S_ISREG(mode):
        raise CannotCreate(f"{path}: a pipe or a device, wanted a regular file")
    return target


def umask() -> int:
    """The process's file mode mask; it can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _reason(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__
