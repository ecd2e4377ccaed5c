import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nlpcli.errors import (
    Busy,
    CannotCreate,
    DataError,
    InputMissing,
    OutputFailed,
    UsageError,
)
from nlpcli.store import atomic
from nlpcli.store.atomic import AtomicFile
from nlpcli.store.draft import Draft
from nlpcli.store.manifest import Manifest
from nlpcli.store.store import Store, parse_spec

ABOUT = {
    "kind": "test", "created_by": "nlpcli 0", "config": {"a": 1}, "labels": ["x", "我"],
    "data": {"rows": 3}, "seed": 1, "metrics": {"accuracy": 0.5},
}  # fmt: skip


def publish(store: Store, spec: str, data: bytes = b"weights", **more: object) -> Path:
    with store.begin(spec, force=bool(more.pop("force", False))) as draft:
        draft.write("w.bin", data)
        return draft.publish(**{**ABOUT, **more})  # type: ignore[arg-type]


def test_versions_count_up_and_the_newest_is_meant(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    assert publish(store, "spam", b"one") == tmp_path / "store" / "spam" / "1"
    publish(store, "spam", b"two")
    folder, warnings = store.open("spam")
    assert (folder.read("w.bin"), warnings) == (b"two", [])
    assert store.open("spam@1")[0].read("w.bin") == b"one"
    assert folder.manifest.labels == ["x", "我"]
    assert [(e.name, e.version) for e in store.entries()] == [("spam", 1), ("spam", 2)]
    (tmp_path / "store" / "spam" / "pinned").write_text("1")
    assert store.open("spam")[0].read("w.bin") == b"one"


def test_a_newer_broken_version_is_skipped_with_a_warning(tmp_path: Path) -> None:
    store = Store(tmp_path)
    publish(store, "spam", b"one")
    broken = publish(store, "spam", b"two")
    (broken / "w.bin").write_bytes(b"twp")
    folder, warnings = store.open("spam")
    assert folder.read("w.bin") == b"one"
    assert "spam@2 is skipped" in warnings[0]
    for spec in ("spam@2", str(broken)):
        with pytest.raises(DataError, match="SHA-256 mismatch"):
            store.open(spec)


def test_an_unpublished_version_is_not_meant_by_the_name(tmp_path: Path) -> None:
    store = Store(tmp_path)
    publish(store, "spam", b"one")
    publish(store, "spam", b"two", published=False)
    assert store.open("spam")[0].read("w.bin") == b"one"
    assert store.open("spam@2")[0].read("w.bin") == b"two"


def test_missing_models_name_what_is_there(tmp_path: Path) -> None:
    store = Store(tmp_path)
    publish(store, "spam")
    with pytest.raises(InputMissing, match="there: spam") as caught:
        store.open("spma")
    assert caught.value.hint == "did you mean spam?"
    with pytest.raises(InputMissing, match=r"no such version.*there: 1"):
        store.open("spam@7")
    with pytest.raises(InputMissing):
        store.open(str(tmp_path / "nothing"))


@pytest.mark.parametrize("text", ["", "a b", "spam@0", "spam@x", "-x", "é"])
def test_bad_names(text: str) -> None:
    with pytest.raises(UsageError):
        parse_spec(text)


def test_a_plain_path_needs_force_to_be_replaced(tmp_path: Path) -> None:
    store, path = Store(tmp_path / "s"), str(tmp_path / "model")
    publish(store, path, b"one")
    with pytest.raises(CannotCreate, match="exists"):
        publish(store, path, b"two")
    publish(store, path, b"two", force=True)
    assert store.open(path)[0].read("w.bin") == b"two"
    assert sorted(p.name for p in tmp_path.iterdir()) == [".model.lock", "model"]


def test_a_kill_between_the_two_renames_of_a_replacement_is_healed(tmp_path: Path) -> None:
    store, path = Store(tmp_path / "s"), tmp_path / "model"
    publish(store, str(path), b"one")
    aside = tmp_path / ".trash-model-abc"
    aside.mkdir()
    path.rename(aside / "old")
    with store.begin(str(path), force=True):
        assert store.open(str(path))[0].read("w.bin") == b"one"


def test_a_failed_run_changes_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    publish(store, "spam", b"one")
    with pytest.raises(RuntimeError), store.begin("spam") as draft:
        draft.write("w.bin", b"half")
        raise RuntimeError
    with pytest.raises(RuntimeError), store.begin("fresh"):
        raise RuntimeError
    assert sorted(os.listdir(tmp_path / "spam")) == ["1"]
    assert store.names() == ["spam"]


def test_two_writers_of_one_name(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.begin("spam"):
        with pytest.raises(Busy, match=f"process {os.getpid()}"), store.begin("spam"):
            pass
        with store.begin("other"):
            pass
    with store.begin("spam"):
        pass


def test_an_unwritable_place_is_found_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotCreate), Store(tmp_path / "file" / "store").begin("spam"):
        pass
    with pytest.raises(UsageError, match="never changed"):
        Store(tmp_path).begin("spam@2")


@pytest.mark.parametrize("call", ["write", "fsync", "rename"])
def test_a_full_disk_is_74_and_leaves_the_old_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    store = Store(tmp_path)
    publish(store, "spam", b"one")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OutputFailed, match="No space left"):
        if call == "write":
            patch.setattr(atomic, "open", lambda *a: full(), raising=False)
        else:
            patch.setattr(os, call, full)
        publish(store, "spam", b"two")
    assert store.open("spam")[0].read("w.bin") == b"one"
    assert sorted(os.listdir(tmp_path / "spam")) == ["1"]


