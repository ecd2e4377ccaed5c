"""Comparing models: exact tests equal to scipy's, one set of resamples, sizes that settle it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.metrics import f1_score

from nlpcli.evaluation.compare import (
    Outcome,
    compare,
    holm,
    macro_f1_samples,
    macro_f1_swapped,
    mcnemar,
    rows_needed,
    score_difference,
)
from nlpcli.evaluation.paired import f1_difference, mean_sums
from nlpcli.runs.comparing import verdict


def outcome(truth: NDArray[np.int64], guess: NDArray[np.int64]) -> Outcome:
    return Outcome({"accuracy": (truth == guess) * 1.0}, truth, guess)


@given(st.integers(0, 3000), st.integers(0, 3000))
def test_mcnemar_is_the_binomial_test(b: int, c: int) -> None:
    wanted = binomtest(min(b, c), b + c, 0.5).pvalue if b + c else 1.0
    assert mcnemar(b, c) == pytest.approx(wanted, abs=1e-9)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_rows_needed_have_the_power() -> None:
    needed = rows_needed(0.02, np.sqrt(0.1))
    assert needed is not None
    rng, found = np.random.default_rng(1), []
    for _ in range(400):
        only_first, only_second, _ = rng.multinomial(needed, [0.04, 0.06, 0.9])
        found.append(mcnemar(int(only_first), int(only_second)) <= 0.05)
    assert 0.72 < np.mean(found) < 0.88
    assert rows_needed(0.0, 0.3) is None and rows_needed(0.0, 0.0) is None
    assert rows_needed(1.0, 1.0) == 4  # all rows differ the same way


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 30), st.integers(1, 5), st.integers(0, 10**6), st.integers(1, 4))
def test_macro_f1_of_joint_cells_is_scikit_learns(
    rows: int, labels: int, seed: int, models: int
) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, labels, rows)
    guesses = [rng.integers(0, labels, rows) for _ in range(models)]
    value, drawn = macro_f1_samples(truth, guesses, 20, 1)
    assert drawn.shape == (20, models)
    for model, guess in enumerate(guesses):
        wanted = f1_score(truth, guess, average="macro", zero_division=0)
        assert value[model] == pytest.approx(wanted, abs=1e-9)


def test_models_see_the_same_resamples() -> None:
    rng = np.random.default_rng(2)
    truth, guess = rng.integers(0, 3, 200), rng.integers(0, 3, 200)
    _, drawn = macro_f1_samples(truth, [guess, guess.copy()], 50, 1)
    assert (drawn[:, 0] == drawn[:, 1]).all() and len(np.unique(drawn)) > 10


def test_swapping_is_as_rows_swapped_one_by_one() -> None:
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 3, 60)
    first = np.where(rng.random(60) < 0.8, truth, rng.integers(0, 3, 60))
    second = np.where(rng.random(60) < 0.6, truth, rng.integers(0, 3, 60))

    def gap(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
        scores = [f1_score(truth, x, average="macro", zero_division=0) for x in (a, b)]
        return float(abs(scores[1] - scores[0]))

    seen, extreme, rounds = gap(first, second), 0, 300
    for _ in range(rounds):
        swap = rng.random(60) < 0.5
        extreme += gap(np.where(swap, second, first), np.where(swap, first, second)) >= seen - 1e-12
    found = macro_f1_swapped(truth, [first, second], 4000, 1)
    share = (1 + extreme) / (1 + rounds)
    assert found == pytest.approx(share, abs=4 * np.sqrt(share / rounds) + 0.01)
    assert macro_f1_swapped(truth, [first, first], 100, 1) == 1.0


def test_verdicts() -> None:
    rng = np.random.default_rng(4)
    truth = rng.integers(0, 4, 1000)
    good = np.where(rng.random(1000) < 0.9, truth, (truth + 1) % 4)
    poor = np.where(rng.random(1000) < 0.7, truth, (truth + 1) % 4)
    near = good.copy()
    near[:20] = (truth[:20] + 2) % 4
    near[20:30] = truth[20:30]
    found = compare([outcome(truth, g) for g in (poor, good, near, good)], resamples=100)
    json.dumps(found, allow_nan=False)
    by_pair = {(entry["first"], entry["second"]): entry for entry in found}
    assert len(found) == 6
    assert by_pair[0, 1]["verdict"] == "better" and by_pair[0, 1]["more_rows"] is None
    gap = by_pair[0, 1]["difference"]["accuracy"]
    assert 0 < gap["low"] < gap["value"] < gap["high"]
    assert by_pair[0, 1]["difference"]["macro_f1"]["p"] == pytest.approx(1 / 101)
    assert by_pair[1, 3]["verdict"] == "same answers"
    assert all(entry["p_holm"] >= entry["p"] for entry in found)
    reverse = compare([outcome(truth, good), outcome(truth, poor)], resamples=50)[0]
    assert reverse["verdict"] == "worse"
    unsure = compare([outcome(truth[:40], good[:40]), outcome(truth[:40], poor[:40])])[0]
    assert unsure["verdict"] in ("worse", "cannot tell")


def test_scores_that_are_no_yes_or_no() -> None:
    rng = np.random.default_rng(5)
    first = rng.random(300)
    gap, p = score_difference(first, first + 0.05 + 0.1 * rng.normal(size=300), 200, 1)
    assert gap["low"] is not None and gap["low"] > 0 and p == pytest.approx(1 / 201)
    _, p = score_difference(first, first + 0.1 * rng.normal(size=300), 200, 1)
    assert p > 0.05
    assert score_difference(first, first, 50, 1)[1] == 1.0
    found = compare([Outcome({"f1": first}), Outcome({"f1": first * 0.9})], resamples=50)[0]
    assert (found["metric"], found["verdict"]) == ("f1", "worse")


@pytest.mark.parametrize("of_sums", [False, True])
def test_many_models_and_few_resamples_can_be_told_apart(of_sums: bool) -> None:
    values = [np.full(40, 0.05 * i) for i in range(12)]
    models = [
        Outcome({}, sums={"m": mean_sums(each)}, decides="m", worth=each)
        if of_sums else Outcome({"m": each})
        for each in values
    ]  # fmt: skip
    found = compare(models, resamples=10)
    assert len(found) == 66 and all(pair["verdict"] == "better" for pair in found)
    assert all(pair["p_is_least"] for pair in found)
    assert compare(models[:2], resamples=0)[0]["verdict"] == "better"


def test_rows_are_no_cure_for_too_few_swaps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nlpcli.evaluation.bootstrap.MAX_DRAWS", 0)  # 200 swaps at most
    pair = compare([Outcome({"m": np.full(40, 0.05 * i)}) for i in range(12)], resamples=10)[0]
    assert (pair["verdict"], pair["more_rows"]) == ("cannot tell", None)
    said = verdict({**pair, "first": "a", "second": "b"})
    assert said.startswith("cannot tell b from a: p is the least")


def test_f1_of_sums() -> None:
    rng = np.random.default_rng(7)
    truth = rng.integers(0, 4, 200).astype(float)
    first = np.stack([np.minimum(truth, rng.integers(0, 3, 200)), truth, truth], axis=1)
    second = np.stack([truth, truth, truth + (rng.random(200) < 0.1)], axis=1)
    gap, p = f1_difference(first, second, 200, 1)
    wanted = [2 * a[:, 0].sum() / a[:, 1:].sum() for a in (first, second)]
    assert gap["value"] == pytest.approx(wanted[1] - wanted[0], abs=1e-12)
    assert gap["low"] is not None and gap["low"] > 0 and p == pytest.approx(1 / 201)
    assert f1_difference(first, first, 50, 1)[1] == 1.0
    assert f1_difference(0 * first, 0 * first, 20, 1) == (
        {"value": 0.0, "low": 0.0, "high": 0.0},
        1,
    )
    noise = np.stack([np.minimum(truth, rng.integers(0, 3, 200)), truth, truth], axis=1)
    assert f1_difference(first, noise, 200, 1)[1] > 0.05


@pytest.mark.slow
def test_equal_models_are_seldom_called_better() -> None:
    rng, called = np.random.default_rng(6), 0
    for seed in range(300):
        truth = rng.integers(0, 3, 400)
        pair = [np.where(rng.random(400) < 0.85, truth, (truth + 1) % 3) for _ in range(2)]
        found = compare([outcome(truth, guess) for guess in pair], resamples=20, seed=seed)[0]
        called += found["verdict"] in ("better", "worse")
    assert called <= 0.05 * 300 + 8
