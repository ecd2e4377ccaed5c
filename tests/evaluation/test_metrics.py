"""Single-label metrics: equal to scikit-learn, never NaN, in time."""

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
from nlpcli.evaluation.bootstrap import wilson
from nlpcli.evaluation.metrics import (
    confusion_cells,
    confusion_estimates,
    evaluate_answers,
    evaluate_single,
)

Case = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.floating[Any]], int]


def close(ours: float, theirs: float) -> bool:
    return ours == pytest.approx(theirs, abs=1e-9, rel=1e-9)


def random_probabilities(rng: np.random.Generator, rows: int, columns: int) -> NDArray[np.float64]:
    out: NDArray[np.float64] = rng.dirichlet(np.ones(columns), rows)
    return out


@st.composite
def cases(draw: st.DrawFn, unknown: bool = False) -> Case:
    """True and predicted labels of every kind: absent classes, all wrong, one row, one class."""
    columns = draw(st.integers(1, 6))
    extra = draw(st.integers(1, 3)) if unknown else 0
    rows = draw(st.integers(1, 25))
    ids = st.lists(st.integers(0, columns - 1), min_size=rows, max_size=rows)
    predicted = np.array(draw(ids), dtype=np.int64)
    true = np.array(
        draw(st.lists(st.integers(0, columns + extra - 1), min_size=rows, max_size=rows)),
        dtype=np.int64,
    )
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    probabilities = random_probabilities(rng, rows, columns)
    if draw(st.booleans()):
        probabilities = np.eye(columns)[predicted]
    return true, predicted, probabilities, columns + extra


def evaluate(case: Case, **options: Any) -> dict[str, Any]:
    true, predicted, probabilities, labels = case
    names = [f"l{i}" for i in range(labels)]
    document = evaluate_single(
        true, predicted, probabilities, names, **{"resamples": 20, **options}
    )
    json.dumps(document, allow_nan=False)
    return document


def reference(true: NDArray[np.int64], predicted: NDArray[np.int64]) -> dict[str, float]:
    out = {
        "accuracy": sk.accuracy_score(true, predicted),
        "balanced_accuracy": sk.balanced_accuracy_score(true, predicted),
        "mcc": sk.matthews_corrcoef(true, predicted),
        "cohen_kappa": sk.cohen_kappa_score(true, predicted),
    }
    for average in ("macro", "weighted", "micro"):
        three = sk.precision_recall_fscore_support(
            true, predicted, average=average, zero_division=0
        )
        for name, value in zip(("precision", "recall", "f1"), three, strict=False):
            out[f"{average}_{name}"] = value
    return {k: float(v) for k, v in out.items() if k not in ("micro_precision", "micro_recall")}


def check_against_sklearn(case: Case, document: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _check_against_sklearn(case, document)


def _check_against_sklearn(case: Case, document: dict[str, Any]) -> None:
    true, predicted, _, _ = case
    expected = reference(true, predicted)
    for name, value in expected.items():
        if np.isnan(value):
            assert document[name] == {"value": None, "low": None, "high": None}, name
        else:
            assert close(document[name]["value"], value), name
    present = np.union1d(true, predicted)
    names = [f"l{i}" for i in present]
    assert list(document["per_label"]) == document["confusion"]["labels"] == names
    matrix = sk.confusion_matrix(true, predicted, labels=present)
    assert document["confusion"]["matrix"] == matrix.tolist()
    each = sk.precision_recall_fscore_support(true, predicted, labels=present, zero_division=0)
    for i, name in enumerate(names):
        ours = document["per_label"][name]
        assert ours["support"] == each[3][i]
        for j, key in enumerate(("precision", "recall", "f1")):
            assert close(ours[key], each[j][i])


@settings(max_examples=80, deadline=None)
@given(cases())
def test_equal_to_sklearn(case: Case) -> None:
    document = evaluate(case)
    check_against_sklearn(case, document)
    assert document["unknown_labels"] == []
    assert document["n"] == len(case[0])


@settings(max_examples=60, deadline=None)
@given(cases(unknown=True))
def test_unknown_labels_are_always_wrong(case: Case) -> None:
    document = evaluate(case)
    check_against_sklearn(case, document)
    true, _, probabilities, _ = case
    unknown = sorted({int(i) for i in true if i >= probabilities.shape[1]})
    assert document["unknown_labels"] == [f"l{i}" for i in unknown]
    for i in unknown:
        assert document["per_label"][f"l{i}"]["recall"] == 0.0
    if unknown:
        assert document["log_loss"] == {"value": None, "low": None, "high": None}


@settings(max_examples=60, deadline=None)
@given(cases())
def test_log_loss_and_brier_equal_to_sklearn(case: Case) -> None:
    true, _, probabilities, labels = case
    document = evaluate(case)
    if labels < 2:
        assert close(document["log_loss"]["value"], 0.0)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = sk.log_loss(true, probabilities, labels=range(labels))
        brier = sk.brier_score_loss(true, probabilities, labels=list(range(labels)))
    assert close(document["log_loss"]["value"], expected)
    assert close(document["brier"]["value"], brier)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("check", "unknown"),
    [
        (test_equal_to_sklearn, False),
        (test_unknown_labels_are_always_wrong, True),
        (test_log_loss_and_brier_equal_to_sklearn, False),
    ],
)
def test_on_a_thousand_cases(check: Any, unknown: bool) -> None:
    many = settings(max_examples=1000, deadline=None)(check.hypothesis.inner_test)
    given(cases(unknown=unknown))(many)()


