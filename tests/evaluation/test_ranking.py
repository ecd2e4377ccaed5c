"""Ranking metrics: equal to scikit-learn, intervals as DeLong's and as resampling gives them."""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as sk

from nlpcli.evaluation.bootstrap import generator
from nlpcli.evaluation.multilabel_ranking import multilabel_ranking
from nlpcli.evaluation.ranking import (
    METRICS,
    area,
    average_precision,
    ranking_metrics,
    sorted_column,
)

Case = tuple[NDArray[np.int64], NDArray[np.float64]]


def delong(true: NDArray[np.bool_], scores: NDArray[np.float64]) -> tuple[float, float]:
    """AUC and its standard error by the paper's formulas, all pairs written out."""
    x, y = scores[true][:, None], scores[~true][None, :]
    wins = (x > y) + 0.5 * (x == y)
    a, b = wins.mean(axis=1), wins.mean(axis=0)
    return wins.mean(), float(np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b)))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Rows with tied and untied probabilities that add up to 1; classes may be absent."""
    labels, rows = draw(st.integers(2, 5)), draw(st.integers(1, 30))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    kinds = draw(st.integers(1, labels))
    true = rng.integers(0, kinds, rows)
    probabilities = rng.dirichlet(np.ones(labels), rows)
    if draw(st.booleans()):
        probabilities = np.round(probabilities * 4)
        probabilities[:, 0] += probabilities.sum(axis=1) == 0
        probabilities /= probabilities.sum(axis=1, keepdims=True)
    if draw(st.booleans()):
        probabilities = np.eye(labels)[(true + 1) % labels]  # all wrong
    return true, probabilities


def reference(true: NDArray[np.int64], p: NDArray[np.float64]) -> dict[str, float | None]:
    """scikit-learn over the labels that are there; None where it has no value."""
    labels, present = p.shape[1], np.unique(true)
    out: dict[str, float | None] = dict.fromkeys(METRICS)
    if labels == 2:
        if len(present) == 2:
            out["roc_auc"] = out["roc_auc_ovo"] = sk.roc_auc_score(true, p[:, 1])
        if 1 in present:
            out["average_precision"] = sk.average_precision_score(true == 1, p[:, 1])
        return out
    each = [true == label for label in present]
    columns = p[:, present]
    out["average_precision"] = float(
        np.mean([sk.average_precision_score(y, c) for y, c in zip(each, columns.T, strict=True)])
    )
    if len(present) == labels:
        for name, kind in (("roc_auc", "ovr"), ("roc_auc_ovo", "ovo")):
            out[name] = sk.roc_auc_score(true, p, multi_class=kind, labels=range(labels))
    elif len(present) > 1:
        out["roc_auc"] = float(
            np.mean([sk.roc_auc_score(y, c) for y, c in zip(each, columns.T, strict=True)])
        )
        pairs = [
            sk.roc_auc_score(true[m] == a, p[m, a])
            for a in present for b in present if a != b
            for m in [(true == a) | (true == b)]
        ]  # fmt: skip
        out["roc_auc_ovo"] = float(np.mean(pairs))
    return out


def check(case: Case) -> None:
    true, p = case
    document = ranking_metrics(true, p)
    json.dumps(document, allow_nan=False)
    for name, wanted in reference(true, p).items():
        found = document[name]
        if wanted is None:
            assert found == {"value": None, "low": None, "high": None}, name
            continue
        assert found["value"] == pytest.approx(wanted, abs=1e-9), name
        if found["low"] is not None:
            assert 0 <= found["low"] <= found["value"] <= found["high"] <= 1, name


@settings(max_examples=60, deadline=None)
@given(cases())
def test_is_scikit_learns(case: Case) -> None:
    check(case)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(cases())
def test_is_scikit_learns_on_many(case: Case) -> None:
    check(case)


def test_auc_interval_is_delongs() -> None:
    rng = np.random.default_rng(3)
    true = rng.random(80) < 0.4
    scores = np.round(rng.normal(size=80) + true, 1)
    p = 1 / (1 + np.exp(-scores))
    found = ranking_metrics(true.astype(int), np.stack([1 - p, p], axis=1))["roc_auc"]
    value, error = delong(true, scores)
    assert found["value"] == pytest.approx(value, abs=1e-12)
    spread = 1.959963984540054 * error / (value * (1 - value))
    odds = np.log(value / (1 - value)) + np.array([-spread, spread])
    assert [found["low"], found["high"]] == pytest.approx(1 / (1 + np.exp(-odds)), abs=1e-12)


@pytest.mark.parametrize("name", METRICS)
def test_influences_are_what_resamples_spread(name: str) -> None:
    rng = np.random.default_rng(5)
    true = rng.integers(0, 3, 400)
    scores = rng.normal(size=(400, 3)) + 1.5 * np.eye(3)[true]
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    found = ranking_metrics(true, p)[name]
    drawn = []
    for _ in range(150):
        rows = rng.integers(0, 400, 400)
        drawn.append(ranking_metrics(true[rows], p[rows], intervals=False)[name]["value"])
    assert found["low"] is not None and found["high"] is not None
    low, high = np.quantile(np.array(drawn, dtype=float), [0.025, 0.975])
    assert found["high"] - found["low"] == pytest.approx(high - low, rel=0.25)


def test_influence_is_the_slope_by_a_rows_weight() -> None:
    rng = generator(1, 0)
    scores, positive = rng.integers(0, 6, 40).astype(float), rng.random(40) < 0.4
    for metric in (area, average_precision):
        whole = metric(sorted_column(scores, positive))
        twice = 200  # copies of all rows, so that one more of a row is a small change
        for row in (0, 7, 20, 39):
            every = np.append(np.tile(np.arange(40), twice), row)
            moved = metric(sorted_column(scores[every], positive[every])).value - whole.value
            assert moved * twice == pytest.approx(whole.influence[row], abs=2e-3), metric


def test_edges() -> None:
    one = {"value": None, "low": None, "high": None}
    p = np.full((3, 2), 0.5)
    found = ranking_metrics(np.array([0, 0, 0]), p)
    assert found == dict.fromkeys(METRICS, one)
    assert ranking_metrics(np.array([0, 2, 1]), p) == dict.fromkeys(METRICS, one)  # not known
    perfect = ranking_metrics(np.array([0, 1]), np.eye(2))
    at_best = {"value": 1.0, "low": None, "high": None}
    assert all(perfect[name] == at_best for name in METRICS)
    alone = ranking_metrics(np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.1, 0.9], [0.5, 0.5]]))
    assert alone["roc_auc"] == {"value": 0.5, "low": None, "high": None}
    single = ranking_metrics(np.array([0, 0]), np.ones((2, 1)))
    assert single["roc_auc"]["value"] is None and single["average_precision"]["value"] == 1.0


def test_intervals_of_few_rows_a_label_are_wide_enough() -> None:
    rng, labels = np.random.default_rng(6), 10
    truths = np.repeat(np.arange(labels), 2)

    def drawn(true: NDArray[np.int64]) -> NDArray[np.float64]:
        scores = np.exp(rng.normal(size=(len(true), labels)) + np.eye(labels)[true])
        return np.asarray(scores / scores.sum(axis=1, keepdims=True))

    many = np.repeat(np.arange(labels), 300)
    whole = ranking_metrics(many, drawn(many), intervals=False)
    held = dict.fromkeys(("roc_auc", "roc_auc_ovo"), 0)
    for _ in range(200):
        found = ranking_metrics(truths, drawn(truths))
        for name in held:
            low, high = found[name]["low"], found[name]["high"]
            assert low is not None and high is not None
            held[name] += low <= (whole[name]["value"] or 0) <= high
    assert min(held.values()) >= 180  # 162 and 159 without n / (n - 1)
    alone = ranking_metrics(np.array([0, 0, 1, 1, 2]), drawn(np.array([0, 0, 1, 1, 2]))[:, :3])
    for name in held:
        assert alone[name]["value"] is not None and alone[name]["low"] is None
    sets = np.array([[1, 0], [0, 1], [1, 0], [0, 0], [1, 0]], dtype=bool)
    scores = np.array([[0.4, 0.2], [0.6, 0.3], [0.9, 0.5], [0.1, 0.1], [0.7, 0.2]])
    assert multilabel_ranking(sets, scores)["macro_roc_auc"]["low"] is None


@st.composite
def label_sets(draw: st.DrawFn) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    rows, labels = draw(st.integers(1, 12)), draw(st.integers(2, 5))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    true = rng.random((rows, labels)) < draw(st.sampled_from([0.0, 0.3, 0.7, 1.0]))
    scores = rng.random((rows, labels))
    return true, np.round(scores, 1) if draw(st.booleans()) else scores


def check_sets(case: tuple[NDArray[np.bool_], NDArray[np.float64]]) -> None:
    true, scores = case
    document = multilabel_ranking(true, scores)
    json.dumps(document, allow_nan=False)
    wanted: dict[str, Any] = {
        "label_ranking_average_precision": sk.label_ranking_average_precision_score(true, scores),
        "micro_average_precision": None, "macro_average_precision": None, "macro_roc_auc": None,
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        some = [i for i in range(true.shape[1]) if true[:, i].any()]
        both = [i for i in some if not true[:, i].all()]
        if some:
            wanted["micro_average_precision"] = sk.average_precision_score(
                true, scores, average="micro"
            )
            wanted["macro_average_precision"] = sk.average_precision_score(
                true[:, some], scores[:, some], average="macro"
            )
        if both:
            wanted["macro_roc_auc"] = sk.roc_auc_score(true[:, both], scores[:, both])
    for name, value in wanted.items():
        found = document[name]["value"]
        assert found is None if value is None else found == pytest.approx(value, abs=1e-9), name


@settings(max_examples=40, deadline=None)
@given(label_sets())
def test_several_labels_are_scikit_learns(
    case: tuple[NDArray[np.bool_], NDArray[np.float64]],
) -> None:
    check_sets(case)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(label_sets())
def test_several_labels_are_scikit_learns_on_many(
    case: tuple[NDArray[np.bool_], NDArray[np.float64]],
) -> None:
    check_sets(case)


def test_a_label_that_the_model_does_not_know() -> None:
    true = np.array([[True, False, True]])
    document = multilabel_ranking(true, np.array([[0.5, 0.6]]))
    assert all(entry["value"] is None for entry in document.values())
