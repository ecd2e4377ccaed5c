"""Signals, and runs that are taken up again: the same bytes in the end."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import time
from pathlib import Path

import pytest

from .conftest import PROGRAM, SAMPLES, Run, environment

TRAIN = str(SAMPLES / "reviews_en.csv")
LONG = [
    "train-fasttext", TRAIN, "-o", "m", "-q", "--epochs", "200", "--dev-fraction", "0.2",
    "--dim", "4", "--save-every", "0",
]  # fmt: skip


def start(store: Path, *more: str) -> subprocess.Popen[bytes]:
    """A training run that has saved a state of its own."""
    before = set(store.glob("m/.state/*.state"))
    process = subprocess.Popen(
        [PROGRAM, *LONG, *more], env=environment(store), stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    deadline = time.monotonic() + 30
    while not set(store.glob("m/.state/*.state")) - before:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    return process


def digests(version: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in version.iterdir()
        if path.name != "manifest.json"
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The model of a run that nobody disturbed."""
    store = tmp_path_factory.mktemp("whole") / "store"
    done = subprocess.run([PROGRAM, *LONG], env=environment(store), capture_output=True)
    assert done.returncode == 0, done.stderr
    assert not (store / "m" / ".state").exists()
    return digests(store / "m" / "1")


@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow),
        (signal.SIGTERM, 143),
        pytest.param(signal.SIGHUP, 129, marks=pytest.mark.slow),
        pytest.param(signal.SIGKILL, -9, marks=pytest.mark.slow),
    ],
)
def test_a_run_that_was_stopped_ends_in_the_same_bytes(
    tmp_path: Path, fresh: Run, whole: dict[str, str], number: signal.Signals, code: int
) -> None:
    store = tmp_path / "store"
    for _ in range(2):  # twice, so that a resumed run is stopped too
        process = start(store, "--resume")
        begun = time.monotonic()
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)
        assert process.returncode == code, errors
        assert time.monotonic() - begun < 10
        assert list((store / "m").iterdir()) == [store / "m" / ".state"] or code == -9
    done = fresh(*[a for a in LONG if a != "-q"], "--resume")
    assert done.code == 0, done.err
    assert "resuming after step" in done.err
    assert digests(store / "m" / "1") == whole
    assert sorted(p.name for p in (store / "m").iterdir()) == ["1"]


def test_the_second_signal_leaves_at_once(tmp_path: Path) -> None:
    process = start(tmp_path / "store", "--epochs", "10000")
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    assert process.returncode in (130, 143)


def test_a_damaged_state_is_skipped_for_the_one_before(
    tmp_path: Path, fresh: Run, whole: dict[str, str]
) -> None:
    store = tmp_path / "store"
    process = start(store)
    while len(list(store.glob("m/.state/*.state"))) < 2:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    newest = max(store.glob("m/.state/*.state"), key=lambda p: int(p.stem))
    newest.write_bytes(newest.read_bytes()[:-7])
    done = fresh(*[a for a in LONG if a != "-q"], "--resume")
    assert done.code == 0
    assert f"{newest} is skipped: SHA-256 mismatch" in done.err
    assert "resuming after step" in done.err
    assert digests(store / "m" / "1") == whole


def test_other_options_or_data_are_named_and_the_run_starts_afresh(
    tmp_path: Path, fresh: Run
) -> None:
    store = tmp_path / "store"
    process = start(store)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    arguments = ["train-fasttext", TRAIN, "-o", "m", "--dev-fraction", 0.2, "--dim", 4]
    done = fresh(*arguments, "--epochs", 3, "--seed", 7, "--resume")
    assert done.code == 0
    assert "differs: epochs 200 → 3, seed 1 → 7; starting afresh" in done.err
    assert "no unfinished run" in fresh(*arguments, "--resume").err


def test_without_resume_an_unfinished_run_is_told_of(tmp_path: Path, fresh: Run) -> None:
    process = start(tmp_path / "store")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    done = fresh(*[a for a in LONG if a != "-q"])
    assert done.code == 0
    assert "an unfinished run of these options is there" in done.err


@pytest.mark.slow
def test_a_plain_path_is_resumed_too(tmp_path: Path, fresh: Run, whole: dict[str, str]) -> None:
    path = tmp_path / "model"
    arguments = [str(path) if a == "m" else a for a in LONG]
    process = subprocess.Popen([PROGRAM, *arguments], env=environment(tmp_path / "store"))
    while not list(tmp_path.glob(".model.state/*.state")):
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert fresh(*arguments, "--resume").code == 0
    assert digests(path) == whole
    assert sorted(p.name for p in tmp_path.iterdir()) == [".model.lock", "model"]


def test_a_trainer_survives_a_closed_log_and_a_closed_output(tmp_path: Path) -> None:
    store = tmp_path / "store"
    command = f"exec {PROGRAM} train-fasttext {TRAIN} -o m 2>&-"
    done = subprocess.run(["sh", "-c", command], env=environment(store), capture_output=True)
    assert (done.returncode, done.stdout.decode()) == (0, f"{store}/m/1\n")
    process = subprocess.Popen(
        [PROGRAM, "train-fasttext", TRAIN, "-o", "m"], env=environment(store),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    process.stderr.close()
    assert process.wait(60) == 0
    assert (store / "m" / "2").is_dir()
