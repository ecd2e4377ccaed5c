"""The loop: bits, resumption, what goes wrong, and ranks."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nlpcli.batching.masking import MaskConfig, Pieces
from nlpcli.batching.pretraining_rows import (
    PretrainingRows,
    Specials,
    Stream,
    held_out_ranges,
    kept_apart,
)
from nlpcli.errors import NegativeAnswer
from nlpcli.models.bert_config import BertConfig
from nlpcli.models.pretraining import PretrainingBert
from nlpcli.training import pretraining as module
from nlpcli.training.pretraining import Pretraining, PretrainStep
from nlpcli.training.pretraining_config import PretrainingConfig

from .seats import Seat, Table

V, LENGTH = 32, 16
NONE = np.zeros((0, 2), np.int64)


def corpus(n_lines: int = 400) -> Stream:
    """Lines that say one piece over and over, so that a gap is easy to fill."""
    generator = np.random.default_rng(0)
    lines = generator.integers(5, V, (n_lines, 1)).repeat(10, axis=1)
    lines[9::10, -1] = 3
    ends = np.arange(0, n_lines * 10 + 1, 10)
    return Stream(lines.ravel().astype(np.uint16), ends, ends[::10])


def made(
    *, precision: torch.dtype = torch.float32, steps: int | None = 8, batch_size: int = 16,
    how: Any = "words", pairs: bool = False, spans: bool = False, held_out: float = 0.0,
    dropout: float = 0.0, ranks: Any = None, stop: Callable[[], bool] = bool, hidden: int = 16,
    n_lines: int = 400, **config: Any,
) -> Pretraining:  # fmt: skip
    stream = corpus(n_lines)
    apart = held_out_ranges(stream, held_out, 1) if held_out else NONE
    pieces = Pieces(4, np.zeros(V, bool), np.arange(5, V))
    masks = MaskConfig(how=how)

    def rows(of: Stream, without: Any) -> PretrainingRows:
        specials = Specials(2, 3, 0)
        return PretrainingRows(of, without, LENGTH, specials, pieces, masks, pairs=pairs, seed=3)

    sizes = BertConfig(
        vocab_size=V, n_layers=1, hidden=hidden, heads=2, intermediate=32, max_positions=LENGTH,
        dropout=dropout, attention_dropout=dropout,
    )  # fmt: skip
    model = PretrainingBert(sizes, span_boundary=spans)
    model.begin(1)
    return Pretraining(
        model, rows(stream, apart), rows(kept_apart(stream, apart), NONE) if held_out else None,
        PretrainingConfig(batch_size=batch_size, steps=steps, **{"lr": 0.01, **config}),
        seed=3, device=torch.device("cpu"), precision=precision, ranks=ranks, stop=stop,
    )  # fmt: skip


def weights(run: Pretraining) -> dict[str, Any]:
    return {n: t.detach().numpy().copy() for n, t in run.masters.tensors.items()}


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return list(one) == list(other) and all(np.array_equal(one[n], other[n]) for n in one)


def without_times(steps: list[PretrainStep]) -> list[tuple[Any, ...]]:
    return [(s.step, s.total, s.losses, s.rate, s.norm, s.tokens, s.held_out) for s in steps]


EVERYTHING: dict[str, Any] = {
    "how": "spans", "spans": True, "pairs": True, "dropout": 0.1, "held_out": 0.1,
}  # fmt: skip
KINDS = [
    (precision, optimizer)
    for precision in (torch.float32, torch.bfloat16)
    for optimizer in ("adamw", "muon")
]
TWO_KINDS = [
    KINDS[0], KINDS[3], *(pytest.param(*kind, marks=pytest.mark.slow) for kind in KINDS[1:3])
]  # fmt: skip


@pytest.mark.parametrize(("precision", "optimizer"), TWO_KINDS)
def test_the_same_seed_gives_the_same_bits(precision: torch.dtype, optimizer: str) -> None:
    runs = [made(precision=precision, optimizer=optimizer, **EVERYTHING) for _ in range(2)]
    begun = weights(runs[0])
    steps = [without_times(list(run)) for run in runs]
    assert steps[0] == steps[1] and len(steps[0]) == 8
    assert same(weights(runs[0]), weights(runs[1]))
    moved = [name for name, array in weights(runs[0]).items()
             if not np.array_equal(array, begun[name])]  # fmt: skip
    assert len(moved) == len(begun)


@pytest.mark.parametrize(("precision", "optimizer"), KINDS)
@pytest.mark.parametrize("at", [pytest.param(1, marks=pytest.mark.slow), 5])
def test_a_run_taken_up_ends_in_the_same_bits(
    precision: torch.dtype, optimizer: str, at: int
) -> None:
    config: dict[str, Any] = {"precision": precision, "optimizer": optimizer, **EVERYTHING}
    whole = made(**config)
    wanted = without_times(list(whole))
    first = made(**config)
    for now in first:
        if now.step == at:
            break
    arrays, numbers = first.state()
    kept = {name: array.copy() for name, array in arrays.items()}
    numbers = json.loads(json.dumps(numbers))
    next(iter(first))  # what a state holds does not change when the run goes on
    assert same(arrays, kept)
    again = made(**config)
    list(itertools.islice(again, 2))  # wherever it was before
    again.load(arrays, numbers)
    assert again.steps_done == at and again.tokens == at * 16 * LENGTH
    assert without_times(list(again)) == wanted[at:]
    assert same(weights(again), weights(whole))
    assert same(again.state()[0], whole.state()[0])


def test_a_state_of_a_warm_up_of_minutes_ends_in_the_same_bits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Pretraining, "_timed_warmup", lambda self: 4)
    monkeypatch.setattr(Pretraining, "_steps_left", lambda self, seconds: 9)
    config: dict[str, Any] = {"steps": None, "minutes": 5.0, **EVERYTHING}
    whole = made(**config)
    steps = list(whole)
    assert [now.total for now in steps] == 4 * [None] + 5 * [9]
    assert [now.step for now in steps if now.held_out] == [5, 6, 7, 8, 9]
    rates = [now.rate for now in steps]
    assert np.allclose(rates[:4], 0.01 * np.arange(1, 5) / 4) and rates[4] == 0.01 > rates[5]
    for at in (2, 4, 6):
        first = made(**config)
        for now in first:
            if now.step == at:
                break
        again = made(**config)
        again.load(*first.state())
        assert without_times(list(again)) == without_times(steps[at:])
        assert same(weights(again), weights(whole))


def test_minutes_become_steps() -> None:
    run = made(steps=None, minutes=0.005, warmup=0.2, n_lines=2000)
    steps = list(run)
    assert run.total == len(steps) == run.steps_done and run.warmup_steps >= 1
    assert steps[run.warmup_steps].rate == pytest.approx(0.01) and steps[-1].rate < 0.005
    assert 0.05 < steps[-1].seconds < 3


def test_timing_the_warm_up_changes_nothing() -> None:
    plain = made(warmup=0.25)
    list(plain)
    timed = made(warmup=0.25)
    made_config = PretrainingConfig(batch_size=16, minutes=1.0, lr=0.01, warmup=0.25)
    timed.config, timed.total = made_config, None
    assert timed._timed_warmup() >= 1
    assert timed.masters.gradients() == []
    timed.config, timed.total = plain.config, 8
    list(timed)
    assert same(weights(plain), weights(timed))


@pytest.mark.parametrize(("precision", "optimizer"), TWO_KINDS)
def test_it_learns_a_corpus_that_repeats_itself(precision: torch.dtype, optimizer: str) -> None:
    run = made(
        steps=160, precision=precision, optimizer=optimizer, hidden=32, held_out=0.1, lr=0.01,
        evaluations=2, n_lines=1000,
    )  # fmt: skip
    steps = list(run)
    looked = [now for now in steps if now.held_out]
    assert [now.step for now in looked] == [80, 160]
    assert abs(steps[0].losses["mlm"] - math.log(27)) < 0.5
    assert looked[-1].held_out["mlm_loss"] < looked[0].held_out["mlm_loss"] < 3.3
    assert looked[-1].held_out["mlm_loss"] < 2.2
    assert looked[-1].held_out["mlm_accuracy"] > 0.3
    assert sum(now.note is not None for now in steps) <= 2  # at such a rate AdamW may jump


def test_all_objectives_fall() -> None:
    run = made(steps=120, hidden=32, how="spans", spans=True, pairs=True, n_lines=1500)
    steps = list(run)
    assert set(steps[0].losses) == {"mlm", "nsp", "sbo"}

    def mean(part: list[PretrainStep], name: str) -> float:
        return float(np.mean([now.losses[name] for now in part]))

    for name in ("mlm", "sbo"):
        assert mean(steps[-10:], name) < mean(steps[:10], name) - 0.4
    assert mean(steps[-10:], "nsp") < 0.72


def test_objectives_that_are_not_asked_for_are_not_told() -> None:
    assert {tuple(now.losses) for now in made(how="spans", steps=2)} == {("mlm",)}
    run = made(how="spans", pairs=True, steps=1, held_out=0.1)
    [now] = run
    assert set(now.losses) == {"mlm", "nsp"}
    assert set(now.held_out) == {"mlm_loss", "mlm_accuracy", "nsp_loss", "nsp_accuracy"}
    assert math.isfinite(now.norm) and now.norm > 0 and now.tokens == 16 * LENGTH


def test_looking_at_rows_kept_apart_changes_nothing() -> None:
    often, never = made(held_out=0.1, evaluations=8), made(held_out=0.1, evaluations=1)
    assert sum(bool(now.held_out) for now in often) == 8
    assert sum(bool(now.held_out) for now in never) == 1
    assert same(weights(often), weights(never))
    assert often.evaluate() == often.evaluate()


# --- micro-batches and ranks --------------------------------------------------------------


def gradients(run: Pretraining) -> dict[str, Tensor]:
    losses = run._gradients(0)
    assert losses
    return {n: t.grad.clone() for n, t in run.masters.tensors.items() if t.grad is not None}


def test_micro_batches_change_no_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    config: dict[str, Any] = {**EVERYTHING, "dropout": 0.0, "batch_size": 44}
    whole = gradients(made(**config))
    monkeypatch.setattr(module, "MICRO_TOKENS", {"cpu": 8 * LENGTH})
    parts = made(**config)
    assert len(parts._batches(0)) == 6
    for name, gradient in gradients(parts).items():
        torch.testing.assert_close(gradient, whole[name], rtol=1e-4, atol=1e-6)
    assert len(whole) == len(parts.masters.tensors)


def together(
    size: int = 2, prepare: Callable[[Pretraining], Any] = id,
    work: Callable[[Pretraining], list[PretrainStep]] = list, **config: Any,
) -> tuple[list[list[PretrainStep]], list[Pretraining]]:  # fmt: skip
    table = Table(size)
    runs = [made(ranks=Seat(table, rank, size), **config) for rank in range(size)]
    prepare(runs[0])
    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(work, runs)), runs


@pytest.mark.parametrize(("size", "batch_size"), [(2, 32), (3, 40), (2, 8)])
def test_ranks_have_the_losses_of_one_process(size: int, batch_size: int) -> None:
    config: dict[str, Any] = {**EVERYTHING, "dropout": 0.0, "batch_size": batch_size}
    alone = list(made(**config))
    steps, runs = together(size, **config)
    assert all(same(weights(runs[0]), weights(run)) for run in runs[1:])
    for one, other in zip(alone, steps[0], strict=True):
        assert list(one.losses) == list(other.losses)
        for name, loss in one.losses.items():
            assert abs(loss - other.losses[name]) < 1e-3
        assert abs(one.norm - other.norm) < 1e-3 * one.norm
        for name, value in one.held_out.items():
            assert abs(value - other.held_out[name]) < (1e-3 if "loss" in name else 0.02)
    assert [now.losses for now in steps[0]] == [now.losses for now in steps[1]]


def test_a_rank_without_a_span_or_a_row() -> None:
    """One row of 8 pieces a rank: most have no span at all."""
    config: dict[str, Any] = {**EVERYTHING, "dropout": 0.0, "held_out": 0.0, "batch_size": 9}
    alone = list(made(steps=3, **config))
    steps, runs = together(3, steps=3, **config)
    assert all(same(weights(runs[0]), weights(run)) for run in runs[1:])
    assert abs(alone[-1].losses["mlm"] - steps[2][-1].losses["mlm"]) < 1e-3


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_state_that_rank_0_takes_up_is_that_of_all(optimizer: str) -> None:
    config: dict[str, Any] = {"optimizer": optimizer, **EVERYTHING, "batch_size": 16}
    config["dropout"] = 0.0
    _, whole = together(**config)

    def until_4(run: Pretraining) -> list[PretrainStep]:
        return list(itertools.islice(run, 4))

    _, first = together(work=until_4, **config)
    arrays, numbers = first[0].state()
    numbers = {**numbers, "scale": 0.5, "returns": 2}
    half = together(prepare=lambda run: run.load(arrays, numbers), **config)[1]
    assert all(run._scale == 0.5 and run._returns == 2 for run in half)
    numbers = {**numbers, "scale": 1.0, "returns": 0}
    steps, again = together(prepare=lambda run: run.load(arrays, numbers), **config)
    assert [now.step for now in steps[1]] == [5, 6, 7, 8]
    assert all(same(weights(run), weights(whole[0])) for run in again)


def test_all_ranks_stop_when_one_is_asked_to() -> None:
    table = Table(2)
    asked = iter([False, False, True, True])
    runs = [
        made(ranks=Seat(table, 0, 2)),
        made(ranks=Seat(table, 1, 2), stop=lambda: next(asked)),
    ]

    def until_stop(run: Pretraining) -> int:
        return next(now.step for now in run if now.stop)

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(until_stop, runs)) == [3, 3]


# --- what goes wrong ----------------------------------------------------------------------


def spoil(monkeypatch: pytest.MonkeyPatch, run: Pretraining, bad: Callable[[int], bool]) -> None:
    """NaN in a gradient of the steps, from 0, that are bad."""
    real = run._gradients

    def gradients(step: int) -> dict[str, float]:
        losses = real(step)
        if bad(step):
            run.masters.gradients()[0][0] = torch.nan
        return losses

    monkeypatch.setattr(run, "_gradients", gradients)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_a_gradient_that_is_no_number_is_left_out(
    monkeypatch: pytest.MonkeyPatch, precision: torch.dtype
) -> None:
    run = made(precision=precision)
    spoil(monkeypatch, run, lambda step: step == 3)
    seen = []
    before: dict[str, Any] = {}
    for now in run:
        if now.step == 4:
            assert now.note is not None and now.note.startswith("step 4 is left out")
            assert not math.isfinite(now.norm) and same(weights(run), before)
        else:
            assert now.note is None and not same(weights(run), before)
        before = weights(run)
        seen.append(now.step)
    assert seen == list(range(1, 9))
    assert all(np.isfinite(array).all() for array in weights(run).values())


def test_weights_are_taken_back_at_half_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SNAPSHOT_STEPS", 4)
    run, plain = made(steps=20), made(steps=20)
    spoil(monkeypatch, run, lambda step: 6 <= step < 11)
    wanted = list(plain)
    snapshot: dict[str, Any] = {}
    for now in run:
        if now.step == 4:
            snapshot = weights(run)
        if now.step == 11:
            assert now.note == "step 11: weights are taken back, the rate is halved"
            assert same(weights(run), snapshot)
        if now.step > 11:
            assert now.rate == pytest.approx(wanted[now.step - 1].rate / 2)
            assert now.note is None
    assert now.step == 20 and all(np.isfinite(array).all() for array in weights(run).values())


def test_before_the_first_snapshot_it_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    run = made()
    begun = weights(run)
    spoil(monkeypatch, run, lambda step: 1 <= step < 6)
    notes = []
    for now in run:
        notes.append(now.note)
        if now.step == 6:
            assert same(weights(run), begun)
    assert [note is None for note in notes] == [True] + 5 * [False] + [True, True]


def test_diverging_ends_with_what_to_try(monkeypatch: pytest.MonkeyPatch) -> None:
    run = made(steps=200, n_lines=2000)
    spoil(monkeypatch, run, lambda step: step > 2)
    steps = []
    with pytest.raises(NegativeAnswer, match="training diverged at step 33") as caught:
        for now in run:
            steps.append(now.step)
    assert caught.value.hint == "--lr 0.0025" and steps == list(range(1, 33))
    assert all(np.isfinite(array).all() for array in weights(run).values())


def test_a_rate_that_is_far_too_high_does_no_harm() -> None:
    run = made(steps=40, lr=1e6, warmup=0.0, clip=1e9, n_lines=2000)
    try:
        notes = [now.note for now in run]
    except NegativeAnswer:
        return
    assert any(notes) or all(np.isfinite(array).all() for array in weights(run).values())


def test_ranks_go_back_together(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table(2)
    runs = [made(ranks=Seat(table, rank, 2)) for rank in range(2)]
    real = runs[1].masters.collect

    def collect() -> None:
        real()
        if 1 <= runs[1].steps_done < 6:
            runs[1].masters.gradients()[0][0] = torch.nan

    monkeypatch.setattr(runs[1].masters, "collect", collect)
    with ThreadPoolExecutor(2) as pool:
        steps = list(pool.map(list, runs))
    assert [now.note for now in steps[0]] == [now.note for now in steps[1]]
    assert "taken back" in (steps[0][5].note or "")
    assert same(weights(runs[0]), weights(runs[1]))


@pytest.mark.parametrize("how", ["shape", "missing", "optimizer"])
def test_a_state_that_does_not_fit(how: str) -> None:
    run = made()
    next(iter(run))
    arrays, numbers = run.state()
    name = "encoder.layer.0.output.dense.weight"
    if how == "shape":
        arrays[name] = arrays[name][:-1]
    elif how == "missing":
        del arrays[name]
    else:
        del arrays["optimizer/embeddings.word_embeddings.weight:exp_avg"]
    with pytest.raises(ValueError):
        made().load(arrays, numbers)


def test_a_corpus_that_is_smaller_than_a_step() -> None:
    with pytest.raises(ValueError, match=r"15 rows, a step has 16"):
        made(n_lines=20)
    assert made(n_lines=20, batch_size=15).steps_per_epoch == 1


def test_epochs_become_steps() -> None:
    run = made(steps=None, epochs=2, batch_size=64)
    assert run.total == 2 * (len(run._rows) // 64) == 2 * run.steps_per_epoch
    first, second = run._batches(0), run._batches(run.steps_per_epoch)
    assert not torch.equal(first[0][0], second[0][0])
