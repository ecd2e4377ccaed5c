"""Two tiny models, trained once by the installed program, and copies of them to spoil."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path

import pytest

from ..cli.conftest import run_program

ROWS = "text,label\n" + "".join(
    f"{'good fine great' if i % 2 else 'bad poor awful'} w{i % 7},{'ab'[i % 2]}\n"
    for i in range(24)
)
NAMES = {"plain": ("--epochs", "1"), "wide": ("--epochs", "1", "--dim", "4")}
"""``wide`` has the tensor ``output``, ``plain`` does not."""


@cache
def train_tiny(folder: Path) -> Path:
    """A store in ``folder`` with ``plain@1`` and ``wide@1``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rows.csv").write_text(ROWS)
    for name, options in NAMES.items():
        done = run_program(
            folder / "store", "train-fasttext", "rows.csv", "-q", "-o", name, *options
        )
        assert done.code == 0, done.err
    return folder / "store"


def copy_store(store: Path, target: Path) -> Path:
    """A copy of the store, to be changed."""
    shutil.copytree(store, target / "store")
    return target / "store"


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store; do not write."""
    return train_tiny(tmp_path_factory.getbasetemp() / "tiny")


@pytest.fixture
def store(tiny: Path, tmp_path: Path) -> Path:
    """A copy of the store."""
    return copy_store(tiny, tmp_path)
