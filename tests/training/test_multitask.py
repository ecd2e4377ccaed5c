"""Several tasks that share an encoder of a few thousand parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from nlpcli.batching.epoch_plans import TaskPlan, joined
from nlpcli.batching.framing import Rows
from nlpcli.models.shared_heads import SharedHeads
from nlpcli.training.answers import SequenceObjective
from nlpcli.training.finetuning import Finetuning
from nlpcli.training.finetuning_config import FinetuneConfig
from nlpcli.training.multitask import MultitaskObjective, task_logits

from .small_bert import SMALL, SPECIALS, small_rows

TASKS = {"two": 2, "three": 3}


def data() -> dict[str, tuple[Rows, Any]]:
    """Rows and labels of each task; the second task's are of several labels a row."""
    rows, labels = small_rows(40, 2, seed=1)
    others, more = small_rows(24, 3, seed=2)
    return {"two": (rows, labels), "three": (others, np.eye(3, dtype=np.float32)[more])}


def training(seed: int = 1, sampling: str = "sqrt", **config: Any) -> Finetuning:
    given = FinetuneConfig(**{"epochs": 3, "batch_size": 8, "dropout": 0.0, "lr": 1e-2, **config})
    model = SharedHeads(SMALL, TASKS, given.dropout)
    model.initialize(0.2, torch.Generator().manual_seed(seed))
    sets = data()
    objective = MultitaskObjective(
        model, {name: SequenceObjective(targets) for name, (_, targets) in sets.items()}
    )
    rows = [own for own, _ in sets.values()]
    return Finetuning(
        model, joined(rows), objective, SPECIALS, given, seed=3, device=torch.device("cpu"),
        precision=torch.float32, plan=TaskPlan([own.lengths for own in rows], 8, 3, sampling),
    )  # fmt: skip


def test_each_task_is_learnt() -> None:
    run = training(epochs=12)
    losses = [now.loss for now in run]
    assert run.steps_done == run.total == 12 * (5 + 3)
    assert losses[-1] < 0.2 * losses[7]
    model = run.model
    assert isinstance(model, SharedHeads)
    for name, (rows, targets) in data().items():
        found = task_logits(model, name, rows, SPECIALS).argmax(axis=1)
        truth = targets if targets.ndim == 1 else targets.argmax(axis=1)
        assert (found == truth).mean() > 0.9, name


def test_a_batch_moves_its_own_head_alone() -> None:
    run = training(epochs=1)
    first = run._batch(0, 0)
    task, other = ("two", "three") if first[0] < 40 else ("three", "two")
    before = run.weights()
    next(iter(run))
    after = run.weights()
    for name, array in after.items():
        if "_head." in name:
            assert np.array_equal(array, before[name]) == name.startswith(f"classifier.{other}")
    assert f"classifier.{task}_head.weight" in after


@pytest.mark.parametrize("more", [{}, {"freeze": "all"}])
def test_the_same_bits_from_the_middle(more: dict[str, Any]) -> None:
    options: dict[str, Any] = {"dropout": 0.2, "epochs": 2, **more}
    whole = training(**options)
    for _ in whole:
        pass
    first = training(**options)
    for now in first:
        if now.step == first.steps_per_epoch + 2:  # in the second epoch
            break
    arrays, numbers = first.state()
    again = training(seed=9, **options)
    again.load({name: array.copy() for name, array in arrays.items()}, numbers)
    rows = [now.rows for now in again]
    assert rows[-1] == whole.rows_done == again.rows_done
    wanted, found = whole.weights(), again.weights()
    assert all(np.array_equal(wanted[name], found[name]) for name in wanted)
