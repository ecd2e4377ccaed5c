"""Taggers as model folders: what was written is read, what does not add up is refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nlpcli.errors import DataError
from nlpcli.store.draft import Draft
from nlpcli.store.encoder import Encoder
from nlpcli.store.folder import ModelFolder
from nlpcli.store.token_tagger import (
    CRF,
    KIND,
    StoredTagger,
    Tagging,
    crf_shapes,
    read_token_tagger,
    write_token_tagger,
)

from ..formats.bert_folder import TINY, TOKENIZER, random_weights

LABELS = ["B-X", "I-X", "O"]


def field(**changes: Any) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    shapes = crf_shapes(3).items()
    return {n: rng.normal(size=shape).astype(np.float32) for n, shape in shapes} | changes


def stored(**changes: Any) -> StoredTagger:
    encoder = Encoder(
        config=TINY, weights=random_weights("BertForTokenClassification"),
        tokenizer_json=TOKENIZER, architecture="BertForTokenClassification", labels=LABELS,
    )  # fmt: skip
    made = StoredTagger(encoder, Tagging("BIO", "mean", 20), field())
    return dataclasses.replace(made, **changes)


def published(path: Path, model: StoredTagger, **about: Any) -> ModelFolder:
    with Draft(path, None) as draft:
        config = write_token_tagger(draft, model, {"run": {}})
        config["tagger"] |= about
        draft.publish(
            kind=KIND, created_by="t", config=json.loads(json.dumps(config)),
            labels=model.encoder.labels, data={}, seed=0, metrics={},
        )  # fmt: skip
    return ModelFolder(path)


@pytest.mark.parametrize("crf", [None, field()])
def test_what_is_written_is_read(tmp_path: Path, crf: Any) -> None:
    model = stored(crf=crf)
    folder = published(tmp_path / "m", model)
    assert (CRF in folder.manifest.files) == (crf is not None)
    found = read_token_tagger(folder)
    assert found.tagging == model.tagging and found.encoder.labels == LABELS
    for name, array in (crf or {}).items():
        assert found.crf is not None
        np.testing.assert_array_equal(found.crf[name], array)
    for name, array in model.encoder.weights.items():
        np.testing.assert_array_equal(found.encoder.weights[name], array)


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"scheme": "IO"}, "config.tagger.scheme: IO"),
        ({"word_decoding": "last"}, "config.tagger.word_decoding: last"),
        ({"max_length": 25}, "config.tagger.max_length: 25"),
        ({"max_length": True}, "config.tagger.max_length: True"),
        ({"crf": "../x"}, "config.tagger.crf: ../x"),
        ({"more": 1}, "has other keys"),
    ],
)
def test_what_cannot_be_is_not_read(tmp_path: Path, about: dict[str, Any], said: str) -> None:
    folder = published(tmp_path / "m", stored(), **about)
    with pytest.raises(DataError) as caught:
        read_token_tagger(folder)
    assert said in caught.value.message


def test_tags_of_no_scheme(tmp_path: Path) -> None:
    base = stored()
    other = dataclasses.replace(base.encoder, labels=["NN", "VB", "O"])
    with pytest.raises(DataError, match="no tag of BIO"):
        read_token_tagger(published(tmp_path / "m", dataclasses.replace(base, encoder=other)))
    plain = dataclasses.replace(base, encoder=other, tagging=Tagging("none", max_length=20))
    assert read_token_tagger(published(tmp_path / "n", plain)).tagging.scheme == "none"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"crf.start": np.zeros(2, np.float32)}, "crf.start: float32 (2,)"),
        ({"crf.end": np.zeros(3)}, "crf.end: float64 (3,)"),
        ({"crf.end": np.full(3, np.nan, np.float32)}, "not finite"),
        ({"x": np.zeros(3, np.float32)}, "wanted the tensors"),
    ],
)
def test_a_field_that_does_not_fit(tmp_path: Path, changes: Any, said: str) -> None:
    with Draft(tmp_path / "m", None) as draft, pytest.raises(DataError) as caught:
        write_token_tagger(draft, stored(crf=field(**changes)), {})
    assert said in caught.value.message
