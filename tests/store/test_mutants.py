"""The order of syncs and renames, exactly: a lost one is noticed even where no power fails."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nlpcli.errors import OutputFailed
from nlpcli.store import atomic, draft
from nlpcli.store.atomic import AtomicFile
from nlpcli.store.states import RunState, RunStates
from nlpcli.store.store import Store

ABOUT: dict[str, Any] = {
    "kind": "t", "created_by": "t", "config": {}, "labels": ["a"], "data": {}, "seed": 1,
    "metrics": {},
}  # fmt: skip


def publish(store: Store, spec: str, *, force: bool = False, published: bool = True) -> Path:
    with store.begin(spec, force=force) as made:
        made.write("w.bin", b"w")
        return made.publish(**ABOUT, published=published)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


class Record:
    """The calls that make files durable or visible, in order; ``fail`` names one that fails."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
        self.calls: list[str] = []
        self.fail = ""
        self._root = root
        real_sync = os.fsync

        def sync(handle: int) -> None:
            self._note("sync", os.readlink(f"/proc/self/fd/{handle}"))
            real_sync(handle)

        monkeypatch.setattr(os, "fsync", sync)
        for name in ("rename", "replace"):
            monkeypatch.setattr(os, name, self._noted("move", getattr(os, name)))
        exchange = self._noted("swap", atomic.exchange)
        monkeypatch.setattr(atomic, "exchange", exchange)
        monkeypatch.setattr(draft, "exchange", exchange)

    def _noted(self, what: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(one: Any, other: Any) -> Any:
            self._note(what, one, other)
            return real(one, other)

        return call

    def _note(self, what: str, *paths: Any) -> None:
        call = " ".join([what, *(self._plain(Path(path)) for path in paths)])
        self.calls.append(call)
        if call == self.fail:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def _plain(self, path: Path) -> str:
        """Below the root; the random part of temporary names as a star."""
        parts = path.relative_to(self._root).parts
        return "/".join(p[:-8] + "*" if ".tmp-" in p or ".trash-" in p else p for p in parts) or "."


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Record:
    return Record(monkeypatch, tmp_path)


def test_a_version_is_synced_before_and_after_its_name_appears(
    store: Store, record: Record
) -> None:
    publish(store, "m")
    at = "store/m/.tmp-*"
    assert record.calls == [
        f"sync {at}/w.bin", f"sync {at}/manifest.json", f"sync {at}",
        f"move {at} store/m/1", "sync store/m",
    ]  # fmt: skip


def test_a_plain_model_is_synced_and_swapped(
    store: Store, record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, at = str(tmp_path / "p"), ".tmp-p-*"
    written = [f"sync {at}/w.bin", f"sync {at}/manifest.json", f"sync {at}"]
    publish(store, spec)
    assert record.calls == [*written, f"move {at} p", "sync ."]
    record.calls.clear()
    publish(store, spec, force=True)
    assert record.calls == [*written, f"swap {at} p", "sync ."]
    record.calls.clear()
    monkeypatch.setattr(draft, "exchange", lambda *_: False)
    publish(store, spec, force=True)
    assert record.calls == [
        *written, "move p .trash-p-*/old", f"move {at} p", "sync .",
    ]  # fmt: skip


def test_files_states_and_removals_are_synced(store: Store, record: Record, tmp_path: Path) -> None:
    with AtomicFile(tmp_path / "out") as stream:
        stream.write(b"x")
    assert record.calls == ["sync .out.tmp-*", "move .out.tmp-* out", "sync ."]
    record.calls.clear()
    with AtomicFile(tmp_path / "out") as stream:
        stream.write(b"y")
    assert record.calls == ["sync .out.tmp-*", "swap .out.tmp-* out", "sync ."]
    record.calls.clear()
    RunStates(tmp_path / "s").save(3, RunState({}, {"w": np.ones(2)}, {}))
    at = "s/.3.state.tmp-*"
    assert record.calls == [f"sync {at}", f"move {at} s/3.state", "sync s", "sync ."]
    for _ in range(2):
        publish(store, "m")
    store.pin("m", 2)
    record.calls.clear()
    store.unpin("m")
    store.prune("m", 1)
    assert record.calls == ["sync store/m", "move store/m/1 store/m/.trash-*/old", "sync store/m"]


def test_a_name_that_cannot_be_made_durable_is_taken_back(
    store: Store, record: Record, tmp_path: Path
) -> None:
    spec = str(tmp_path / "p")
    record.fail = "sync store/m"
    with pytest.raises(OutputFailed, match="Input/output"):
        publish(store, "m")
    assert store.versions("m") == []
    record.fail = "sync ."
    with pytest.raises(OutputFailed):
        publish(store, spec)
    assert not (tmp_path / "p").exists()
    record.fail = ""
    inode = publish(store, spec).stat().st_ino
    for _ in range(2):
        publish(store, "m")
    record.fail = "sync ."
    with pytest.raises(OutputFailed):
        publish(store, spec, force=True)
    assert (tmp_path / "p").stat().st_ino == inode
    assert sorted(os.listdir(tmp_path)) == [".p.lock", "p", "store"]
    record.fail = "sync store/m"
    with pytest.raises(OutputFailed):
        store.prune("m", 1)
    assert store.versions("m") == [1, 2]


def test_a_replacement_that_fails_halfway_is_taken_back(
    store: Store, record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draft, "exchange", lambda *_: False)
    inode = publish(store, str(tmp_path / "p")).stat().st_ino
    record.fail = "move .tmp-p-* p"
    with pytest.raises(OutputFailed):
        publish(store, str(tmp_path / "p"), force=True)
    assert (tmp_path / "p").stat().st_ino == inode
