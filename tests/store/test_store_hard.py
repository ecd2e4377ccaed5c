"""The store: a version that is there is whole, and only what verifies is served."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nlpcli.errors import (
    Busy,
    CannotCreate,
    DataError,
    InputMissing,
    OutputFailed,
    UsageError,
)
from nlpcli.store.folder import ModelFolder
from nlpcli.store.store import ModelSpec, Store, parse_spec

META: dict[str, Any] = {
    "kind": "fasttext",
    "created_by": "nlpcli 0.1",
    "config": {"dim": 3},
    "labels": ["ham", "spam"],
    "data": {"rows": 2},
    "seed": 1,
    "metrics": {"macro_f1": 0.5},
}
FILES = {"model.safetensors": bytes(range(40)), "tokenizer.json": b'{"words": []}'}


def publish(store: Store, spec: str, *, published: bool = True, force: bool = False) -> Path:
    with store.begin(spec, force=force) as draft:
        for name, data in FILES.items():
            draft.write(name, data)
        return draft.publish(**META, published=published)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(".lock")
    }


def damage(folder: Path, name: str = "model.safetensors") -> None:
    data = bytearray((folder / name).read_bytes())
    data[0] ^= 1
    (folder / name).write_bytes(data)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models")


# Names


@pytest.mark.parametrize(
    "text, spec",
    [
        ("spam", ModelSpec(name="spam")),
        ("spam@3", ModelSpec(name="spam", version=3)),
        ("a.b-c_1", ModelSpec(name="a.b-c_1")),
        ("./spam", ModelSpec(path=Path("spam"))),
        ("x/spam@3", ModelSpec(path=Path("x/spam@3"))),
        ("..", ModelSpec(path=Path(".."))),
    ],
)
def test_specs(text: str, spec: ModelSpec) -> None:
    assert parse_spec(text) == spec


@pytest.mark.parametrize(
    "text", ["", "@", "spam@", "spam@0", "spam@-1", "spam@x", "-x", "a b", "ä", "a\n", "a" * 200]
)
def test_bad_specs(text: str) -> None:
    with pytest.raises(UsageError):
        parse_spec(text)


# Publishing and opening


def test_versions_count_up_and_the_newest_is_served(store: Store) -> None:
    assert [publish(store, "spam").name for _ in range(3)] == ["1", "2", "3"]
    folder, warnings = store.open("spam")
    assert (folder.path.name, warnings, folder.manifest.version) == ("3", [], 3)
    assert {name: folder.read(name) for name in FILES} == FILES
    assert store.open("spam@1")[0].manifest.version == 1
    assert sorted(os.listdir(store.root / "spam")) == ["1", "2", "3"]
    assert store.versions("spam") == [1, 2, 3] and store.names() == ["spam"]


def test_ten_comes_after_nine_and_numbers_are_not_reused(store: Store) -> None:
    for _ in range(10):
        publish(store, "spam")
    assert store.open("spam")[0].path.name == "10"
    store.prune("spam", 1)
    assert publish(store, "spam").name == "11"


def test_unpublished_versions_are_served_only_when_asked_for(store: Store) -> None:
    publish(store, "spam")
    publish(store, "spam", published=False)
    assert store.open("spam")[0].path.name == "1"
    assert store.open("spam@2")[0].path.name == "2"


def test_a_broken_newer_one_is_skipped_with_a_warning(store: Store) -> None:
    first = publish(store, "spam")
    damage(publish(store, "spam"))
    (publish(store, "spam") / "manifest.json").unlink()
    folder, warnings = store.open("spam")
    assert folder.path == first
    assert [w.partition(" ")[0] for w in warnings] == ["spam@3", "spam@2"]
    assert "SHA-256 mismatch" in warnings[1]
    with pytest.raises(DataError, match="SHA-256 mismatch"):
        store.open("spam@2")
    damage(first)
    with pytest.raises(DataError):
        store.open("spam")


def test_the_pinned_version_is_served(store: Store) -> None:
    first = publish(store, "spam")
    publish(store, "spam")
    pin = store.root / "spam" / "pinned"
    pin.write_text("1\n")
    assert store.open("spam")[0].path == first
    damage(first)
    with pytest.raises(DataError):
        store.open("spam")
    for bad in ("", "x", "0", "1" * 200):
        pin.write_text(bad)
        with pytest.raises(DataError, match="pinned"):
            store.open("spam")
    pin.write_text("7")
    with pytest.raises(InputMissing, match=r"spam@7.*there: 1, 2"):
        store.open("spam")
    pin.unlink()
    os.mkfifo(pin)
    with pytest.raises(DataError, match="not a regular file"):
        store.open("spam")


def test_what_is_missing_names_what_is_there(store: Store) -> None:
    with pytest.raises(InputMissing, match="there: none"):
        store.open("spam")
    publish(store, "spam")
    publish(store, "other")
    with pytest.raises(InputMissing, match="there: other, spam") as caught:
        store.open("spum")
    assert caught.value.hint is not None and "spam" in caught.value.hint
    with pytest.raises(InputMissing, match=r"spam@2.*there: 1"):
        store.open("spam@2")
    with pytest.raises(InputMissing):
        store.open(str(store.root / "none"))


def test_entries(store: Store) -> None:
    publish(store, "a")
    (publish(store, "a") / "manifest.json").write_bytes(b"{")
    (store.root / "a" / "pinned").write_text("1")
    (store.root / "stray").touch()
    first, second = store.entries()
    assert (first.name, first.version, first.pinned, first.problem) == ("a", 1, True, None)
    assert second.folder is None and second.problem is not None and not second.pinned


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_mode_is_by_umask(store: Store, umask: int) -> None:
    before = os.umask(umask)
    try:
        path = publish(store, "spam")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o777 & ~umask
    for file in path.iterdir():
        assert file.stat().st_mode & 0o777 == 0o666 & ~umask


# Damage


def test_every_cut_is_refused(store: Store) -> None:
    path = publish(store, "spam")
    for file in sorted(path.iterdir()):
        data = file.read_bytes()
        for length in range(len(data)):
            file.write_bytes(data[:length])
            with pytest.raises(DataError) as caught:
                store.open("spam@1")
            if file.name != "manifest.json":
                assert f"truncated, {length} bytes, the manifest says {len(data)}" in str(
                    caught.value
                )
        file.write_bytes(data + b"\0")
        with pytest.raises(DataError):
            store.open("spam@1")
        file.write_bytes(data)
    store.open("spam@1")


def test_flipped_bits_are_refused(store: Store) -> None:
    path = publish(store, "spam")
    files = sorted(path.iterdir())
    draw = random.Random(5)
    for _ in range(2000):
        file = draw.choice(files)
        data = file.read_bytes()
        flipped = bytearray(data)
        flipped[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        file.write_bytes(flipped)
        with pytest.raises(DataError):
            store.open(str(path))
        file.write_bytes(data)
    store.open(str(path))


def test_missing_files_and_extra_files(store: Store) -> None:
    path = publish(store, "spam")
    (path / "README").write_text("x")
    folder = store.open("spam@1")[0]
    with pytest.raises(DataError, match="not listed"):
        folder.read("README")
    with pytest.raises(DataError, match="not listed"):
        folder.read("../1/model.safetensors")
    (path / "tokenizer.json").unlink()
    with pytest.raises(DataError, match=r"tokenizer\.json"):
        store.open("spam@1")


@pytest.mark.parametrize("name", ["model.safetensors", "manifest.json"])
def test_links_pipes_and_folders_are_not_opened(store: Store, tmp_path: Path, name: str) -> None:
    path = publish(store, "spam")
    file = path / name
    (tmp_path / "outside").write_bytes(file.read_bytes())
    file.unlink()
    makers: list[Callable[[], object]] = [
        lambda: file.symlink_to(tmp_path / "outside"),
        lambda: file.symlink_to("/dev/zero"),
        lambda: os.mkfifo(file),
        lambda: file.mkdir(),
    ]
    for make in makers:
        make()
        with pytest.raises(DataError, match=name):
            store.open("spam@1")
        if file.is_dir():
            file.rmdir()
        else:
            file.unlink()


def test_a_version_that_is_a_link_is_refused(store: Store, tmp_path: Path) -> None:
    publish(store, "spam")
    outside = publish(store, str(tmp_path / "outside"))
    (store.root / "spam" / "2").symlink_to(outside)
    folder, warnings = store.open("spam")
    assert folder.path.name == "1" and "symbolic link" in warnings[0]
    with pytest.raises(DataError, match="symbolic link"):
        store.open("spam@2")


# Drafts


def test_targets_that_are_refused_before_any_work(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="never changed"):
        store.begin("spam@3")
    (tmp_path / "file").touch()
    with pytest.raises(CannotCreate), Store(tmp_path / "file").begin("spam"):
        pytest.fail("entered")
    with pytest.raises(CannotCreate), store.begin("/proc/none/model"):
        pytest.fail("entered")


def test_a_plain_path_is_replaced_only_by_force(store: Store, tmp_path: Path) -> None:
    spec = str(tmp_path / "plain")
    path = publish(store, spec)
    assert path == tmp_path / "plain" and store.open(spec)[0].manifest.version is None
    with pytest.raises(CannotCreate, match="exists already") as caught:
        publish(store, spec)
    assert caught.value.hint == "--force"
    inode = path.stat().st_ino
    publish(store, spec, force=True)
    assert path.stat().st_ino != inode
    store.open(spec)
    assert [n for n in os.listdir(tmp_path) if not n.endswith(".lock")] == ["plain"]


def test_two_drafts(store: Store) -> None:
    publish(store, "spam")
    with store.begin("spam") as draft:
        with pytest.raises(Busy, match=f"spam: process {os.getpid()} "), store.begin("spam"):
            pytest.fail("entered")
        with store.begin("other"):
            pass
        with pytest.raises(Busy):
            store.prune("spam", 1)
        with pytest.raises(Busy):
            store.sweep("spam")
        assert draft.path.is_dir()
    with store.begin("spam"):
        pass


@pytest.mark.parametrize("error", [RuntimeError(), KeyboardInterrupt()])
def test_an_abandoned_draft_leaves_nothing(store: Store, error: BaseException) -> None:
    publish(store, "spam")
    before = contents(store.root)
    with pytest.raises(type(error)), store.begin("spam") as draft:
        draft.write("x.bin", b"x")
        raise error
    with store.begin("new"):
        pass
    assert contents(store.root) == before
    assert sorted(n for n in os.listdir(store.root) if not n.endswith(".lock")) == ["spam"]
    assert os.listdir(store.root / "spam") == ["1"]


def outcome(store: Store) -> str:
    try:
        publish(store, "spam")
    except OutputFailed as error:
        return error.message
    return ""


@pytest.mark.parametrize("call", ["fsync", "rename"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_every_failing_call(
    store: Store, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    """The n-th call fails, for each n: exit 74, earlier versions as they were, no leftovers."""
    publish(store, "spam")
    before = contents(store.root / "spam" / "1")
    real = getattr(os, call)
    for failing in range(20):
        left = [failing]

        def fails(*arguments: Any, left: list[int] = left) -> Any:
            left[0] -= 1
            if left[0] == -1:
                raise OSError(number, os.strerror(number))
            return real(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(os, call, fails)
            said = outcome(store)
        if not said:
            break
        assert os.strerror(number) in said
        assert contents(store.root / "spam" / "1") == before
        assert all(name.isdecimal() for name in os.listdir(store.root / "spam"))
        store.open("spam")
    assert failing >= (3 if call == "fsync" else 1)


def test_a_model_without_room(store: Store) -> None:
    publish(store, "spam")
    with pytest.raises(OutputFailed, match="No space left"), store.begin("spam") as draft:
        (draft.path / "x.bin").symlink_to("/dev/full")
        draft.write("x.bin", b"x" * 100)
    assert os.listdir(store.root / "spam") == ["1"]


# Pruning


def test_prune_keeps_the_newest_good_ones_and_the_pinned(store: Store) -> None:
    for _ in range(7):
        publish(store, "spam")
    damage(store.root / "spam" / "6")
    (store.root / "spam" / "pinned").write_text("2")
    removed, warnings = store.prune("spam", 2)
    assert removed == [1, 3, 4] and len(warnings) == 1 and "spam@6" in warnings[0]
    assert store.versions("spam") == [2, 5, 6, 7]
    assert store.prune("spam", 2)[0] == []


def test_prune_removes_nothing_without_a_good_one(store: Store) -> None:
    for _ in range(3):
        damage(publish(store, "spam"))
    with pytest.raises(DataError):
        store.prune("spam", 1)
    with pytest.raises(UsageError, match="--keep 0"):
        store.prune("spam", 0)
    with pytest.raises(InputMissing):
        store.prune("none", 1)
    assert store.versions("spam") == [1, 2, 3]


def test_sweep(store: Store) -> None:
    publish(store, "spam")
    for name in (".tmp-abcdefgh", ".trash-abcdefgh"):
        (store.root / "spam" / name).mkdir()
        (store.root / "spam" / name / "x").touch()
    store.sweep("spam")
    store.sweep("none")
    assert os.listdir(store.root / "spam") == ["1"]


READ = """
import sys
from pathlib import Path
from nlpcli.store.store import Store
store, done = Store(Path(sys.argv[1])), Path(sys.argv[2])
n = 0
while n < 20 or not done.exists():
    folder, warnings = store.open(sys.argv[3])
    assert not warnings, warnings
    for name in folder.manifest.files:
        assert len(folder.read(name)) == folder.manifest.files[name].size
    n += 1
