"""One model folder, read with suspicion: regular files only, size and SHA-256 checked."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from nlpcli.errors import DataError, InputMissing
from nlpcli.store.manifest import LARGEST, Manifest

MANIFEST = "manifest.json"


class ModelFolder:
    """A model folder with its manifest; ``read`` gives only bytes that verify."""

    def __init__(self, path: Path) -> None:
        """Reads the manifest. Raises InputMissing when there is none, DataError when it is bad."""
        self.path = path
        self._verified: dict[str, bytes] = {}
        where = path / MANIFEST
        if not os.path.isdir(path):
            raise InputMissing(f"{path}: no such model")
        if not os.path.lexists(where):
            raise DataError(f"{where}: missing, so this is no model")
        self.manifest = Manifest.from_json(_read_regular(where, LARGEST), str(where))

    def read(self, name: str) -> bytes:
        """The content of a file that the manifest lists. Raises DataError when it differs."""
        if name in self._verified:
            return self._verified.pop(name)
        entry = self.manifest.files.get(name)
        where = self.path / name
        if entry is None:
            raise DataError(f"{where}: not listed in the manifest")
        data = _read_regular(where, entry.size)
        if len(data) != entry.size:
            what = "truncated" if len(data) < entry.size else "too long"
            raise DataError(f"{where}: {what}, {len(data)} bytes, the manifest says {entry.size}")
        if hashlib.sha256(data).hexdigest() != entry.sha256:
            raise DataError(f"{where}: SHA-256 mismatch; the file was changed or damaged")
        return data

    def verify(self) -> None:
        """Reads every listed file. Raises DataError for the first that differs.

        What was read is kept for the next ``read`` of it: bytes that are used are bytes that were
        checked, and no file is hashed twice.
        """
        self._verified.clear()
        for name in sorted(self.manifest.files):
            self._verified[name] = self.read(name)


def _read_regular(path: Path, limit: int) -> bytes:
    """At most ``limit`` + 1 bytes of a regular file; links, pipes and devices stay unopened."""
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            raise DataError(f"{path}: not a regular file")
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(handle, "rb") as stream:  # buffered: one system call stops at 2 GiB
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode):  # exchanged in between
                raise DataError(f"{path}: not a regular file")
            return stream.read(min(found.st_size, limit + 1))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None
