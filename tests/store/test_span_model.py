"""Models of spans as folders: what was written is read, what does not add up is refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nlpcli.errors import DataError
from nlpcli.models.span_config import SpanConfig, span_head_shapes
from nlpcli.store.draft import Draft
from nlpcli.store.encoder import Encoder, open_encoder
from nlpcli.store.folder import ModelFolder
from nlpcli.store.span_model import (
    HEAD,
    KIND,
    Spanning,
    StoredSpans,
    read_span_model,
    write_span_model,
)
from nlpcli.store.store import Store

from ..formats.bert_folder import TINY, TOKENIZER, random_weights

CONFIG = SpanConfig(head="attention", max_span=4, size=5)


def head(**changes: Any) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    shapes = span_head_shapes(CONFIG, TINY.hidden, 2, 1).items()
    return {n: rng.normal(size=shape).astype(np.float32) for n, shape in shapes} | changes


def stored(**changes: Any) -> StoredSpans:
    encoder = Encoder(
        config=TINY, weights=random_weights("BertModel"), tokenizer_json=TOKENIZER,
        architecture="BertModel",
    )  # fmt: skip
    made = StoredSpans(encoder, ["X", "Y"], CONFIG, Spanning("nested", False, 20, ["r"]), head())
    return dataclasses.replace(made, **changes)


def published(path: Path, model: StoredSpans, **about: Any) -> ModelFolder:
    with Draft(path, None) as draft:
        config = write_span_model(draft, model, {"run": {}})
        config["spans"] |= about
        draft.publish(
            kind=KIND, created_by="t", config=json.loads(json.dumps(config)), labels=model.labels,
            data={}, seed=0, metrics={},
        )  # fmt: skip
    return ModelFolder(path)


def test_what_is_written_is_read_and_may_be_tuned_further(tmp_path: Path) -> None:
    model = stored()
    folder = published(tmp_path / "m", model)
    assert folder.manifest.config["spans"]["file"] == HEAD
    found = read_span_model(folder)
    assert (found.labels, found.config, found.spanning) == (["X", "Y"], CONFIG, model.spanning)
    for name, array in model.head.items():
        np.testing.assert_array_equal(found.head[name], array)
    opened = open_encoder(str(tmp_path / "m"), Store(tmp_path))
    for name, array in model.encoder.weights.items():
        np.testing.assert_array_equal(opened.encoder.weights[name], array)


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"decoding": "all"}, "config.spans.decoding: all"),
        ({"identify": 1}, "config.spans.identify: 1"),
        ({"max_length": 25}, "config.spans.max_length: 25"),
        ({"max_span": 0}, "config.spans.max_span: 0"),
        ({"max_span": 5}, "span_head.width: float32 (4, 5), wanted float32 (5, 5)"),
        ({"head": "boundary"}, "wanted the tensors"),
        ({"head": "x"}, "config.spans.head: 'x'"),
        ({"relations": ["r", "r"]}, "config.spans.relations"),
        ({"relations": ["r", "s"]}, "span_head.relation.weight"),
        ({"file": "../x"}, "config.spans.file: ../x"),
        ({"more": 1}, "has other keys"),
    ],
)
def test_what_cannot_be_is_not_read(tmp_path: Path, about: dict[str, Any], said: str) -> None:
    folder = published(tmp_path / "m", stored(), **about)
    with pytest.raises(DataError) as caught:
        read_span_model(folder)
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"span_head.width": np.zeros((4, 5))}, "span_head.width: float64 (4, 5)"),
        ({"span_head.label.bias": np.full(3, np.nan, np.float32)}, "not finite"),
        ({"x": np.zeros(3, np.float32)}, "wanted the tensors"),
    ],
)
def test_a_head_that_does_not_fit(tmp_path: Path, changes: Any, said: str) -> None:
    with Draft(tmp_path / "m", None) as draft, pytest.raises(DataError) as caught:
        write_span_model(draft, stored(head=head(**changes)), {})
    assert said in caught.value.message


def test_no_labels(tmp_path: Path) -> None:
    shapes = span_head_shapes(CONFIG, TINY.hidden, 0, 1).items()
    empty = {name: np.zeros(shape, np.float32) for name, shape in shapes}
    with pytest.raises(DataError, match="no labels of spans"):
        read_span_model(published(tmp_path / "m", stored(labels=[], head=empty)))
