"""Rows of pieces, against slow code that puts each piece where it belongs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpcli.batching.framing import (
    MULTIPLE,
    Cut,
    Rows,
    Specials,
    batches_of_one_width,
    framed,
    padded,
    shuffled_batches,
)
from nlpcli.text.wordpiece import Ragged

CLS, SEP, PAD = 101, 102, 100
LONGS: tuple[Cut, ...] = ("truncate-tail", "truncate-head", "head-tail")
texts = st.lists(st.lists(st.integers(0, 99), max_size=14), min_size=1, max_size=8)


def ragged(lists: list[list[int]]) -> Ragged:
    ids = np.array([i for each in lists for i in each], np.int32)
    return Ragged(ids, np.concatenate([[0], np.cumsum([len(each) for each in lists])]))


def cut(pieces: list[int], kept: int, long: Cut) -> list[int]:
    head = {"truncate-tail": kept, "truncate-head": 0, "head-tail": kept // 4}[long]
    if kept >= len(pieces):
        return pieces
    return pieces[:head] + pieces[len(pieces) - (kept - head) :]


def one(rows: Rows, i: int) -> list[int]:
    found: list[int] = rows.ids[rows.indptr[i] : rows.indptr[i + 1]].tolist()
    return found


@given(texts, st.integers(3, 12), st.sampled_from(LONGS))
def test_a_text_stands_between_its_marks(lists: list[list[int]], longest: int, long: Cut) -> None:
    rows = framed(ragged(lists), None, Specials(CLS, SEP, PAD, longest), long)
    assert len(rows) == len(lists)
    for i, pieces in enumerate(lists):
        assert one(rows, i) == [CLS, *cut(pieces, longest - 2, long), SEP]
        assert rows.second[i] == rows.lengths[i]
    assert rows.n_cut == sum(len(pieces) > longest - 2 for pieces in lists)


@given(texts, texts, st.integers(4, 16), st.sampled_from(LONGS))
def test_of_a_pair_the_longer_text_is_cut(
    first: list[list[int]], second: list[list[int]], longest: int, long: Cut
) -> None:
    count = min(len(first), len(second))
    first, second = first[:count], second[:count]
    rows = framed(ragged(first), ragged(second), Specials(CLS, SEP, PAD, longest), long)
    n_cut = 0
    for i, (a, b) in enumerate(zip(first, second, strict=True)):
        sizes = [len(a), len(b)]
        while sum(sizes) > longest - 3:  # piece by piece, as transformers does
            sizes[0 if sizes[0] > sizes[1] else 1] -= 1
        n_cut += sizes != [len(a), len(b)]
        assert one(rows, i) == [CLS, *cut(a, sizes[0], long), SEP, *cut(b, sizes[1], long), SEP]
        assert rows.second[i] == sizes[0] + 2
    assert rows.n_cut == n_cut


@given(texts, texts, st.integers(4, 20), st.data())
def test_a_batch_is_its_rows_and_padding(
    first: list[list[int]], second: list[list[int]], longest: int, data: st.DataObject
) -> None:
    count = min(len(first), len(second))
    specials = Specials(CLS, SEP, PAD, longest)
    rows = framed(ragged(first[:count]), ragged(second[:count]), specials, "truncate-tail")
    chosen = np.array(data.draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=6)))
    batch = padded(rows, chosen, specials)
    width = batch.ids.shape[1]
    assert width <= longest and (width % MULTIPLE == 0 or width == longest)
    assert width - rows.lengths[chosen].max() < MULTIPLE
    for at, i in enumerate(chosen.tolist()):
        n, border = int(rows.lengths[i]), int(rows.second[i])
        assert batch.ids[at].tolist() == one(rows, i) + [PAD] * (width - n)
        assert batch.mask[at].tolist() == [True] * n + [False] * (width - n)
        assert batch.segments[at].tolist() == [0] * border + [1] * (n - border) + [0] * (width - n)


@pytest.mark.parametrize(("count", "size"), [(1, 4), (1000, 8), (1001, 8), (7, 100)])
def test_an_epoch_has_every_row_once(count: int, size: int) -> None:
    lengths = np.random.default_rng(0).integers(2, 60, count)
    batches = shuffled_batches(lengths, size, 1, 0)
    assert sorted(np.concatenate(batches).tolist()) == list(range(count))
    assert len(batches) == -(-count // size)
    assert sum(len(batch) < size for batch in batches) <= 1
    again, other = shuffled_batches(lengths, size, 1, 0), shuffled_batches(lengths, size, 1, 1)
    assert all(np.array_equal(a, b) for a, b in zip(batches, again, strict=True))
    if count == 1000:
        assert not all(np.array_equal(a, b) for a, b in zip(batches, other, strict=True))
        spread = np.mean([lengths[batch].max() - lengths[batch].min() for batch in batches])
        assert spread < 5  # by chance it is about 45
        means = [lengths[batch].mean() for batch in batches]
        assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.3


def test_few_rows_are_hardly_sorted() -> None:
    lengths = np.arange(128)
    spread = [np.ptp(lengths[batch]) for batch in shuffled_batches(lengths, 32, 1, 0)]
    assert np.mean(spread) > 100  # sorted among all four batches it would be 31


@given(st.lists(st.integers(2, 40), min_size=1, max_size=40), st.integers(1, 100))
def test_no_row_is_padded_because_of_others(values: list[int], tokens: int) -> None:
    lengths, specials = np.array(values), Specials(CLS, SEP, PAD, 40)
    batches = batches_of_one_width(lengths, specials, tokens)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(values)))
    rows = framed(ragged([[1] * (n - 2) for n in values]), None, specials, "truncate-tail")
    for batch in batches:
        width = padded(rows, batch, specials).ids.shape[1]
        assert len(batch) == 1 or len(batch) * width <= tokens
        for row in batch:
            assert padded(rows, np.array([row]), specials).ids.shape[1] == width
