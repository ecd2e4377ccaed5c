"""Entity scores by hand, and against counts made another way."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.errors import DataError
from nlpcli.evaluation.entities import count_entities, entity_f1, evaluate_entities

TAG = st.sampled_from(["O", "B-X", "I-X", "B-Y", "I-Y"])
PAIRS = st.lists(st.lists(st.tuples(TAG, TAG), min_size=1, max_size=7), min_size=1, max_size=5)


def walked(pairs: list[list[tuple[str, str]]]) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """Entities that are right, there and found, by type: a walk over the words that keeps both
    open chunks, as the script does, written from its rules for B, I and O."""

    def begins(before: str, now: str) -> bool:
        return now != "O" and (now[0] == "B" or before == "O" or before[2:] != now[2:])

    def ends(before: str, now: str) -> bool:
        return before != "O" and (now == "O" or now[0] == "B" or before[2:] != now[2:])

    right, there, found = Counter[str](), Counter[str](), Counter[str]()
    for sentence in pairs:
        both_open, last = False, ("O", "O")
        for true, guess in [*sentence, ("O", "O")]:
            if both_open:
                done = ends(last[0], true), ends(last[1], guess)
                if all(done):
                    right[last[0][2:]] += 1
                both_open = not any(done)
            starts = begins(last[0], true), begins(last[1], guess)
            there[true[2:]] += starts[0]
            found[guess[2:]] += starts[1]
            both_open = both_open or (all(starts) and true[2:] == guess[2:])
            last = true, guess
    return right, there, found


@settings(max_examples=300, deadline=None)
@given(PAIRS)
def test_counts_are_those_of_a_walk(pairs: list[list[tuple[str, str]]]) -> None:
    truth = [[true for true, _ in row] for row in pairs]
    guess = [[found for _, found in row] for row in pairs]
    right, there, found = walked(pairs)
    counts = count_entities(truth, guess, "BIO")
    for place, kind in enumerate(counts.types):
        assert counts.hits[:, place].sum() == right[kind]
        assert counts.truth[:, place].sum() == there[kind]
        assert counts.guess[:, place].sum() == found[kind]
    assert counts.truth.sum() == there.total() and counts.guess.sum() == found.total()
    both = there.total() + found.total()
    assert entity_f1(truth, guess, "BIO") == pytest.approx(
        2 * right.total() / both if both else 0.0
    )


@pytest.mark.slow
def test_on_a_thousand_cases() -> None:
    check: Any = test_counts_are_those_of_a_walk
    given(PAIRS)(settings(max_examples=1000, deadline=None)(check.hypothesis.inner_test))()


TRUTH = [["B-X", "I-X", "O", "B-Y"], ["O", "I-X"], ["O"]]
FOUND = [["B-X", "I-X", "O", "I-Y"], ["B-X", "I-X"], ["O"]]


def test_by_hand() -> None:
    """There: X 0-2, Y 3-4 and X 1-2. Found: X 0-2, Y 3-4 (I behind O) and X 0-2 in the second."""
    document = evaluate_entities(TRUTH, FOUND, resamples=300)
    assert (document["n"], document["words"], document["entities"]) == (3, 7, 3)
    for name in ("entity_precision", "entity_recall", "entity_f1"):
        assert document[name]["value"] == pytest.approx(2 / 3)
        assert document[name]["low"] <= 2 / 3 <= document[name]["high"]
    assert document["accuracy"]["value"] == pytest.approx(5 / 7)
    assert document["sentence_accuracy"]["value"] == pytest.approx(1 / 3)
    assert document["macro_f1"]["value"] == pytest.approx((1 / 2 + 1) / 2)
    assert document["per_label"]["X"] == {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2}
    assert document["per_label"]["Y"]["f1"] == 1
    assert document == evaluate_entities(TRUTH, FOUND, resamples=300)


def test_nothing_to_find_and_no_scheme() -> None:
    document = evaluate_entities([["O", "O"]], [["O", "O"]], resamples=20)
    assert document["entity_f1"]["value"] == 0 and document["accuracy"]["value"] == 1
    assert not document["per_label"]
    parts = evaluate_entities([["NN", "VB"]], [["NN", "NN"]], scheme="none", resamples=0)
    assert parts["entity_f1"]["value"] == 0.5 == parts["accuracy"]["value"]
    assert parts["accuracy"]["low"] is None


def test_what_cannot_be() -> None:
    with pytest.raises(DataError, match="no sentences"):
        evaluate_entities([], [])
    with pytest.raises(ValueError, match="2 and 1 tags"):
        evaluate_entities([["O", "O"]], [["O"]])
    with pytest.raises(ValueError, match="no tag"):
        evaluate_entities([["NN"]], [["O"]])


def test_the_interval_of_many_sentences_is_about_that_of_the_formula() -> None:
    truth = [["B-X"]] * 400
    found = [["B-X"] if i % 4 else ["O"] for i in range(400)]
    recall = evaluate_entities(truth, found, resamples=2000)["entity_recall"]
    assert recall["value"] == 0.75
    width = 1.96 * math.sqrt(0.75 * 0.25 / 400)
    assert recall["high"] - recall["low"] == pytest.approx(2 * width, rel=0.15)
