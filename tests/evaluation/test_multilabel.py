"""Multi-label metrics: equal to scikit-learn and to fastText's definitions; the threshold."""

from __future__ import annotations

import json
import time
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as sk

from nlpcli.errors import DataError
from nlpcli.evaluation import multilabel
from nlpcli.evaluation.multilabel import best_threshold, evaluate_multilabel, hits_at

Case = tuple[NDArray[np.bool_], NDArray[Any], float]
NONE = {"value": None, "low": None, "high": None}


@st.composite
def cases(draw: st.DrawFn, most_unknown: int = 2) -> Case:
    """Truth and scores of few distinct values (many ties), with rows and labels left empty."""
    rows, columns = draw(st.integers(1, 15)), draw(st.integers(1, 7))
    labels = columns + draw(st.integers(0, most_unknown))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    true = rng.random((rows, labels)) < draw(st.sampled_from([0.0, 0.1, 0.4, 1.0]))
    true &= rng.random(labels) < draw(st.sampled_from([0.5, 1.0]))
    scores = rng.integers(0, draw(st.sampled_from([2, 5, 1000])), (rows, columns)) / 1000
    kind = draw(st.sampled_from([np.float32, np.float64]))
    threshold = draw(st.sampled_from([-1.0, 0.001, 0.003, 0.5, 2.0]))
    return true, scores.astype(kind), threshold


def evaluate(case: Case, **options: Any) -> dict[str, Any]:
    true, scores, threshold = case
    names = [f"l{i}" for i in range(true.shape[1])]
    document = evaluate_multilabel(true, scores, threshold, names, **{"resamples": 10, **options})
    json.dumps(document, allow_nan=False)
    return document


def decided(case: Case) -> NDArray[np.bool_]:
    true, scores, threshold = case
    out = np.zeros_like(true)
    out[:, : scores.shape[1]] = scores.astype(np.float64) >= threshold
    return out


