"""Batches of texts of about one length."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpcli.batching.lengths import MULTIPLE, Frame, framed_lengths, plan_batches, text_batches
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
    texts, frame = ragged(lengths), Frame(CLS, SEP, PAD, longest)
    framed, cut = framed_lengths(texts, frame)
    assert cut == sum(size > longest - 2 for size in lengths)
    seen = []
    for batch in text_batches(texts, framed, frame, tokens=tokens):
        assert batch.ids.shape == batch.mask.shape
        for row, ids, mask in zip(
            batch.rows.tolist(), batch.ids.tolist(), batch.mask.tolist(), strict=True
        ):
            seen.append(row)
            own = texts.ids[texts.indptr[row] : texts.indptr[row + 1]].tolist()
            wanted = [CLS, *own[: longest - 2], SEP]
            assert ids == wanted + [PAD] * (len(ids) - len(wanted))
            assert mask == [True] * len(wanted) + [False] * (len(ids) - len(wanted))
        assert batch.ids.shape[1] <= longest
    assert sorted(seen) == list(range(len(lengths)))


@given(st.lists(st.integers(2, 512), min_size=1, max_size=200), st.integers(1, 4096))
def test_batches_keep_the_budget_and_pad_little(lengths: list[int], tokens: int) -> None:
    found = np.array(lengths)
    batches = plan_batches(found, tokens=tokens)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    for rows in batches:
        width = -(-int(found[rows].max()) // MULTIPLE) * MULTIPLE
        assert len(rows) == 1 or len(rows) * width <= tokens
        assert (width - found[rows] < width / 4 + MULTIPLE).all()


def test_many_texts_of_mixed_lengths_waste_little() -> None:
    lengths = np.random.default_rng(1).integers(5, 128, 4096)
    batches = plan_batches(lengths, tokens=2048)
    padded = sum(len(rows) * -(-lengths[rows].max() // MULTIPLE) * MULTIPLE for rows in batches)
    assert padded / lengths.sum() < 1.1  # 3.5 on average of each text go to the multiple


def test_a_frame_without_room_for_pieces() -> None:
    frame = Frame(CLS, SEP, PAD, 2)
    framed, cut = framed_lengths(ragged([0, 3]), frame)
    assert (framed.tolist(), cut) == ([2, 2], 1)
    (batch,) = text_batches(ragged([0, 3]), framed, frame, tokens=64)
    assert batch.ids.tolist() == [[CLS, SEP], [CLS, SEP]]


def test_no_texts() -> None:
    assert plan_batches(np.empty(0, np.int64), tokens=64) == []
    with pytest.raises(StopIteration):
        next(text_batches(ragged([]), np.empty(0, np.int64), Frame(1, 2, 0, 8), tokens=64))
