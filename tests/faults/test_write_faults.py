"""A full disk or a broken one, at any call."""

from __future__ import annotations

import errno
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from nlpcli.store.store import Store

from ..cli.conftest import PROGRAM, SAMPLES, Run, environment, run_program
from .failing import FAULTS, fail_each
from .injection import FAIL, Fault
from .operations import OPERATIONS, World, digests
from .tiny import ROWS

WRITERS = [n for n in OPERATIONS if n not in ("train-states", "rollback")]


@pytest.mark.parametrize(
    ("name", "fault", "only"),
    [
        ("predict", "ENOSPC", None),
        ("predict", "short", None),
        ("pin", "EIO", None),
        ("train", "short", None),
        ("train", "ENOSPC", range(4, 40, 5)),
        ("train", "EIO", range(20, 30)),
    ],
)
def test_calls_fail(world: World, name: str, fault: str, only: range | None) -> None:
    found = fail_each(world, OPERATIONS[name], fault, only)
    assert found["wrong"] == []
    assert found["calls"]


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", WRITERS)
def test_every_call_fails_once(world: World, name: str, fault: str) -> None:
    assert fail_each(world, OPERATIONS[name], fault)["wrong"] == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "-m", "reviews", SAMPLES / "new_messages.csv"],
        ["eval", "-m", "reviews", SAMPLES / "reviews_en_test.csv", "--json"],
        ["models", "list"],
        ["models", "show", "reviews"],
    ],
)
def test_a_full_stdout_is_never_a_success(models: Path, arguments: list[object]) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [PROGRAM, *map(str, arguments)], stdout=full, stderr=subprocess.PIPE,
            env=environment(models),
        )  # fmt: skip
    assert done.returncode == 74
    assert done.stderr.decode().count("\n") == 1


@pytest.mark.slow
def test_a_limit_on_the_size_of_files_of_a_model(fresh: Run, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text(ROWS)
    assert fresh("train-fasttext", rows, "-q", "-o", "m").code == 0
    before = digests(tmp_path)
    line = f"ulimit -f 1; trap '' XFSZ; {PROGRAM} train-fasttext {rows} -q -o m --seed 2"
    done = subprocess.run(
        ["sh", "-c", line], env=environment(tmp_path / "store"), capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (74, "")
    assert done.stderr.startswith("error: ") and "File too large" in done.stderr
    assert done.stderr.count("\n") == 1
    assert {n: d for n, d in digests(tmp_path).items() if ".state" not in n} == before
    assert fresh("train-fasttext", rows, "-q", "-o", "m", "--seed", "2").code == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 400 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=400k", "none", str(place)]
    try:
        mounted = subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("may not mount a small file system")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_small_disk(small_disk: Path, tmp_path: Path) -> None:
    """Too small for a second model, then for the rows: told, and what was there stays."""
    store = small_disk / "store"
    (tmp_path / "rows.csv").write_text(ROWS)
    (tmp_path / "more.csv").write_text("text\n" + "a long row of words\n" * 40_000)
    train = ("train-fasttext", tmp_path / "rows.csv", "-q", "-o", "m")
    assert run_program(store, *train).code == 0
    predict = ("predict", "-m", "m", tmp_path / "rows.csv", "-o", small_disk / "out.csv")
    assert run_program(store, *predict).code == 0
    before = digests(small_disk)
    ballast = small_disk / "ballast"
    free = shutil.disk_usage(small_disk).free
    ballast.write_bytes(bytes(free - free % 4096))
    found = run_program(store, *train, "--seed", "2")
    assert found.code in (73, 74), found.err
    assert found.out == ""
    ballast.unlink()
    full = run_program(store, "predict", "-m", "m", tmp_path / "more.csv", "-o", predict[-1])
    assert full.code == 74
    for done in (found, full):
        assert done.err.startswith(f"error: {small_disk}") and "\x1b" not in done.err
        assert len(done.err.splitlines()) == 1
    assert {n: d for n, d in digests(small_disk).items() if ".state" not in n} == before
    assert run_program(store, *train, "--seed", "2", "--resume").code == 0
    assert run_program(store, *predict).code == 0


def test_a_failure_after_publishing_is_no_failure_to_begin(world: World) -> None:
    operation = OPERATIONS["train-keep"]
    _, calls = world.server.calls(world.copy(), operation.arguments)
    published = next(i for i, call in enumerate(calls, 1) if call.kind == "rename")
    opened = [i for i, c in enumerate(calls, 1) if c.kind == "open" and "/.m.lock" in c.path]
    lock = next(i for i in opened if i > published)
    folder = world.copy()
    done = world.server.run(folder, operation.arguments, Fault(FAIL, lock, errno.EIO))
    assert Store(folder / "store").versions("m") == [1, 2, 3]
    assert (done.code, done.out) == (74, f"{folder}/store/m/3\n")
    assert done.err.splitlines()[-1].startswith("error: --keep: ")


def test_a_limit_on_the_size_of_files(models: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("old")
    rows = tmp_path / "rows.csv"
    rows.write_text("text\n" + "a long row of words\n" * 5000)
    line = f"ulimit -f 8; trap '' XFSZ; {PROGRAM} predict -m reviews {rows} -o {out}"
    done = subprocess.run(["sh", "-c", line], env=environment(models), capture_output=True)
    assert done.returncode == 74, done.stderr
    assert b"File too large" in done.stderr
    assert out.read_text() == "old"
