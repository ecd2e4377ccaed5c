"""Word vectors in a model folder: read as they were written, refused when they do not add up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.errors import DataError
from nlpcli.models.word_vectors import SubwordVectors, WordVectors
from nlpcli.store.folder import ModelFolder
from nlpcli.store.store import Store
from nlpcli.store.tensors import write_tensors
from nlpcli.store.word_vectors import KIND, read_word_vectors, write_word_vectors

VECTORS = np.array([[1, 2], [3, 4], [5, 6]], np.float32)
COUNTS = np.array([9, 5, 1], np.int64)
WORDS = ["the", "of", "größe"]
ABOUT = {"n_words": 3, "dim": 2, "subwords": None}


def publish(draft: Any, config: dict[str, Any], kind: str = KIND) -> ModelFolder:
    path = draft.publish(
        kind=kind, created_by="test", config=config, labels=[], data={}, seed=1, metrics={}
    )
    folder = ModelFolder(path)
    folder.verify()
    return folder


def stored(tmp_path: Path, vectors: WordVectors) -> ModelFolder:
    with Store(tmp_path).begin("w") as draft:
        return publish(draft, write_word_vectors(draft, vectors, {"algorithm": "cbow"}))


def made(
    tmp_path: Path, *, text: bytes, about: Any, kind: str = KIND, **arrays: Any
) -> ModelFolder:
    """A folder that somebody made: whole by its hashes, whatever is in it."""
    with Store(tmp_path).begin("w") as draft:
        write_tensors(draft, "model.safetensors", arrays)
        draft.write("words.txt", text)
        return publish(draft, {"vectors": about}, kind)


def test_they_come_back_as_they_were(tmp_path: Path) -> None:
    table = np.arange(14, dtype=np.float32).reshape(7, 2)
    subwords = SubwordVectors(3, 6, table)
    folder = stored(tmp_path, WordVectors(WORDS, VECTORS, COUNTS, subwords))
    config = folder.manifest.config
    assert config["algorithm"] == "cbow"
    assert config["vectors"]["subwords"] == {"min_n": 3, "max_n": 6, "buckets": 7}
    found = read_word_vectors(folder)
    assert found.words == WORDS
    np.testing.assert_array_equal(found.vectors, VECTORS)
    np.testing.assert_array_equal(found.counts, COUNTS)
    assert found.subwords is not None
    assert (found.subwords.min_n, found.subwords.max_n) == (3, 6)
    np.testing.assert_array_equal(found.subwords.vectors, table)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.text(min_size=1, alphabet=st.characters(exclude_characters="\n", codec="utf-8")),
                min_size=1, unique=True))  # fmt: skip
def test_any_word_of_one_line_comes_back(
    tmp_path_factory: pytest.TempPathFactory, words: list[str]
) -> None:
    vectors = WordVectors(words, np.ones((len(words), 1), np.float32))
    folder = stored(tmp_path_factory.mktemp("w"), vectors)
    found = read_word_vectors(folder)
    assert (found.words, found.counts, found.subwords) == (words, None, None)


@pytest.mark.parametrize(
    ("vectors", "reason"),
    [
        (WordVectors(["a\nb", "c", "d"], VECTORS), "a line's end"),
        (WordVectors(["a", "a", "d"], VECTORS), "there twice"),
        (WordVectors(["a", "", "d"], VECTORS), "a word is empty"),
        (WordVectors(["a", "\ud800", "d"], VECTORS), "not UTF-8"),
        (WordVectors(["a", "b"], VECTORS), "shape"),
        (WordVectors(WORDS, VECTORS * np.nan), "not finite"),
        (WordVectors(WORDS, VECTORS.astype(np.float64)), "float32"),
        (WordVectors([], VECTORS[:0]), "0 words"),
    ],
)
def test_what_would_not_be_read_is_not_written(
    tmp_path: Path, vectors: WordVectors, reason: str
) -> None:
    with pytest.raises(DataError, match=reason):
        stored(tmp_path, vectors)
    assert Store(tmp_path).names() == []


SUBWORDS = {"min_n": 3, "max_n": 6, "buckets": 2}
BAD: list[tuple[dict[str, Any], str]] = [
    ({"kind": "fasttext"}, "kind fasttext, wanted word vectors"),
    ({"about": None}, "config.vectors is missing"),
    ({"about": {**ABOUT, "n_words": 4}}, "3 words of 2"),
    ({"about": {**ABOUT, "dim": 3}}, "3 words of 2"),
    ({"text": b"the\nof\n"}, "shape"),
    ({"text": b"the\nof\nit"}, "the last line has no end"),
    ({"text": b"the\nof\n\xff\n"}, "byte 8: invalid UTF-8"),
    ({"text": b"the\nof\nthe\n"}, "there twice"),
    ({"text": b"the\n\nof\n"}, "a word is empty"),
    ({"vectors": VECTORS[0]}, "tensor vectors"),
    ({"vectors": VECTORS.astype(np.float16)}, "tensor vectors"),
    ({"vectors": np.where(VECTORS > 5, np.inf, VECTORS)}, "not finite"),
    ({"vectors": VECTORS * np.float32(5e37)}, "not finite, or too large"),
    ({"counts": COUNTS - 2}, "below 0"),
    ({"counts": COUNTS[:2]}, "tensor counts has shape"),
    ({"counts": COUNTS.astype(np.int32)}, "tensor counts"),
    ({"other": COUNTS}, "wanted the tensors"),
    ({"subwords": VECTORS[:2]}, "wanted the tensors"),
    ({"about": {**ABOUT, "subwords": SUBWORDS}}, "wanted the tensors"),
    ({"about": {**ABOUT, "subwords": SUBWORDS}, "subwords": VECTORS}, "tensor subwords has shape"),
    ({"about": {**ABOUT, "subwords": {**SUBWORDS, "min_n": 7}}}, "7 to 6 characters"),
    ({"about": {**ABOUT, "subwords": {**SUBWORDS, "buckets": 0}}}, "0 buckets"),
    ({"about": {**ABOUT, "subwords": {**SUBWORDS, "max_n": 10**9}}}, "wanted 1 to 100"),
    ({"about": {**ABOUT, "subwords": {**SUBWORDS, "min_n": 1.5}}}, "wanted min_n"),
    ({"about": {**ABOUT, "subwords": 3}}, "wanted min_n"),
]


@pytest.mark.parametrize(("change", "reason"), BAD, ids=[reason for _, reason in BAD])
def test_a_folder_that_does_not_add_up(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    good = {"text": "the\nof\ngröße\n".encode(), "about": ABOUT, "vectors": VECTORS}
    assert read_word_vectors(made(tmp_path / "good", **good)).words == WORDS
    folder = made(tmp_path / "bad", **{**good, **change})
    with pytest.raises(DataError, match=reason):
        read_word_vectors(folder)
