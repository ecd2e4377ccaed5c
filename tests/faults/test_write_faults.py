"""A full disk or a broken one, at any call."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ..cli.conftest import PROGRAM, SAMPLES, environment
from .failing import FAULTS, fail_each
from .operations import OPERATIONS, World

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
