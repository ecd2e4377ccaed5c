"""Files that appear whole or not at all: written beside the target, synced, renamed over it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, cast

from nlpcli.errors import CannotCreate, OutputFailed


def fsync_folder(folder: Path) -> None:
    """Makes the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


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
        raise OutputFailed(f"{path}: {error.strerror}; {len(data):,} bytes needed") from None


class AtomicFile:
    """``with AtomicFile(path) as stream``: the target is replaced when the block ends well.

    Raises CannotCreate on entry when the target cannot be made, OutputFailed when writing, syncing
    or renaming fails; the old file is then as it was and no temporary file is left.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._temporary = ""
        self._stream: BinaryIO | None = None

    def __enter__(self) -> BinaryIO:
        target = self.path
        if target.is_dir():
            raise CannotCreate(f"{target}: Is a directory")
        try:
            handle, self._temporary = tempfile.mkstemp(
                prefix=f".{target.name[:100]}.tmp-", dir=target.parent
            )
        except OSError as error:
            raise CannotCreate(f"{target}: {error.strerror}") from None
        mask = os.umask(0)
        os.umask(mask)
        os.fchmod(handle, 0o666 & ~mask)
        self._stream = cast(BinaryIO, os.fdopen(handle, "wb"))
        return self._stream

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._stream is not None
        try:
            if kind is None:
                self._stream.flush()
                os.fsync(self._stream.fileno())
                self._stream.close()
                os.replace(self._temporary, self.path)
                fsync_folder(self.path.parent)
        except OSError as failure:
            self._discard()
            raise OutputFailed(f"{self.path}: {failure.strerror}") from None
        if kind is not None:
            self._discard()
            if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
                raise OutputFailed(f"{self.path}: {error.strerror}") from None

    def _discard(self) -> None:
        assert self._stream is not None
        for cleanup in (self._stream.close, lambda: os.unlink(self._temporary)):
            try:
                cleanup()
            except OSError:
                continue
