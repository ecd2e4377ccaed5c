"""The loop of fine-tuning, by networks of a few thousand parameters."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from nlpcli.batching.framing import Rows
from nlpcli.errors import NegativeAnswer
from nlpcli.models.encoder_heads import SequenceModel
from nlpcli.training import finetuning as loop
from nlpcli.training.answers import SequenceObjective, logits_of
from nlpcli.training.finetuning import WORDS, Finetuning
from nlpcli.training.finetuning_config import FinetuneConfig, usual_lr
from nlpcli.training.freezing import layer_of

from .small_bert import SPECIALS, small_model, small_rows

CPU = torch.device("cpu")
Weights = dict[str, npt.NDArray[np.float32]]


def tuning(
    model: SequenceModel | None = None, rows: Rows | None = None,
    targets: npt.NDArray[Any] | None = None, *, precision: torch.dtype = torch.float32,
    score: Callable[[], float] | None = None, patience: int | None = None,
    weights: npt.NDArray[np.float32] | None = None, **config: Any,
) -> Finetuning:  # fmt: skip
    """Over 20 rows in batches of 8, unless said otherwise."""
    if rows is None or targets is None:
        rows, targets = small_rows()
    given = FinetuneConfig(**{"epochs": 2, "batch_size": 8, "dropout": 0.0, "lr": 1e-3, **config})
    objective = SequenceObjective(targets, weights)
    return Finetuning(
        model or small_model(dropout=given.dropout), rows, objective, SPECIALS, given, seed=3,
        device=CPU, precision=precision, score=score, patience=patience,
    )  # fmt: skip


def trained(**options: Any) -> Weights:
    training = tuning(**options)
    for _ in training:
        pass
    return training.weights()


def same(first: Weights, second: Weights) -> bool:
    return all(np.array_equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    ("precision", "more"),
    [
        (torch.float32, {}), (torch.bfloat16, {}), (torch.bfloat16, {"fgm": 0.5}),
        (torch.float32, {"freeze": "all"}), (torch.float32, {"fgm": 0.5, "freeze": "1"}),
    ],
)  # fmt: skip
def test_the_same_bits_twice_and_from_the_middle(
    precision: torch.dtype, more: dict[str, Any]
) -> None:
    options: dict[str, Any] = {"precision": precision, "dropout": 0.2, "layer_decay": 0.8, **more}
    wanted = trained(**options)
    assert same(wanted, trained(**options))
    if "fgm" in more:
        assert not same(wanted, trained(**options | {"fgm": 0.0}))
    first = tuning(**options)
    for now in first:
        if now.step == 4:  # in the second epoch
            break
    arrays, numbers = first.state()
    arrays = {name: array.copy() for name, array in arrays.items()}
    for _ in first:
        pass  # what goes on must not change the state
    again = tuning(model=small_model(dropout=0.2, seed=9), **options)
    again.load(arrays, numbers)
    losses = [now.loss for now in again]
    assert len(losses) == 2 and again.steps_done == 6
    assert same(wanted, again.weights())


def test_a_state_that_does_not_fit() -> None:
    training = tuning()
    next(iter(training))
    arrays, numbers = training.state()
    with pytest.raises(ValueError, match="classifier"):
        tuning(model=small_model(3)).load(arrays, numbers)
    del arrays["words/steps"]
    with pytest.raises(KeyError):
        tuning().load(arrays, numbers)


@pytest.mark.parametrize("freeze", ["none", "embeddings", "1", "2", "7", "all"])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_what_is_frozen_stays_and_the_rest_moves(freeze: str, precision: torch.dtype) -> None:
    before = small_model().weights()
    after = trained(freeze=freeze, precision=precision)
    below = {"none": -1, "embeddings": 0, "1": 1}.get(freeze, 2)
    for name, array in after.items():
        layer = layer_of(name, 2)
        stays = below >= 0 and (layer == -1 or layer < below)
        stays = stays or (freeze == "all" and not name.startswith("classifier."))
        # a bias of keys moves all scores of a row alike, and so has no gradient but noise
        if not name.endswith("key.bias"):
            assert np.array_equal(array, before[name]) == stays, name


def test_rows_of_pieces_that_do_not_occur_stay() -> None:
    rows, _ = small_rows()
    before, after = small_model().weights()[WORDS], trained()[WORDS]
    moved = (before != after).any(axis=1)
    assert set(np.flatnonzero(moved)) == set(rows.ids.tolist())


def test_layers_below_move_less() -> None:
    # the first step of AdamW moves by the rate, whatever the gradient is
    model, rows = small_model(), small_rows()
    before = model.weights()
    training = tuning(model, *rows, layer_decay=0.5, warmup=0.0, weight_decay=0.0, clip=1e9)
    next(iter(training))
    after, moved = training.weights(), {}
    for name in ("classifier.weight", "encoder.layer.1.output.dense.weight",
                 "encoder.layer.0.output.dense.weight", WORDS):  # fmt: skip
        moved[name] = float(np.abs(after[name] - before[name]).max())
    sizes = list(moved.values())
    for above, below in pairwise(sizes):
        assert below / above == pytest.approx(0.5, rel=0.05), moved
    assert sizes[0] == pytest.approx(1e-3, rel=0.05)


def test_the_best_epoch_is_kept() -> None:
    marks = iter([0.2, 0.9, 0.9, 0.5])
    seen: list[Weights] = []

    def score() -> float:
        seen.append(training.weights())
        return next(marks)

    training = tuning(score=score, epochs=4)
    found = [now.dev_score for now in training]
    assert [mark for mark in found if mark is not None] == [0.2, 0.9, 0.9, 0.5]
    assert (training.best, training.best_epoch) == (0.9, 2)
    assert same(training.weights(), seen[1]) and not same(seen[1], seen[3])
    assert same(training.weights(), training.model.weights())


@pytest.mark.parametrize(("patience", "epochs"), [(1, 3), (2, 6), (None, 7)])
def test_patience(patience: int | None, epochs: int) -> None:
    marks = iter([0.5, 0.6, 0.1, 0.7, 0.2, 0.3, 0.4])
    training = tuning(score=lambda: next(marks), epochs=7, patience=patience)
    for _ in training:
        pass
    assert training.epochs_done == epochs
    marks = iter([0.9])  # one that is over does nothing when it is taken up again
    arrays, numbers = training.state()
    again = tuning(score=lambda: next(marks), epochs=7, patience=patience)
    again.load(arrays, numbers)
    if patience is not None:
        assert list(again) == [] and same(again.weights(), training.weights())
        assert again.loss == training.loss > 0


def test_gradients_that_are_not_finite() -> None:
    weights = small_model().weights()
    training = tuning(lr=0.01, epochs=9)
    real, bad = training._objective, {2, 3, 9, 10, 11, 12, 13}

    class Broken:
        def loss(self, outputs: torch.Tensor, chosen: npt.NDArray[np.int64]) -> torch.Tensor:
            factor = math.nan if training.steps_done in bad else 1.0
            return real.loss(outputs, chosen) * factor

    training._objective = Broken()
    losses: list[float] = []
    before: Weights = weights
    with pytest.raises(NegativeAnswer, match="diverged at step 14") as caught:
        for now in training:
            losses.append(now.loss)
            if now.step - 1 in bad:
                assert same(before, training.weights())
            before = training.weights()
    assert caught.value.hint == "--lr 0.0025"
    assert all(map(math.isfinite, losses)) and len(losses) == 13
    assert all(np.isfinite(array).all() for array in training.weights().values())


def test_what_weights_decay() -> None:
    quick, slow = (trained(weight_decay=decay, lr=0.01) for decay in (0.0, 0.5))
    table = "embeddings.position_embeddings.weight"
    assert not np.array_equal(quick[table][-1], slow[table][-1])
    model = small_model().weights()
    unseen = (quick[WORDS] == model[WORDS]).all(axis=1)
    assert unseen.any() and (slow[WORDS][unseen] == model[WORDS][unseen]).all()


def test_steps_none_of_which_was_taken() -> None:
    training = tuning(epochs=1)

    class Broken:
        def loss(self, outputs: torch.Tensor, chosen: npt.NDArray[np.int64]) -> torch.Tensor:
            return outputs.sum() * math.nan

    training._objective = Broken()
    with pytest.raises(NegativeAnswer, match="diverged at step 3"):
        list(training)


@pytest.mark.parametrize(
    ("precision", "fgm"), [(torch.float32, 0.0), (torch.bfloat16, 0.0), (torch.float32, 0.3)]
)
def test_micro_batches_do_not_change_the_step(
    monkeypatch: pytest.MonkeyPatch, precision: torch.dtype, fgm: float
) -> None:
    rows, targets = small_rows()
    weights = np.linspace(0.1, 1.9, 20).astype(np.float32)
    before, found = small_model().weights(), []
    for tokens in (4096, 24):
        monkeypatch.setattr(loop, "MICRO_TOKENS", {"cpu": tokens})
        training = tuning(
            small_model(), rows, targets, precision=precision, weights=weights, batch_size=20,
            warmup=0.0, weight_decay=0.0, fgm=fgm,
        )  # fmt: skip
        seen: list[dict[str, torch.Tensor]] = []
        real = training._optimizer.step

        def step(
            rate: float, real: Any = real, training: Finetuning = training, seen: Any = seen
        ) -> None:
            moving = training.masters.moving.tensors
            seen.append({n: t.grad.clone() for n, t in moving.items() if t.grad is not None})
            real(rate)

        monkeypatch.setattr(training._optimizer, "step", step)
        loss = next(iter(training)).loss
        found.append((seen[0], loss, training.weights()[WORDS] - before[WORDS]))
    (whole, loss, words), (parts, other, others) = found
    bound = 1e-6 if precision == torch.float32 else 2e-2
    assert other == pytest.approx(loss, rel=max(bound, 1e-5))
    for name, gradient in whole.items():
        assert parts[name].dtype == torch.float32
        difference = float((parts[name] - gradient).norm())
        assert difference <= bound + bound * 3 * float(gradient.norm()), name
    if precision == torch.float32:
        np.testing.assert_allclose(others, words, atol=1e-5)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("several", [False, True])
def test_20_rows_are_learnt_by_heart(precision: torch.dtype, several: bool) -> None:
    rows, labels = small_rows(n_labels=3)
    targets = np.eye(3, dtype=np.float32)[labels] if several else labels
    model = small_model(3)
    training = tuning(model, rows, targets, epochs=40, lr=1e-2, precision=precision)
    losses = [now.loss for now in training]
    assert losses[-1] < 0.1 < losses[0]
    assert (logits_of(model, rows, SPECIALS).argmax(axis=1) == labels).all()


@pytest.mark.parametrize(
    "shape", [{"head": "mlp"}, {"pooling": "mean"}, {"head": "mlp", "pooling": "mean"}]
)
@pytest.mark.parametrize("numbers", [False, True])
def test_other_heads_learn_20_rows_too(shape: dict[str, str], numbers: bool) -> None:
    rows, labels = small_rows(n_labels=2)
    targets: npt.NDArray[Any] = labels[:, None].astype(np.float32)  # the logit of a binary model
    if numbers:
        targets = (2 * labels - 1).astype(np.float32)
    model = small_model(1, **shape)
    losses = [now.loss for now in tuning(model, rows, targets, epochs=40, lr=1e-2)]
    assert losses[-1] < 0.1 < losses[0]
    assert ((logits_of(model, rows, SPECIALS)[:, 0] > 0) == labels).all()


def test_an_epoch_counts_its_rows() -> None:
    seen = [(now.step, now.epoch, now.rows, now.total) for now in tuning()]
    assert [each[:2] for each in seen] == [(1, 1), (2, 1), (3, 1), (4, 2), (5, 2), (6, 2)]
    assert (seen[2][2], seen[5][2], seen[0][3]) == (20, 40, 6)


def test_answers_do_not_depend_on_the_company() -> None:
    rows, _ = small_rows(60)
    model = small_model(3).to(torch.bfloat16)
    together = logits_of(model, rows, SPECIALS)
    for i in range(0, 60, 7):
        part = slice(int(rows.indptr[i]), int(rows.indptr[i + 1]))
        alone = Rows(rows.ids[part], np.array([0, rows.lengths[i]]), rows.second[i : i + 1], 0)
        np.testing.assert_allclose(logits_of(model, alone, SPECIALS)[0], together[i], atol=1e-3)


@pytest.mark.parametrize(
    "wrong",
    [{"lr": 0}, {"warmup": 1}, {"layer_decay": 0}, {"layer_decay": 1.5}, {"freeze": "some"},
     {"freeze": "²"}, {"freeze": "-1"}, {"epochs": 0}, {"max_length": -1}, {"dropout": 1.0},
     {"fgm": -1}, {"fgm": math.nan}, {"fgm": 1, "freeze": "all"}],
)  # fmt: skip
def test_configurations_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        FinetuneConfig(**wrong)


def test_the_rate_rises_and_falls() -> None:
    config = FinetuneConfig(warmup=0.25)
    rates = [config.share_of_rate(step, 8) for step in range(8)]
    assert rates[:3] == [0.5, 1.0, 1.0] and rates[-1] == pytest.approx(1 / 6)
    assert rates[2:] == sorted(rates[2:], reverse=True)


@pytest.mark.parametrize(("hidden", "lr"), [(768, 5e-5), (1024, 3.8e-5), (384, 1e-4), (32, 1.2e-3)])
def test_narrow_encoders_learn_at_a_higher_rate(hidden: int, lr: float) -> None:
    assert usual_lr(hidden) == lr
