"""Differences of metrics that are functions of sums: against numpy and scipy, and by chance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nlpcli.evaluation.compare import Outcome, compare
from nlpcli.evaluation.paired import (
    ALPHA,
    Sums,
    f1_sums,
    influence,
    mean_sums,
    pearson_sums,
    ratio_sums,
    row_spread,
    spearman_sums,
    sum_difference,
)

NUMBERS = st.lists(
    st.tuples(*[st.integers(-4, 4).map(float) | st.floats(-9, 9, width=16)] * 2),
    min_size=1, max_size=30,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(NUMBERS)
def test_correlations_of_sums_are_scipys(pairs: list[tuple[float, float]]) -> None:
    truth, found = np.array(pairs).T
    both = pearson_sums(truth, found).whole(), spearman_sums(truth, found).whole()
    if len(set(truth)) < 2:
        assert np.isnan(both).all()
        return
    if len(set(found)) < 2:
        assert both == (0, 0)
        return
    assert both[0] == pytest.approx(stats.pearsonr(truth, found)[0], abs=1e-6)
    assert both[1] == pytest.approx(stats.spearmanr(truth, found)[0], abs=1e-9)


def test_the_influence_of_a_mean_and_of_a_correlation() -> None:
    rng = np.random.default_rng(1)
    values = rng.random(50)
    assert influence(mean_sums(values)) == pytest.approx(values - values.mean(), abs=1e-7)
    x = rng.standard_normal(400)
    y = x + rng.standard_normal(400)
    r = stats.pearsonr(x, y)[0]
    zx, zy = ((v - v.mean()) / v.std() for v in (x, y))
    wanted = zx * zy - r * (zx**2 + zy**2) / 2  # Devlin et al. 1975, eq. 2.2
    assert influence(pearson_sums(x, y)) == pytest.approx(wanted, abs=1e-5)
    assert not influence(mean_sums(np.full(5, 0.3))).any()


@pytest.mark.parametrize("kind", ["f1", "pearson", "ratio"])
def test_the_spread_says_how_far_the_bootstrap_goes(kind: str) -> None:
    rng, n = np.random.default_rng(2), 500
    truth = rng.integers(0, 4, n).astype(float)

    def model(noise: float) -> Sums:
        found = truth + noise * rng.standard_normal(n)
        if kind == "pearson":
            return pearson_sums(truth, 100 * found)
        if kind == "ratio":
            return ratio_sums(np.abs(found), 1 + truth, less=True, then=np.exp2)
        hits = np.minimum(truth, rng.integers(0, 5, n))
        return f1_sums(np.stack([hits, truth, hits + rng.integers(0, 2, n)], axis=1))

    first, second = model(0.8), model(1.0)
    found, p = sum_difference(first, second, 1000, 1)
    assert found["low"] is not None and found["high"] is not None and 0 < p <= 1
    assert found["value"] == pytest.approx(second.whole() - first.whole(), abs=1e-12)
    deviation = row_spread(first, second) / np.sqrt(n)
    gap = found["value"] or 0.0
    about = np.sqrt(max(deviation**2 - gap**2 / n, 0))
    assert found["high"] - found["low"] == pytest.approx(2 * 1.96 * about, rel=0.15)


def test_ranks_are_those_of_each_resample() -> None:
    rng = np.random.default_rng(3)
    truth = rng.standard_normal(120)
    first, second = (truth + rng.standard_normal(120) * noise for noise in (0.5, 2.0))
    # the scale of a model is nothing to a correlation
    metrics = [spearman_sums(truth, first), spearman_sums(truth, 50 * second + 9)]
    found, p = sum_difference(metrics[0], metrics[1], 300, 1)
    wanted = stats.spearmanr(truth, second)[0] - stats.spearmanr(truth, first)[0]
    assert found["value"] == pytest.approx(wanted, abs=1e-9)
    assert found["high"] is not None and found["high"] < 0 and p == pytest.approx(1 / 301)
    assert metrics[0].samples is not None
    drawn = metrics[0].samples(200, 1)
    assert len(drawn) == 200 and abs(drawn.mean() - metrics[0].whole()) < 0.03


def test_what_is_not_defined_decides_nothing() -> None:
    truth, other = np.full(9, 2.0), np.arange(9.0)
    gap, p = sum_difference(pearson_sums(truth, truth), pearson_sums(truth, other), 50, 1)
    assert gap == {"value": None, "low": None, "high": None} and p == 1
    outcomes = [
        Outcome({}, sums={"pearson": pearson_sums(truth, x)}, decides="pearson", worth=-abs(x))
        for x in (truth, other)
    ]
    [entry] = compare(outcomes, resamples=20)
    assert (entry["verdict"], entry["more_rows"]) == ("cannot tell", None)


def test_less_may_be_better() -> None:
    rng = np.random.default_rng(4)
    small, large = rng.random(200), rng.random(200) + 0.3
    outcomes = [
        Outcome({}, sums={"mse": mean_sums(x, less=True)}, decides="mse", worth=-x)
        for x in (small, large)
    ]
    [entry] = compare(outcomes, resamples=200)
    assert (entry["metric"], entry["verdict"]) == ("mse", "worse")
    assert entry["difference"]["mse"]["value"] > 0 and entry["only_first"] > entry["only_second"]
    assert entry["right_or_wrong"] is False
    [entry] = compare(outcomes[::-1], resamples=200)
    assert entry["verdict"] == "better"


def test_models_that_are_equally_good_are_seldom_called_better() -> None:
    rng, wrong, rounds, n = np.random.default_rng(5), 0, 100, 60
    for _ in range(rounds):
        truth = rng.standard_normal(n)
        found = [truth + rng.standard_normal(n) for _ in range(2)]
        scaled = pearson_sums(truth, found[0]), pearson_sums(truth, 7 * found[1])
        wrong += sum_difference(*scaled, 99, 1)[1] <= ALPHA
    assert wrong <= 12  # of 100 at 5 %: more than 12 once in a thousand


def test_one_answer_to_everything_is_worse_than_a_good_one() -> None:
    rng = np.random.default_rng(4)
    truth = rng.standard_normal(60)
    good = pearson_sums(truth, truth + 0.3 * rng.standard_normal(60))
    alike = pearson_sums(truth, np.full(60, 2.5))
    models = [
        Outcome({}, sums={"pearson": each}, decides="pearson", worth=worth)
        for each, worth in ((good, np.ones(60)), (alike, np.zeros(60)))
    ]
    assert compare(models, resamples=200, seed=1)[0]["verdict"] == "worse"
