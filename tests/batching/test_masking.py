"""Which pieces are asked for, and what stands in their place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.batching import masking
from nlpcli.batching.masking import (
    LONGEST_SPAN,
    SPAN_P,
    MaskConfig,
    Masked,
    Pieces,
    mask_rows,
)

PAD, CLS, SEP, MASK, FIRST, V = 0, 2, 3, 4, 5, 60
CONTINUES = np.arange(V) >= 40
PIECES = Pieces(MASK, CONTINUES, np.arange(FIRST, V))
HOWS = ("pieces", "words", "spans")


def rows(n: int, width: int, *, long_words: float = 0.3, seed: int = 0) -> Any:
    """Rows between [CLS] and [SEP], with a [SEP] within here and there, and what is maskable."""
    generator = np.random.default_rng(seed)
    ids = generator.integers(FIRST, 40, (n, width))
    goes_on = generator.random((n, width)) < long_words
    ids[goes_on] = generator.integers(40, V, int(goes_on.sum()))
    ids[generator.random((n, width)) < 0.02] = SEP
    ids[:, 0], ids[:, -1] = CLS, SEP
    return ids, ids >= FIRST


def masked(
    ids: Any, maskable: Any, how: Any, *, rate: float = 0.15, seed: int = 0, **config: Any
) -> Masked:
    made = MaskConfig(how=how, rate=rate, **config)
    return mask_rows(ids, maskable, PIECES, made, np.random.default_rng(seed))


def words(ids: Any, maskable: Any) -> list[list[int]]:
    """Positions of each word of a row."""
    found: list[list[int]] = []
    for at, piece in enumerate(ids):
        if not maskable[at]:
            continue
        if CONTINUES[piece] and at and maskable[at - 1]:
            found[-1].append(at)
        else:
            found.append([at])
    return found


def budgets(maskable: Any, rate: float) -> Any:
    return np.maximum(1, np.round(rate * maskable.sum(axis=1)))


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("rate", [0.15, 0.4])
def test_the_share_that_is_asked_for(how: str, rate: float) -> None:
    ids, maskable = rows(200, 128)
    found = masked(ids, maskable, how, rate=rate)
    assert not (found.chosen & ~maskable).any()
    n_chosen, room = found.chosen.sum(axis=1), budgets(maskable, rate)
    assert (n_chosen <= room).all() and (n_chosen > 0).all()
    if how == "pieces":
        assert (n_chosen == room).all()
    least = {"pieces": 0.99, "words": 0.94, "spans": 0.9 if rate > 0.3 else 0.96}[how]
    assert n_chosen.sum() >= least * rate * maskable.sum()


@pytest.mark.parametrize("how", HOWS)
def test_what_stands_in_their_place(how: str) -> None:
    ids, maskable = rows(1500, 128)
    found = masked(ids, maskable, how)
    assert np.array_equal(found.ids[~found.chosen], ids[~found.chosen])
    was, now = ids[found.chosen], found.ids[found.chosen]
    n = len(was)
    of_spans = 0.02 if how == "spans" else 0.01  # one draw for a whole span: fewer draws
    assert abs((now == MASK).sum() / n - 0.8) < of_spans
    other = (now != MASK) & (now != was)
    assert abs(other.sum() / n - 0.1 * (1 - 1 / len(PIECES.ordinary))) < of_spans
    replaced = np.bincount(now[other], minlength=V)
    assert not replaced[:FIRST].any() and replaced[FIRST:].all()
    assert replaced[FIRST:].max() < 2 * replaced[FIRST:].mean()


@pytest.mark.parametrize(("mask", "other"), [(1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (0.5, 0.5)])
def test_rates_are_options(mask: float, other: float) -> None:
    ids, maskable = rows(100, 64)
    found = masked(ids, maskable, "words", masked=mask, replaced=other)
    now, was = found.ids[found.chosen], ids[found.chosen]
    assert abs((now == MASK).mean() - mask) < 0.08
    kept = (now == was).mean()
    assert abs(kept - (1 - mask - other + other / len(PIECES.ordinary))) < 0.05
    if mask in (0.0, 1.0):
        assert (now == MASK).mean() == mask


def test_replacements_by_frequency() -> None:
    counts = np.zeros(V - FIRST)
    counts[[1, 7, 30]] = 6, 3, 1
    pieces = Pieces(MASK, CONTINUES, PIECES.ordinary, np.cumsum(counts) / counts.sum())
    drawn = pieces.draw(20_000, np.random.default_rng(0))
    shares = np.bincount(drawn, minlength=V) / 20_000
    np.testing.assert_allclose(shares[[6, 12, 35]], [0.6, 0.3, 0.1], atol=0.015)
    assert np.count_nonzero(shares) == 3
    short = Pieces(MASK, CONTINUES, PIECES.ordinary, np.full(V - FIRST, 0.5))
    assert short.draw(100, np.random.default_rng(0)).max() < V
    assert len(PIECES.draw(0, np.random.default_rng(0))) == 0


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 4), width=st.integers(3, 50), seed=st.integers(0, 999),
    rate=st.floats(0.02, 0.9), long_words=st.floats(0, 0.95), how=st.sampled_from(HOWS),
)  # fmt: skip
def test_whole_words_within_the_budget(
    n: int, width: int, seed: int, rate: float, long_words: float, how: str
) -> None:
    ids, maskable = rows(n, width, long_words=long_words, seed=seed)
    found = masked(ids, maskable, how, rate=rate, seed=seed)
    room = budgets(maskable, rate)
    assert (found.chosen.sum(axis=1) <= room).all()
    assert np.array_equal(found.chosen.any(axis=1), maskable.any(axis=1))
    if how == "pieces":
        return
    for row in range(n):
        whole = words(ids[row], maskable[row])
        torn = [w for w in whole if 0 < found.chosen[row, w].sum() < len(w)]
        if how == "words" and any(len(w) <= room[row] for w in whole):
            assert not torn
        # one word of a row may be torn: one that is longer than the budget, and then it is alone
        assert all(len(w) > room[row] and found.chosen[row, w].sum() == found.chosen[row].sum()
                   for w in torn)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 4), width=st.integers(3, 60), seed=st.integers(0, 999),
    rate=st.floats(0.02, 0.9), long_words=st.floats(0, 0.9),
)  # fmt: skip
def test_spans_lie_apart(n: int, width: int, seed: int, rate: float, long_words: float) -> None:
    ids, maskable = rows(n, width, long_words=long_words, seed=seed)
    found = masked(ids, maskable, "spans", rate=rate, seed=seed)
    again = np.zeros(ids.shape, np.int64)
    for row, first, last in zip(found.row, found.first, found.last, strict=True):
        assert 0 < first <= last < width - 1
        again[row, first : last + 1] += 1
        assert not found.chosen[row, first - 1] and not found.chosen[row, last + 1]
        starts = {w[0] for w in words(ids[row], maskable[row])}
        assert first in starts
        assert len([p for p in range(first, last + 1) if p in starts]) <= LONGEST_SPAN
        fates = found.ids[row, first : last + 1]
        assert (fates == MASK).all() or (fates != MASK).all()
    assert np.array_equal(again, found.chosen)
    order = found.row * width + found.first
    assert (np.diff(order) > 0).all()


def test_a_span_is_changed_as_one() -> None:
    ids, maskable = rows(300, 64, long_words=0)
    found = masked(ids, maskable, "spans", masked=0.4, replaced=0.3)
    kinds = {"masked": 0, "kept": 0, "other": 0}
    for row, first, last in zip(found.row, found.first, found.last, strict=True):
        now, was = found.ids[row, first : last + 1], ids[row, first : last + 1]
        if (now == MASK).all():
            kinds["masked"] += 1
        elif np.array_equal(now, was):
            kinds["kept"] += 1
        else:
            assert not (now == MASK).any()
            kinds["other"] += 1
    shares = np.array(list(kinds.values())) / len(found.row)
    np.testing.assert_allclose(shares, [0.4, 0.3, 0.3], atol=0.07)


def test_lengths_of_spans_are_geometric(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masking, "_TRIES", 1)  # a span a row: none is in another's way
    n, width = 6000, 400
    ids = np.full((n, width), FIRST)
    ids[:, 0], ids[:, -1] = CLS, SEP
    found = masked(ids, ids >= FIRST, "spans", rate=0.1)
    lengths = (found.last - found.first + 1)[found.first < width - 2 * LONGEST_SPAN]
    assert len(lengths) > 5000
    seen = np.bincount(lengths, minlength=LONGEST_SPAN + 1)
    shares = (1 - SPAN_P) ** np.arange(LONGEST_SPAN)
    expected = len(lengths) * shares / shares.sum()
    assert len(seen) == LONGEST_SPAN + 1 and not seen[0]
    chi_square = ((seen[1:] - expected) ** 2 / expected).sum()
    assert chi_square < 27.9  # 9 degrees of freedom, one in a thousand
    places = np.bincount(found.first * 10 // width, minlength=10)[1:9]
    assert places.max() < 1.3 * places.min()


@pytest.mark.parametrize("how", HOWS)
def test_every_place_is_asked_for_alike(how: str) -> None:
    ids = np.full((3000, 42), FIRST)
    ids[:, 0], ids[:, -1] = CLS, SEP
    shares = masked(ids, ids >= FIRST, how).chosen.mean(axis=0)[1:-1]
    inner = shares[5:-5]  # spans begin within a row, so that its first places have fewer
    assert abs(inner.mean() - 0.15) < 0.015
    assert np.ptp(inner) < 0.06
    assert shares.min() > 0.03


@pytest.mark.parametrize("how", HOWS)
def test_the_same_draws_give_the_same(how: str) -> None:
    ids, maskable = rows(20, 60)
    before = ids.copy()
    one, other = masked(ids, maskable, how, seed=3), masked(ids, maskable, how, seed=3)
    for name in ("ids", "chosen", "row", "first", "last"):
        assert np.array_equal(getattr(one, name), getattr(other, name))
    assert not np.array_equal(one.chosen, masked(ids, maskable, how, seed=4).chosen)
    assert np.array_equal(ids, before) and one.ids is not ids


@pytest.mark.parametrize("how", HOWS)
def test_nothing_to_mask(how: str) -> None:
    ids = np.array([[CLS, SEP, SEP, SEP], [CLS, 7, SEP, SEP], [CLS, 41, 42, SEP]])
    found = masked(ids, ids >= FIRST, how)
    assert found.chosen.sum(axis=1).tolist() == [0, 1, 1]
    assert np.array_equal(found.ids[0], ids[0])
    only = masked(ids[:1], (ids >= FIRST)[:1], how)
    assert not only.chosen.any() and len(only.row) == 0
    none = masked(ids[:0], (ids >= FIRST)[:0], how)
    assert none.ids.shape == (0, 4)


@pytest.mark.parametrize(
    "wrong", [{"rate": 0.0}, {"rate": 1.0}, {"rate": float("nan")}, {"masked": 1.1},
              {"masked": -0.1}, {"masked": 0.8, "replaced": 0.3}, {"replaced": float("nan")}],
)  # fmt: skip
def test_rates_that_are_none(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        MaskConfig(**wrong)  # type: ignore[arg-type]
