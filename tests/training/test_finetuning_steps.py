"""A fine-tuning that is asked to end while it looks at the dev rows."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch

from nlpcli.training.answers import SequenceObjective, logits_of
from nlpcli.training.finetuning import Finetuning
from nlpcli.training.finetuning_config import FinetuneConfig
from nlpcli.training.finetuning_steps import FinetuneStep, unless_stopped

from .seats import Seat, Table
from .small_bert import SPECIALS, small_model, small_rows

Stop = Callable[[], bool]


def tuning(stop: Stop = bool, ranks: Any = None, **config: Any) -> Finetuning:
    """3 epochs of 3 steps."""
    (rows, targets), (dev, truth) = small_rows(), small_rows(seed=2)
    model = small_model(dropout=0.2)

    def score() -> float:
        return float((logits_of(model, dev, SPECIALS).argmax(axis=1) == truth).mean())

    training = Finetuning(
        model, rows, SequenceObjective(targets), SPECIALS,
        FinetuneConfig(epochs=3, batch_size=8, lr=3e-3, **config), seed=3,
        device=torch.device("cpu"), precision=torch.float32, score=score, patience=3,
    )  # fmt: skip
    training.join(ranks, stop)
    return training


def taken(training: Finetuning) -> list[FinetuneStep]:
    """The steps until it is asked to end."""
    found = []
    for now in training:
        found.append(now)
        if now.stop:
            break
    return found


def asked_in_a_look(training: Callable[[], Finetuning], look: int) -> Stop:
    """Asks to end before the second batch of the dev rows in an epoch's look."""
    times = 0

    def stop() -> bool:
        nonlocal times
        at = training()
        times += at._owes_look and at.epochs_done == look
        return times > 1

    return stop


@pytest.mark.parametrize(("look", "freeze"), [(1, "none"), (2, "none"), (3, "none"), (1, "all")])
def test_a_look_that_was_stopped_is_done_again(look: int, freeze: str) -> None:
    whole = tuning(freeze=freeze)
    wanted = taken(whole)
    first = tuning(asked_in_a_look(lambda: first, look), freeze=freeze)
    steps = taken(first)
    assert [now.step for now in steps] == list(range(1, 3 * look + 1))
    assert steps[-1].stop and steps[-1].dev_score is None
    again = tuning(freeze=freeze)
    again.load(*first.state())
    rest = taken(again)
    assert rest[0].step == 3 * look and rest[0].epoch == look
    assert [now.dev_score for now in steps[:-1] + rest] == [now.dev_score for now in wanted]
    assert [now.loss for now in steps[:-1] + rest] == [now.loss for now in wanted]
    assert (again.best, again.best_epoch) == (whole.best, whole.best_epoch)
    found, weights = again.weights(), whole.weights()
    assert all(np.array_equal(found[name], weights[name]) for name in weights)


def test_asked_in_the_last_step_of_an_epoch_there_is_no_look() -> None:
    training = tuning(lambda: training.steps_done == 2)
    steps = taken(training)
    assert (len(steps), steps[-1].stop, steps[-1].dev_score) == (3, True, None)
    _, numbers = training.state()
    assert (numbers["step"], numbers["looks"], numbers["best"]) == (3, 0, None)


def test_states_without_looks_were_taken_behind_them() -> None:
    first = tuning(lambda: first.steps_done == 4)
    taken(first)
    arrays, numbers = first.state()
    del numbers["looks"]
    again = tuning()
    again.load(arrays, numbers)
    assert next(iter(again)).step == 6


@pytest.mark.parametrize("asked", [0, 1])
def test_ranks_decide_alike(asked: int) -> None:
    """Rank 0 is asked to end in the second look, or rank 1 in the step before it."""
    table, runs = Table(2), list[Finetuning]()
    stops: list[Stop] = [bool, bool]
    if asked:
        stops[1] = lambda: runs[1].steps_done == 5
    else:
        stops[0] = asked_in_a_look(lambda: runs[0], 2)
    for rank in range(2):
        seat: Any = Seat(table, rank, 2)
        runs.append(tuning(stops[rank], seat))
    with ThreadPoolExecutor(2) as pool:
        each = list(pool.map(taken, runs))
    told = [[(now.step, now.dev_score, now.stop) for now in steps] for steps in each]
    assert told[0] == told[1] and told[0][-1] == (6, None, True) and len(told[0]) == 6
    assert told[0][2][1] is not None
    states = [run.state()[1] for run in runs]
    assert states[0]["looks"] == states[1]["looks"] == 1


def test_nothing_is_asked_any_more_behind_the_look() -> None:
    encoder = torch.nn.Linear(2, 2)
    assert unless_stopped(lambda: float(encoder(torch.ones(2)).shape[0]), encoder, bool) == 2.0
    stopped = unless_stopped(lambda: float(encoder(torch.ones(2)).sum()), encoder, lambda: True)
    assert stopped is None and encoder(torch.ones(2)).shape == (2,)
