"""Perplexity and bits a character, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nlpcli.evaluation.perplexity import Scored, evaluate_perplexity


def scored(log10: list[float], known: list[float], impossible: list[int]) -> Scored:
    n = len(log10)
    return Scored(
        np.full(n, 4), np.full(n, 1), np.array(impossible), np.full(n, 10), np.array(log10),
        np.array(known),
    )  # fmt: skip


def test_by_hand() -> None:
    document = evaluate_perplexity(scored([-6, -10], [-3, -6], [0, 0]), resamples=50, seed=1)
    assert (document["n"], document["sentences"], document["unknown_words"]) == (8, 2, 2)
    assert document["perplexity"]["value"] == pytest.approx(10 ** (16 / 8))
    assert document["perplexity_without_unknown"]["value"] == pytest.approx(10 ** (9 / 6))
    assert document["bits_per_character"]["value"] == pytest.approx(16 * math.log2(10) / 20)
    assert document["unknown_share"]["value"] == 0.25
    assert document["perplexity"]["low"] == pytest.approx(10**1.5)
    assert document["perplexity"]["high"] == pytest.approx(10**2.5)


def test_what_is_infinite_is_null() -> None:
    found = evaluate_perplexity(scored([-math.inf, -10], [-3, -6], [2, 0]), resamples=50, seed=1)
    assert found["perplexity"] == {"value": None, "low": None, "high": None}
    assert found["bits_per_character"]["value"] is None
    assert found["perplexity_without_unknown"]["value"] == pytest.approx(10**1.5)
    assert found["zero_probability_share"]["value"] == 0.25


def test_parts_together() -> None:
    part = scored([-6], [-3], [0])
    assert Scored.together([part, part]).log10.tolist() == [-6, -6]
    assert len(Scored.together([]).tokens) == 0
