"""Small fine-tuned encoders for tests: random weights, so that answers differ from text to text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nlpcli.formats import hf_names
from nlpcli.models.bert_config import BertConfig
from nlpcli.store.encoder import Encoder
from nlpcli.store.encoder_classifier import (
    ARCHITECTURE,
    KIND,
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


def store_classifier(
    root: Path, stored: StoredClassifier, name: str = "m", **changes: Any
) -> ModelFolder:
    """As the next version of a name; ``changes`` to config.classifier after it was written."""
    with Store(root).begin(name) as draft:
        config = write_encoder_classifier(draft, stored, {"run": {}})
        config["classifier"] = {
            key: value for key, value in {**config["classifier"], **changes}.items()
            if value is not ...
        }  # fmt: skip
        path = draft.publish(
            kind=KIND, created_by="test", config=config, labels=stored.encoder.labels, data={},
            seed=1, metrics={},
        )  # fmt: skip
    folder = ModelFolder(path)
    folder.verify()
    return folder
