"""A run of finetune that ends early: what is trained is not lost."""

from __future__ import annotations

import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from nlpcli.errors import DataError, NegativeAnswer, Unavailable
from nlpcli.runs.finetuning import FinetuneRun
from nlpcli.runs.interrupts import Interrupted
from nlpcli.store.states import RunStates
from nlpcli.training.answers import SequenceObjective
from nlpcli.training.finetuning import Finetuning
from nlpcli.training.finetuning_config import FinetuneConfig

from ..training.small_bert import SPECIALS, small_model, small_rows

TERM = Interrupted(signal.SIGTERM)


class Console:
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...

    def progress(self, *_: object) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Keeps it."""
        self.said.append(text)

    warn = say


class Run(FinetuneRun):
    """Over 20 rows, all of which are dev rows too; fails where it is told to."""

    def __init__(self, *, resume: bool = False, **failures: BaseException) -> None:
        request: Any = SimpleNamespace(
            if_changed=False, dev_fraction=0.0, resume=resume, save_every=60.0, ranks=1,
            answering=lambda: None, record=lambda parts, program: {"seed": 1},
        )  # fmt: skip
        console: Any = Console()
        super().__init__(request, console, console, console)
        self.said, self._failures = console.said, failures
        self.weights: dict[str, Any] = {}

    def _read(self) -> Any:
        texts = SimpleNamespace(texts=["x"] * 20)
        return SimpleNamespace(train=texts, dev=texts, names=["a", "b"])

    def _fail(self, where: str) -> None:
        if where in self._failures:
            raise self._failures[where]

    def _prepared(self, parts: Any, answering: Any) -> tuple[Finetuning, Any]:
        rows, targets = small_rows()
        marks = iter([0.1, 0.3, 0.2])
        config = FinetuneConfig(epochs=3, batch_size=8, lr=1e-3)

        def score() -> float:
            self._fail("look")
            return next(marks)

        training = Finetuning(
            small_model(dropout=0.1), rows, SequenceObjective(targets), SPECIALS, config, seed=1,
            device=torch.device("cpu"), precision=torch.float32, score=score,
        )  # fmt: skip
        return training, None

    def _measured(self, training: Finetuning, *_: Any) -> Any:
        self._fail("measuring")
        self.weights = training.weights()
        return None

    def _publish(self, draft: Any, stored: Any, parts: Any, record: Any, report: Any) -> None:
        self._fail("publishing")
        report["path"] = None


def draft(folder: Path) -> Any:
    return SimpleNamespace(states=RunStates(folder / "states"), need=lambda size: None)


@pytest.mark.parametrize("where", ["measuring", "publishing"])
@pytest.mark.parametrize("error", [TERM, DataError("the rival"), MemoryError()])
def test_what_comes_after_the_last_step_loses_nothing(
    tmp_path: Path, where: str, error: BaseException
) -> None:
    whole = Run()
    whole.run(draft(tmp_path))
    with pytest.raises(type(error)):
        Run(**{where: error}).run(draft(tmp_path))
    assert draft(tmp_path).states.steps() == [9]
    again = Run(resume=True)
    report = again.run(draft(tmp_path))
    assert (report["resumed_after_step"], report["steps"], report["best_epoch"]) == (9, 9, 2)
    assert report["loss"] > 0 and draft(tmp_path).states.steps() == []
    assert all(np.array_equal(again.weights[name], whole.weights[name]) for name in whole.weights)


@pytest.mark.parametrize(
    ("error", "steps"), [(Unavailable("a rank is gone"), [3]), (NegativeAnswer("diverged"), [])]
)
def test_what_ends_training_itself(tmp_path: Path, error: BaseException, steps: list[int]) -> None:
    with pytest.raises(type(error)):
        Run(look=error).run(draft(tmp_path))
    assert draft(tmp_path).states.steps() == steps
