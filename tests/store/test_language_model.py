"""Language models in a folder: read as they were written, refused when they do not add up."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nlpcli.batching.ngram_counts import NgramCounts
from nlpcli.errors import DataError
from nlpcli.models.ngram_lm import NgramModel
from nlpcli.models.ngram_smoothing import SMOOTHINGS, Smoothing, estimate
from nlpcli.store.folder import ModelFolder
from nlpcli.store.language_model import (
    KIND,
    LanguageModel,
    read_language_model,
    write_language_model,
)
from nlpcli.store.opening import open_stored
from nlpcli.store.store import Store
from nlpcli.store.tensors import load_tensors, write_tensors
from nlpcli.text.config import TokenizerConfig
from nlpcli.text.sentence_ids import SPECIAL, SentenceCoder

TEXTS = ["the cat sat", "the dog", "a cat", "", "the emu sat"]


def made(smoothing: Smoothing, *, labelled: bool) -> LanguageModel:
    words = [*SPECIAL, "the", "cat", "sat", "dog", "a"]
    coder = SentenceCoder(words, TokenizerConfig(word_ngrams=1), "word", unk_is_word=False)
    sentences = coder.encode(["the cat sat", "the dog sat", "a cat"])
    owners = np.repeat(np.array([0, 1, 1], np.int32), sentences.sizes)
    with ThreadPoolExecutor(1) as pool:
        counts = NgramCounts(
            sentences.tokens, len(words), 3, pool, labels=owners if labelled else None,
            n_labels=2 if labelled else 1, held_out=np.empty(0, np.int64),
        )  # fmt: skip
    n_labels = 2 if labelled else 1
    model = NgramModel.from_estimates(
        counts.levels, estimate(counts, smoothing, n_labels), len(words), n_labels
    )
    if not labelled:
        return LanguageModel(model, coder, smoothing)
    return LanguageModel(model, coder, smoothing, ["x", "y"], np.array([1, 2]))


def stored(tmp_path: Path, language: LanguageModel, name: str = "m") -> ModelFolder:
    with Store(tmp_path).begin(name) as draft:
        config = write_language_model(draft, language, {})
        path = draft.publish(
            kind=KIND, created_by="test", config=config, labels=language.labels, data={}, seed=0,
            metrics={},
        )  # fmt: skip
    folder = ModelFolder(path)
    folder.verify()
    return folder


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
@pytest.mark.parametrize("labelled", [False, True])
def test_it_comes_back_as_it_was(tmp_path: Path, smoothing: Smoothing, labelled: bool) -> None:
    language = made(smoothing, labelled=labelled)
    folder = stored(tmp_path, language)
    found = read_language_model(folder)
    tokens = language.coder.encode(TEXTS).tokens
    assert (found.coder.encode(TEXTS).tokens == tokens).all()
    wanted = language.model.log10_tokens(tokens)
    assert np.array_equal(found.model.log10_tokens(tokens), wanted)
    assert (found.smoothing, found.labels) == (smoothing, language.labels)


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_a_classifier_by_bayes_rule(tmp_path: Path, smoothing: Smoothing) -> None:
    model = open_stored(stored(tmp_path, made(smoothing, labelled=True)))
    found = model.probabilities([*TEXTS, " "])
    assert found.sum(axis=1) == pytest.approx(np.ones(6))
    assert found[3] == pytest.approx([1 / 3, 2 / 3])  # no evidence
    assert found[5] == pytest.approx([1 / 3, 2 / 3])
    assert found[0].argmax() == 0
    assert found[1].argmax() == 1 or smoothing == "mle"
    assert found[2].argmax() == 1
    for row, text in zip(found, TEXTS, strict=False):
        assert (model.probabilities([text])[0] == row).all()


def test_a_scale_moves_probabilities_and_no_label(tmp_path: Path) -> None:
    plain = made("kneser-ney", labelled=True)
    scaled = replace(plain, scale=0.5)
    found = read_language_model(stored(tmp_path, scaled))
    assert found.scale == 0.5
    rows, before = found.probabilities(TEXTS), plain.probabilities(TEXTS)
    assert np.array_equal(rows[3], before[3])  # no evidence
    for row, old, text in zip(rows, before, TEXTS, strict=True):
        if text:
            power = 0.5 / np.sqrt(len(text.split()) + 1)
            assert row == pytest.approx(old**power / (old**power).sum())
    assert np.array_equal(rows.argmax(axis=1), before.argmax(axis=1))


def change(
    tmp_path: Path, folder: ModelFolder, about: dict[str, Any], **arrays: Any
) -> ModelFolder:
    """A folder that somebody made of a good one: tensors replaced, None left out."""
    tensors = {**load_tensors(folder, "model.safetensors"), **arrays}
    config = dict(folder.manifest.config)
    config["language_model"] = {**config["language_model"], **about}
    with Store(tmp_path).begin("changed") as draft:
        write_tensors(
            draft, "model.safetensors", {k: v for k, v in tensors.items() if v is not None}
        )
        draft.write("words.txt", folder.read("words.txt"))
        path = draft.publish(
            kind=KIND, created_by="", config=config, labels=folder.manifest.labels, data={}, seed=0,
            metrics={},
        )  # fmt: skip
    return ModelFolder(path)


def i32(*numbers: int) -> Any:
    return np.array(numbers, np.int32)


@pytest.mark.parametrize(
    ("about", "arrays", "told"),
    [
        ({"order": 7}, {}, "order 7, wanted 1 to 6"),
        ({"order": 2}, {}, "another number of n-grams"),
        ({"smoothing": "magic"}, {}, "smoothing or level"),
        ({"n_words": 9}, {}, "8 words, the manifest says"),
        ({"ngrams": [1, 2, 3]}, {}, "another number of n-grams"),
        ({"scale": 0.0}, {}, "scale 0.0, wanted more than 0"),
        ({"scale": 1e9}, {}, "scale 1000000000.0"),
        ({"scale": True}, {}, "scale True"),
        ({"more": 1}, {}, "wanted level, n_words"),
        ({}, {"words.1": None}, "tensor words.1 is missing"),
        ({}, {"words.1": i32(1, 2, 3, 4, 5, 6, 8)}, "a number that no word has"),
        ({}, {"words.1": i32(1, 2, 3, 4, 5, 7, 6)}, "not in ascending order"),
        ({}, {"sizes.2": i32(9, 9, 9, 9, 9, 9, 9)}, "sizes.2 does not add up"),
        ({}, {"sizes.2": i32(2)}, "sizes.2 has 1 numbers, wanted 7"),
        ({}, {"root_weight": np.array([np.nan], np.float32)}, "no logarithm"),
        ({}, {"label_counts": np.array([1])}, "tensor label_counts is not wanted"),
        ({}, {"what": i32(1)}, "tensor what is not wanted"),
    ],
)
def test_what_does_not_add_up(
    tmp_path: Path, about: dict[str, Any], arrays: dict[str, Any], told: str
) -> None:
    folder = stored(tmp_path, made("kneser-ney", labelled=False))
    with pytest.raises(DataError, match=told):
        read_language_model(change(tmp_path, folder, about, **arrays))


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"label_counts": np.array([1])}, "label_counts is not one count a label"),
        ({"label_counts": np.array([1, 0])}, "label_counts is not one count a label"),
        ({"labels.1": i32(*[0] * 11)}, "labels.1"),
        ({"labels.1": i32(*[2] * 11)}, "do not fit"),
        ({"entries.1": i32(*[0] * 7)}, "do not fit"),
    ],
)
def test_labels_that_do_not_add_up(tmp_path: Path, arrays: dict[str, Any], told: str) -> None:
    folder = stored(tmp_path, made("kneser-ney", labelled=True))
    with pytest.raises(DataError, match=told):
        read_language_model(change(tmp_path, folder, {}, **arrays))


def test_another_kind(tmp_path: Path) -> None:
    with Store(tmp_path).begin("other") as draft:
        path = draft.publish(
            kind="fasttext", created_by="", config={}, labels=[], data={}, seed=0, metrics={}
        )
    with pytest.raises(DataError, match="wanted a language model"):
        read_language_model(ModelFolder(path))
