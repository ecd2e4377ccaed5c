"""Trainers and readers on one name at once: one writer at a time, and nothing half-done is read."""

from __future__ import annotations

import subprocess
import tempfile
import threading
import time
from pathlib import Path

from nlpcli.store.store import Store

from ..cli.conftest import PROGRAM, environment
from .operations import answers
from .tiny import ROWS

QUESTIONS = "text\ngood fine great\nbad poor awful\nw1\n"
BUSY = 75


def race(trainers: int, readers: int) -> dict[str, object]:
    """Starts them together, on a store with one version; each trainer has a seed of its own.

    ``won`` trainers ended with 0, ``busy`` with 75; ``wrong`` lists every other end, every reader's
    output that no published version gives, and what is left over. At least one must win.
    """
    with tempfile.TemporaryDirectory() as place:
        return _Race(Path(place)).run(trainers, readers)


class _Race:
    """One store, and the processes on it."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._store = folder, folder / "store"
        (folder / "rows.csv").write_text(ROWS)
        (folder / "asked.csv").write_text(QUESTIONS)
        self._trained: list[subprocess.CompletedProcess[str]] = []
        self._read: list[subprocess.CompletedProcess[str]] = []
        self._over = threading.Event()

    def _nlpcli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PROGRAM, *arguments], cwd=self._folder, env=environment(self._store), text=True,
            capture_output=True, timeout=600,
        )  # fmt: skip

    def _train(self, seed: int) -> subprocess.CompletedProcess[str]:
        return self._nlpcli(
            "train-fasttext", "rows.csv", "-q", "-o", "m", "--seed", str(seed), "--cost",
            f"{0.1 + 0.01 * seed:.2f}", "--epochs", "2",
        )  # fmt: skip

    def _predict(self, model: str) -> subprocess.CompletedProcess[str]:
        return self._nlpcli("predict", "-m", model, "asked.csv")

    def _read_on(self) -> None:
        while True:
            self._read.append(self._predict("m"))
            if self._over.is_set():
                return

    def run(self, trainers: int, readers: int) -> dict[str, object]:
        """The race, and the verdict."""
        begun = time.perf_counter()
        first = self._train(0)
        if first.returncode:
            raise RuntimeError(first.stderr)
        writing = [
            threading.Thread(target=lambda s=seed: self._trained.append(self._train(s)))  # type: ignore[misc]
            for seed in range(1, trainers + 1)
        ]
        reading = [threading.Thread(target=self._read_on) for _ in range(readers)]
        for thread in (*reading, *writing):
            thread.start()
        for thread in writing:
            thread.join()
        self._over.set()
        for thread in reading:
            thread.join()
        codes = [done.returncode for done in self._trained]
        return {
            "trainers": trainers, "readers": readers, "reads": len(self._read),
            "won": codes.count(0), "busy": codes.count(BUSY), "wrong": self._wrong(),
            "seconds": round(time.perf_counter() - begun, 1),
        }  # fmt: skip

    def _wrong(self) -> list[str]:
        store = Store(self._store)
        versions = store.versions("m")
        valid = {self._predict(f"m@{version}").stdout for version in versions}
        wrong = [
            f"a trainer: exit {d.returncode}: {d.stderr}"
            for d in self._trained
            if d.returncode not in (0, BUSY)
            or (d.returncode == BUSY and "is writing this model" not in d.stderr)
        ]
        wrong += [
            f"a reader: exit {d.returncode}: {d.stderr} {d.stdout[:200]}"
            for d in self._read
            if d.returncode or d.stderr or d.stdout not in valid
        ]
        won = sum(d.returncode == 0 for d in self._trained)
        if versions != list(range(1, won + 2)) or not won:
            wrong.append(f"{won} won, and the versions are {versions}")
        if len({answers(store.root / "m" / str(version)) for version in versions}) < len(versions):
            wrong.append("two versions answer alike, so the race shows nothing")
        left = [path.name for path in (store.root / "m").iterdir() if not path.name.isdecimal()]
        return wrong + ([f"left over: {left}"] if left else [])
