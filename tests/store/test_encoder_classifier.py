"""Fine-tuned encoders as folders: what was written is read, what cannot be is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from nlpcli.errors import DataError
from nlpcli.formats.hf_folder import read_hf_folder
from nlpcli.store.encoder import Encoder, open_encoder, read_encoder
from nlpcli.store.encoder_classifier import (
    Answering,
    read_encoder_classifier,
    write_encoder_classifier,
)
from nlpcli.store.folder import ModelFolder
from nlpcli.store.store import Store

from .encoder_classifiers import small_classifier, small_with, store_classifier

CURVE = ((0.9, 0.25, 0.0), (0.5, 1.0, 0.125))


@pytest.mark.parametrize(
    "answering",
    [
        {},
        {"pair": True, "scale": 1.5, "abstention": CURVE, "long": "head-tail", "max_length": 7},
        {"separator": ";", "threshold": 0.0, "offset": -2.5, "long": "truncate-head"},
        {"long": "window", "window_overlap": 5},
    ],
)
def test_it_comes_back(tmp_path: Path, answering: dict[str, Any]) -> None:
    made = small_classifier(**answering)
    found = read_encoder_classifier(store_classifier(tmp_path, made))
    assert found.answering == made.answering
    assert found.encoder.labels == made.encoder.labels
    for name, array in made.encoder.weights.items():
        np.testing.assert_array_equal(found.encoder.weights[name], array)


def test_models_of_earlier_versions_are_read(tmp_path: Path) -> None:
    made = small_classifier(long="head-tail", window_overlap=7)
    found = read_encoder_classifier(store_classifier(tmp_path, made, window_overlap=...))
    assert found.answering == dataclasses.replace(made.answering, window_overlap=32)


@pytest.mark.parametrize("regression", [False, True])
@pytest.mark.parametrize(
    ("head", "pooling"), [("linear", "cls"), ("linear", "mean"), ("mlp", "cls"), ("mlp", "mean")]
)
def test_heads_come_back(tmp_path: Path, head: str, pooling: str, regression: bool) -> None:
    made = small_with(head, pooling, regression=regression)
    folder = store_classifier(tmp_path, made)
    found = read_encoder_classifier(folder)
    assert (found.answering, found.labels) == (made.answering, made.labels)
    assert folder.manifest.kind == ("bert-regressor" if regression else "bert-classifier")
    plain = read_hf_folder(folder.path)  # what transformers would find
    if (head, pooling) == ("linear", "cls"):
        assert found.head is None and plain.architecture == "BertForSequenceClassification"
        wanted = "regression" if regression else "single_label_classification"
        assert plain.problem_type == wanted
        return
    assert plain.architecture == "BertModel" and plain.labels == [] and plain.ignored == []
    assert found.head is not None and made.head is not None
    for name, array in made.head.items():
        np.testing.assert_array_equal(found.head[name], array)
    opened = open_encoder("m", Store(tmp_path))
    assert opened.encoder.labels == [] and opened.warnings == []


def test_models_of_before_had_one_head(tmp_path: Path) -> None:
    made = small_classifier()
    older = {"head": ..., "pooling": ..., "head_file": ...}
    assert read_encoder_classifier(store_classifier(tmp_path, made, **older)).head is None


def damaged(change: Any) -> Any:
    made = small_with("mlp", "mean")
    assert made.head is not None
    return dataclasses.replace(made, head=change(dict(made.head)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda head: {**head, "more": head["classifier.dense.bias"]}, "wanted the tensors"),
        (lambda head: dict(list(head.items())[1:]), "wanted the tensors classifier.dense.weight"),
        (
            lambda head: {**head, "classifier.output.bias": np.zeros(4, np.float32)},
            r"classifier\.output\.bias: float32 \(4,\), wanted float32 \(3,\)",
        ),
        (
            lambda head: {**head, "classifier.output.bias": np.full(3, np.nan, np.float32)},
            r"classifier\.output\.bias holds a value that is not finite",
        ),
    ],
)
def test_heads_that_cannot_be(tmp_path: Path, change: Any, said: str) -> None:
    with Store(tmp_path).begin("m") as draft, pytest.raises(DataError, match=said):
        write_encoder_classifier(draft, damaged(change), {})
    folder = store_classifier(tmp_path, small_with("mlp", "mean"))
    tensors = change(dict(small_with("mlp", "mean").head or {}))
    with Store(tmp_path).begin("n") as draft:
        for name in folder.manifest.files:
            draft.write(name, save(tensors) if name == "head.safetensors" else folder.read(name))
        path = draft.publish(
            kind=folder.manifest.kind, created_by="test", config=folder.manifest.config,
            labels=folder.manifest.labels, data={}, seed=1, metrics={},
        )  # fmt: skip
    forged = ModelFolder(path)
    forged.verify()
    with pytest.raises(DataError, match=said):
        read_encoder_classifier(forged)


def test_it_is_a_hugging_face_folder_and_an_encoder(tmp_path: Path) -> None:
    made = small_classifier()
    folder = store_classifier(tmp_path, made)
    plain = read_hf_folder(folder.path)
    assert (plain.architecture, plain.labels) == (made.encoder.architecture, made.encoder.labels)
    assert plain.problem_type == "single_label_classification"
    opened = open_encoder("m", Store(tmp_path))
    assert opened.encoder.labels == made.encoder.labels and opened.warnings == []
    with pytest.raises(DataError, match="of kind bert-classifier, wanted an encoder"):
        read_encoder(folder)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"pair": 1}, "pair: 1"),
        ({"separator": ""}, "separator"),
        ({"separator": 3}, "separator: 3"),
        ({"threshold": 1.01}, "threshold: 1.01"),
        ({"threshold": True}, "threshold: True"),
        ({"scale": 0}, "scale: 0"),
        ({"scale": "1"}, "scale: 1"),
        ({"scale": None}, "scale: None"),
        ({"offset": 1e7}, "offset"),
        ({"max_length": 25}, "max_length: 25"),
        ({"max_length": 3}, "max_length: 3"),
        ({"max_length": 8.0}, "max_length: 8.0"),
        ({"long": "windows"}, "long: windows"),
        ({"window_overlap": -1}, "window_overlap: -1"),
        ({"window_overlap": 3.0}, "window_overlap: 3.0"),
        ({"long": ["truncate-tail"]}, "long"),
        ({"abstention": [[0.5, 1]]}, "abstention"),
        ({"abstention": [[0.5, 1, 2]]}, "abstention"),
        ({"abstention": [[0.5, 1, "0"]]}, "abstention"),
        ({"abstention": None}, "abstention"),
        ({"abstention_rows": 0}, "abstention_rows"),
        ({"head": "mlp"}, "head_file: None"),
        ({"head": "mlp", "head_file": "head.safetensors"}, "no classifier of texts"),
        ({"pooling": "max"}, "pooling: max"),
        ({"head": 3}, "head: 3"),
        ({"more": 1}, "missing or has other keys"),
        ({"long": ...}, "missing or has other keys"),
    ],
)
def test_values_that_cannot_be(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    folder = store_classifier(tmp_path, small_classifier(), **changes)
    with pytest.raises(DataError) as caught:
        read_encoder_classifier(folder)
    assert said in caught.value.message and str(folder.path) in caught.value.message


def with_encoder(**changes: Any) -> Any:
    made = small_classifier()
    return dataclasses.replace(made, encoder=dataclasses.replace(made.encoder, **changes))


def test_an_encoder_that_does_not_classify(tmp_path: Path) -> None:
    other = "BertForTokenClassification"
    weights = {n: a for n, a in small_classifier().encoder.weights.items() if "pooler" not in n}
    folder = store_classifier(tmp_path, with_encoder(architecture=other, weights=weights))
    with pytest.raises(DataError, match=f"no classifier of texts: {other}"):
        read_encoder_classifier(folder)


def one_segment() -> Encoder:
    encoder = small_classifier().encoder
    name = "embeddings.token_type_embeddings.weight"
    weights = {**encoder.weights, name: encoder.weights[name][:1]}
    config = dataclasses.replace(encoder.config, type_vocab=1)
    return dataclasses.replace(encoder, config=config, weights=weights)


def test_pairs_need_two_segments(tmp_path: Path) -> None:
    for pair in (False, True):
        made = dataclasses.replace(small_classifier(pair=pair), encoder=one_segment())
        folder = store_classifier(tmp_path, made)
        if pair:
            with pytest.raises(DataError, match="knows one segment"):
                read_encoder_classifier(folder)
        else:
            assert read_encoder_classifier(folder).answering == Answering(max_length=24)


def test_weights_that_are_no_numbers_are_not_written(tmp_path: Path) -> None:
    made = small_classifier()
    made.encoder.weights["classifier.bias"][1] = np.nan
    with Store(tmp_path).begin("m") as draft, pytest.raises(DataError, match=r"classifier\.bias"):
        write_encoder_classifier(draft, made, {})
