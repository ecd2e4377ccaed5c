"""What a forked run answers is what the installed program answers."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from .conftest import PROGRAM, SAMPLES, Run, environment, installed_program, run_program, server

ROWS = SAMPLES / "new_messages.csv"


@pytest.mark.parametrize(
    ("arguments", "stdin", "code"),
    [
        (["predict", "-m", "reviews", "--probabilities"], ROWS.read_bytes(), 0),
        (["models", "show", "reviews@9"], b"", 66),
        (["predict", "-m", "reviews", "--on-error", "skip"], b"text\n\xe9\n\xc3\xa9\n", 0),
        (["eval", "--top-k"], b"", 2),
    ],
)
def test_the_same_answer(models: Path, arguments: list[str], stdin: bytes, code: int) -> None:
    done = run_program(models, *arguments, stdin=stdin)
    assert done.code == code
    assert done == installed_program(models, *arguments, stdin=stdin)


def test_the_same_model(tmp_path: Path, fresh: Run, cold: Run) -> None:
    for run in (fresh, cold):
        assert run("train-fasttext", SAMPLES / "reviews_en.csv", "-o", "m", "-q").code == 0
    one, two = (tmp_path / "store" / "m" / v / "model.safetensors" for v in "12")
    assert one.read_bytes() == two.read_bytes()


def test_output_that_fills_the_pipes_and_input_that_nobody_reads(models: Path) -> None:
    many = b"text\n" + b"a row of some words\n" * 20_000
    done = run_program(models, "predict", "-m", "reviews", stdin=many)
    assert (done.code, done.out.count("\n")) == (0, 20_001)
    assert run_program(models, "predict", "--zz", stdin=many).code == 2


def test_a_run_that_takes_too_long_is_killed(models: Path, tmp_path: Path) -> None:
    line = [PROGRAM, "train-fasttext", str(SAMPLES / "reviews_en.csv"), "--epochs", "10000"]
    line += ["-o", str(tmp_path / "m")]
    done = server().run(line, b"", environment(models), tmp_path, 0.5)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "m").exists()