def test_every_cut_and_many_bit_flips_are_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    model = publish(store, "spam", b"some weights")
    drawn = random.Random(1)
    for path in sorted(model.iterdir()):
        whole = path.read_bytes()
        wrong = [whole[:n] for n in range(len(whole))]
        for _ in range(600):
            at = drawn.randrange(len(whole) * 8)
            flipped = bytearray(whole)
            flipped[at // 8] ^= 1 << at % 8
            wrong.append(bytes(flipped))
        for data in [*wrong, whole + b" x"]:
            path.write_bytes(data)
            with pytest.raises(DataError):
                store.open("spam@1")
        path.write_bytes(whole)
    store.open("spam@1")


def test_links_pipes_and_outward_names_are_not_opened(tmp_path: Path) -> None:
    store = Store(tmp_path)
    model = publish(store, "spam")
    (model / "w.bin").unlink()
    (tmp_path / "secret").write_bytes(b"weights")
    (model / "w.bin").symlink_to(tmp_path / "secret")
    with pytest.raises(DataError, match=r"w\.bin"):
        store.open("spam@1")
    (model / "w.bin").unlink()
    os.mkfifo(model / "w.bin")
    with pytest.raises(DataError, match="not a regular file"):
        store.open("spam@1")
    for name in ("../x", "/etc/passwd", "a/b", ".."):
        with pytest.raises(DataError, match="not a plain name"):
            Manifest.from_json(_sealed(name), "m")


def _sealed(name: str) -> bytes:
    from nlpcli.store.manifest import FileEntry

    return Manifest(**ABOUT, files={name: FileEntry(1, "0")}).to_json()  # type: ignore[arg-type]


def test_a_newer_format_says_so() -> None:
    data = _sealed("w").replace(b'"format_version": 1', b'"format_version": 9')
    with pytest.raises(DataError, match="format version 9; this program reads up to 1"):
        Manifest.from_json(data, "m")


def test_prune_keeps_the_newest_good_ones_and_the_pinned(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for i in range(6):
        publish(store, "spam", bytes([i]))
    (tmp_path / "spam" / "pinned").write_text("1")
    (tmp_path / "spam" / "6" / "w.bin").write_bytes(b"bad")
    removed, warnings = store.prune("spam", keep=2)
    assert removed == [2, 3]
    assert store.versions("spam") == [1, 4, 5, 6]
    assert "spam@6" in warnings[0]
    shutil.rmtree(tmp_path / "spam" / "5")
    for v in (1, 4):
        (tmp_path / "spam" / str(v) / "w.bin").write_bytes(b"bad")
    with pytest.raises(DataError, match="nothing is removed"):
        store.prune("spam", keep=1)
    assert store.versions("spam") == [1, 4, 6]


def test_prune_takes_refused_versions_while_few_are_published(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for i in range(4):
        publish(store, "spam", bytes([i]), published=False)
    assert store.prune("spam", keep=3) == ([1], [])
    publish(store, "spam")
    publish(store, "spam", published=False)
    assert store.prune("spam", keep=2) == ([2, 3], [])
    assert store.versions("spam") == [4, 5, 6]
    (tmp_path / "spam" / "5" / "w.bin").write_bytes(b"bad")
    with pytest.raises(DataError, match="nothing is removed"):
        store.prune("spam", keep=1)
    assert store.versions("spam") == [4, 5, 6]


def test_a_model_at_a_path_may_be_what_is_wanted(tmp_path: Path) -> None:
    store, path = Store(tmp_path), tmp_path / "m"
    publish(store, str(path), b"old")
    wanted = store.begin(str(path), if_changed=True)
    wanted.probe()
    with wanted as draft:
        with pytest.raises(CannotCreate, match="exists already"):
            draft.expect_free()
        draft.write("w.bin", b"new")
        with pytest.raises(CannotCreate, match="exists already"):
            draft.publish(**ABOUT)  # type: ignore[arg-type]
    assert store.open(str(path))[0].read("w.bin") == b"old"
    with store.begin(str(path), if_changed=True, force=True) as draft:
        draft.expect_free()
        draft.write("w.bin", b"new")
        draft.publish(**ABOUT)  # type: ignore[arg-type]
    assert store.open(str(path))[0].read("w.bin") == b"new"
    (tmp_path / "other").mkdir()
    with (
        pytest.raises(CannotCreate, match="no model folder"),
        store.begin(str(tmp_path / "other"), if_changed=True),
    ):
        pass
    with store.begin("named", if_changed=True) as draft:
        draft.expect_free()


def test_atomic_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out.csv"
    with AtomicFile(path) as stream:
        stream.write(b"one")
        assert not path.exists()
    old = os.umask(0o027)
    try:
        with AtomicFile(path) as stream:
            stream.write(b"two")
    finally:
        os.umask(old)
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o640
    with pytest.raises(DataError), AtomicFile(path) as stream:
        stream.write(b"three")
        raise DataError("bad row")
    with monkeypatch.context() as patch, pytest.raises(OutputFailed, match="No space"):

        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        patch.setattr(os, "fsync", full)
        with AtomicFile(path) as stream:
            stream.write(b"four")
    assert path.read_bytes() == b"two"
    assert os.listdir(tmp_path) == ["out.csv"]
    with pytest.raises(CannotCreate), AtomicFile(tmp_path):
        pass
    with pytest.raises(CannotCreate), AtomicFile(tmp_path / "no" / "x"):
        pass


LOOP = """
import sys
from pathlib import Path
from nlpcli.store.store import Store
store = Store(Path(sys.argv[1]))
while True:
    with store.begin("spam") as draft:
        draft.write("w.bin", b"x" * 300_000)
        draft.publish(
            kind="test", created_by="t", config={}, labels=[], data={}, seed=1, metrics={}
        )
    print(flush=True)
"""


def test_sigkill_at_any_moment_leaves_every_published_version_whole(tmp_path: Path) -> None:
    store = Store(tmp_path)
    publish(store, "spam", b"first")
    drawn = random.Random(2)
    for _ in range(15):
        process = subprocess.Popen(
            [sys.executable, "-c", LOOP, str(tmp_path)], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(drawn.random() * 0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert store.open("spam")[1] == []
        assert store.open("spam@1")[0].read("w.bin") == b"first"
    with store.begin("spam") as draft:
        assert isinstance(draft, Draft)
        assert len([p for p in os.listdir(tmp_path / "spam") if p.startswith(".tmp")]) == 1