def two_columns(matrix: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A column of zeros added: keeps scikit-learn from taking one label for binary data."""
    return np.concatenate([matrix, np.zeros((len(matrix), 1), dtype=np.bool_)], axis=1)


@settings(max_examples=100, deadline=None)
@given(cases())
def test_equal_to_sklearn(case: Case) -> None:
    document, guess, true = evaluate(case), decided(case), case[0]
    wide_true, wide_guess = two_columns(true), two_columns(guess)
    present = np.flatnonzero((true | guess).any(axis=0))
    assert list(document["per_label"]) == [f"l{i}" for i in present]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for average in ("micro", "macro", "weighted", "samples"):
            three = (0.0, 0.0, 0.0)
            if len(present):
                three = sk.precision_recall_fscore_support(
                    wide_true, wide_guess, labels=present, average=average, zero_division=0
                )[:3]
            for name, value in zip(("precision", "recall", "f1"), three, strict=True):
                ours = document[f"{average}_{name}"]["value"]
                assert ours == pytest.approx(value, abs=1e-9), (average, name)
        if len(present):
            each = sk.precision_recall_fscore_support(
                wide_true, wide_guess, labels=present, average=None, zero_division=0
            )
            for i, label in enumerate(present):
                got = document["per_label"][f"l{label}"]
                for j, key in enumerate(("precision", "recall", "f1", "support")):
                    assert got[key] == pytest.approx(each[j][i], abs=1e-9)
    exact = (true == guess).all(axis=1).mean()
    assert document["subset_accuracy"]["value"] == pytest.approx(exact, abs=1e-9)
    assert document["hamming_loss"]["value"] == pytest.approx((true != guess).mean(), abs=1e-9)


@pytest.mark.slow
def test_equal_to_sklearn_on_a_thousand_cases() -> None:
    many: Any = test_equal_to_sklearn
    given(cases())(settings(max_examples=1000, deadline=None)(many.hypothesis.inner_test))()


@settings(max_examples=80, deadline=None)
@given(cases())
def test_at_k_is_fasttexts(case: Case) -> None:
    true, scores, _ = case
    document = evaluate(case)
    for k in (1, 3, 5):
        hits = made = gold = 0
        for row in range(len(true)):
            if true[row].any():
                best = sorted(range(scores.shape[1]), key=lambda j: (-scores[row, j], j))[:k]
                hits += sum(bool(true[row, j]) for j in best)
                made += len(best)
                gold += int(true[row].sum())
        if not gold:
            assert document[f"precision_at_{k}"] == document[f"recall_at_{k}"] == NONE
            continue
        assert document[f"precision_at_{k}"]["value"] == pytest.approx(hits / made, abs=1e-9)
        assert document[f"recall_at_{k}"]["value"] == pytest.approx(hits / gold, abs=1e-9)


def test_hits_at_repeated_and_unordered_k() -> None:
    true = np.array([[True, False, True]])
    scores = np.array([[0.5, 0.5, 0.1]])
    assert hits_at(true, scores, (9, 1, 2, 1)).tolist() == [[2, 1, 1, 1]]


@settings(max_examples=150, deadline=None)
@given(cases(most_unknown=0))
def test_best_threshold_is_exact(case: Case) -> None:
    true, scores, _ = case
    threshold, value = best_threshold(true, scores)
    if not true.any():
        assert (threshold, value) == (0.5, 0.0)
        return

    def micro_f1(at: float) -> float:
        guess = scores.astype(np.float64) >= at
        return float(2 * (guess & true).sum() / (guess.sum() + true.sum()))

    tried = {float(s): micro_f1(float(s)) for s in np.unique(scores)}
    assert value == pytest.approx(max(tried.values()), abs=1e-12)
    assert micro_f1(threshold) == value
    assert ((scores >= threshold) == (scores.astype(np.float64) >= threshold)).all()
    taken = min(s for s in tried if s >= threshold)
    assert taken == max(s for s, f1 in tried.items() if f1 == value)
    lower = [s for s in tried if s < threshold]
    expected = (taken + max(lower)) / 2 if lower else taken
    assert threshold == pytest.approx(expected, rel=1e-6, abs=1e-9)
    if scores.shape[1] == true.shape[1]:
        found = evaluate((true, scores, threshold))["micro_f1"]["value"]
        assert found == pytest.approx(value, abs=1e-12)


def test_best_threshold_between_adjacent_floats() -> None:
    low = np.float32(0.3)
    high = np.nextafter(low, np.float32(1))
    scores = np.array([[low, high]], dtype=np.float32)
    threshold, value = best_threshold(np.array([[False, True]]), scores)
    assert (threshold, value) == (float(high), 1.0)


def test_unknown_labels_are_missed() -> None:
    true = np.array([[True, False, True], [False, False, True]])
    document = evaluate((true, np.array([[0.9, 0.1], [0.2, 0.1]]), 0.5))
    assert document["unknown_labels"] == ["l2"]
    assert document["micro_recall"]["value"] == pytest.approx(1 / 3)
    assert document["recall_at_1"]["value"] == pytest.approx(1 / 3)
    assert document["precision_at_1"]["value"] == 0.5


def test_groups_and_chunks_give_the_same_values(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    true, scores = rng.random((900, 6)) < 0.3, rng.random((900, 6))
    plain = evaluate((true, scores, 0.6), resamples=2000)
    monkeypatch.setattr(multilabel, "CHUNK_ELEMENTS", 70)
    monkeypatch.setattr(multilabel, "MAX_PRODUCTS", 1)
    monkeypatch.setattr(multilabel, "MIN_GROUPS", 300)
    grouped = evaluate((true, scores, 0.6), resamples=2000)
    assert plain["per_label"] == grouped["per_label"]
    for name, entry in plain.items():
        if isinstance(entry, dict) and "low" in entry:
            other = grouped[name]
            assert other["value"] == pytest.approx(entry["value"], abs=1e-12)
            width = entry["high"] - entry["low"]
            assert other["high"] - other["low"] == pytest.approx(width, rel=0.25), name
            assert entry["low"] <= entry["value"] <= entry["high"], name
    assert best_threshold(true, scores) == best_threshold(true[::-1], scores[::-1])


def test_determinism_and_errors() -> None:
    rng = np.random.default_rng(0)
    case = (rng.random((50, 4)) < 0.3, rng.random((50, 4)), 0.5)
    assert evaluate(case, seed=5, resamples=99) == evaluate(case, seed=5, resamples=99)
    assert evaluate(case, seed=5, resamples=99) != evaluate(case, seed=6, resamples=99)
    assert evaluate(case, resamples=0)["micro_f1"]["low"] is None
    with pytest.raises(DataError, match="0 rows"):
        evaluate_multilabel(np.zeros((0, 2), bool), np.zeros((0, 2)), 0.5, ["a", "b"])
    bad = np.array([[0.1, 0.2], [0.1, np.nan]])
    with pytest.raises(DataError, match="prediction 2"):
        evaluate_multilabel(np.ones((2, 2), bool), bad, 0.5, ["a", "b"])
    with pytest.raises(DataError, match="prediction 2"):
        best_threshold(np.ones((2, 2), bool), bad)
    with pytest.raises(ValueError):
        evaluate_multilabel(np.ones((2, 2), bool), bad[:, :1], 0.5, ["a"])
    with pytest.raises(ValueError, match="threshold"):
        evaluate((case[0], case[1], float("nan")))
    assert best_threshold(np.zeros((0, 3), bool), np.zeros((0, 3))) == (0.5, 0.0)


@pytest.mark.slow
def test_six_thousand_by_seven_hundred_in_time() -> None:
    rng = np.random.default_rng(0)
    true = rng.random((6000, 700)) < 5 / 700
    scores = (0.3 * true + 0.7 * rng.random((6000, 700))).astype(np.float32)
    start = time.process_time()
    threshold, value = best_threshold(true, scores)
    document = evaluate((true, scores, threshold), resamples=1000)
    assert time.process_time() - start < 6
    assert document["micro_f1"]["value"] == pytest.approx(value, abs=1e-9)
