"""Parts of a batch, on one rank or several, in little or much memory."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nlpcli.batching.framing import Rows
from nlpcli.batching.word_rows import UNLABELLED
from nlpcli.errors import Unavailable
from nlpcli.models.token_heads import TokenModel
from nlpcli.training.answers import SequenceObjective
from nlpcli.training.finetuning import Finetuning
from nlpcli.training.finetuning_config import FinetuneConfig
from nlpcli.training.finetuning_steps import FinetuneStep
from nlpcli.training.tagging import TokenObjective

from .seats import Seat, Table
from .small_bert import SMALL, SPECIALS, small_model, small_rows

Steps = list[FinetuneStep]


def made(
    *, count: int = 21, words: bool = False, dropout: float = 0.0, score: Any = None, **config: Any
) -> Finetuning:
    rows, labels = small_rows(count)
    plain: dict[str, Any] = {"epochs": 2, "batch_size": 8, "lr": 1e-3, "dropout": dropout}
    given = FinetuneConfig(**{**plain, **config})
    model: Any = small_model(dropout=dropout)
    objective: Any = SequenceObjective(labels)
    if words:
        model, objective = TokenModel(SMALL, 3, 0.0), words_of(rows)
        model.initialize(0.2, torch.Generator().manual_seed(1))
    return Finetuning(
        model, rows, objective, SPECIALS, given, seed=3, device=torch.device("cpu"),
        precision=torch.float32, score=score,
    )  # fmt: skip


def words_of(rows: Rows) -> TokenObjective:
    """Tags of some of the pieces: rows count differently."""
    return TokenObjective(rows, np.where(rows.ids < 20, UNLABELLED, rows.ids % 3).astype(np.int64))


def close(one: Finetuning, other: Finetuning, bound: float = 2e-5) -> None:
    others = other.weights()
    for name, array in one.weights().items():
        if not name.endswith("key.bias"):  # whose gradients are noise
            np.testing.assert_allclose(array, others[name], atol=bound, err_msg=name)


# --- too little memory --------------------------------------------------------------------


class Small:
    """Memory for so many positions at once."""

    def __init__(self, run: Finetuning, positions: int) -> None:
        self._real, self.positions, self.refused = run.model.forward, positions, 0
        run.model.forward = self  # type: ignore[method-assign, assignment]

    def __call__(self, ids: Tensor, segments: Tensor, mask: Tensor) -> Tensor:
        if ids.numel() > self.positions:
            self.refused += 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return self._real(ids, segments, mask)


@pytest.mark.parametrize("more", [{}, {"fgm": 0.2}, {"words": True}])
def test_parts_become_half_as_large_where_memory_ends(more: dict[str, Any]) -> None:
    whole, parts = made(**more), made(**more)
    steps, small = list(whole), Small(parts, 40)
    found = list(parts)
    assert 1 <= small.refused <= 4
    assert [now.loss for now in found] == pytest.approx([now.loss for now in steps], abs=1e-5)
    close(whole, parts)
    notes = [now.note for now in found if now.note]
    assert notes and notes[0].startswith("step 1: too little GPU memory, ")
    assert not any(now.note for now in found[3:])
    assert parts.state()[1]["micro_tokens"] <= 40 < whole.state()[1]["micro_tokens"]


def test_a_run_in_little_memory_goes_on_to_the_same_bits() -> None:
    whole = made(dropout=0.2)
    Small(whole, 40)
    first = made(dropout=0.2)
    Small(first, 40)
    for now in first:
        if now.step == 4:
            break
    arrays, numbers = first.state()
    again = made(dropout=0.2)
    small = Small(again, 40)
    again.load({name: array.copy() for name, array in arrays.items()}, numbers)
    for run in (whole, again):
        for _ in run:
            pass
    assert small.refused == 0
    assert all(np.array_equal(a, again.weights()[n]) for n, a in whole.weights().items())


def test_a_row_that_does_not_fit() -> None:
    run = made()
    Small(run, 7)
    with pytest.raises(Unavailable, match=r"does not hold one row of (8|12|16) pieces") as caught:
        next(iter(run))
    assert caught.value.hint in ("--max-length 8", "--max-length 6", "--max-length 4")
    assert run.steps_done == 0


# --- ranks --------------------------------------------------------------------------------


def together(
    size: int = 2, prepare: Callable[[Finetuning], Any] = id,
    work: Callable[[Finetuning], Steps] = list,
    stop: Callable[[int], bool] = lambda rank: False,
    scores: list[Any] | None = None, **config: Any,
) -> tuple[list[Steps], list[Finetuning]]:  # fmt: skip
    table, runs = Table(size), []
    for rank in range(size):
        run = made(score=None if scores is None else scores[rank], **config)
        seat: Any = Seat(table, rank, size)
        run.join(seat, lambda rank=rank: stop(rank))  # type: ignore[misc]
        runs.append(run)
    prepare(runs[0])
    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(work, runs)), runs


@pytest.mark.parametrize(
    ("size", "config"),
    [
        (2, {}), (3, {"batch_size": 4}), (2, {"words": True}), (2, {"fgm": 0.2}),
        (2, {"freeze": "1"}), (2, {"freeze": "all", "lr": 0.05}),
        (2, {"freeze": "all", "words": True}),
    ],
)  # fmt: skip
def test_ranks_have_the_losses_of_one_process(size: int, config: dict[str, Any]) -> None:
    """21 rows: the last batch has 5 or 1, and so a rank none."""
    alone = made(**config)
    wanted = list(alone)
    steps, runs = together(size, **config)
    for run in runs[1:]:
        assert all(np.array_equal(a, run.weights()[n]) for n, a in runs[0].weights().items())
    assert [now.loss for now in steps[0]] == pytest.approx([now.loss for now in wanted], abs=1e-4)
    assert [now.loss for now in steps[0]] == [now.loss for now in steps[1]]
    assert [now.rows for now in steps[1]] == [now.rows for now in wanted]
    close(alone, runs[0], 1e-3)


def test_the_first_rank_judges_for_all() -> None:
    marks = iter([0.3, 0.9, 0.5])

    def nobody() -> float:
        raise AssertionError("another rank looks at the dev rows")

    steps, runs = together(epochs=3, scores=[lambda: next(marks), nobody])
    assert [run.best_epoch for run in runs] == [2, 2] and runs[1].best == 0.9
    assert [now.dev_score for now in steps[1] if now.dev_score is not None] == [0.3, 0.9, 0.5]
    assert all(np.array_equal(a, runs[1].weights()[n]) for n, a in runs[0].weights().items())


def test_a_state_that_rank_0_takes_up_is_that_of_all() -> None:
    _, whole = together()

    def until_4(run: Finetuning) -> Steps:
        found = []
        for now in run:
            found.append(now)
            if now.step == 4:
                break
        return found

    _, first = together(work=until_4)
    arrays, numbers = first[0].state()
    steps, again = together(prepare=lambda run: run.load(arrays, numbers))
    assert [now.step for now in steps[1]] == [5, 6]
    for run in again:
        assert all(np.array_equal(a, run.weights()[n]) for n, a in whole[0].weights().items())


def test_all_ranks_stop_when_one_is_asked_to() -> None:
    asked = iter([False, True, True])

    def until_stop(run: Finetuning) -> Steps:
        return [next(now for now in run if now.stop)]

    steps, _ = together(work=until_stop, stop=lambda rank: rank == 1 and next(asked))
    assert [found[0].step for found in steps] == [2, 2]
