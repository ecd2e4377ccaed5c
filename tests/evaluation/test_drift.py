"""Drift: distances by hand, and false alarms on resamples."""

import json

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from nlpcli.evaluation.drift import SMOOTHING, compare, jensen_shannon, psi
from nlpcli.text.known_words import KnownWords
from nlpcli.text.row_cells import FEATURES, OTHERS, make_reference

KNOWN = KnownWords.of(["the good film", "the bad film", "a good day", "a bad day"])
GENERATOR = np.random.default_rng(3)


def rows(n: int, *, long: int = 5, bad: float = 0.5) -> tuple[list[str], list[str], np.ndarray]:
    sizes = GENERATOR.integers(1, long, n)
    texts = [" ".join(GENERATOR.choice(["good", "bad", "film", "day"], size)) for size in sizes]
    answers = np.where(GENERATOR.random(n) < bad, "bad", "good").tolist()
    return texts, answers, GENERATOR.beta(8, 2, n)


def test_distances_by_hand() -> None:
    old, new = np.array([30.0, 70.0, 0.0]), np.array([50.0, 40.0, 10.0])
    p, q = (counts + SMOOTHING for counts in (old, new))
    p, q = p / p.sum(), q / q.sum()
    assert float(psi(old, new)) == pytest.approx(((q - p) * np.log(q / p)).sum())
    assert float(jensen_shannon(old, new)) == pytest.approx(jensenshannon(p, q, 2) ** 2)
    assert float(psi(old, old)) == float(jensen_shannon(old, old)) == 0


def test_every_row_is_counted_once_a_feature() -> None:
    reference = make_reference(*rows(500), KNOWN)
    assert {sum(reference.counts[name]) for name in FEATURES} == {500}
    assert reference.rows == 500
    cells = reference.cells(["x" * 1000], ["never seen"], np.array([0.0]))
    assert reference.labels[cells["label"][0]] == OTHERS
    assert cells["unknown_words"][0] == len(reference.counts["unknown_words"]) - 1


def counted(reference, texts, answers, confidence) -> dict[str, np.ndarray]:  # type: ignore[no-untyped-def]
    cells = reference.cells(texts, answers, confidence)
    return {n: np.bincount(c, minlength=len(reference.counts[n])) for n, c in cells.items()}


@pytest.mark.parametrize("n", [30, 400])
def test_rows_of_one_source_raise_few_alarms(n: int) -> None:
    alarms = 0
    for _ in range(60):
        reference = make_reference(*rows(300), KNOWN)
        now = counted(reference, *rows(n))
        alarms += compare(reference, now, level=0.05, least=0.0, seed=1)["drifted"]
    assert alarms <= 8  # 3 are expected; more than 8 come with a probability of 0.4 %


@pytest.mark.parametrize("change", [{"long": 40}, {"bad": 0.95}])
def test_other_rows_are_noticed(change: dict[str, float]) -> None:
    reference = make_reference(*rows(300), KNOWN)
    found = compare(reference, counted(reference, *rows(300, **change)),  # type: ignore[arg-type]
                    level=0.01, least=0.1, seed=1)  # fmt: skip
    assert found["drifted"]
    feature = "length" if "long" in change else "label"
    assert found["features"][feature]["drifted"]
    json.dumps(found, allow_nan=False)


def test_no_rows_are_no_drift() -> None:
    reference = make_reference(*rows(100), KNOWN)
    found = compare(reference, reference.empty(), level=0.01, least=0.1, seed=1)
    assert not found["drifted"]
    assert found["features"]["label"]["psi"] is None
    json.dumps(found, allow_nan=False)
