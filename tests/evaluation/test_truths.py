"""Answers, margins and means, whether a row has one label or several."""

from __future__ import annotations

import numpy as np
import pytest

from nlpcli.evaluation.bootstrap import wilson
from nlpcli.evaluation.metrics import evaluate_single
from nlpcli.evaluation.multilabel import evaluate_multilabel
from nlpcli.evaluation.truths import OneLabel, SeveralLabels, label_truths, mean_estimates


@pytest.mark.parametrize("unknown", [0, 1])
def test_a_margin_below_zero_is_a_wrong_answer(unknown: int) -> None:
    rng, rows = np.random.default_rng(1), np.arange(300)
    probabilities = rng.dirichlet(np.ones(4), 300)
    one = OneLabel(rng.integers(0, 4 + unknown, 300), 4 + unknown)
    right = one.right(one.answers(probabilities), rows)
    assert 0 < right.sum() < 300
    assert ((one.margins(probabilities, rows) > 0) == right).all()
    true = rng.random((300, 4 + unknown)) < 0.3
    true[:, 4:] &= rng.random((300, unknown)) < 0.5
    several = SeveralLabels(true, 0.25)
    right = several.right(several.answers(probabilities), rows)
    assert 0 < right.sum() < 300
    assert ((several.margins(probabilities, rows) > 0) == right).all()
    some = rng.permutation(300)[:50]
    for truths in (one, several):
        part = truths.take(some)
        assert len(part) == 50
        assert (
            part.margins(probabilities[some], np.arange(50))
            == truths.margins(probabilities[some], some)
        ).all()


def test_metrics_are_those_of_eval() -> None:
    rng = np.random.default_rng(2)
    names = ["a", "b", "c"]
    labels = [(names[i],) for i in rng.integers(0, 3, 200)]
    probabilities = rng.dirichlet(np.ones(2), 200)
    truths = label_truths(labels, ["a", "b"], None)
    answers = truths.answers(probabilities)
    assert isinstance(truths, OneLabel)
    document = evaluate_single(truths.true, answers, probabilities, names, resamples=50)
    found = truths.estimates(answers, resamples=50, seed=1)
    assert found == {name: document[name] for name in ("accuracy", "macro_f1")}

    sets = [tuple(n for n in names if rng.random() < 0.4) for _ in range(200)]
    several = label_truths(sets, ["a", "b"], 0.5)
    assert isinstance(several, SeveralLabels)
    answers = several.answers(probabilities)
    document = evaluate_multilabel(several.true, probabilities, 0.5, names, resamples=50)
    found = several.estimates(answers, resamples=50, seed=1)
    assert set(found) == {"subset_accuracy", "micro_f1", "macro_f1"}
    assert found == {name: document[name] for name in found}


def test_means_are_means_and_their_intervals_as_wide_as_theory_says() -> None:
    rng = np.random.default_rng(3)
    columns = np.stack([rng.random(2000) < 0.3, np.zeros(2000), rng.integers(-1, 2, 2000)], axis=1)
    drawn = {"resamples": 2000, "seed": 1}
    found = mean_estimates(columns.astype(float), shares=(0,), **drawn)
    for one, column in zip(found, columns.T, strict=True):
        assert one["value"] == pytest.approx(column.mean(), abs=1e-12)
        assert one["low"] is not None and one["high"] is not None
        half = 1.96 * column.std() / np.sqrt(2000)
        assert one["high"] - one["low"] == pytest.approx(2 * half, rel=0.1, abs=1e-12)
    sure = mean_estimates(np.ones((30, 1)), shares=(0,), **drawn)[0]
    assert sure == {"value": 1, "low": wilson(30, 30)[0], "high": 1}
