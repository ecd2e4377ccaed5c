"""The checkpoint store: names with numbered versions, each published by one rename.

Layout: STORE/NAME/1, STORE/NAME/2, …; STORE/NAME/pinned holds a version number. A version that is
there is complete: it was renamed into place after everything in it was synced, manifest last.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
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
from nlpcli.store.pins import VERSION, read_pin, remove_pin, write_pin

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,100}")
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
    if not _NAME.fullmatch(name) or (at and not VERSION.fullmatch(version)):
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
        return sorted(int(version) for version in found if VERSION.fullmatch(version))

    def pinned(self, name: str) -> int | None:
        """The pinned version of a name, if there is one. Raises DataError on a bad pin."""
        return read_pin(self.root / name)

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
        pinned = False
        try:
            pinned = self.pinned(name) == version
            return Entry(name, version, path, pinned, ModelFolder(path), None)
        except NlpcliError as error:
            return Entry(name, version, path, pinned, None, error.message)

    def begin(
        self, text: str, *, force: bool = False, wait: bool = False, if_changed: bool = False
    ) -> Draft:
        """A draft of the next version of a name, or of a plain path; use it in a ``with``."""
        spec = parse_spec(text)
        if spec.version is not None:
            raise UsageError(
                f"--output {text}: a version is never changed", hint=f"--output {spec.name}"
            )
        if spec.path is not None:
            return Draft(spec.path, None, force=force, wait=wait, if_changed=if_changed)
        assert spec.name is not None
        return Draft(self.root / spec.name, spec.name, wait=wait)

    def pin(self, name: str, version: int | None) -> tuple[int, list[str]]:
        """Makes a bare name mean this version, or for None the one it means now.

        Gives the version and warnings. Raises InputMissing, DataError when it does not verify,
        Busy, OutputFailed.
        """
        with self._locked(name):
            folder, warnings = self.open(name if version is None else f"{name}@{version}")
            found = int(folder.path.name)
            write_pin(self.root / name, found)
            return found, warnings

    def unpin(self, name: str) -> bool:
        """Makes a bare name mean its newest version again; False when none was pinned."""
        with self._locked(name):
            return remove_pin(self.root / name)

    def rollback(self, name: str) -> tuple[int, int | None, list[str]]:
        """Pins the newest published version that verifies and is older than the one in use.

        Gives that version, the one that was in use (None when that does not load) and warnings.
        Raises InputMissing, Busy, OutputFailed, DataError when there is none older.
        """
        with self._locked(name):
            versions = self.versions(name)
            try:
                used: int | None = self.pinned(name) or int(self.open(name)[0].path.name)
            except DataError:
                used = None
            before = [v for v in versions if used is None or v < used]
            good, warnings = self._good(name, before, 1)
            if not good:
                there = ", ".join(map(str, versions[-10:]))
                raise DataError(
                    f"{name}: no published version older than {used} verifies; there: {there}"
                )
            write_pin(self.root / name, good[0])
            return good[0], used, warnings

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        """Holds the lock of a name that has versions. Raises InputMissing, Busy."""
        if not self.versions(name):
            raise self._missing(name, None, [])
        lock = NameLock(self.root / f".{name}.lock")
        lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def prune(self, name: str, keep: int, *, dry_run: bool = False) -> tuple[list[int], list[str]]:
        """Removes versions older than the newest ``keep`` published ones that verify.

        The pinned one stays too, and of unpublished versions the newest ``keep``. Gives the
        versions removed and warnings about broken ones. Of the others none is removed when fewer
        than ``keep`` verify. Raises UsageError for ``keep`` below 1, InputMissing, Busy, DataError
        when there are others and none verifies, OutputFailed.
        """
        if keep < 1:
            raise UsageError(f"--keep {keep}: wanted 1 or more")
        with self._locked(name):
            versions = self.versions(name)
            good, warnings = self._good(name, versions, keep)
            refused = [v for v in versions if self._is_unpublished(name, v)]
            if not good and len(refused) < len(versions):
                raise DataError(f"{name}: no version verifies; nothing is removed")
            spared = {*good, *refused[-keep:], self.pinned(name)}
            before = good[-1] if len(good) == keep else 0
            old = [v for v in versions if v < before or v in refused]
            removed = [v for v in old if v not in spared]
            if not dry_run:
                for version in removed:
                    self._remove(name, version)
                self._sweep(name)
            return removed, warnings

    def _good(self, name: str, versions: list[int], keep: int) -> tuple[list[int], list[str]]:
        """The newest published of ``versions`` that verify, at most ``keep``; and warnings."""
        good: list[int] = []
        warnings: list[str] = []
        for version in reversed(versions):
            if len(good) == keep:
                break
            try:
                if self._verified(name, version).manifest.published:
                    good.append(version)
            except NlpcliError as error:
                warnings.append(f"{name}@{version} does not verify: {error.message}")
        return good, warnings

    def _is_unpublished(self, name: str, version: int) -> bool:
        try:
            return not ModelFolder(self.root / name / str(version)).manifest.published
        except NlpcliError:
            return False

    def _remove(self, name: str, version: int) -> None:
        path = self.root / name / str(version)
        try:
            remove_tree(path)
        except OSError as error:
            raise OutputFailed(f"{path}: not removed: {error.strerror}") from None

    def sweep(self, name: str) -> None:
        """Removes what dead processes left under a name. Raises Busy when somebody is at work."""
        if self.versions(name):
            with self._locked(name):
                self._sweep(name)

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