def test_log_loss_of_float32_clips_as_sklearn() -> None:
    probabilities = np.array([[1.0, 0.0], [0.25, 0.75], [1.0, 0.0]], dtype=np.float32)
    true = np.array([1, 1, 0])
    document = evaluate((true, np.array([0, 1, 0]), probabilities, 2))
    expected = sk.log_loss(true, probabilities, labels=[0, 1])
    assert document["log_loss"]["value"] == pytest.approx(expected, rel=1e-6)


def test_the_confusion_of_many_labels_is_its_cells() -> None:
    names = [f"l{i:04}" for i in range(1001)]
    true = np.append(np.arange(1001), [7, 7])
    guess = np.append(np.arange(1001), [7, 9])
    found = evaluate_answers(true, guess, names, resamples=0)["confusion"]
    assert found["labels"] == names and found["matrix"] is None
    wanted = {(i, i): 1 for i in range(1001)} | {(7, 7): 2, (7, 9): 1}
    assert {(i, j): n for i, j, n in found["cells"]} == wanted
    few = evaluate_answers(true[:1000], guess[:1000], names, resamples=0)["confusion"]
    assert np.array(few["matrix"]).shape == (1000, 1000) and "cells" not in few


def test_all_wrong_and_single_label() -> None:
    wrong = evaluate((np.array([0, 0, 1]), np.array([1, 2, 2]), np.full((3, 3), 1 / 3), 3))
    low, high = wilson(0, 3)
    assert wrong["accuracy"] == {"value": 0.0, "low": low, "high": high}
    assert wrong["macro_f1"] == {"value": 0.0, "low": None, "high": None}
    one = evaluate((np.zeros(4, int), np.zeros(4, int), np.ones((4, 1)), 1))
    assert one["accuracy"] == {"value": 1.0, "low": wilson(4, 4)[0], "high": 1.0}
    assert one["mcc"]["value"] == 0.0
    assert one["cohen_kappa"]["value"] is None
    assert one["ece"]["value"] == 0.0


def test_same_seed_same_document_other_seed_other_interval() -> None:
    rng = np.random.default_rng(3)
    true, predicted = rng.integers(0, 5, 300), rng.integers(0, 5, 300)
    case = (true, predicted, random_probabilities(rng, 300, 5), 5)
    first = evaluate(case, seed=7, resamples=200)
    assert first == evaluate(case, seed=7, resamples=200)
    other = evaluate(case, seed=-7, resamples=200)
    assert first["macro_f1"] != other["macro_f1"]
    assert first["macro_f1"]["value"] == other["macro_f1"]["value"]
    for entry in first.values():
        if isinstance(entry, dict) and entry.get("value") is not None:
            assert entry["low"] < entry["high"]


def test_without_resamples_there_is_no_interval() -> None:
    case = (np.array([0, 1]), np.array([0, 1]), np.eye(2), 2)
    document = evaluate(case, resamples=0)
    assert document["accuracy"] == {"value": 1.0, "low": None, "high": None}
    assert document["log_loss"]["low"] is None


def test_no_rows_and_nan_are_data_errors() -> None:
    empty = np.zeros(0, dtype=np.int64)
    with pytest.raises(DataError, match="0 rows"):
        evaluate_single(empty, empty, np.zeros((0, 2)), ["a", "b"])
    bad = np.array([[0.5, 0.5], [np.nan, 0.5]])
    with pytest.raises(DataError, match="prediction 2"):
        evaluate_single(np.array([0, 1]), np.array([0, 1]), bad, ["a", "b"])


@pytest.mark.parametrize(
    ("true", "predicted", "shape"),
    [
        ([0, 3], [0, 1], (2, 2)),
        ([0, -1], [0, 1], (2, 2)),
        ([0, 2], [0, 2], (2, 2)),
        ([0, 1], [0], (2, 2)),
        ([0, 1], [0, 1], (2, 4)),
        ([0, 1], [0, 1], (3, 2)),
    ],
)
def test_broken_arguments_are_value_errors(
    true: list[int], predicted: list[int], shape: tuple[int, int]
) -> None:
    with pytest.raises(ValueError):
        evaluate_single(np.array(true), np.array(predicted), np.full(shape, 0.5), list("abc"))


@pytest.mark.parametrize(("rows", "labels", "limit"), [(5_000, 150, 1.0), (1_000_000, 20, 2.0)])
@pytest.mark.parametrize("right", [0.9, 0.1])
def test_confusion_bootstrap_is_fast(rows: int, labels: int, limit: float, right: float) -> None:
    rng = np.random.default_rng(0)
    true = rng.integers(0, labels, rows)
    predicted = np.where(rng.random(rows) < right, true, rng.integers(0, labels, rows))
    start = time.process_time()
    confusion_estimates(confusion_cells(true, predicted, labels), 1000, 1)
    assert time.process_time() - start < 2 * limit


def test_many_labels_take_the_sparse_path() -> None:
    rng = np.random.default_rng(0)
    true, predicted = rng.integers(0, 50_000, 500), rng.integers(0, 50_000, 500)
    predicted[::2] = true[::2]
    cells = confusion_cells(true, predicted, 50_000)
    assert int(cells.counts.sum()) == 500
    value = confusion_estimates(cells, 50, 1)["macro_f1"]["value"]
    expected = sk.f1_score(true, predicted, average="macro", zero_division=0)
    assert value == pytest.approx(expected, abs=1e-9)
