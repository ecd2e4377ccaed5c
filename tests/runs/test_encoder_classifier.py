"""Fine-tuned encoders that answer: the same text the same answer, and as other programs would."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nlpcli.data.pairs import joined
from nlpcli.errors import DataError, Unavailable
from nlpcli.runs.answering import open_answering, open_plain_answering
from nlpcli.runs.encoder_classifier import EncoderClassifier, activated, plain_classifier
from nlpcli.store.encoder_classifier import Answering
from nlpcli.training.precision import has_fast_int8

from ..store.encoder_classifiers import TEXTS, small_classifier, store_classifier

BOUND = {"fp32": 1e-6, "bf16": 1e-3, "int8": 1e-3}
HAS_INT8 = has_fast_int8(torch.device("cpu"))
INT8 = pytest.param("int8", marks=pytest.mark.skipif(not HAS_INT8, reason="no products of bytes"))


@pytest.mark.parametrize("precision", ["fp32", "bf16", INT8])
@pytest.mark.parametrize("pair", [False, True])
def test_the_same_text_gets_the_same_answer(precision: str, pair: bool) -> None:
    stored = small_classifier(pair=pair, scale=3.0)
    model = EncoderClassifier(stored, precision=precision, device="cpu")
    texts = TEXTS * 3
    if pair:
        texts = [joined(a, b) for a in TEXTS for b in TEXTS]
    wanted = model.probabilities(texts)
    assert wanted.shape == (len(texts), 3) and np.allclose(wanted.sum(axis=1), 1)
    assert np.ptp(wanted, axis=0).max() > 0.05  # else all would be the same anyway
    for size in (1, 4, 7):
        chunks = [texts[i : i + size] for i in range(0, len(texts), size)]
        found = np.concatenate([model.probabilities(chunk) for chunk in chunks])
        assert np.abs(found - wanted).max() <= BOUND[precision]
        assert (found.argmax(axis=1) == wanted.argmax(axis=1)).all()
    backwards = model.probabilities(texts[::-1])[::-1]
    assert np.abs(backwards - wanted).max() <= BOUND[precision]


def test_what_is_cut_off_does_not_count() -> None:
    by_long = {
        long: EncoderClassifier(small_classifier(max_length=8, long=long), precision="fp32")
        for long in ("truncate-tail", "truncate-head")
    }
    ends = ["a b a b a b " + "cat " * 9, "the b a b a b " + "cat " * 9]
    head, tail = (by_long[long].probabilities(ends) for long in by_long)
    assert np.abs(head[0] - head[1]).max() > 1e-3 and np.array_equal(tail[0], tail[1])


def test_an_empty_text_is_answered_and_no_text_too() -> None:
    model = EncoderClassifier(small_classifier(), precision="fp32")
    found = model.probabilities(["", "  \n", "the"])
    assert np.array_equal(found[0], found[1]) and not np.allclose(found[0], found[2])
    assert model.probabilities([]).shape == (0, 3)


def test_several_labels_are_answered_each_alone() -> None:
    model = EncoderClassifier(small_classifier(separator=";", threshold=0.0, offset=1.0, scale=2.0))
    logits = model.logits(TEXTS)
    np.testing.assert_allclose(
        model.probabilities(TEXTS), 1 / (1 + np.exp(-(2 * logits + 1))), atol=1e-9
    )
    assert model.multi_label and model.separator == ";"
    assert (model.limit(None), model.limit(0.3)) == (0.0, 0.3)
    far = np.array([[1e5, -1e5]])
    assert activated(far, Answering(separator=";")).tolist() == [[1.0, pytest.approx(0)]]
    assert activated(far, Answering()).tolist() == [[1.0, 0.0]]


def test_a_device_that_is_not_there_is_told_before_any_row(tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    folder = store_classifier(tmp_path, small_classifier())
    with pytest.raises(Unavailable, match="--device cuda"):
        open_answering(folder, device="cuda")


def folder_of(path: Path, **changes: Any) -> Path:
    made = dataclasses.replace(small_classifier().encoder, **changes)
    path.mkdir(exist_ok=True)
    for name, data in made.files().items():
        (path / name).write_bytes(data)
    return path


@pytest.mark.parametrize("pair", [False, True])
def test_plain_folders_answer(tmp_path: Path, pair: bool) -> None:
    texts = [joined(text, "the cat") for text in TEXTS] if pair else TEXTS
    model = open_plain_answering(folder_of(tmp_path / "hf"), pair=pair, precision="fp32")
    assert (model.labels, model.pair, model.abstention) == (["x", "y", "größe"], pair, ())
    ours = EncoderClassifier(small_classifier(pair=pair), precision="fp32")
    np.testing.assert_array_equal(model.probabilities(texts), ours.probabilities(texts))
    several = folder_of(tmp_path / "several", problem_type="multi_label_classification")
    model = open_plain_answering(several, pair=pair)
    assert (model.separator, model.limit(None)) == (";", 0.5)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"architecture": "BertForTokenClassification"}, "BertForTokenClassification, which has"),
        ({"architecture": "BertModel", "labels": []}, "an encoder, which gives vectors"),
        ({"problem_type": "regression"}, "a regression, wanted a classifier"),
        ({"labels": ["x", "y", "x"]}, "two labels have the same name"),
    ],
)
def test_plain_folders_of_another_task(changes: dict[str, Any], said: str) -> None:
    encoder = dataclasses.replace(small_classifier().encoder, **changes)
    with pytest.raises(DataError) as caught:
        plain_classifier(encoder, "./hf", pair=False)
    assert caught.value.message.startswith("./hf: ") and said in caught.value.message


def test_a_head_that_is_missing_is_not_drawn(tmp_path: Path) -> None:
    from safetensors.numpy import load, save

    path = folder_of(tmp_path / "hf")
    tensors = load((path / "model.safetensors").read_bytes())
    del tensors["classifier.weight"]
    (path / "model.safetensors").write_bytes(save(tensors, metadata={"format": "pt"}))
    with pytest.raises(DataError, match=r"classifier\.weight is missing"):
        open_plain_answering(path, pair=False)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("pair", [False, True])
def test_transformers_answers_the_same(tmp_path: Path, pair: bool) -> None:
    transformers: Any = pytest.importorskip("transformers", reason="transformers is not installed")
    import torch

    made = small_classifier(pair=pair)
    path = store_classifier(tmp_path, made).path
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(
        path, local_files_only=True
    ).eval()
    assert theirs.config.id2label == dict(enumerate(made.encoder.labels))
    tokenizer = transformers.AutoTokenizer.from_pretrained(path, local_files_only=True)
    second = [TEXTS[-i] for i in range(len(TEXTS))] if pair else None
    encoded = tokenizer(
        TEXTS, second, padding=True, truncation=True, max_length=24, return_tensors="pt"
    )
    with torch.no_grad():
        wanted = theirs(**encoded).logits
    texts = TEXTS if second is None else [joined(*each) for each in zip(TEXTS, second, strict=True)]
    found = EncoderClassifier(made, precision="fp32").logits(texts)
    np.testing.assert_allclose(found, wanted.double().numpy(), atol=1e-5)
