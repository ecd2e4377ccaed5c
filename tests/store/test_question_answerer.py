"""Models that answer questions as folders: what was written is read, the rest is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nlpcli.errors import DataError
from nlpcli.store.draft import Draft
from nlpcli.store.encoder import Encoder
from nlpcli.store.folder import ModelFolder
from nlpcli.store.question_answerer import (
    KIND,
    Asking,
    StoredAnswerer,
    read_question_answerer,
    write_question_answerer,
)

from ..formats.bert_folder import TINY, TOKENIZER, random_weights

ARCHITECTURE = "BertForQuestionAnswering"


def stored(architecture: str = ARCHITECTURE) -> StoredAnswerer:
    encoder = Encoder(
        config=TINY, weights=random_weights(architecture), tokenizer_json=TOKENIZER,
        architecture=architecture,
    )  # fmt: skip
    return StoredAnswerer(encoder, Asking(20, 5, 7, 9, -1.5))


def published(path: Path, model: StoredAnswerer, **about: Any) -> ModelFolder:
    with Draft(path, None) as draft:
        config = write_question_answerer(draft, model, {"run": {}})
        config["questions"] |= about
        draft.publish(
            kind=KIND, created_by="t", config=json.loads(json.dumps(config)), labels=[], data={},
            seed=0, metrics={},
        )  # fmt: skip
    return ModelFolder(path)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    model = stored()
    found = read_question_answerer(published(tmp_path / "m", model))
    assert found.asking == model.asking
    for name, array in model.encoder.weights.items():
        np.testing.assert_array_equal(found.encoder.weights[name], array)


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"max_length": 25}, "config.questions.max_length: 25"),
        ({"max_length": True}, "config.questions.max_length: True"),
        ({"doc_stride": -1}, "config.questions.doc_stride: -1"),
        ({"max_question_length": 0}, "config.questions.max_question_length: 0"),
        ({"max_answer_length": "9"}, "config.questions.max_answer_length: 9"),
        ({"null_threshold": 1e7}, "config.questions.null_threshold: 10000000.0"),
        ({"more": 1}, "has other keys"),
    ],
)
def test_what_cannot_be_is_not_read(tmp_path: Path, about: dict[str, Any], said: str) -> None:
    folder = published(tmp_path / "m", stored(), **about)
    with pytest.raises(DataError) as caught:
        read_question_answerer(folder)
    assert said in caught.value.message


def test_an_encoder_without_the_head(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="answers no questions: BertModel"):
        read_question_answerer(published(tmp_path / "m", stored("BertModel")))
