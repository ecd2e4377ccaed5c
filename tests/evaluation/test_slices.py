"""Slices: their statistics against scipy and plain counting, planted ones, and silence on noise."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, fisher_exact

from nlpcli.evaluation.bootstrap import wilson
from nlpcli.evaluation.slices import (
    column_slices,
    holm,
    length_slices,
    ngram_slices,
    slice_document,
    worse_by_chance,
)


@given(st.integers(1, 500), st.data())
def test_wilson_is_scipys(n: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, n))
    wanted = binomtest(hits, n).proportion_ci(method="wilson")
    assert wilson(hits, n) == pytest.approx((wanted.low, wanted.high), abs=1e-9)


@settings(max_examples=50)
@given(st.integers(2, 60), st.data())
def test_chance_is_fishers(n_rows: int, data: st.DataObject) -> None:
    n_errors = data.draw(st.integers(0, n_rows))
    size = data.draw(st.integers(1, n_rows))
    errors = data.draw(st.integers(max(0, size + n_errors - n_rows), min(size, n_errors)))
    table = [[errors, size - errors], [n_errors - errors, n_rows - size - n_errors + errors]]
    wanted = fisher_exact(table, alternative="greater").pvalue
    found = worse_by_chance(np.array([size]), np.array([errors]), n_rows, n_errors)
    assert found[0] == pytest.approx(wanted, abs=1e-9)


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_step_by_step(values: list[float]) -> None:
    wanted, high = [0.0] * len(values), 0.0
    for rank, i in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        high = max(high, values[i] * (len(values) - rank))
        wanted[i] = min(1.0, high)
    assert holm(np.array(values)).tolist() == wanted


def test_lengths_and_columns() -> None:
    texts = [" ".join(["w"] * n) + "!" for n in range(1, 101)]
    parts = length_slices(texts)
    assert [p.name for p in parts][::4] == ["1 to 20 words", "81 to 100 words"]
    assert sorted(np.concatenate([p.rows for p in parts]).tolist()) == list(range(100))
    assert [p.name for p in length_slices(["很好"] * 5)] == ["2 words"]
    by_value = column_slices("shop", ["b", "a", "b"])
    assert [(p.kind, p.name, p.rows.tolist()) for p in by_value] == [
        ("column shop", "a", [1]), ("column shop", "b", [0, 2]),
    ]  # fmt: skip
    assert len(column_slices("price", [str(n / 2) for n in range(100)])) == 5


def test_numbers_with_blanks_are_ranges_too() -> None:
    values = ["", "NaN", *map(str, range(100)), " ", ""]
    parts = column_slices("price", values)
    names = ["0 to 19", "20 to 39", "40 to 59", "60 to 79", "80 to 99"]
    assert [p.name for p in parts] == [*names, "", " ", "NaN"]
    assert parts[0].rows.tolist() == list(range(2, 22)) and parts[5].rows.tolist() == [0, 103]
    assert sorted(np.concatenate([p.rows for p in parts]).tolist()) == list(range(104))
    assert [p.name for p in column_slices("price", ["", "nan"])] == ["", "nan"]
    assert len(column_slices("price", [*map(str, range(100)), "free"])) == 101


def test_ngrams_are_counted_as_by_hand() -> None:
    generator = np.random.default_rng(0)
    texts = [" ".join(generator.choice(list("abcdef"), 4)) for _ in range(200)]
    found = ngram_slices(texts, 20)
    words = [text.split() for text in texts]
    holds = [{*w, *pairwise(w)} for w in words]
    counts = [sum(one in held for held in holds) for one in set().union(*holds)]
    wanted = sorted(count for count in counts if 20 <= count <= 180)
    assert sorted(np.asarray(found.texts.sum(axis=0)).ravel().tolist()) == wanted


def noisy(rows: int, seed: int) -> tuple[list[str], np.ndarray]:
    generator = np.random.default_rng(seed)
    vocabulary = [f"w{i}" for i in range(60)]
    texts = [" ".join(generator.choice(vocabulary, 8)) for _ in range(rows)]
    return texts, generator.random(rows) < 0.8


def test_a_planted_slice_is_named_first() -> None:
    texts, right = noisy(800, 1)
    bad = np.arange(800) % 16 == 0
    planted = (f"{text.split(' ', 2)[2]} Grand Piano" for text in texts)  # of the same length
    texts = [p if b else text for p, text, b in zip(planted, texts, bad, strict=True)]
    right[bad] = np.arange(50) % 5 == 0
    region = ["north" if b else "south" for b in bad]
    document = slice_document(right, texts, {"region": region})
    worse = document["worse"]
    names = [(part["kind"], part["name"]) for part in worse]
    assert names[0] == ("column region", "north")
    assert [n for n in names if n[0] == "ngram"] in ([("ngram", "grand")], [("ngram", "piano")],
                                                     [("ngram", "grand piano")])  # fmt: skip
    first = worse[0]
    assert (first["rows"], first["errors"], first["accuracy"]["value"]) == (50, 40, 0.2)
    assert first["p_value"] < 1e-6
    assert [part["name"] for part in document["by"]["column region"]] == ["north", "south"]


def test_chance_alone_is_hardly_ever_reported() -> None:
    alarms = 0
    for seed in range(40):
        texts, right = noisy(300, seed)
        found = slice_document(right, texts, {})
        assert found["looked_at"] > 50
        alarms += bool(found["worse"])
    assert alarms <= 4  # 5 % of 40 are 2, and one-sided exact tests have fewer


def test_all_right_and_too_few_rows() -> None:
    found = slice_document(np.ones(30, dtype=bool), ["a b"] * 30, {})
    assert found["worse"] == []
    found = slice_document(np.zeros(1, dtype=bool), ["a"], {"x": [""]})
    assert (found["looked_at"], found["worse"]) == (0, [])
