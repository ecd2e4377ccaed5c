"""Discounts from counts of counts, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from nlpcli.models.ngram_smoothing import FALLBACK, good_turing_discounts, modified_discounts


def counts(*often: int) -> np.ndarray:
    return np.repeat(np.arange(len(often)), often)


def test_modified_discounts() -> None:
    found, note = modified_discounts(counts(9, 8, 4, 2, 1, 7))
    y = 8 / (8 + 2 * 4)
    wanted = (1 - 2 * y * 4 / 8, 2 - 3 * y * 2 / 4, 3 - 4 * y * 1 / 2)
    assert found == pytest.approx(wanted)
    assert note is None
    found, note = modified_discounts(counts(0, 8, 4, 0, 1))
    assert found == FALLBACK
    assert note == "counts of 1 to 4 are 8, 4, 0, 1 times there: discounts 0.5, 1.0, 1.5"
    # ten times as many of 3 as of 2 would give less than nothing
    assert modified_discounts(counts(0, 8, 4, 40, 1))[0] == FALLBACK
    assert modified_discounts(np.empty(0, np.int64))[0] == FALLBACK


def test_good_turing_discounts() -> None:
    often = (0, 64, 24, 12, 7, 4.0, 2)
    found, note = good_turing_discounts(counts(*map(int, often)))
    common = 6 * often[6] / often[1]
    wanted = [((r + 1) * often[r + 1] / often[r] / r - common) / (1 - common) for r in range(1, 6)]
    assert list(found) == pytest.approx(wanted)
    assert note is None
    # what is taken from counts up to k is what Good-Turing gives to the unseen: n1
    taken = sum((1 - d) * r * n for r, (d, n) in enumerate(zip(found, often[1:], strict=False), 1))
    assert taken == pytest.approx(often[1])
    assert good_turing_discounts(counts(0, 64, 24, 12)) == (
        pytest.approx(good_turing_discounts(counts(0, 64, 24, 12, 0, 3))[0]),
        "counts up to 2 alone are discounted",
    )
    assert good_turing_discounts(counts(0, 1))[0] == ()
