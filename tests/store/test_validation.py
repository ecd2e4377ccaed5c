"""Parts of a stored classifier that do not add up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nlpcli.errors import DataError
from nlpcli.store.validation import (
    check_abstention,
    check_abstention_rows,
    check_calibration,
    check_head,
    check_output_options,
    check_tensors,
    check_tokenizer,
)

GOOD = {"config": {"word_ngrams": 2}, "n_texts": 3, "words": ["a", "b"]}
MANIFEST = {"tokenizer": {"word_ngrams": 2}, "n_features": 4, "n_words": 2}


def tensors(**other: Any) -> dict[str, Any]:
    made = {
        "hashes": np.array([7, 3, 9, 5], np.uint64),
        "idf": np.ones(4, np.float32),
        "weight": np.zeros((4, 2), np.float32),
        "bias": np.zeros(2, np.float32),
    }
    return {**made, **other}


@pytest.mark.parametrize("threshold", [None, 0, 1, 0.25])
@pytest.mark.parametrize("separator", [None, ";", ", "])
def test_output_options(threshold: float | None, separator: str | None) -> None:
    config = {"one_vs_all": True, "threshold": threshold, "label_separator": separator}
    found = check_output_options(config, "m")
    assert found == (threshold, separator)
    assert found[0] is None or type(found[0]) is float


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({}, "one_vs_all"),
        ({"one_vs_all": 1}, "one_vs_all"),
        *(
            ({"one_vs_all": True, "threshold": t}, "threshold")
            for t in (-0.1, 1.1, "0.5", True, [])
        ),
        ({"one_vs_all": True, "threshold": float("nan")}, "threshold"),
        *(({"one_vs_all": True, "label_separator": s}, "label_separator") for s in ("", 1, [";"])),
    ],
)
def test_output_options_that_are_none(config: dict[str, Any], reason: str) -> None:
    with pytest.raises(DataError, match=f"m: .*{reason}"):
        check_output_options(config, "m")


def test_calibration() -> None:
    assert check_calibration({}, "m") == (1.0, 0.0)
    assert check_calibration({"calibration": {"scale": 3, "offset": -1.5}}, "m") == (3.0, -1.5)


@pytest.mark.parametrize(
    "found",
    [
        None, [], {"scale": 1.0}, {"scale": 1.0, "offset": 0.0, "x": 1},
        *({"scale": s, "offset": 0.0} for s in (0, -1.0, float("nan"), 1e7, "1", True, None)),
        *({"scale": 1.0, "offset": o} for o in (float("inf"), float("nan"), -1e7, "0", False)),
    ],
)  # fmt: skip
def test_calibration_that_is_none(found: Any) -> None:
    with pytest.raises(DataError, match="m: "):
        check_calibration({"calibration": found}, "m")


def test_a_tokenizer_that_adds_up() -> None:
    assert check_tokenizer(dict(GOOD), MANIFEST, 4, "t") == GOOD
    none = {**GOOD, "words": [], "n_texts": 0}
    assert check_tokenizer(none, {**MANIFEST, "n_words": 0}, 4, "t") == none


@pytest.mark.parametrize(
    ("change", "manifest", "reason"),
    [
        ({"more": 1}, {}, "seen 4 keys"),
        ({"config": {"word_ngrams": 1}}, {}, "another configuration"),
        ({"config": None}, {"tokenizer": None}, "another configuration"),
        ({"config": [1]}, {"tokenizer": [1]}, "another configuration"),
        ({"n_texts": -1}, {}, "n_texts"),
        ({"n_texts": 1.0}, {}, "n_texts"),
        ({"n_texts": True}, {}, "n_texts"),
        ({"n_texts": 2**53}, {}, "n_texts"),
        ({"words": "ab"}, {}, "words is not a list"),
        ({"words": ["a", 1]}, {}, "words is not a list"),
        ({"words": ["a", "a"]}, {}, "or a word twice"),
        ({"words": ["a", "b", "c", "d", "e"]}, {"n_words": 5}, "5 words, 4 features"),
        ({}, {"n_features": 5}, "n_features or n_words"),
        ({}, {"n_words": 3}, "n_features or n_words"),
    ],
)
def test_a_tokenizer_that_does_not(
    change: dict[str, Any], manifest: dict[str, Any], reason: str
) -> None:
    with pytest.raises(DataError, match=f"t: .*{reason}"):
        check_tokenizer({**GOOD, **change}, {**MANIFEST, **manifest}, 4, "t")


def test_tensors_that_add_up() -> None:
    check_tensors(tensors(), 2, "m")
    check_tensors(tensors(hashes=np.arange(4, dtype=np.uint64)), 2, "m")
    check_tensors(
        tensors(weight=np.full((4, 3), -9e29, np.float32), output=np.ones((2, 3), np.float32)),
        2,
        "m",
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"bias": np.zeros(3, np.float32)}, "tensor bias has shape"),
        ({"idf": np.zeros(4, np.float32)}, "tensor idf holds a value that is not above 0"),
        ({"idf": np.ones(4, np.float64)}, "tensor idf is missing or not float32"),
        ({"more": np.ones(4, np.float32)}, "tensor more has shape"),
        ({"hashes": np.array([7, 3, 7, 5], np.uint64)}, "hashes holds a value twice"),
        ({"hashes": np.array([3, 3, 5, 7], np.uint64)}, "hashes holds a value twice"),
        *(
            ({"weight": np.array([[v, 0], [0, 0], [0, 0], [0, 0]], np.float32)}, "not finite")
            for v in (np.inf, -np.inf, np.nan, 2e30, -2e30)
        ),
    ],
)
def test_tensors_that_do_not(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        check_tensors(tensors(**change), 2, "m")


def test_heads() -> None:
    assert check_head(None, {}, 3, "m") is None
    assert check_head(None, {"head": None}, 3, "m") is None
    for name in ("tree", "clusters"):
        head = check_head(np.array([0, 1, 1]), {"head": name}, 3, "m")
        assert head is not None and head.name == name
    check_tensors(
        tensors(weight=np.ones((4, 2), np.float32), output=np.ones((1, 2), np.float32),
                bias=np.ones(1, np.float32)), 2, "m", 1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("structure", "config", "reason"),
    [
        (None, {"head": "tree"}, "its tensor is missing"),
        (np.array([0, 1, 1]), {}, "head is none of tree, clusters"),
        (np.array([0, 1, 1]), {"head": "bush"}, "head is none of"),
        (np.array([0, 1, 1]), {"head": ["tree"]}, "head is none of"),
        (np.array([0, 1]), {"head": "tree"}, "not one int64 a label"),
        (np.array([[0, 1, 1]]), {"head": "tree"}, "not one int64 a label"),
        (np.array([0.0, 1, 1]), {"head": "tree"}, "not one int64 a label"),
        (np.array([0, -1, 1]), {"head": "tree"}, "counts of labels"),
        (np.array([0, 2, 2]), {"head": "clusters"}, "without labels"),
    ],
)
def test_heads_that_are_none(structure: Any, config: dict[str, Any], reason: str) -> None:
    with pytest.raises(DataError, match=f"m: .*{reason}"):
        check_head(structure, config, 3, "m")


def test_abstention() -> None:
    assert check_abstention({}, "m") == ()
    assert check_abstention({"abstention": [[0.5, 1, 0.25]]}, "m") == ((0.5, 1.0, 0.25),)
    for bad in (
        None, 1, [1], [[0.5, 0.5]], [[0.5, 0.5, "a"]], [[0.5, 0.5, 1.5]], [[0.5, -1, 0.5]],
        [[0.5, True, 0.5]], [[float("nan"), 0.5, 0.5]], [(0.5, 0.5, 0.5)],
    ):  # fmt: skip
        with pytest.raises(DataError, match="m: abstention"):
            check_abstention({"abstention": bad}, "m")
    assert [check_abstention_rows(c, "m") for c in ({}, {"abstention_rows": 60})] == [None, 60]
    for rows in (0, True, 1.5, "60"):
        with pytest.raises(DataError, match="m: abstention_rows"):
            check_abstention_rows({"abstention_rows": rows}, "m")
