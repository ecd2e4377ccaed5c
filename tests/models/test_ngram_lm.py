"""Every smoothing method against a slow model, hand-worked tables, and the sum of one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.batching.ngram_counts import BOS, EOS, NgramCounts
from nlpcli.models import ngram_lm
from nlpcli.models.jelinek_mercer import BUCKETS, held_out_tokens
from nlpcli.models.ngram_lm import NgramModel
from nlpcli.models.ngram_sampling import sample
from nlpcli.models.ngram_smoothing import SMOOTHINGS, Estimates, Smoothing, estimate

from .ngram_reference import (
    SlowInterpolated,
    SlowKatz,
    SlowKneserNey,
    SlowLaplace,
    SlowLikelihood,
    SlowModel,
)

V = 8
SLOW: dict[str, type[SlowModel]] = {
    "mle": SlowLikelihood, "laplace": SlowLaplace, "backoff": SlowKatz,
    "interpolated": SlowInterpolated, "kneser-ney": SlowKneserNey,
}  # fmt: skip
words = st.integers(3, V - 1) | st.just(0)
corpora = st.lists(st.lists(words, min_size=1, max_size=7), min_size=1, max_size=12)


def stream(sentences: list[list[int]]) -> tuple[Any, Any]:
    """Tokens and sizes."""
    tokens = [t for s in sentences for t in (BOS, *s, EOS)]
    return np.array(tokens, np.int32), np.array([len(s) + 2 for s in sentences], np.int64)


def trained(
    sentences: list[list[int]], order: int, smoothing: Smoothing, labels: list[int] | None = None
) -> tuple[NgramModel, Estimates]:
    tokens, sizes = stream(sentences)
    n_labels = 1 if labels is None else max(labels) + 1
    own = None if labels is None else np.repeat(np.array(labels, np.int32), sizes)
    held = held_out_tokens(tokens, sizes) if smoothing == "interpolated" else None
    with ThreadPoolExecutor(1) as pool:
        counts = NgramCounts(
            tokens, V, order, pool, labels=own, n_labels=n_labels, held_out=held, part=5
        )
    found = estimate(counts, smoothing, n_labels)
    return NgramModel.from_estimates(counts.levels, found, V, n_labels), found


def slow_model(
    sentences: list[list[int]], order: int, smoothing: Smoothing, found: Estimates
) -> SlowModel:
    slow = SLOW[smoothing](sentences, V, order)
    if isinstance(slow, SlowKatz):
        slow.factors = {d["n"]: tuple(d["discounts"]) for d in found.details}
    if isinstance(slow, SlowInterpolated):
        slow.weights = [
            [d["weights"].get(str(b), 0.5) for b in range(BUCKETS)] for d in found.details
        ]
    return slow


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
@settings(max_examples=40, deadline=None)
@given(corpora, corpora, st.integers(1, 4))
def test_equals_the_slow_model(
    smoothing: Smoothing, train: list[list[int]], test: list[list[int]], order: int
) -> None:
    model, found = trained(train, order, smoothing)
    slow = slow_model(train, order, smoothing, found)
    tokens, _ = stream(test)
    fast = 10 ** model.log10_tokens(tokens)[:, 0]
    at = 0
    for sentence in test:
        context: tuple[int, ...] = (BOS,)
        for place, word in enumerate([*sentence, EOS], at + 1):
            assert fast[place] == pytest.approx(
                slow.probability(word, context), rel=1e-5, abs=1e-12
            )
            context = (*context, word)
        at += len(sentence) + 2


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
@settings(max_examples=40, deadline=None)
@given(corpora, st.lists(words, max_size=5), st.integers(1, 5))
def test_what_may_follow_sums_to_one(
    smoothing: Smoothing, train: list[list[int]], tail: list[int], order: int
) -> None:
    model, _ = trained(train, order, smoothing)
    context = [BOS, *tail]
    after = model.next_words(context)
    assert after[BOS] == 0
    if smoothing == "mle" and not after.any():
        return  # a context that was not seen: nothing is known
    assert after.sum() == pytest.approx(1, abs=2e-6)
    for word in range(V):
        if word != BOS:
            alone = model.log10_tokens(np.array([*context, word], np.int32))[-1, 0]
            assert 10**alone == pytest.approx(after[word], rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.lists(words, min_size=1, max_size=6)), min_size=3))
def test_each_label_sums_to_one(smoothing: Smoothing, rows: list[tuple[int, list[int]]]) -> None:
    labels = [0, 1, 2, *(label for label, _ in rows)]
    sentences = [[3], [4, 5], [6], *(sentence for _, sentence in rows)]
    model, _ = trained(sentences, 3, smoothing, labels)
    for label in range(3):
        for context in ([BOS], [BOS, 3], [BOS, 4, 5], [BOS, 7, 7]):
            after = model.next_words(context, label)
            if smoothing != "mle" or after.any():
                assert after.sum() == pytest.approx(1, abs=2e-6)
            alone = [
                model.log10_tokens(np.array([*context, w], np.int32))[-1, label]
                for w in range(V)
                if w != BOS
            ]
            assert 10 ** np.array(alone) == pytest.approx(np.delete(after, BOS), abs=1e-12)


@pytest.mark.parametrize("smoothing", ["mle", "laplace"])
def test_a_label_is_a_model_of_its_own(smoothing: Smoothing) -> None:
    sentences = [[3, 4], [5], [3, 5, 4], [6, 6], [3, 4, 7]]
    labels = [0, 1, 0, 1, 1]
    model, _ = trained(sentences, 3, smoothing, labels)
    tokens, _ = stream([[3, 4], [5, 3, 4, 7], [6]])
    for label in (0, 1):
        own, _ = trained(
            [s for s, own in zip(sentences, labels, strict=False) if own == label], 3, smoothing
        )
        wanted = own.log10_tokens(tokens)[:, 0]
        assert model.log10_tokens(tokens)[:, label] == pytest.approx(wanted)


def test_hand_worked_table() -> None:
    # <s> 3 4 </s>, <s> 3 5 </s>: seven words may follow
    model, _ = trained([[3, 4], [3, 5]], 2, "laplace")
    after = model.next_words([BOS, 3])
    assert after == pytest.approx([1 / 9, 0, 1 / 9, 1 / 9, 2 / 9, 2 / 9, 1 / 9, 1 / 9])
    model, _ = trained([[3, 4], [3, 5]], 2, "mle")
    assert model.next_words([BOS, 3]) == pytest.approx([0, 0, 0, 0, 0.5, 0.5, 0, 0])
    # Kneser-Ney with discounts 0.5, 1, 1.5; continuations: 3 after 1 word, </s> after 2
    model, found = trained([[3, 4], [3, 5]], 2, "kneser-ney")
    assert len(found.notes) == 2
    left = (0.5 + 0.5 + 0.5 + 1.0) / 5  # of 3, 4, 5 and </s>
    low = {3: 0.5 / 5 + left / 7, 4: 0.5 / 5 + left / 7, EOS: 1 / 5 + left / 7, 7: left / 7}
    after = model.next_words([BOS, 3])
    assert after[4] == pytest.approx(0.5 / 2 + 0.5 * low[4])
    assert after[EOS] == pytest.approx(0.5 * low[EOS])
    assert after[7] == pytest.approx(0.5 * low[7])


def test_sums_do_not_depend_on_what_is_around(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    sentences = [rng.integers(3, V, size=n).tolist() for n in (5, 1, 40, 3, 9)]
    labels = [0, 1, 0, 2, 1]
    model, _ = trained(sentences, 4, "kneser-ney", labels)
    tokens, sizes = stream(sentences)
    whole = model.log10_sums(tokens, sizes)
    scores = model.log10_tokens(tokens)
    scores[tokens == BOS] = 0
    ends = np.cumsum(sizes)
    assert whole[2] == pytest.approx(scores[ends[1] : ends[2]].sum(axis=0))
    for row, sentence in enumerate(sentences):
        assert (model.log10_sums(*stream([sentence])) == whole[row]).all()
    monkeypatch.setattr(ngram_lm, "CELLS", 30)
    split = model.log10_sums(tokens, sizes)
    assert (split[[0, 1, 3, 4]] == whole[[0, 1, 3, 4]]).all()
    assert split[2] == pytest.approx(whole[2], rel=1e-12)


def test_samples_are_sentences_of_the_model() -> None:
    model, _ = trained([[3, 4, 5], [6, 4, 7]], 2, "mle")
    rng = np.random.default_rng(3)
    drawn = {tuple(sample(model, rng, most=20)) for _ in range(50)}
    assert drawn == {(3, 4, 5), (3, 4, 7), (6, 4, 5), (6, 4, 7)}
    assert sample(model, rng, most=2)[0] in (3, 6)
    assert len(sample(model, rng, most=2)) == 2
