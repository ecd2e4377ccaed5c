"""A frozen encoder reads rows once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch

from nlpcli.batching.framing import Rows
from nlpcli.batching.word_rows import UNLABELLED
from nlpcli.errors import Unavailable
from nlpcli.models.encoder_heads import EncoderModel
from nlpcli.models.token_heads import TokenModel
from nlpcli.training import frozen_features
from nlpcli.training.answers import SequenceObjective, answers, logits_of
from nlpcli.training.finetuning import Finetuning
from nlpcli.training.finetuning_config import FinetuneConfig
from nlpcli.training.frozen_features import remembering
from nlpcli.training.tagging import TokenObjective

from .seats import Seat, Table
from .small_bert import SMALL, SPECIALS, small_model, small_rows


def tagger() -> TokenModel:
    model = TokenModel(SMALL, 3, 0.0)
    model.initialize(0.2, torch.Generator().manual_seed(1))
    return model


def frozen(
    model: EncoderModel, rows: Rows, objective: Any, *, dropout: float = 0.0,
    precision: torch.dtype = torch.float32, **more: Any,
) -> Finetuning:  # fmt: skip
    config = FinetuneConfig(epochs=3, batch_size=8, lr=0.05, freeze="all", dropout=dropout)
    return Finetuning(
        model, rows, objective, SPECIALS, config, seed=3, device=torch.device("cpu"),
        precision=precision, **more,
    )  # fmt: skip


def words(rows: Rows) -> TokenObjective:
    """Tags that the pieces say."""
    return TokenObjective(rows, np.where(rows.ids < 5, UNLABELLED, rows.ids % 3).astype(np.int64))


@pytest.mark.parametrize("by_position", [False, True])
def test_features_that_are_kept_change_nothing(
    monkeypatch: pytest.MonkeyPatch, by_position: bool
) -> None:
    rows, labels = small_rows(50)
    dev, _ = small_rows(seed=2)
    found = []
    for room in (1 << 20, 0):
        monkeypatch.setattr(frozen_features, "FEATURE_BYTES", room)
        model = tagger() if by_position else small_model()
        objective = words(rows) if by_position else SequenceObjective(labels)
        seen = []

        def score(model: EncoderModel = model, seen: list[torch.Tensor] = seen) -> float:
            said = torch.zeros(len(dev), 16, 3)
            for chosen, logits in answers(model, dev, SPECIALS):
                logits = logits if by_position else logits[:, None]
                said[torch.from_numpy(chosen), : logits.shape[1], : logits.shape[2]] = logits
            place = torch.arange(16) < torch.from_numpy(dev.lengths)[:, None]
            seen.append(said[place] if by_position else said[:, 0])
            return 0.0

        reads: list[int] = []
        model.bert.register_forward_hook(
            lambda module, given, out, reads=reads: reads.append(len(out))
        )
        training = frozen(model, rows, objective, score=score)
        assert training.keeps_features == bool(room)
        losses = [now.loss for now in training]
        found.append((losses, training.weights(), seen))
        assert sum(reads) == (70 if room else 3 * 70)
    (losses, weights, seen), (others, computed, again) = found
    # means of epochs so far, of 7 steps each
    assert losses == pytest.approx(others, abs=1e-4) and losses[-1] < 0.95 * losses[6]
    for name, array in weights.items():
        np.testing.assert_allclose(array, computed[name], atol=1e-4)
    assert len(seen) == 3
    for one, other in zip(seen, again, strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_answers_have_the_bits_of_an_encoder_that_reads_again(precision: torch.dtype) -> None:
    rows, labels = small_rows(30)
    model = small_model(dropout=0.3)
    training = frozen(model, rows, SequenceObjective(labels), dropout=0.3, precision=precision)
    for _ in training:
        pass
    assert model.remembered is not None and len(model.remembered) == 1
    kept = logits_of(model, rows, SPECIALS)
    model.remembered = None
    assert np.array_equal(kept, logits_of(model, rows, SPECIALS))


def test_a_frozen_encoder_has_no_dropout() -> None:
    rows, labels = small_rows()
    model = small_model(dropout=0.5)
    training = frozen(model, rows, SequenceObjective(labels), dropout=0.5)
    modes = []
    model.register_forward_pre_hook(lambda module, given: modes.append(module.training))
    model.splits = False  # type: ignore[misc]
    training.model.remembered = None
    states = []
    model.bert.register_forward_hook(lambda module, given, out: states.append(module.training))
    next(iter(training))
    assert modes == [True] and states == [False]


def test_rows_are_remembered_one_batch_after_the_other() -> None:
    rows, labels = small_rows(300)
    training = frozen(small_model(), rows, SequenceObjective(labels))
    done = list(training.remember())
    assert len(done) > 1 and done[-1] == (300, 300) and not list(training.remember())
    model = training.model
    assert model.remembered is not None
    assert list(remembering(model, small_rows(300, seed=4)[0], SPECIALS))
    assert len(model.remembered) == 2


def test_ranks_remember_together_whoever_is_asked_to_show_it() -> None:
    rows, labels = small_rows(50)

    def learnt(training: Finetuning) -> list[float]:
        return [now.loss for now in training]

    def shown_first(training: Finetuning) -> list[float]:
        """As rank 0 does, while the others begin to learn at once."""
        assert list(training.remember())
        return learnt(training)

    wanted = learnt(frozen(small_model(), rows, SequenceObjective(labels)))
    table, runs = Table(2), []
    for rank in range(2):
        seat: Any = Seat(table, rank, 2)
        runs.append(frozen(small_model(), rows, SequenceObjective(labels)))
        runs[-1].join(seat, bool)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.submit(shown_first, runs[0]), pool.submit(learnt, runs[1])
        assert first.result() == second.result() == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize("freeze", [False, True])
def test_rows_are_answered_in_parts_where_memory_ends(
    monkeypatch: pytest.MonkeyPatch, freeze: bool
) -> None:
    rows, _ = small_rows(50)
    wanted, model = logits_of(small_model(), rows, SPECIALS), small_model()
    model.remembered = {} if freeze else None
    real, room, asked = model.features, 60, []

    def features(ids: torch.Tensor, *more: torch.Tensor) -> torch.Tensor:
        asked.append(ids.numel())
        if ids.numel() > room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return real(ids, *more)

    monkeypatch.setattr(model, "features", features)
    np.testing.assert_allclose(logits_of(model, rows, SPECIALS), wanted, atol=1e-6)
    assert 1 <= sum(size > room for size in asked) <= 5  # and then it is known
    model.remembered, room = None, 7
    with pytest.raises(Unavailable, match="does not hold one row of "):
        logits_of(model, rows, SPECIALS)
