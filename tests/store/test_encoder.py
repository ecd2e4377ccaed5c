"""Encoders as model folders: what was written is read, what does not add up is refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nlpcli.errors import DataError, InputMissing, Unavailable, UsageError
from nlpcli.store.draft import Draft
from nlpcli.store.encoder import (
    KIND,
    Encoder,
    about_encoder,
    describe_plain,
    open_encoder,
    read_encoder,
    write_encoder,
)
from nlpcli.store.folder import ModelFolder
from nlpcli.store.store import Store
from nlpcli.text.wordpiece import WordPieceTokenizer

from ..formats.bert_folder import (
    LABELS,
    PIECES,
    TINY,
    TOKENIZER,
    bert_files,
    random_weights,
    with_config,
    written,
)

PRETRAINED = "BertForPreTraining"
TOO_MANY = WordPieceTokenizer.from_vocab([*PIECES, "x"]).to_json()
SPAN = {"dense.weight": np.ones((8, 24), np.float32), "position.weight": np.eye(8, dtype="f4")}


def encoder(architecture: str = PRETRAINED, **more: Any) -> Encoder:
    made = Encoder(
        config=TINY, weights=random_weights(architecture), tokenizer_json=TOKENIZER,
        architecture=architecture,
    )  # fmt: skip
    return dataclasses.replace(made, **more)


def publish(draft: Draft, config: dict[str, Any], kind: str = KIND, **more: Any) -> ModelFolder:
    values: dict[str, Any] = {"labels": [], "data": {}, "seed": 1, "metrics": {}, **more}
    path = draft.publish(kind=kind, created_by="test", config=config, **values)
    folder = ModelFolder(path)
    folder.verify()
    return folder


def stored(store: Path, made: Encoder) -> ModelFolder:
    with Store(store).begin("e") as draft:
        config = write_encoder(draft, made, {"steps": 7})
        return publish(draft, config, labels=made.labels)


def assert_same(found: Encoder, made: Encoder) -> None:
    for name in ("config", "tokenizer_json", "architecture", "labels", "problem_type", "heads"):
        assert getattr(found, name) == getattr(made, name), name
    assert found.weights.keys() == made.weights.keys()
    for name, array in made.weights.items():
        np.testing.assert_array_equal(found.weights[name], array)


def test_it_comes_back_with_its_second_file(tmp_path: Path) -> None:
    made = encoder(span_boundary=SPAN)
    folder = stored(tmp_path, made)
    assert folder.manifest.config["steps"] == 7
    about = folder.manifest.config["encoder"]
    assert about["heads"] == {
        "masked-lm": "model.safetensors",
        "next-sentence": "model.safetensors",
        "span-boundary": "span_boundary.safetensors",
    }
    sizes = [array.size for array in (*made.weights.values(), *SPAN.values())]
    assert about["n_parameters"] == sum(sizes)
    found = read_encoder(folder)
    assert_same(found, made)
    assert found.span_boundary is not None and found.span_boundary.keys() == SPAN.keys()
    for name, array in SPAN.items():
        np.testing.assert_array_equal(found.span_boundary[name], array)


def test_a_head_with_labels_stays(tmp_path: Path) -> None:
    made = encoder("BertForSequenceClassification", labels=LABELS, problem_type="regression")
    assert_same(read_encoder(stored(tmp_path, made)), made)


def test_how_it_makes_one_vector_stays(tmp_path: Path) -> None:
    folder = stored(tmp_path, encoder(pooling="mean"))
    assert read_encoder(folder).pooling == "mean"
    assert "pooling" not in stored(tmp_path, encoder()).manifest.config["encoder"]
    folder.manifest.config["encoder"]["pooling"] = "max"
    with pytest.raises(DataError, match=r"encoder\.pooling: max, wanted mean"):
        read_encoder(folder)


def test_the_model_folder_is_a_folder_for_others(tmp_path: Path) -> None:
    made = encoder()
    path = stored(tmp_path, made).path
    others = {name: (path / name).read_bytes() for name in made.files()}
    assert others == made.files()
    assert sorted(p.name for p in path.iterdir()) == sorted([*others, "manifest.json"])


def test_every_way_to_say_which(tmp_path: Path) -> None:
    store, made = Store(tmp_path / "store"), encoder()
    for _ in range(2):
        path = stored(store.root, made).path
    plain = written(tmp_path / "plain", bert_files("BertForMaskedLM"))
    for spec, version in (("e", "2"), ("e@1", "1"), (str(path), "2")):
        opened = open_encoder(spec, store)
        assert opened.path == store.root / "e" / version
        assert opened.folder is not None and opened.folder.manifest.kind == KIND
        assert_same(opened.encoder, made)
        assert opened.warnings == []
    opened = open_encoder(str(plain), store)
    assert (opened.path, opened.folder, opened.warnings) == (plain, None, [])
    assert opened.encoder.architecture == "BertForMaskedLM"
    with pytest.raises(InputMissing):
        open_encoder("plain", store)
    with pytest.raises(InputMissing, match="no such folder"):
        open_encoder(str(tmp_path / "none"), store)
    with pytest.raises(UsageError):
        open_encoder("a b", store)
    with pytest.raises(Unavailable):
        open_encoder(str(plain), store, room=10)


def test_a_version_that_is_damaged_is_passed_over(tmp_path: Path) -> None:
    for _ in range(2):
        path = stored(tmp_path, encoder()).path
    damaged = bytearray((path / "model.safetensors").read_bytes())
    damaged[-1] ^= 1
    (path / "model.safetensors").write_bytes(damaged)
    opened = open_encoder("e", Store(tmp_path))
    assert opened.path.name == "1" and "e@2 is skipped" in opened.warnings[0]
    with pytest.raises(DataError, match="SHA-256 mismatch"):
        open_encoder("e@2", Store(tmp_path))
    (path / "manifest.json").write_bytes(b"{}")
    with pytest.raises(DataError):  # never taken for a plain folder
        open_encoder(str(path), Store(tmp_path))


def test_tensors_of_other_heads_are_told_of(tmp_path: Path) -> None:
    files = with_config(bert_files("BertForQuestionAnswering"), architectures=["Mine"])
    opened = open_encoder(str(written(tmp_path, files)), Store(tmp_path / "store"))
    assert opened.encoder.architecture == "BertModel"
    assert "2 tensors of other heads are left out, qa_outputs.bias" in opened.warnings[0]


@pytest.mark.parametrize(
    ("change", "error", "reason"),
    [
        ({"span_boundary": {"w": SPAN["position.weight"] * np.nan}}, DataError, "w holds a value"),
        ({"span_boundary": {"w": np.ones(2)}}, DataError, "type float64"),
        ({"weights": {"pooler.dense.bias": np.full(8, np.inf, "f4")}}, DataError, "not finite"),
        ({"weights": {"pooler.dense.bias": np.ones(9, "f4")}}, ValueError, "wanted float32"),
        ({"tokenizer_json": b"{}"}, DataError, "no model, wanted"),
        ({"tokenizer_json": TOO_MANY}, DataError, "number 11, the embedding has 11 rows"),
    ],
)
def test_what_would_not_be_read_is_not_written(
    tmp_path: Path, change: dict[str, Any], error: type[Exception], reason: str
) -> None:
    if "weights" in change:
        change = {"weights": {**random_weights(PRETRAINED), **change["weights"]}}
    with pytest.raises(error, match=reason):
        stored(tmp_path, encoder(**change))
    assert Store(tmp_path).names() == []


FILES = bert_files(PRETRAINED)
ABOUT = about_encoder(encoder())
BAD: list[tuple[dict[str, Any], str]] = [
    ({"kind": "word-vectors"}, "kind word-vectors, wanted an encoder"),
    ({"config": {}}, "config.encoder: wanted"),
    ({"config": {"encoder": {**ABOUT, "more": 1}}}, "config.encoder: wanted"),
    ({"config": {"encoder": {**ABOUT, "n_parameters": 1}}}, "the manifest says another thing"),
    ({"config": {"encoder": {**ABOUT, "heads": {}}}}, "the manifest says another thing"),
    ({"config": {"encoder": {**ABOUT, "bert": {}}}}, "the manifest says another thing"),
    ({"labels": ["a"]}, "the manifest says another thing"),
    ({"files": with_config(FILES, hidden_act="relu")}, "the manifest says another thing"),
    ({"files": with_config(FILES, auto_map={"a": "b"})}, "auto_map"),
    ({"files": {**FILES, "model.safetensors": b"x"}}, "truncated"),
    ({"files": {**FILES, "span_boundary.safetensors": b"x" * 20}}, "span_boundary"),
    ({"files": {k: v for k, v in FILES.items() if k != "config.json"}}, "no config.json"),
    ({"files": {k: v for k, v in FILES.items() if k != "model.safetensors"}}, "no model.safe"),
]


@pytest.mark.parametrize(("change", "reason"), BAD, ids=[reason for _, reason in BAD])
def test_a_folder_that_does_not_add_up(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    """Folders that somebody made: whole by their hashes, whatever is in them."""
    made = {"files": FILES, "config": {"encoder": ABOUT}, "kind": KIND, "labels": [], **change}
    with Store(tmp_path).begin("e") as draft:
        for name, data in made["files"].items():
            draft.write(name, data)
        folder = publish(draft, made["config"], made["kind"], labels=made["labels"])
    with pytest.raises(DataError, match=reason):
        read_encoder(folder)


def test_what_a_plain_folder_is(tmp_path: Path) -> None:
    path = written(tmp_path / "plain", bert_files("BertForTokenClassification"))
    found = describe_plain(path)
    assert json.loads(json.dumps(found)) == found
    assert (found["kind"], found["labels"]) == ("huggingface", LABELS)
    assert found["heads"] == {"token-classification": "model.safetensors"}
    size = (path / "model.safetensors").stat().st_size
    assert found["files"]["model.safetensors"] == {"size": size}
