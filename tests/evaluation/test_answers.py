"""Exact match and F1 against cases worked out by hand after the definitions of the scripts."""

from __future__ import annotations

import re
import string
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.errors import DataError
from nlpcli.evaluation.answers import (
    CHARACTERS,
    WORDS,
    answer_scores,
    best_null_threshold,
    character_f1,
    evaluate_answers,
    plain_words,
    units_of,
    word_f1,
)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("The  Cat,", "cat"),
        ("a.m. an hour", "am hour"),
        ("Theatre-going", "theatregoing"),
        ("the the", ""),
        ("“quoted” — £5", "“quoted” — £5"),  # only ASCII punctuation goes
        ("A_b\u00a0the\nc", "ab c"),
    ],
)
def test_what_is_compared(text: str, plain: str) -> None:
    assert plain_words(text) == plain


@pytest.mark.parametrize(
    ("found", "there", "f1"),
    [
        ("Denver Broncos", "the Denver Broncos", 1.0),
        ("Broncos", "Denver Broncos", 2 / 3),
        ("to be or not to be", "to be", 0.5),  # a word counts as often as both have it
        ("the", "the", 0.0),  # as the script of version 1.1: no word is shared
        ("x", "y", 0.0),
        ("", "y", 0.0),
    ],
)
def test_f1_of_words(found: str, there: str, f1: float) -> None:
    assert word_f1(found, there) == pytest.approx(f1)


@pytest.mark.parametrize(
    ("found", "there", "f1"),
    [
        ("北京大学", "北京大学。", 1.0),  # the mark goes
        ("北京", "北京大学", 2 * 2 / (2 + 4)),
        ("大学在北京", "北京大学", 2 * 2 / (5 + 4)),  # one stretch, not a bag
        ("2010年", "2010 年 5 月", 2 * 2 / (2 + 4)),  # a run of others is one unit
        ("BERT模型", "bert", 2 * 1 / (3 + 1)),
        ("上海", "北京", 0.0),
        ("", "北京", 0.0),
    ],
)
def test_f1_of_characters(found: str, there: str, f1: float) -> None:
    assert character_f1(found, there) == pytest.approx(f1)


def test_the_best_of_several_answers_counts() -> None:
    golds = [("a cat", "black cat"), ("dog",), (), ()]
    scores = answer_scores(golds, ["the black cat!", "", "", "dog"], WORDS)
    assert scores.tolist() == [[1, 1], [0, 0], [1, 1], [0, 0]]
    golds = [("the",), ("The!", "cat"), ("a",), ("the", "cat")]
    scores = answer_scores(golds, ["", "the", "an", "cat"], WORDS)  # by SQuAD's script
    assert scores.tolist() == [[1, 1], [0, 0], [1, 1], [1, 1]]
    scores = answer_scores([("灯。", "一盏灯")], ["盏灯"], CHARACTERS)
    assert scores.tolist() == [[0, pytest.approx(0.8)]]


TEXT = st.text(st.sampled_from("aAtThHeEnb .,'-\n\u00a0é"), max_size=12)
GOLDS = st.lists(
    st.tuples(st.lists(TEXT, max_size=3).map(tuple), st.one_of(TEXT, st.just(""))),
    min_size=1, max_size=6,
)  # fmt: skip


def squad_pair(gold: str, found: str) -> tuple[float, float]:
    """Exact match and F1 by the rules of Rajpurkar et al. 2016, section 6.1, and the script's:
    two answers without a word are alike."""
    pair = []
    for text in (gold, found):
        kept = "".join(c for c in text.lower() if c not in string.punctuation)
        pair.append([word for word in re.sub(r"\b(a|an|the)\b", " ", kept).split() if word])
    a, b = pair
    if not a or not b:
        return float(a == b), float(a == b)
    shared = sum(min(a.count(word), b.count(word)) for word in set(a))
    return float(a == b), 2 * shared / (len(a) + len(b))


