"""Arithmetic by a formula and as torch counts it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from nlpcli.batching.framing import Rows
from nlpcli.models.bert_config import BertConfig
from nlpcli.models.encoder_heads import SequenceModel
from nlpcli.training.answers import SequenceObjective
from nlpcli.training.finetuning import Finetuning
from nlpcli.training.finetuning_config import FinetuneConfig

from .small_bert import SPECIALS

SIZES = BertConfig(
    vocab_size=40, n_layers=3, hidden=64, heads=2, intermediate=128, max_positions=16,
    dropout=0.0, attention_dropout=0.0,
)  # fmt: skip


@pytest.mark.parametrize(
    "config",
    [{}, {"freeze": "embeddings"}, {"freeze": "2"}, {"fgm": 0.1}, {"fgm": 1, "freeze": "1"}],
)
def test_flops_per_row(config: dict[str, Any]) -> None:
    model = SequenceModel(SIZES, 2, 0.0)
    model.initialize(0.2, torch.Generator().manual_seed(1))
    ids = np.random.default_rng(1).integers(5, 40, 8 * 16).astype(np.int32)
    rows = Rows(ids, np.arange(0, 8 * 16 + 1, 16), np.full(8, 16), 0)
    training = Finetuning(
        model, rows, SequenceObjective(np.arange(8) % 2), SPECIALS,
        FinetuneConfig(epochs=1, batch_size=8, dropout=0.0, **config), seed=1,
        device=torch.device("cpu"), precision=torch.float32,
    )  # fmt: skip
    with FlopCounterMode(display=False) as counter:
        assert len(list(training)) == 1
    # the lowest layer that learns need not say what its input should have been
    assert training.flops_per_row == pytest.approx(counter.get_total_flops() / 8, rel=0.09)
