"""A model on its way into the store: written beside its place, then renamed into it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from nlpcli.errors import CannotCreate, OutputFailed
from nlpcli.store.atomic import exchange, fsync_folder, umask, write_file
from nlpcli.store.folder import MANIFEST
from nlpcli.store.locks import NameLock
from nlpcli.store.manifest import FileEntry, Manifest, is_file_name
from nlpcli.store.states import RunStates

LEFTOVERS = (".tmp-", ".trash-")


class Draft:
    """``with store.begin(name) as draft``: write files, then publish; else nothing happened.

    On entry the lock is taken (Busy) and the place is shown to be writable (CannotCreate), so that
    both are known before any work. ``if_changed``: a model at a plain path may be just what is
    wanted; whether it may be replaced is asked by ``expect_free``, and in the end.
    """

    def __init__(
        self, place: Path, name: str | None, *, force: bool = False, wait: bool = False,
        if_changed: bool = False,
    ) -> None:  # fmt: skip
        self._name, self._force, self._wait = name, force, wait
        self._if_changed = if_changed
        self._place = place if name is not None else Path(os.path.abspath(place))
        parent = self._place.parent
        self._lock = NameLock(parent / f".{self._place.name}.lock")
        self._files: dict[str, FileEntry] = {}
        self._pending = False
        self.path = self._place
        at = self._place / ".state" if name is not None else parent / f".{self._place.name}.state"
        self.states = RunStates(at)

    @property
    def versioned(self) -> bool:
        """Whether this becomes a version of a name, or a plain path."""
        return self._name is not None

    def probe(self) -> None:
        """The checks of entering, with nothing made: for a dry run. Raises CannotCreate."""
        self._check_target(may_stand=self._if_changed)
        folder = self._place.parent
        while not os.path.lexists(folder):  # the root is there
            folder = folder.parent
        if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
            raise CannotCreate(f"{self._place}: {folder} is no folder that can be written to")

    def need(self, size: int) -> None:
        """Raises CannotCreate when the disk has not ``size`` bytes free."""
        free = shutil.disk_usage(self.path).free
        if free < size:
            raise CannotCreate(
                f"{self._place}: the model needs about {size:,} bytes, the disk has {free:,} free"
            )

    def __enter__(self) -> Self:
        beside = self._place if self._name is not None else self._place.parent
        try:
            self._place.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(wait=self._wait)
            beside.mkdir(exist_ok=True)  # under the lock: whoever held it takes an empty one away
            self._sweep(beside)
            self._check_target(may_stand=self._if_changed)
            self.path = Path(tempfile.mkdtemp(prefix=self._prefix(".tmp-"), dir=beside))
            self._pending = True
            os.chmod(self.path, 0o777 & ~umask())
        except OSError as error:
            self._release()
            raise CannotCreate(f"{self._place}: {error.strerror}") from None
        except BaseException:
            if self._lock.held:  # a signal may come between making the folder and knowing of it
                self._sweep(beside)
            self._release()
            raise
        return self

    def expect_free(self) -> None:
        """Raises CannotCreate for a model at a plain path, unless it may be replaced."""
        self._check_target(may_stand=False)

    def _check_target(self, *, may_stand: bool) -> None:
        """What is replaced must be a model, whatever ``force`` says. Raises CannotCreate."""
        if self._name is not None or not os.path.lexists(self._place):
            return
        if not self._force and not may_stand:
            raise CannotCreate(f"{self._place}: exists already", hint="--force")
        if self._place.is_symlink() or not os.path.lexists(self._place / MANIFEST):
            raise CannotCreate(f"{self._place}: is no model folder, so it is not replaced")

    def _prefix(self, kind: str) -> str:
        return kind if self._name is not None else f"{kind}{self._place.name}-"

    def _sweep(self, folder: Path) -> None:
        """Removes what dead processes left; we hold the lock, so nobody else is at work.

        A model that was set aside and not replaced, because the process died, comes back.
        """
        for kind in LEFTOVERS:
            ours = re.compile(re.escape(self._prefix(kind)) + "[a-z0-9_]+")
            for path in [p for p in folder.iterdir() if ours.fullmatch(p.name)]:
                old = path / "old"
                if kind == ".trash-" and not os.path.lexists(self._place):
                    with contextlib.suppress(OSError):
                        os.rename(old, self._place)
                shutil.rmtree(path, ignore_errors=True)

    def write(self, name: str, data: bytes) -> None:
        """Adds one file, synced, and its hash to the manifest to be. Raises OutputFailed."""
        if not is_file_name(name):
            raise ValueError(f"{name!r} is no name for a file of a model")
        self._still_open()
        write_file(self.path / name, data)
        self._files[name] = FileEntry(len(data), hashlib.sha256(data).hexdigest())

    def publish(
        self,
        *,
        kind: str,
        created_by: str,
        config: dict[str, Any],
        labels: list[str],
        data: dict[str, Any],
        seed: int,
        metrics: dict[str, Any],
        published: bool = True,
        limit: int | None = None,
    ) -> Path:
        """Manifest last, sync, one rename; gives the published path.

        Raises OutputFailed, also when all files together are of more than ``limit`` bytes.
        """
        self._still_open()
        if self._if_changed:
            self.expect_free()
        version = self._next_version() if self._name is not None else None
        manifest = Manifest(
            kind=kind,
            created_by=created_by,
            config=config,
            labels=labels,
            data=data,
            seed=seed,
            metrics=metrics,
            files=self._files,
            published=published,
            name=self._name,
            version=version,
            created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        )
        document = manifest.to_json()
        size = len(document) + sum(entry.size for entry in self._files.values())
        if limit is not None and size > limit:
            raise OutputFailed(f"{self._place}: the model has {size:,} bytes, at most {limit:,}")
        write_file(self.path / MANIFEST, document)
        target = self._place if version is None else self._place / str(version)
        try:
            fsync_folder(self.path)
            self._replace(target)
        except OSError as error:
            raise OutputFailed(f"{target}: {error.strerror}") from None
        self.path, self._pending = target, False
        return target

    def _still_open(self) -> None:
        if not self._pending:
            raise ValueError("the draft is published, or not begun")

    def _replace(self, target: Path) -> None:
        """The one step that publishes; taken back when it cannot be made durable."""
        if not os.path.lexists(target):
            os.rename(self.path, target)
            _durable_or_back(target.parent, lambda: os.rename(target, self.path))
            return
        if exchange(self.path, target):
            _durable_or_back(target.parent, lambda: exchange(self.path, target))
            shutil.rmtree(self.path, ignore_errors=True)
            return
        aside = Path(tempfile.mkdtemp(prefix=self._prefix(".trash-"), dir=target.parent))
        os.rename(target, aside / "old")
        try:
            os.rename(self.path, target)
        except OSError:
            os.rename(aside / "old", target)
            raise
        fsync_folder(target.parent)
        shutil.rmtree(aside, ignore_errors=True)

    def _next_version(self) -> int:
        used = [int(p.name) for p in self._place.iterdir() if re.fullmatch(r"[0-9]+", p.name)]
        return max(used, default=0) + 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pending:
            shutil.rmtree(self.path, ignore_errors=True)
        self._release()

    def _release(self) -> None:
        """Takes away an empty name folder, if the lock is ours, and gives the lock back."""
        if self._name is not None and self._lock.held:
            with contextlib.suppress(OSError):
                os.rmdir(self._place)
        self._lock.release()


def remove_tree(path: Path) -> None:
    """Takes a version away: renamed first, so that nobody sees it half-deleted."""
    aside = Path(tempfile.mkdtemp(prefix=".trash-", dir=path.parent))
    os.rename(path, aside / "old")
    _durable_or_back(path.parent, lambda: os.rename(aside / "old", path))
    shutil.rmtree(aside, ignore_errors=True)


def _durable_or_back(folder: Path, take_back: Callable[[], object]) -> None:
    try:
        fsync_folder(folder)
    except OSError:
        take_back()
        raise
