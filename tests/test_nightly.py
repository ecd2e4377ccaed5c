"""sample_data/nightly.sh, night after night."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SAMPLES = Path(__file__).resolve().parent.parent / "sample_data"
SCRIPT = SAMPLES / "nightly.sh"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "labelled.csv").write_bytes((SAMPLES / "reviews_en.csv").read_bytes())
    (tmp_path / "new.csv").write_bytes((SAMPLES / "new_messages.csv").read_bytes())
    return tmp_path


def environment() -> dict[str, str]:
    """As bare as cron's."""
    return {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "OMP_NUM_THREADS": "1"}


def night(folder: Path, **more: str) -> tuple[int, str]:
    """Exit code and what cron would mail."""
    done = subprocess.run(
        ["/bin/sh", SCRIPT, folder], env={**environment(), **more}, capture_output=True, timeout=120
    )
    return done.returncode, (done.stdout + done.stderr).decode()


def versions(folder: Path) -> list[str]:
    return sorted(p.name for p in (folder / "models" / "night").iterdir())


def test_good_nights_are_silent_and_do_only_what_is_needed(folder: Path) -> None:
    assert night(folder) == (0, "")
    first = (folder / "predictions.csv").read_bytes()
    rows = len((folder / "new.csv").read_bytes().splitlines())
    assert len(first.splitlines()) == rows
    assert night(folder) == (0, "")
    assert versions(folder) == ["1"]
    with (folder / "labelled.csv").open("a") as stream:
        stream.write("refund me please,billing\n")
    assert night(folder) == (0, "")
    assert versions(folder) == ["1", "2"]


@pytest.mark.slow
def test_a_model_below_the_gate_is_mailed_and_not_served(folder: Path) -> None:
    night(folder)
    before = (folder / "predictions.csv").read_bytes()
    code, mail = night(folder, GATE="0.999")
    assert code == 1
    assert "tonight's model is refused; the one in use stays (exit 1)" in mail
    assert "macro_f1 is 0." in mail
    assert (folder / "predictions.csv").read_bytes() == before


@pytest.mark.slow
def test_dirty_rows_a_full_stop_and_a_damaged_version(folder: Path) -> None:
    night(folder)
    before = (folder / "predictions.csv").read_bytes()
    labelled = (folder / "labelled.csv").read_bytes()
    (folder / "labelled.csv").write_bytes(labelled + b'"never closed,billing\n')
    code, mail = night(folder)
    assert code == 65
    assert "no model tonight" in mail and "a quote opened here is never closed" in mail
    assert (folder / "predictions.csv").read_bytes() == before
    (folder / "labelled.csv").write_bytes(labelled + b"a new row,billing\n")
    (folder / "new.csv").rename(folder / "late.csv")
    code, mail = night(folder)
    assert code == 66
    assert "no predictions tonight" in mail and "new.csv: No such file" in mail
    (folder / "late.csv").rename(folder / "new.csv")
    (folder / "models" / "night" / "2" / "model.safetensors").write_bytes(b"")
    code, mail = night(folder)
    assert code == 65
    assert "a version in the store is damaged" in mail and "truncated" in mail
    assert versions(folder) == ["1", "2", "3"]


def test_a_night_that_was_killed_is_made_good_by_the_next(folder: Path) -> None:
    process = subprocess.Popen(
        ["/bin/sh", SCRIPT, folder], env=environment(), start_new_session=True
    )
    deadline = time.monotonic() + 30
    while not list(folder.glob("models/night/.tmp-*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert night(folder) == (0, "")
    assert versions(folder) == ["1"]


@pytest.mark.slow
def test_a_second_run_leaves_it_to_the_first(folder: Path) -> None:
    night(folder)
    with (folder / "models" / ".night.lock").open("r+") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert night(folder) == (0, "")
