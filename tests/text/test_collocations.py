"""By hand, and against nltk where it is installed."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpcli.text.collocations import association


def score(name: str, *table: int) -> float:
    pairs, firsts, seconds, n_words = table
    return float(association(name, *(np.array([v]) for v in (pairs, firsts, seconds)), n_words)[0])


def test_a_table_worked_by_hand() -> None:
    # of 100 words a stands 10 times, b 20 times, and 5 times together; 2 are expected
    assert score("pmi", 5, 10, 20, 100) == pytest.approx(math.log2(2.5), abs=1e-12)
    assert score("t", 5, 10, 20, 100) == pytest.approx(3 / math.sqrt(5), abs=1e-12)
    cells = ((5, 2), (5, 8), (15, 18), (75, 72))
    ratio = 2 * sum(o * math.log(o / e) for o, e in cells)
    assert score("llr", 5, 10, 20, 100) == pytest.approx(ratio, abs=1e-12)
    assert score("pmi", 2, 10, 20, 100) == score("t", 2, 10, 20, 100) == 0
    assert score("llr", 2, 10, 20, 100) == pytest.approx(0, abs=1e-12)


def test_words_that_stand_nowhere_else() -> None:
    assert score("llr", 3, 3, 3, 10) == pytest.approx(
        2 * (3 * math.log(10 / 3) + 7 * math.log(10 / 7))
    )


@given(st.integers(1, 50), st.integers(0, 50), st.integers(0, 50), st.integers(1, 1000))
def test_as_nltk(pairs: int, more_a: int, more_b: int, rest: int) -> None:
    metrics = pytest.importorskip("nltk.metrics.association", reason="nltk is not installed")
    measures = metrics.BigramAssocMeasures
    a, b = pairs + more_a, pairs + more_b
    n_words = pairs + more_a + more_b + rest
    for name, other in (("pmi", "pmi"), ("llr", "likelihood_ratio"), ("t", "student_t")):
        wanted = getattr(measures, other)(pairs, (a, b), n_words)
        assert score(name, pairs, a, b, n_words) == pytest.approx(wanted, abs=1e-9)