@given(GOLDS)
def test_answers_are_scored_by_the_rules_of_squad(rows: list[tuple[Any, str]]) -> None:
    golds, found = [each for each, _ in rows], [text for _, text in rows]
    kept = [tuple(gold for gold in each if plain_words(gold)) or each[:1] for each in golds]
    each = [[squad_pair(gold, text) for gold in own] or [squad_pair("", text)]
            for own, text in zip(kept, found, strict=True)]  # fmt: skip
    wanted = [(max(em for em, _ in pairs), max(f1 for _, f1 in pairs)) for pairs in each]
    document = evaluate_answers(golds, found, units=WORDS, resamples=0)
    assert document["exact_match"]["value"] == pytest.approx(np.mean([em for em, _ in wanted]))
    assert document["f1"]["value"] == pytest.approx(np.mean([f1 for _, f1 in wanted]), abs=1e-9)


@pytest.mark.slow
def test_on_a_thousand_cases() -> None:
    check: Any = test_answers_are_scored_by_the_rules_of_squad
    given(GOLDS)(settings(max_examples=1000, deadline=None)(check.hypothesis.inner_test))()


def test_units_of_what_there_is_more_of() -> None:
    assert units_of(["这是一盏灯 is a lamp。", "灯"]) == CHARACTERS
    assert units_of(["a 灯 is a lamp", "中国 (China)"]) == WORDS == units_of([])


def test_the_document() -> None:
    golds = [("black cat",), ("dog",), ("red fox",), ()]
    found = evaluate_answers(golds, ["black cat", "cat", "fox", "x"], resamples=200)
    assert (found["n"], found["has_answer"], found["no_answer"]) == (4, 3, 1)
    assert found["exact_match"]["value"] == 0.25 and found["units"] == WORDS
    assert found["f1"]["value"] == pytest.approx((1 + 2 / 3) / 4)
    assert found["has_answer_f1"]["value"] == pytest.approx((1 + 2 / 3) / 3)
    assert found["has_answer_exact_match"]["value"] == pytest.approx(1 / 3)
    assert found["no_answer_f1"]["value"] == 0 == found["no_answer_exact_match"]["value"]
    for name in ("exact_match", "f1", "has_answer_f1"):
        assert 0 <= found[name]["low"] <= found[name]["value"] <= found[name]["high"] <= 1
    again = evaluate_answers(golds, ["black cat", "cat", "fox", "x"], resamples=200)
    assert again == found
    plain = evaluate_answers(golds[:3], ["", "", ""], resamples=0)
    assert "has_answer_f1" not in plain and plain["f1"] == {"value": 0.0, "low": None, "high": None}
    with pytest.raises(DataError, match="no questions"):
        evaluate_answers([], [])


def test_intervals_are_those_of_the_rows_drawn() -> None:
    golds = [("x",)] * 100
    found = evaluate_answers(golds, ["x"] * 40 + ["y"] * 60, resamples=2000)["f1"]
    spread = 1.96 * (0.4 * 0.6 / 100) ** 0.5
    assert found["low"] == pytest.approx(0.4 - spread, abs=0.02)
    assert found["high"] == pytest.approx(0.4 + spread, abs=0.02)


def mean_f1(threshold: float, leads: list[float], f1: list[float], without: list[bool]) -> float:
    pairs = zip(leads, f1, without, strict=True)
    each = [float(none) if lead > threshold else score for lead, score, none in pairs]
    return sum(each) / len(each)


@given(
    st.lists(
        st.tuples(st.sampled_from([-2.0, -1.5, 0.0, 1.0, 3.0, np.inf]),
                  st.sampled_from([0.0, 0.5, 1.0]), st.booleans()),
        min_size=1, max_size=12,
    )
)  # fmt: skip
def test_no_threshold_is_better(rows: list[tuple[float, float, bool]]) -> None:
    leads, f1, without = (list(column) for column in zip(*rows, strict=True))
    f1 = [0.0 if none else score for score, none in zip(f1, without, strict=True)]
    limit = best_null_threshold(np.array(leads), np.array(f1), np.array(without))
    assert np.isfinite(limit)
    others = (-9.0, -1.75, -1.0, 0.5, 2.0, 9.0)
    best = max(mean_f1(other, leads, f1, without) for other in others)
    assert mean_f1(limit, leads, f1, without) == pytest.approx(best)
