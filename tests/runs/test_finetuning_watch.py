"""What is told of a fine-tuning."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from nlpcli.runs import finetuning_watch
from nlpcli.runs.finetuning_watch import Watch
from nlpcli.training.finetuning_steps import FinetuneStep


class Training:
    """Two epochs of 30 windows."""

    loss = 0.25
    keeps_features, n_rows, steps_done, epochs_done = True, 30, 4, 2
    config, device, best, step_seconds = (
        SimpleNamespace(epochs=2),
        SimpleNamespace(type="cpu"),
        None,
        0.0,
    )

    def __init__(self) -> None:
        self.rows_done = 0

    def remember(self) -> list[Any]:
        """Nothing."""
        return []

    def __iter__(self) -> Iterator[FinetuneStep]:
        for step in range(4):
            self.rows_done += 15
            yield FinetuneStep(step + 1, 4, step // 2 + 1, 0.5, self.rows_done)


class Console:
    """Keeps the notes of progress."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...

    def progress(self, what: str, done: int, total: int, note: str = "") -> None:
        """Keeps it."""
        self.notes.append(note)


def test_rows_of_the_input_are_counted_and_not_their_windows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seconds = itertools.count()
    monkeypatch.setattr(finetuning_watch.time, "perf_counter", lambda: float(next(seconds)))
    console: Any = Console()
    training: Any = Training()
    watch = Watch(training, console, n_rows=10)
    watch.run(SimpleNamespace(save_if_due=lambda training: None))  # type: ignore[arg-type]
    found = watch.figures()
    assert (found["train_seconds"], found["rows_per_second"]) == (4.0, 5)  # 20 rows, 60 windows
    assert console.notes[-1] == "loss 0.5000  5 rows/s"


def test_what_was_taken_up_after_the_last_step() -> None:
    training: Any = Training()
    console: Any = Console()
    assert Watch(training, console, n_rows=10).figures()["loss"] == 0.25
