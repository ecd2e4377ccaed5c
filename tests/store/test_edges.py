"""Checks that seldom matter: each here decides."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from nlpcli.errors import Busy, CannotCreate, DataError, InputMissing, NlpcliError
from nlpcli.store import atomic
from nlpcli.store.atomic import AtomicFile
from nlpcli.store.draft import Draft
from nlpcli.store.folder import ModelFolder
from nlpcli.store.locks import NameLock
from nlpcli.store.manifest import FileEntry, Manifest
from nlpcli.store.pins import read_pin, write_pin
from nlpcli.store.states import RunStates
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


# Files


def test_without_the_system_call_there_is_no_exchange(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert atomic.exchange(tmp_path / "a", tmp_path / "b") is False


def test_the_file_of_a_living_writer_is_not_swept(tmp_path: Path) -> None:
    dead = tmp_path / ".out.tmp-abcdefgh"
    dead.touch()
    with AtomicFile(tmp_path / "out") as first:
        first.write(b"first")
        with AtomicFile(tmp_path / "out") as second:
            second.write(b"second")
    assert (tmp_path / "out").read_bytes() == b"first"
    assert os.listdir(tmp_path) == ["out"]


def test_reasons() -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    found = [atomic._reason(error) for error in (full, OSError("odd"), OSError())]
    assert found == ["No space left on device", "odd", "OSError"]


def test_what_cannot_be_replaced_is_named(tmp_path: Path) -> None:
    with pytest.raises(CannotCreate, match="Is a directory"), AtomicFile(tmp_path):
        pytest.fail("entered")
    with pytest.raises(CannotCreate, match="a pipe or a device"), AtomicFile(Path("/dev/null")):
        pytest.fail("entered")


# Drafts


def test_a_dry_run_looks_where_it_would_write(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.touch(mode=0o777)
    file.chmod(0o777)
    for place in (file / "m", file / "deep" / "m"):
        with pytest.raises(CannotCreate, match="no folder that can be written to"):
            Draft(place, None).probe()
    Draft(tmp_path / "none" / "m", None).probe()
    Draft(store.root / "m", "m").probe()
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(CannotCreate, match="no folder that can be written to"):
        Draft(tmp_path / "m", None).probe()


def test_a_disk_too_small_is_told_before(store: Store) -> None:
    with store.begin("m") as made:
        made.need(1)
        made.need(shutil.disk_usage(store.root).free // 2)
        with pytest.raises(CannotCreate, match="needs about 1,000"):
            made.need(10**30)


def test_force_does_not_replace_a_link(store: Store, tmp_path: Path) -> None:
    publish(store, str(tmp_path / "real"))
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(CannotCreate, match="no model folder"):
        publish(store, str(tmp_path / "link"), force=True)
    assert (tmp_path / "link").is_symlink()


def test_only_a_model_set_aside_comes_back(store: Store, tmp_path: Path) -> None:
    """Not a half-written one, and not over what is there, be it an empty folder."""
    half = tmp_path / ".tmp-m-abcdefgh" / "old"
    half.mkdir(parents=True)
    with store.begin(str(tmp_path / "m")):
        assert not (tmp_path / "m").exists() and not half.exists()
    (tmp_path / "m").mkdir()
    aside = tmp_path / ".trash-m-abcdefgh" / "old"
    aside.mkdir(parents=True)
    (aside / "manifest.json").touch()
    with pytest.raises(CannotCreate), store.begin(str(tmp_path / "m"), force=True):
        pytest.fail("entered")
    assert list((tmp_path / "m").iterdir()) == []


def test_folders_of_others_are_not_taken_away(store: Store, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(CannotCreate), store.begin(str(tmp_path / "empty"), force=True):
        pytest.fail("entered")
    assert (tmp_path / "empty").is_dir()
    (store.root / "m").mkdir(parents=True)
    lock = NameLock(store.root / ".m.lock")
    lock.acquire()
    with pytest.raises(Busy), store.begin("m"):
        pytest.fail("entered")
    assert (store.root / "m").is_dir()
    lock.release()


# Reading


def test_a_folder_without_a_manifest_is_no_model(store: Store, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="missing, so this is no model"):
        ModelFolder(tmp_path)
    with pytest.raises(InputMissing, match="no such model"):
        ModelFolder(tmp_path / "none")


def test_a_file_exchanged_for_a_pipe_while_it_is_opened(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = publish(store, "m") / "w.bin"
    regular = os.lstat(path)
    path.unlink()
    os.mkfifo(path)
    real = os.lstat
    monkeypatch.setattr(os, "lstat", lambda p, **k: regular if Path(p) == path else real(p, **k))
    with pytest.raises(DataError, match=r"w\.bin: not a regular file"):
        ModelFolder(path.parent).read("w.bin")


def test_what_a_lock_file_held_before_is_gone(tmp_path: Path) -> None:
    path = tmp_path / ".m.lock"
    path.write_text("9" * 50)
    lock = NameLock(path)
    lock.acquire()
    assert path.read_text() == f"{os.getpid()}\n"
    lock.release()


@pytest.mark.parametrize(
    "data, reason",
    [
        (b"[]", "no JSON object"),
        (b'{"a": 1, "a": 2}', "duplicate key"),
        (b'{"a": NaN}', "NaN is no number of JSON"),
        (b" " * (16 * 2**20 + 1), "at most 16,777,216"),
        (b'{"format_version": 2}', "format version 2; this program reads up to 1"),
    ],
)
def test_reasons_of_manifests(data: bytes, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        Manifest.from_json(data, "m")


def test_a_manifest_too_large_is_not_written() -> None:
    with pytest.raises(DataError, match="at most"):
        Manifest(**ABOUT | {"labels": ["x" * (16 * 2**20)]}).to_json()


@pytest.mark.parametrize("key", ["name", "version"])
def test_a_key_that_may_be_null_may_not_be_missing(key: str) -> None:
    from nlpcli.store.manifest import _build

    document = Manifest(**ABOUT).__dict__ | {"files": {}}
    del document[key]
    with pytest.raises(DataError, match=f"{key} is missing"):
        _build(document, "m")


@pytest.mark.parametrize("value", [3, {"size": 1, "sha256": 3}, {"size": 1}, ["size", "sha256"],
                                   {"size": 1, "sha256": "0" * 64, "x": 1}])  # fmt: skip
def test_entries_of_the_wrong_type(value: object) -> None:
    from nlpcli.store.manifest import _file_entry

    assert _file_entry("a", {"size": 1, "sha256": "0" * 64}, "m") == FileEntry(1, "0" * 64)
    with pytest.raises(DataError, match="entry of a: wanted size and sha256"):
        _file_entry("a", value, "m")


# Pins, versions


def test_a_pin_is_a_regular_file(store: Store, tmp_path: Path) -> None:
    folder = publish(store, "m").parent
    (tmp_path / "outside").write_text("1")
    (folder / "pinned").symlink_to(tmp_path / "outside")
    with pytest.raises(DataError, match="not a regular file"):
        read_pin(folder)
    with pytest.raises(CannotCreate, match="not a regular file"):
        write_pin(folder, 1)
    assert (tmp_path / "outside").read_text() == "1"
    (folder / "pinned").unlink()
    (folder / "pinned").mkdir()
    with pytest.raises(CannotCreate, match="not a regular file"):
        write_pin(folder, 1)


def test_rolling_back(store: Store) -> None:
    with pytest.raises(InputMissing):
        store.rollback("m")
    for _ in range(4):
        publish(store, "m")
    assert store.rollback("m")[:2] == (3, 4)
    assert store.rollback("m")[:2] == (2, 3)
    assert store.pinned("m") == 2
    store.unpin("m")
    (store.root / "m" / "pinned").write_text("no number")
    assert store.rollback("m")[:2] == (4, None)
    (store.root / "m" / "pinned").write_text("1")
    with pytest.raises(DataError, match="no published version older than 1"):
        store.rollback("m")


def test_rolling_back_from_a_broken_pin_goes_to_an_older_version(store: Store) -> None:
    for _ in range(3):
        publish(store, "m")
    store.pin("m", 2)
    (store.root / "m" / "2" / "w.bin").write_bytes(b"x")
    assert store.rollback("m")[:2] == (1, 2)


def test_a_state_is_a_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "3.state")
    state, warnings = RunStates(tmp_path).newest()
    assert state is None
    assert warnings and "not a regular file" in warnings[0]


def test_pruning_takes_refused_versions_too(store: Store) -> None:
    for published in (True, False, False, True, False, False):
        publish(store, "m", published=published)
    assert store.prune("m", 1, dry_run=True)[0] == [1, 2, 3, 5]
    assert store.prune("m", 1)[0] == [1, 2, 3, 5]
    assert store.versions("m") == [4, 6]


def test_what_does_not_change_is_tried_once(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = publish(store, "m")
    (path / "w.bin").write_bytes(b"x")
    plain = shutil.copytree(path, tmp_path / "plain")
    tries = []
    real = ModelFolder.verify
    monkeypatch.setattr(ModelFolder, "verify", lambda self: (tries.append(1), real(self)))
    for spec in ("m@1", str(plain)):
        tries.clear()
        with pytest.raises(NlpcliError):
            store.open(spec)
        assert len(tries) == 1
