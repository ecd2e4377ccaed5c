"""What a language model's texts apart are for: the scale of its probabilities, and the gate."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nlpcli.data.sentence_corpus import SentenceCorpus
from nlpcli.runs.conditions import Condition
from nlpcli.runs.language_dev import EVERY, MOST, DevTexts, divided, fitted_scale, refusals

I32 = np.int32


def corpus(owners: np.ndarray) -> SentenceCorpus:
    sizes = np.arange(len(owners)) % 4 + 3
    tokens = np.repeat(np.arange(len(owners), dtype=I32), sizes)
    labels = [f"l{k}" for k in range(int(owners.max()) + 1)]
    return SentenceCorpus(tokens, sizes, [], labels, owners.astype(I32), 0, False, 0, 0, "")


@pytest.mark.parametrize(("n", "n_labels"), [(2, 2), (25, 25), (1000, 7), (3 * EVERY * MOST, 2)])
def test_a_part_is_set_apart_label_by_label(n: int, n_labels: int) -> None:
    owners = np.random.default_rng(1).permutation(np.arange(n) % n_labels)
    whole = corpus(owners)
    rest, part = divided(whole)
    assert rest.owners is not None and part.owners is not None
    assert set(rest.owners.tolist()) == set(range(n_labels))
    assert len(part.sizes) <= min(n // EVERY, MOST)
    counts = np.bincount(part.owners, minlength=n_labels)
    assert counts.max() - counts.min() <= 2
    sentences = sorted({*rest.tokens.tolist(), *part.tokens.tolist()})
    assert sentences == list(range(n))
    for half in (rest, part):
        assert half.owners is not None and len(half.tokens) == half.sizes.sum()
        firsts = half.tokens[np.cumsum(half.sizes) - half.sizes]
        assert np.array_equal(owners[firsts], half.owners)
        assert np.array_equal(whole.sizes[firsts], half.sizes)


@pytest.mark.parametrize("scale", [0.3, 1.0, 2.5])
def test_the_scale_that_labels_were_drawn_with_is_found(scale: float) -> None:
    rng = np.random.default_rng(2)
    logs = rng.normal(size=(20_000, 4)) * 2 - 40
    odds = np.exp((logs - logs.max(axis=1, keepdims=True)) * scale)
    sums = np.cumsum(odds, axis=1)
    true = (rng.random((len(logs), 1)) * sums[:, -1:] > sums).sum(axis=1)
    assert fitted_scale(logs, true) == pytest.approx(scale, rel=0.05)


def test_what_a_label_rules_out_gives_no_infinite_scale() -> None:
    logs = np.array([[-3.0, -math.inf], [-math.inf, -2.0], [-1.0, -4.0], [-math.inf, -math.inf]])
    found = fitted_scale(logs, np.array([0, 0, 1, 1]))
    assert 0 < found < 10
    nothing = fitted_scale(logs[:0], np.empty(0, np.int64))
    assert fitted_scale(logs, np.array([-1, -1, -1, -1])) == nothing == pytest.approx(1, rel=0.01)


def test_better_is_a_lower_perplexity_or_a_higher_f1() -> None:
    texts = DevTexts("d", ["a"], None, "")
    rows = DevTexts("d", ["a"], [("x",)], "")
    limit = Condition("perplexity", "<=", 90.0)
    assert refusals([None, limit], {"perplexity": 80.0}, texts, {"perplexity": 81.0}) == []
    assert refusals([None], {"perplexity": 80.0}, texts, None) == []
    assert refusals([None, limit], {"perplexity": 95.0}, texts, {"perplexity": 81.0}) == [
        "perplexity is 95, wanted less than 81, which the version in use reaches",
        "perplexity is 95, wanted at most 90",
    ]
    assert refusals([None], {"perplexity": None}, texts, {"perplexity": 81.0})
    assert refusals([None], {"macro_f1": 0.5}, rows, {"macro_f1": 0.4}) == []
    assert refusals([None], {"macro_f1": 0.5}, rows, {"macro_f1": 0.5})
