"""A network of a few thousand parameters, and rows whose labels can be learnt."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from nlpcli.batching.framing import Rows, Specials, framed
from nlpcli.models.bert_config import BertConfig
from nlpcli.models.encoder_heads import SequenceModel
from nlpcli.text.wordpiece import Ragged

SPECIALS = Specials(cls=2, sep=3, pad=0, longest=16)
SMALL = BertConfig(
    vocab_size=40, n_layers=2, hidden=16, heads=2, intermediate=32, max_positions=16,
    dropout=0.0, attention_dropout=0.0,
)  # fmt: skip


def small_model(
    n_labels: int = 2, dropout: float = 0.0, seed: int = 1, **shape: str
) -> SequenceModel:
    """Drawn at random, with weights large enough to be told apart."""
    config = BertConfig(**{**SMALL.to_json(), "dropout": dropout, "attention_dropout": dropout})
    model = SequenceModel(config, n_labels, dropout, **shape)
    model.initialize(0.2, torch.Generator().manual_seed(seed))
    return model


def small_rows(
    count: int = 20, n_labels: int = 2, seed: int = 1
) -> tuple[Rows, npt.NDArray[np.int64]]:
    """Texts of 3 to 10 pieces; one of them says the label, int64 [count]."""
    rng = np.random.default_rng(seed)
    sizes, labels = rng.integers(3, 11, count), rng.integers(0, n_labels, count)
    lists = [rng.integers(10, 40, size) for size in sizes]
    for pieces, label in zip(lists, labels, strict=True):
        pieces[rng.integers(0, len(pieces))] = 5 + label
    texts = Ragged(np.concatenate(lists).astype(np.int32), np.concatenate([[0], np.cumsum(sizes)]))
    return framed(texts, None, SPECIALS, "truncate-tail"), labels
