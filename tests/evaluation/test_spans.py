"""Scores of spans and relations, by hand and against those of entities."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.errors import DataError
from nlpcli.evaluation.entities import evaluate_entities
from nlpcli.evaluation.spans import SpanSet, evaluate_spans
from nlpcli.text.tag_schemes import entities

TAG = st.sampled_from(["O", "B-X", "I-X", "B-Y", "I-Y"])
PAIRS = st.lists(st.lists(st.tuples(TAG, TAG), min_size=1, max_size=7), min_size=1, max_size=5)


def spans_of(tags: list[str]) -> SpanSet:
    return SpanSet(frozenset(entities(tags)))


@settings(max_examples=150, deadline=None)
@given(PAIRS)
def test_flat_spans_are_scored_as_conlleval_scores_entities(
    pairs: list[list[tuple[str, str]]],
) -> None:
    truth, guess = ([[pair[side] for pair in row] for row in pairs] for side in (0, 1))
    wanted = evaluate_entities(truth, guess, resamples=0)
    found = evaluate_spans([*map(spans_of, truth)], [*map(spans_of, guess)], resamples=0)
    for name in ("precision", "recall", "f1"):
        assert found[f"span_{name}"]["value"] == wanted[f"entity_{name}"]["value"]
    assert found["macro_f1"] == wanted["macro_f1"]
    assert found["per_label"] == wanted["per_label"]
    assert (found["spans"], found["spans_found"]) == (wanted["entities"], wanted["entities_found"])


@pytest.mark.slow
def test_on_a_thousand_cases() -> None:
    check: Any = test_flat_spans_are_scored_as_conlleval_scores_entities
    given(PAIRS)(settings(max_examples=1000, deadline=None)(check.hypothesis.inner_test))()


A, B, C = (0, 2, "X"), (0, 5, "Y"), (3, 4, "X")


def test_borders_labels_and_relations_by_hand() -> None:
    truth = [
        SpanSet(frozenset({A, B, C}), frozenset({(A, C, "r"), (B, A, "s")})),
        SpanSet(frozenset()),
    ]
    wrong = (0, 5, "X")  # of B, with another label
    found = [SpanSet(frozenset({A, wrong}), frozenset({(wrong, A, "s"), (A, wrong, "r")})),
             SpanSet(frozenset())]  # fmt: skip
    document = evaluate_spans(truth, found, relations=True, resamples=50)
    values = {k: v["value"] for k, v in document.items() if isinstance(v, dict) and "value" in v}
    assert values["span_precision"] == 1 / 2 and values["span_recall"] == 1 / 3
    assert values["identification_precision"] == 1 and values["identification_recall"] == 2 / 3
    assert values["relation_precision"] == 1 / 2 == values["relation_recall"]
    assert values["relation_strict_f1"] == 0 and values["row_accuracy"] == 1 / 2
    assert document["per_relation"]["s"]["f1"] == 1 and document["per_relation"]["r"]["f1"] == 0
    assert (document["spans"], document["relations"], document["relations_found"]) == (3, 2, 2)
    estimate = document["span_f1"]
    assert estimate["low"] <= estimate["value"] <= estimate["high"]


def test_without_relations_nothing_is_said_of_them() -> None:
    document = evaluate_spans([SpanSet(frozenset({A}))], [SpanSet(frozenset())], resamples=0)
    assert not [name for name in document if "relation" in name]
    assert document["span_f1"]["value"] == 0
    with pytest.raises(DataError, match="no rows"):
        evaluate_spans([], [])
    with pytest.raises(ValueError, match="zip"):
        evaluate_spans([SpanSet(frozenset())], [])
