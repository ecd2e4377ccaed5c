"""A folder for other programs that appears whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from nlpcli.errors import CannotCreate, OutputFailed
from nlpcli.store.atomic import exchange, fsync_folder, umask, write_file


def write_plain_folder(target: Path, files: Mapping[str, bytes], *, force: bool) -> None:
    """Writes the files beside the target and renames them into it as one.

    ``force``: a folder is replaced if it holds nothing but files of these names. Raises
    CannotCreate before anything is written, OutputFailed; what was there is then as it was.
    """
    target = Path(os.path.abspath(target))
    check_folder_free(target, set(files), force=force)
    prefix = f".{target.name[:40]}.tmp-"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep_dead(target.parent, prefix)
        beside = Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent))
    except OSError as error:
        raise CannotCreate(f"{target}: {error.strerror}") from None
    try:
        _fill(beside, files, target)
    finally:
        shutil.rmtree(beside, ignore_errors=True)  # what was there, or what was not finished


def _fill(beside: Path, files: Mapping[str, bytes], target: Path) -> None:
    try:
        handle = os.open(beside, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with contextlib.suppress(OSError):  # no locks here: then nobody sweeps either
                fcntl.flock(handle, fcntl.LOCK_EX)
            os.fchmod(handle, 0o777 & ~umask())
            for name, data in files.items():
                write_file(beside / name, data)
            fsync_folder(beside)
            _publish(beside, target, set(files))
        finally:
            os.close(handle)
    except OSError as error:
        raise OutputFailed(f"{target}: {error.strerror}") from None


def _publish(beside: Path, target: Path, names: set[str]) -> None:
    """The one step; taken back when it cannot be made durable. Raises OSError."""
    if os.path.lexists(target) and exchange(beside, target):
        try:
            fsync_folder(target.parent)
        except OSError:
            exchange(beside, target)
            raise
        return
    for name in names:  # no swap in one step here: the old files go first
        with contextlib.suppress(FileNotFoundError):
            os.unlink(target / name)
    os.rename(beside, target)  # over an empty folder, or over nothing
    fsync_folder(target.parent)


def check_folder_free(target: Path, names: set[str], *, force: bool) -> None:
    """Whether it may be written: not there, or with ``force`` a folder of files so called.

    Raises CannotCreate.
    """
    if not os.path.lexists(target):
        return
    if not force:
        raise CannotCreate(f"{target}: exists already", hint="--force")
    if target.is_symlink() or not target.is_dir():
        raise CannotCreate(f"{target}: is no folder, so it is not replaced")
    try:
        others = sorted(set(os.listdir(target)) - names)
    except OSError as error:
        raise CannotCreate(f"{target}: {error.strerror}") from None
    if others:
        raise CannotCreate(f"{target}: holds {others[0]} too, so it is not replaced")


def _sweep_dead(folder: Path, prefix: str) -> None:
    """Removes what killed writers left; a living one holds a lock on its folder."""
    left = re.compile(re.escape(prefix) + "[a-z0-9_]{8}")
    for name in filter(left.fullmatch, os.listdir(folder)):
        with contextlib.suppress(OSError):
            handle = os.open(folder / name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder / name, ignore_errors=True)
            finally:
                os.close(handle)
