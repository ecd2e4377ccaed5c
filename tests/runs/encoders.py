"""A small encoder of random weights over a vocabulary that was trained on a few sentences."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np

from nlpcli.formats import hf_names
from nlpcli.models.bert_config import BertConfig
from nlpcli.store.draft import Draft
from nlpcli.store.encoder import KIND, Encoder, write_encoder
from nlpcli.store.store import Store
from nlpcli.text.wordpiece import WordPieceTokenizer

SENTENCES = [
    "the bank raised its rates",
    "we sat on the bank of the river",
    "a river runs behind the old bank",
    "rates of the old banks were raised, and raised again",
]
TEXTS = [
    "the bank", "", "We sat on the river; the BANKS were raised.", "unsaid zebras",
    "a river runs " * 9, "the bank", "raised rates",
]  # fmt: skip
LONGEST = 24


@functools.cache
def tiny_encoder(n_layers: int = 2, seed: int = 1) -> Encoder:
    """32 numbers, 24 positions; the weights are large, so that nothing is the same by chance."""
    tokenizer = WordPieceTokenizer.train(SENTENCES, 60, min_frequency=1)
    config = BertConfig(
        vocab_size=tokenizer.n_pieces, n_layers=n_layers, hidden=32, heads=2, intermediate=64,
        max_positions=LONGEST,
    )  # fmt: skip
    rng = np.random.default_rng(seed)
    weights = {
        name: rng.normal(scale=0.3, size=shape).astype(np.float32)
        for name, shape in hf_names.tensor_shapes(config, "BertForPreTraining", 0).items()
    }
    return Encoder(
        config=config,
        weights=weights,
        tokenizer_json=tokenizer.to_json(),
        architecture="BertForPreTraining",
    )


def store_encoder(root: Path, name: str = "tiny") -> Path:
    """The encoder as the next version of a name; gives its folder."""
    with Store(root).begin(name) as draft:
        assert isinstance(draft, Draft)
        config = write_encoder(draft, tiny_encoder(), {})
        return draft.publish(
            kind=KIND, created_by="test", config=config, labels=[], data={}, seed=1, metrics={}
        )


def plain_folder(path: Path) -> Path:
    """The encoder as another program would keep it: no manifest."""
    path.mkdir(parents=True)
    for name, data in tiny_encoder().files().items():
        (path / name).write_bytes(data)
    return path
