"""Batches of rows of about one length."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpcli.batching.framing import MULTIPLE, Specials, framed
from nlpcli.batching.lengths import length_batches, plan_batches
from nlpcli.text.wordpiece import Ragged

CLS, SEP, PAD = 101, 102, 0
sizes = st.lists(st.integers(0, 90), max_size=60)


def ragged(lengths: list[int]) -> Ragged:
    """Texts whose pieces are numbered through, from 1000."""
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Ragged(np.arange(1000, 1000 + indptr[-1], dtype=np.int32), indptr)


@given(sizes, st.integers(3, 60), st.integers(1, 300))
def test_every_text_stands_in_one_batch_as_it_is(
    lengths: list[int], longest: int, tokens: int
) -> None:
    texts, specials = ragged(lengths), Specials(CLS, SEP, PAD, longest)
    rows = framed(texts, None, specials, "truncate-tail")
    assert rows.n_cut == sum(size > longest - 2 for size in lengths)
    seen = []
    for batch in length_batches(rows, specials, tokens=tokens):
        assert batch.ids.shape == batch.mask.shape == batch.segments.shape
        assert batch.ids.shape[1] <= longest and not batch.segments.any()
        cells = zip(batch.chosen.tolist(), batch.ids.tolist(), batch.mask.tolist(), strict=True)
        for row, ids, mask in cells:
            seen.append(row)
            own = texts.ids[texts.indptr[row] : texts.indptr[row + 1]].tolist()
            wanted = [CLS, *own[: longest - 2], SEP]
            assert ids == wanted + [PAD] * (len(ids) - len(wanted))
            assert mask == [True] * len(wanted) + [False] * (len(ids) - len(wanted))
    assert sorted(seen) == list(range(len(lengths)))


@given(st.lists(st.integers(2, 512), min_size=1, max_size=200), st.integers(1, 4096))
def test_batches_keep_the_budget_and_pad_little(lengths: list[int], tokens: int) -> None:
    found = np.array(lengths)
    batches = plan_batches(found, tokens=tokens)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    for chosen in batches:
        width = -(-int(found[chosen].max()) // MULTIPLE) * MULTIPLE
        assert len(chosen) == 1 or len(chosen) * width <= tokens
        assert (width - found[chosen] < width / 4 + MULTIPLE).all()


def test_many_texts_of_mixed_lengths_waste_little() -> None:
    lengths = np.random.default_rng(1).integers(5, 128, 4096)
    batches = plan_batches(lengths, tokens=2048)
    wide = sum(len(chosen) * -(-lengths[chosen].max() // MULTIPLE) * MULTIPLE for chosen in batches)
    assert wide / lengths.sum() < 1.1  # 3.5 on average of each text go to the multiple


def test_no_rows() -> None:
    assert plan_batches(np.empty(0, np.int64), tokens=64) == []
    rows = framed(ragged([]), None, Specials(1, 2, 0, 8), "truncate-tail")
    with pytest.raises(StopIteration):
        next(length_batches(rows, Specials(1, 2, 0, 8), tokens=64))
