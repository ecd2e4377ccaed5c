"""Metrics of answers, and what they would be without calibration."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nlpcli.evaluation.calibration import expected_calibration_error
from nlpcli.models.additive import AdditiveClassifier, softmax
from nlpcli.runs.scoring import ece_uncalibrated
from nlpcli.store.classifier import TextClassifier
from nlpcli.text.config import TokenizerConfig
from nlpcli.text.tokenizer import Tokenizer


def test_the_error_without_the_scale() -> None:
    rng = np.random.default_rng(1)
    tokenizer, _ = Tokenizer.fit(TokenizerConfig(), ["a"])
    scorer = AdditiveClassifier(
        np.zeros((1, 3), np.float32), np.zeros(3, np.float32), scale=5.0
    )  # fmt: skip
    model = TextClassifier(tokenizer, scorer, ["x", "y", "z"])
    logits = rng.normal(size=(200, 3))
    labels = [(model.labels[i],) for i in rng.integers(0, 3, 200)]
    labels[0] = ("unknown",)
    found = ece_uncalibrated(model, scorer.activate(logits), labels, resamples=10)
    assert found is not None
    plain = softmax(logits)
    true = np.array([model.labels.index(x) if x in model.labels else -1 for (x,) in labels])
    wanted = expected_calibration_error(plain.max(axis=1), plain.argmax(axis=1) == true)
    assert found["value"] == pytest.approx(wanted)
    bare = replace(model, scorer=replace(scorer, scale=1.0))
    assert ece_uncalibrated(bare, plain, labels) is None
