"""Scales and offsets of logits, fitted on texts that were not learnt from."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, softmax

from nlpcli.evaluation.temperature import Calibration, fit_logistic, fit_softmax


@pytest.mark.parametrize("scale", [0.5, 4.0, 20.0])
def test_the_scale_that_made_the_labels_is_found(scale: float) -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 1, (20_000, 5))
    probabilities = softmax(scale * logits, axis=1)
    drawn = (rng.random((20_000, 1)) > probabilities.cumsum(axis=1)).sum(axis=1)
    found = fit_softmax(logits, np.eye(5)[drawn.clip(max=4)])
    assert found.scale == pytest.approx(scale, rel=0.05)
    assert found.offset == 0


def test_scale_and_offset_of_yes_and_no() -> None:
    rng = np.random.default_rng(2)
    logits = rng.normal(-0.5, 1, (20_000, 3))
    targets = (rng.random(logits.shape) < expit(3 * logits - 1)).astype(float)
    found = fit_logistic(logits, targets)
    assert found.scale == pytest.approx(3, rel=0.05)
    assert found.offset == pytest.approx(-1, abs=0.1)


def test_logits_that_say_nothing_lead_nowhere_far() -> None:
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 100, (60, 3))
    targets = (rng.random(logits.shape) < 0.3).astype(float)
    found = fit_logistic(logits, targets)
    p = expit(found.scale * logits + found.offset)
    assert found.scale < 0.5
    assert np.square(p - targets).mean() < 0.25  # which a half for everything has


def test_a_handful_of_texts_claims_no_certainty() -> None:
    logits = np.array([[1.0, -1.0], [-1.0, 1.0]])
    assert fit_softmax(logits, np.eye(2)).scale < 12
    assert fit_logistic(logits, np.eye(2)).scale < 12
    assert fit_softmax(np.empty((0, 2)), np.empty((0, 2))).scale == pytest.approx(4, rel=0.01)


def test_no_scale_is_the_scale_of_nothing_done() -> None:
    assert Calibration() == Calibration(1.0, 0.0)
