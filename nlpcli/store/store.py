"""The checkpoint store: names with numbered versions, each published by one rename.

Layout: STORE/NAME/1, STORE/NAME/2, …; STORE/NAME/pinned holds a version number. A version that is
there is complete: it was renamed into place after everything in it was synced, manifest last.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from nlpcli.errors import DataError, InputMissing, NlpcliError, UsageError, nearest, shown
from nlpcli.store.draft import LEFTOVERS, Draft, remove_tree
from nlpcli.store.folder import ModelFolder
from nlpcli.store.locks import NameLock

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,100}")


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
    if not _NAME.fullmatch(name) or (at and not re.fullmatch(r"[1-9][0-9]{0,8}", version)):
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
        if not self.root.is_dir():
            return []
        found = (p.name for p in self.root.iterdir() if p.is_dir() and _NAME.fullmatch(p.name))
        return sorted(name for name in found if self.versions(name))

    def versions(self, name: str) -> list[int]:
        """Version numbers of a name, ascending; broken ones too."""
        folder = self.root / name
        if not folder.is_dir():
            return []
        return sorted(
            int(p.name) for p in folder.iterdir() if re.fullmatch(r"[1-9][0-9]{0,8}", p.name)
        )

    def pinned(self, name: str) -> int | None:
        """The pinned version of a name, if there is one. Raises DataError on a bad pin."""
        path = self.root / name / "pinned"
        try:
            text = path.read_text("ascii", "replace").strip()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise DataError(f"{path}: {error.strerror}") from None
        if not re.fullmatch(r"[1-9][0-9]{0,8}", text):
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
            return _verified(spec.path), []
        assert spec.name is not None
        versions = self.versions(spec.name)
        wanted = spec.version or self.pinned(spec.name)
        if not versions or (wanted is not None and wanted not in versions):
            raise self._missing(spec.name, wanted, versions)
        if wanted is not None:
            return _verified(self.root / spec.name / str(wanted)), []
        return self._newest(spec.name, versions)

    def _newest(self, name: str, versions: list[int]) -> tuple[ModelFolder, list[str]]:
        warnings: list[str] = []
        for version in reversed(versions):
            try:
                folder = _verified(self.root / name / str(version))
            except NlpcliError as error:
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
        """Removes versions older than the newest ``keep`` that verify; never the pinned one.

        Gives the versions removed and warnings. Nothing is removed when no version verifies.
        """
        if not self.versions(name):
            raise self._missing(name, None, [])
        lock = NameLock(self.root / f".{name}.lock")
        lock.acquire()
        try:
            good: list[int] = []
            warnings: list[str] = []
            for version in reversed(self.versions(name)):
                if len(good) == keep:
                    break
                try:
                    if _verified(self.root / name / str(version)).manifest.published:
                        good.append(version)
                except NlpcliError as error:
                    warnings.append(f"{name}@{version} does not verify: {error.message}")
            if not good:
                raise DataError(f"{name}: no version verifies; nothing is removed")
            spared = {*good, self.pinned(name)}
            removed = [v for v in self.versions(name) if v < good[-1] and v not in spared]
            if len(good) < keep:
                removed = []
            for version in removed:
                remove_tree(self.root / name / str(version))
            self._sweep(name)
            return removed, warnings
        finally:
            lock.release()

    def _sweep(self, name: str) -> None:
        for path in (self.root / name).iterdir():
            if path.name.startswith(LEFTOVERS):
                shutil.rmtree(path, ignore_errors=True)


def _verified(path: Path) -> ModelFolder:
    folder = ModelFolder(path)
    folder.verify()
    return folder
