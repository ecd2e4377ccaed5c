"""Runs the program as a subprocess, as a shell would.

``installed_program`` starts it anew each time. ``run_program`` does so too where the environment is
what is tested, and in ``make test-all`` always; else it takes a process whose imports are done.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from .warm import Server

COLD = "COLD_STARTS" in os.environ
PROGRAM = str(Path(sys.executable).parent / "nlpcli")
SAMPLES = Path(__file__).resolve().parent.parent.parent / "sample_data"


@dataclass(frozen=True)
class Done:
    """A finished run."""

    code: int
    out: str
    err: str


Run = Callable[..., Done]


def environment(store: Path, **more: str) -> dict[str, str]:
    """A plain environment: no PYTHON variables, no HOME, the C locale."""
    return {
        "PATH": os.environ["PATH"], "LC_ALL": "C", "NLPCLI_STORE": str(store),
        "OMP_NUM_THREADS": "1", **more,
    }  # fmt: skip


def run_program(store: Path, *arguments: object, stdin: bytes | str = b"", **more: str) -> Done:
    """Runs nlpcli to its end; no traceback may ever be shown."""
    if COLD or more:
        return installed_program(store, *arguments, stdin=stdin, **more)
    return _checked(
        server().run(
            [PROGRAM, *map(str, arguments)], _bytes(stdin), environment(store), store.parent, 120
        )
    )


def installed_program(
    store: Path, *arguments: object, stdin: bytes | str = b"", **more: str
) -> Done:
    """The same, in a process that does nothing else from its first instruction."""
    return _checked(
        subprocess.run(
            [PROGRAM, *map(str, arguments)], input=_bytes(stdin), capture_output=True,
            env=environment(store, **more), cwd=store.parent, timeout=120,
        )
    )  # fmt: skip


@functools.cache
def server() -> Server:
    """The one server of this test process."""
    made = Server(environment(Path("nowhere")))
    atexit.register(made.close)
    return made


def _bytes(text: bytes | str) -> bytes:
    return text.encode() if isinstance(text, str) else text


def _checked(done: subprocess.CompletedProcess[bytes]) -> Done:
    out, err = done.stdout.decode(), done.stderr.decode()
    assert "Traceback" not in err, err
    assert "\x1b" not in out + err
    assert "\r" not in err
    return Done(done.returncode, out, err)


def stop_and_resume(place: Run, line: list[object], folder: Path) -> None:
    """Trains ``./again`` in ``folder``, is told to end when there is a state, and goes on."""
    run = subprocess.Popen(
        [PROGRAM, *map(str, line), "-o", "./again", "--save-every", "0"], cwd=folder,
        env=environment(folder / "store"), stderr=subprocess.DEVNULL,
    )  # fmt: skip
    states = folder / ".again.state"
    while run.poll() is None and len(list(states.glob("*.state"))) < 1:
        time.sleep(0.02)
    run.send_signal(signal.SIGTERM)
    assert run.wait() == 143
    done = place(*line, "-o", "./again", "--resume", "--json")
    assert json.loads(done.out)["resumed_after_step"] > 0


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the models ``reviews`` and ``tags``, trained on the samples; do not write."""
    store = tmp_path_factory.mktemp("trained") / "store"
    reviews = run_program(
        store,
        "train-fasttext",
        SAMPLES / "reviews_en.csv",
        "-o",
        "reviews",
        "-q",
        "--dev-fraction",
        0.2,
    )
    assert (reviews.code, reviews.err) == (0, "")
    assert reviews.out == f"{store}/reviews/1\n"
    tags = run_program(
        store, "train-fasttext", SAMPLES / "tags_en.csv", "-o", "tags", "--label-column", "labels",
        "--label-separator", ";", "--epochs", 10,
    )  # fmt: skip
    assert tags.code == 0, tags.err
    return store


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small encoder, trained for a moment; do not write."""
    store = tmp_path_factory.mktemp("pretrained") / "store"
    done = run_program(
        store, "pretrain-bert", SAMPLES / "reviews_en.csv", "-o", "./encoder", "--layers", 2,
        "--dim", 32, "--heads", 2, "--max-length", 32, "--batch-size", 8, "--steps", 5, "-q",
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    return store.parent / "encoder"


@pytest.fixture
def nlpcli(models: Path) -> Run:
    """Runs the program over the trained models."""
    return lambda *arguments, **more: run_program(models, *arguments, **more)


@pytest.fixture
def fresh(tmp_path: Path) -> Run:
    """Runs the program over an empty store at ``tmp_path / store``."""
    return lambda *arguments, **more: run_program(tmp_path / "store", *arguments, **more)


@pytest.fixture
def cold(tmp_path: Path) -> Run:
    """As ``fresh``, each run in a process of its own from the start."""
    return lambda *arguments, **more: installed_program(tmp_path / "store", *arguments, **more)