"""


@pytest.mark.parametrize("plain", [pytest.param(False, marks=pytest.mark.slow), True])
def test_readers_while_versions_come_and_go(store: Store, tmp_path: Path, plain: bool) -> None:
    spec = str(tmp_path / "plain") if plain else "spam"
    publish(store, spec)
    arguments = [sys.executable, "-c", READ, str(store.root), str(tmp_path / "done"), spec]
    readers = [subprocess.Popen(arguments, stderr=subprocess.PIPE) for _ in range(2)]
    for _ in range(150):
        publish(store, spec, force=plain)
        if not plain:
            store.prune("spam", 1)
    (tmp_path / "done").touch()
    for reader in readers:
        _, stderr = reader.communicate()
        assert reader.returncode == 0, stderr.decode()


# Kills

TRAIN = """
import sys
from pathlib import Path
from nlpcli.store.store import Store
store = Store(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    with store.begin(sys.argv[2], force=True) as draft:
        draft.write("model.safetensors", b"x" * 1_000_000)
        draft.write("tokenizer.json", b"y" * 1000)
        draft.publish(kind="fasttext", created_by="t", config={}, labels=["a"], data={}, seed=1,
            metrics={})
    if "/" not in sys.argv[2]:
        store.prune("spam", 2)
"""


def killed_after(seconds: float, store: Store, spec: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", TRAIN, str(store.root), spec], stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None and child.stdout.readline() == b"ready\n"
        time.sleep(seconds)
        child.send_signal(signal.SIGKILL)


def test_a_kill_at_any_moment_loses_no_version(store: Store) -> None:
    publish(store, "spam")
    draw = random.Random(3)
    for _ in range(25):
        killed_after(draw.uniform(0, 0.05), store, "spam")
        for version in store.versions("spam"):
            store.open(f"spam@{version}")
        _, warnings = store.open("spam")
        assert warnings == []
    publish(store, "spam")
    names = os.listdir(store.root / "spam")
    assert all(name.isdecimal() for name in names), names


def test_a_kill_at_any_moment_keeps_the_plain_model(store: Store, tmp_path: Path) -> None:
    spec = str(tmp_path / "plain")
    publish(store, spec)
    draw = random.Random(4)
    for _ in range(15):
        killed_after(draw.uniform(0, 0.04), store, spec)
        store.open(spec)
    publish(store, spec, force=True)
    store.open(spec)
    assert sorted(os.listdir(tmp_path)) == [".plain.lock", "plain"]


# What draft.py and folder.py must do


def test_a_model_read_after_it_was_pruned(store: Store) -> None:
    publish(store, "spam")
    folder = store.open("spam")[0]
    publish(store, "spam")
    assert store.prune("spam", 1)[0] == [1]
    assert {name: folder.read(name) for name in FILES} == FILES


def test_a_draft_beside_another_is_not_swept(store: Store, tmp_path: Path) -> None:
    with store.begin(str(tmp_path / "m-x")) as draft:
        publish(store, str(tmp_path / "m"))
        assert draft.path.is_dir()


def test_a_model_set_aside_by_a_killed_process_comes_back(store: Store, tmp_path: Path) -> None:
    path = publish(store, str(tmp_path / "m"))
    aside = tmp_path / ".trash-m-abcdefgh"
    aside.mkdir()
    path.rename(aside / "old")
    with pytest.raises(CannotCreate, match="exists already"):
        publish(store, str(path))
    store.open(str(path))


def test_force_replaces_only_models(store: Store, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "letters").write_text("dear")
    with pytest.raises(CannotCreate, match="no model"):
        publish(store, str(home), force=True)
    assert (home / "letters").read_text() == "dear"


def test_a_waiting_draft_finds_its_folder(store: Store) -> None:
    code = TRAIN.replace("force=True", "wait=True").replace("while True", "for _ in range(1)")
    with store.begin("spam"):
        child = subprocess.Popen([sys.executable, "-c", code, str(store.root), "spam"])
        time.sleep(0.4)
    assert child.wait() == 0
    store.open("spam@1")


@pytest.mark.parametrize("name", ["..", "a/b", "/tmp/x", "", "manifest.json", ".x"])
def test_names_of_files(store: Store, name: str) -> None:
    with pytest.raises(ValueError), store.begin("spam") as draft:
        draft.write(name, b"x")
    assert store.names() == []


def test_a_published_draft_is_closed(store: Store) -> None:
    with store.begin("spam") as draft:
        draft.write("x.bin", b"x")
        path = draft.publish(**META)
        with pytest.raises(ValueError):
            draft.write("x.bin", b"y")
        with pytest.raises(ValueError):
            draft.publish(**META)
    ModelFolder(path).verify()


def test_a_plain_model_with_the_name_of_a_temporary(store: Store, tmp_path: Path) -> None:
    path = publish(store, str(tmp_path / ".tmp-m"))
    store.open(str(path))


def test_no_room_for_the_temporary_folder(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("tempfile.mkdtemp", full)
    with pytest.raises(CannotCreate, match="No space left"), store.begin("spam"):
        pytest.fail("entered")
