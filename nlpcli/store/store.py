"""The checkpoint store: names with numbered versions, each published by one rename.

Layout: STORE/NAME/1, STORE/NAME/2, …; STORE/NAME/pinned holds a version number. A version that is
there is complete: it was renamed into place after everything in it was synced, manifest last.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from nlpcli.errors import (
    DataError,
    InputMissing,
    NlpcliError,
    OutputFailed,
    UsageError,
    nearest,
    shown,
)
from nlpcli.store.draft import LEFTOVERS, Draft, remove_tree
from nlpcli.store.folder import ModelFolder
from nlpcli.store.locks import NameLock

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,100}")
_VERSION = re.compile(r"[1-9][0-9]{0,8}")
_TRIES = 5  # of a reader that meets versions being pruned


@dataclass(frozen=True)
class ModelSpec:
    """What was typed for a model: a name, perhaps with a version, or a path."""

    name: str | None = None
    version: int | None = None
    path: Path | None = None


@dataclass(frozen=True)
class Entry:
    """One version in the store; ``problem`` says why it does not load, if so."""

    name: str
    version: int
    path: Path
    pinned: bool
    folder: ModelFolder | None
    problem: str | None


def parse_spec(text: str) -> ModelSpec:
    """``spam``, ``spam@3``, or a path (has a / or starts with a dot). Raises UsageError."""
    if "/" in text or text.startswith("."):
        return ModelSpec(path=Path(text))
    name, at, version = text.partition("@")
    if not _NAME.fullmatch(name) or (at and not _VERSION.fullmatch(version)):
        raise UsageError(
            f"model {shown(text)}: wanted NAME, NAME@VERSION or a path with a /",
            hint="names have letters, digits, . _ -",
        )
    return ModelSpec(name=name, version=int(version) if at else None)


class Store:
    """All models below one folder. Reading needs no lock."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def names(self) -> list[str]:
        """Names with at least one version."""
        found = (name for name in _names_in(self.root) if _NAME.fullmatch(name))
        return sorted(name for name in found if self.versions(name))

    def versions(self, name: str) -> list[int]:
        """Version numbers of a name, ascending; broken ones too."""
        found = _names_in(self.root / name)
        return sorted(int(version) for version in found if _VERSION.fullmatch(version))

    def pinned(self, name: str) -> int | None:
        """The pinned version of a name, if there is one. Raises DataError on a bad pin."""
        path = self.root / name / "pinned"
        try:
            if not stat.S_ISREG(os.lstat(path).st_mode):
                raise DataError(f"{path}: not a regular file")
            with open(path, "rb") as stream:
                text = stream.read(100).decode("ascii", "replace").strip()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise DataError(f"{path}: {error.strerror}") from None
        if not _VERSION.fullmatch(text):
            raise DataError(f"{path}: {shown(text)}, wanted a version number")
        return int(text)

    def open(self, text: str) -> tuple[ModelFolder, list[str]]:
        """The model meant, verified, and warnings about newer ones that do not verify.

        A bare name is the pinned version, else the newest published one that verifies. Raises
        InputMissing when there is none, DataError when a version or path that was asked for, or
        every version, does not verify.
        """
        spec = parse_spec(text)
        if spec.path is not None:
            return _verified_path(spec.path), []
        assert spec.name is not None
        for _ in range(_TRIES - 1):
            versions = self.versions(spec.name)
            try:
                return self._open_name(spec.name, spec.version, versions)
            except NlpcliError:
                if self.versions(spec.name) == versions:
                    raise
        return self._open_name(spec.name, spec.version, self.versions(spec.name))

    def _open_name(
        self, name: str, version: int | None, versions: list[int]
    ) -> tuple[ModelFolder, list[str]]:
        wanted = version or self.pinned(name)
        if not versions or (wanted is not None and wanted not in versions):
            raise self._missing(name, wanted, versions)
        if wanted is not None:
            return self._verified(name, wanted), []
        return self._newest(name, versions)

    def _verified(self, name: str, version: int) -> ModelFolder:
        path = self.root / name / str(version)
        if path.is_symlink():
            raise DataError(f"{path}: a symbolic link, wanted a folder")
        return _verified(path)

    def _newest(self, name: str, versions: list[int]) -> tuple[ModelFolder, list[str]]:
        warnings: list[str] = []
        for version in reversed(versions):
            try:
                folder = self._verified(name, version)
            except NlpcliError as error:
                # Pruned while we looked is no damage.
                if os.path.lexists(self.root / name / str(version)):
                    warnings.append(f"{name}@{version} is skipped: {error.message}")
                continue
            if folder.manifest.published:
                return folder, warnings
        raise DataError(warnings[0] if warnings else f"{name}: no version is published")

    def _missing(self, name: str, wanted: int | None, versions: list[int]) -> InputMissing:
        if versions:
            there = ", ".join(map(str, versions[-10:]))
            return InputMissing(f"{name}@{wanted}: no such version in {self.root}; there: {there}")
        names = self.names()
        near = nearest(name, names)
        there = ", ".join(names[:10]) or "none"
        return InputMissing(
            f"{name}: no such model in {self.root}; there: {there}",
            hint=f"did you mean {near}?" if near else None,
        )

    def entries(self) -> list[Entry]:
        """Every version of every name; only manifests are read."""
        return [
            self._entry(name, version) for name in self.names() for version in self.versions(name)
        ]

    def _entry(self, name: str, version: int) -> Entry:
        path = self.root / name / str(version)
        pinned = self.pinned(name) == version
        try:
            return Entry(name, version, path, pinned, ModelFolder(path), None)
        except NlpcliError as error:
            return Entry(name, version, path, pinned, None, error.message)

    def begin(self, text: str, *, force: bool = False, wait: bool = False) -> Draft:
        """A draft of the next version of a name, or of a plain path; use it in a ``with``."""
        spec = parse_spec(text)
        if spec.version is not None:
            raise UsageError(
                f"--output {text}: a version is never changed", hint=f"--output {spec.name}"
            )
        if spec.path is not None:
            return Draft(spec.path, None, force=force, wait=wait)
        assert spec.name is not None
        return Draft(self.root / spec.name, spec.name, wait=wait)

    def prune(self, name: str, keep: int) -> tuple[list[int], list[str]]:
        """Removes versions older than the newest ``keep`` published ones that verify.

        The pinned one stays too. Gives the versions removed and warnings about broken ones.
        Nothing is removed when fewer than ``keep`` verify. Raises UsageError for ``keep`` below 1,
        InputMissing, Busy, DataError when none verifies, OutputFailed.
        """
        if keep < 1:
            raise UsageError(f"--keep {keep}: wanted 1 or more")
        if not self.versions(name):
            raise self._missing(name, None, [])
        lock = NameLock(self.root / f".{name}.lock")
        lock.acquire()
        try:
            good, warnings = self._newest_good(name, keep)
            if not good:
                raise DataError(f"{name}: no version verifies; nothing is removed")
            spared = {*good, self.pinned(name)}
            removed = [v for v in self.versions(name) if v < good[-1] and v not in spared]
            if len(good) < keep:
                removed = []
            for version in removed:
                self._remove(name, version)
            self._sweep(name)
            return removed, warnings
        finally:
            lock.release()

    def _newest_good(self, name: str, keep: int) -> tuple[list[int], list[str]]:
        """The newest published versions that verify, at most ``keep``; warnings on others."""
        good: list[int] = []
        warnings: list[str] = []
        for version in reversed(self.versions(name)):
            if len(good) == keep:
                break
            try:
                if self._verified(name, version).manifest.published:
                    good.append(version)
            except NlpcliError as error:
                warnings.append(f"{name}@{version} does not verify: {error.message}")
        return good, warnings

    def _remove(self, name: str, version: int) -> None:
        path = self.root / name / str(version)
        try:
            remove_tree(path)
        except OSError as error:
            raise OutputFailed(f"{path}: not removed: {error.strerror}") from None

    def sweep(self, name: str) -> None:
        """Removes what dead processes left under a name. Raises Busy when somebody is at work."""
        if not (self.root / name).is_dir():
            return
        lock = NameLock(self.root / f".{name}.lock")
        lock.acquire()
        try:
            self._sweep(name)
        finally:
            lock.release()

    def _sweep(self, name: str) -> None:
        for entry in _names_in(self.root / name):
            if entry.startswith(LEFTOVERS):
                shutil.rmtree(self.root / name / entry, ignore_errors=True)


def _names_in(folder: Path) -> list[str]:
    """What lies in a folder; nothing when it is none. Raises InputMissing when it is closed."""
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise InputMissing(f"{folder}: {error.strerror}") from None


def _verified(path: Path) -> ModelFolder:
    folder = ModelFolder(path)
    folder.verify()
    return folder


def _verified_path(path: Path) -> ModelFolder:
    """As ``_verified``, once more when the folder was replaced by another while it was read."""
    for _ in range(_TRIES - 1):
        before = _identity(path)
        try:
            return _verified(path)
        except NlpcliError:
            if _identity(path) == before:
                raise
    return _verified(path)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
