"""STORE/NAME/pinned: the version that a bare name means, whatever is newer."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from nlpcli.errors import CannotCreate, DataError, OutputFailed, shown
from nlpcli.store.atomic import AtomicFile, fsync_folder

VERSION = re.compile(r"[1-9][0-9]{0,8}")
PINNED = "pinned"


def read_pin(folder: Path) -> int | None:
    """The pinned version of a name, None when none is. Raises DataError on a bad pin."""
    path = folder / PINNED
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            raise DataError(f"{path}: not a regular file")
        with open(path, "rb") as stream:
            text = stream.read(100).decode("ascii", "replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None
    if not VERSION.fullmatch(text):
        raise DataError(f"{path}: {shown(text)}, wanted a version number")
    return int(text)


def write_pin(folder: Path, version: int) -> None:
    """Pins a version: from one moment to the next. Raises OutputFailed, CannotCreate."""
    path = folder / PINNED
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise CannotCreate(f"{path}: not a regular file")
    with AtomicFile(path) as stream:
        stream.write(f"{version}\n".encode())


def remove_pin(folder: Path) -> bool:
    """Takes the pin away; False when there was none. Raises OutputFailed."""
    path = folder / PINNED
    try:
        os.unlink(path)
        fsync_folder(folder)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise OutputFailed(f"{path}: {error.strerror}") from None
    return True
