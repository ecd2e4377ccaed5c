"""Small fine-tuned encoders for tests: random weights, so that answers differ from text to text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nlpcli.formats import hf_names
from nlpcli.models.bert_config import BertConfig
from nlpcli.models.sequence_head import head_shapes
from nlpcli.store.encoder import Encoder
from nlpcli.store.encoder_classifier import (
    ARCHITECTURE,
    BARE,
    KEYS,
    Answering,
    StoredClassifier,
    write_encoder_classifier,
)
from nlpcli.store.folder import ModelFolder
from nlpcli.store.store import Store
from nlpcli.text.wordpiece import WordPieceTokenizer

TEXTS = [
    "the cats", "", "a b a b the cat the cat " * 3, "b", "中 the 中", "a cat", "dogs!", "the cats",
    "b " * 40,
]  # fmt: skip
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "the", "##s", "cat", "中"]


def small_classifier(labels: list[str] | None = None, **answering: Any) -> StoredClassifier:
    """Two layers of 8 numbers, 24 positions."""
    names = ["x", "y", "größe"] if labels is None else labels
    config = BertConfig(
        vocab_size=len(PIECES), n_layers=2, hidden=8, heads=2, intermediate=16, max_positions=24
    )
    rng = np.random.default_rng(1)
    encoder = Encoder(
        config=config,
        weights={
            name: np.ones(shape, np.float32)
            if name.endswith("LayerNorm.weight")
            else rng.normal(scale=0.5, size=shape).astype(np.float32)
            for name, shape in hf_names.tensor_shapes(config, ARCHITECTURE, len(names)).items()
        },
        tokenizer_json=WordPieceTokenizer.from_vocab(PIECES).to_json(),
        architecture=ARCHITECTURE,
        labels=names,
        problem_type="single_label_classification",
    )
    given = replace(Answering(max_length=24), **answering)
    if given.separator is not None:
        encoder = replace(encoder, problem_type="multi_label_classification")
    return StoredClassifier(encoder, given)


def small_with(head: str, pooling: str, **answering: Any) -> StoredClassifier:
    """With a head of its own file, unless transformers has a class for it; a ``regression`` is
    one number."""
    names = ["score"] if answering.get("regression") else ["x", "y", "größe"]
    plain = small_classifier(names, head=head, pooling=pooling, **answering)
    encoder = plain.encoder
    if answering.get("regression"):
        encoder = replace(encoder, problem_type="regression")
    if plain.answering.is_plain:
        return replace(plain, encoder=encoder)
    rng = np.random.default_rng(2)
    tensors = {
        name: rng.normal(scale=0.1, size=shape).astype(np.float32)
        for name, shape in head_shapes(encoder.config.hidden, len(names), head).items()
    }
    weights = {n: a for n, a in encoder.weights.items() if not n.startswith("classifier.")}
    encoder = replace(encoder, weights=weights, architecture=BARE, labels=[], problem_type=None)
    return StoredClassifier(encoder, plain.answering, tensors, names)


def store_classifier(
    root: Path, stored: StoredClassifier, name: str = "m", **changes: Any
) -> ModelFolder:
    """As the next version of a name; ``changes`` to config.classifier after it was written."""
    with Store(root).begin(name) as draft:
        config = write_encoder_classifier(draft, stored, {"run": {}})
        kind = stored.answering.kind
        config[KEYS[kind]] = {
            key: value for key, value in {**config[KEYS[kind]], **changes}.items()
            if value is not ...
        }  # fmt: skip
        path = draft.publish(
            kind=kind, created_by="test", config=config, labels=stored.labels, data={},
            seed=1, metrics={},
        )  # fmt: skip
    folder = ModelFolder(path)
    folder.verify()
    return folder
