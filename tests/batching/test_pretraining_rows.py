"""Rows of a stream: every piece has a number of its own here, so that it is known wherever it is
seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.batching import pretraining_rows as module
from nlpcli.batching.masking import MaskConfig, Pieces
from nlpcli.batching.pretraining_rows import (
    PretrainingBatch,
    PretrainingRows,
    Specials,
    Stream,
    held_out_ranges,
    kept_apart,
)

PAD, CLS, SEP, MASK = 0, 2, 3, 4
FIRST = 10
SPECIALS = Specials(CLS, SEP, PAD)
NONE = np.zeros((0, 2), np.int64)


def stream(documents: list[list[int]]) -> Stream:
    """Documents of lines of so many pieces; behind each document a [SEP]. A piece is its place."""
    lines, begins, at = [], [], 0
    ends = []
    for document in documents:
        begins.append(at)
        for size in document:
            lines.append(at)
            at += size
        ends.append(at)
        at += 1  # the [SEP] is of the last line
    pieces = np.arange(FIRST, FIRST + at, dtype=np.int32)
    pieces[ends] = SEP
    return Stream(pieces, np.array([*lines, at], np.int64), np.array([*begins, at], np.int64))


def even(n_documents: int = 40, n_lines: int = 6, size: int = 9) -> Stream:
    return stream([[size] * n_lines] * n_documents)


def cut(
    given_stream: Stream, without: Any = NONE, length: int = 32, seed: int = 1, **more: Any
) -> PretrainingRows:
    most = int(np.max(given_stream.pieces, initial=FIRST)) + 1
    pieces = Pieces(MASK, np.zeros(most, bool), np.arange(FIRST, most))
    config = MaskConfig(how="words")
    return PretrainingRows(
        given_stream, without, length, SPECIALS, pieces, config, seed=seed, **more
    )


def epoch(rows: PretrainingRows, number: int = 0, size: int = 8) -> list[PretrainingBatch]:
    return [rows.batch(number, at, min(size, len(rows) - at)) for at in range(0, len(rows), size)]


def all_ids(rows: PretrainingRows, number: int = 0) -> Any:
    return np.concatenate([batch.ids for batch in epoch(rows, number)])


def places(ids: Any) -> Any:
    """Places in the stream, of all but specials."""
    return ids[ids >= FIRST] - FIRST


def ranges_of(documents: list[list[int]], chosen: set[int], by: str) -> Any:
    """Lines or documents with such numbers as ranges of the stream."""
    made = stream(documents)
    borders = made.lines if by == "lines" else made.documents
    kept = [(borders[i], borders[i + 1]) for i in range(len(borders) - 1) if i in chosen]
    return np.array(kept, np.int64).reshape(-1, 2)


corpora = st.lists(st.lists(st.integers(1, 30), min_size=1, max_size=8), min_size=1, max_size=20)


@settings(max_examples=120, deadline=None)
@given(
    documents=corpora, chosen=st.sets(st.integers(0, 60), max_size=12), pairs=st.booleans(),
    by=st.sampled_from(["lines", "documents"]), length=st.integers(9, 40), seed=st.integers(0, 9),
)  # fmt: skip
def test_what_is_held_out_is_never_seen(
    documents: list[list[int]], chosen: set[int], pairs: bool, by: str, length: int, seed: int
) -> None:
    made, apart = stream(documents), ranges_of(documents, chosen, by)
    gone = np.zeros(len(made.pieces), bool)
    for first, last in apart:
        gone[first:last] = True
    if (~gone).sum() < length - (3 if pairs else 2):
        with pytest.raises(ValueError, match="a row has"):
            cut(made, apart, length, seed, pairs=pairs)
        return
    rows = cut(made, apart, length, seed, pairs=pairs)
    assert rows.n_pieces == (~gone).sum()
    for number in (0, 1):
        ids = all_ids(rows, number)
        assert ids.shape == (len(rows), length)
        assert (ids[:, 0] == CLS).all() and (ids[:, -1] == SEP).all() and (ids != PAD).all()
        assert not gone[places(ids)].any()
        assert ((ids == CLS).sum(axis=1) == 1).all()


@pytest.mark.parametrize("pairs", [False, True])
def test_nearly_every_piece_is_seen_in_a_few_epochs(pairs: bool) -> None:
    generator = np.random.default_rng(0)
    made = stream([generator.integers(3, 25, 12).tolist() for _ in range(60)])
    rows = cut(made, held_out_ranges(made, 0.05, 1), 64, pairs=pairs)
    n = int((made.pieces != SEP).sum())
    held = len(np.setdiff1d(places(made.pieces), []))  # all but [SEP]
    assert held == n
    seen: set[int] = set()
    shares = []
    for number in range(3):
        seen |= set(places(all_ids(rows, number)).tolist())
        shares.append(len(seen) / rows.n_pieces)
    assert shares[0] > 0.7 and shares[1] > 0.86 and shares[2] > 0.9, shares


def test_rows_without_pairs_are_stretches_of_the_stream() -> None:
    made = even()
    for ids in all_ids(cut(made)):
        start = ids[1] - FIRST
        assert np.array_equal(ids[1:-1], made.pieces[start : start + 30])


def test_rows_begin_with_a_sentence_where_one_is_near() -> None:
    made = even(size=9)
    starts = {int(ids[1]) - FIRST for ids in all_ids(cut(made, length=64))}
    assert starts <= set(made.lines.tolist())
    long = stream([[400]] * 5)
    starts = {int(ids[1]) - FIRST for ids in all_ids(cut(long, length=32))}
    assert len(starts - set(long.lines.tolist())) > len(starts) / 2


def test_each_epoch_cuts_and_masks_afresh() -> None:
    made = stream([[300]] * 10)
    rows = cut(made)
    first, second = all_ids(rows, 0), all_ids(rows, 1)
    shared = {tuple(ids) for ids in first.tolist()} & {tuple(ids) for ids in second.tolist()}
    assert len(shared) < len(rows) / 4
    assert not np.array_equal(np.sort(first[:, 1]), first[:, 1])  # in another order, too
    one, other = rows.batch(0, 0, 8), rows.batch(0, 8, 8)
    assert not np.array_equal(one.masked.chosen, other.masked.chosen)


@pytest.mark.parametrize("pairs", [False, True])
def test_the_same_seed_gives_the_same_rows(pairs: bool) -> None:
    def drawn(rows: PretrainingRows, numbers: list[int]) -> list[Any]:
        batches = {number: rows.batch(number, 4, 8) for number in numbers}
        return [array for number in (0, 3)
                for array in (batches[number].ids, batches[number].masked.ids)]  # fmt: skip

    made = even()
    one = drawn(cut(made, pairs=pairs), [0, 3])
    other = drawn(cut(made, pairs=pairs), [3, 1, 0])  # in any order
    assert all(map(np.array_equal, one, other))
    assert not np.array_equal(one[0], drawn(cut(made, pairs=pairs, seed=2), [0, 3])[0])


def test_specials_are_never_masked() -> None:
    for pairs in (False, True):
        for batch in epoch(cut(even(size=2), pairs=pairs)):
            assert (batch.ids[batch.masked.chosen] >= FIRST).all()
            assert batch.masked.chosen.any(axis=1).all()
            kept = ~batch.masked.chosen
            assert np.array_equal(batch.masked.ids[kept], batch.ids[kept])


@settings(max_examples=80, deadline=None)
@given(
    documents=corpora, chosen=st.sets(st.integers(0, 60), max_size=8), length=st.integers(9, 48),
    seed=st.integers(0, 9),
)  # fmt: skip
def test_pairs_say_the_truth(
    documents: list[list[int]], chosen: set[int], length: int, seed: int
) -> None:
    made, apart = stream(documents), ranges_of(documents, chosen, "lines")
    left = np.delete(
        np.arange(len(made.pieces)),
        np.concatenate([np.arange(*pair) for pair in apart.tolist()] or [np.arange(0)]),
    )
    if len(left) < length - 3:
        return
    rows = cut(made, apart, length, seed, pairs=True)
    remaining = made.pieces[left]
    for batch in epoch(rows):
        assert batch.segments is not None and batch.is_next is not None
        assert set(batch.is_next.tolist()) <= {0, 1}
        for ids, segments, label in zip(batch.ids, batch.segments, batch.is_next, strict=True):
            assert (np.diff(segments) >= 0).all() and segments[0] == 0 and segments[-1] == 1
            n_first = int((segments == 0).sum()) - 2
            assert n_first > 0 and ids[n_first + 1] == SEP
            first, second = ids[1 : n_first + 1], ids[n_first + 2 : -1]
            assert len(second) > 0
            both = np.concatenate([first, second])
            size = len(both)
            windows = np.lib.stride_tricks.sliding_window_view(remaining, size)
            follows = bool((windows == both).all(axis=1).any())
            if label == 0:
                assert follows
            elif (both >= FIRST).all():  # [SEP] looks alike everywhere
                assert not follows


def test_half_of_the_pairs_are_strangers_mostly_of_other_documents() -> None:
    made = even(200, 10, 12)
    rows = cut(made, length=48, pairs=True)
    labels, same = [], []
    for batch in epoch(rows):
        assert batch.is_next is not None and batch.segments is not None
        labels.append(batch.is_next)
        for ids, segments, label in zip(batch.ids, batch.segments, batch.is_next, strict=True):
            border = int((segments == 0).sum())
            first, second = ids[1 : border - 1], ids[border:-1]
            at = np.searchsorted(
                made.documents, [places(first)[-1], places(second)[0]], side="right"
            )
            if label:
                same.append(at[0] == at[1])
            else:
                assert at[0] == at[1], "the next sentence is of the same document"
    assert abs(np.concatenate(labels).mean() - 0.5) < 0.06
    assert np.mean(same) < 0.03


def test_first_segments_end_with_sentences_and_vary() -> None:
    made = even(100, 50, 8)
    sizes, ended = [], 0
    for batch in epoch(cut(made, length=64, pairs=True)):
        assert batch.segments is not None
        for ids, segments in zip(batch.ids, batch.segments, strict=True):
            border = int((segments == 0).sum())
            sizes.append(border - 2)
            ended += int(ids[border - 2] - FIRST + 1 in made.lines)
    assert ended > 0.85 * len(sizes)
    assert min(sizes) >= 8 and max(sizes) <= 64 - 3 - 8 + 2 and len(set(sizes)) > 4


@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize(
    "documents", [[[61]], [[1] * 61], [[1]] * 31, [[200]], [[2, 58], [1]], [[1, 1, 1]] * 100]
)
def test_small_corpora(documents: list[list[int]], pairs: bool) -> None:
    made = stream(documents)
    rows = cut(made, length=32, pairs=pairs)
    ids = all_ids(rows)
    assert len(ids) == len(rows) == -(-len(made.pieces) // (29 if pairs else 30))
    assert len(set(places(ids).tolist())) > 0.3 * len(made.pieces)


def test_a_corpus_of_exactly_a_row_and_one_less() -> None:
    made = stream([[29]])
    assert len(cut(made)) == 1
    assert np.array_equal(all_ids(cut(made))[0][1:-1], made.pieces)
    with pytest.raises(ValueError, match="29 pieces, a row has 30"):
        cut(stream([[28]]))
    with pytest.raises(ValueError, match="0 pieces"):
        cut(made, np.array([[0, 30]]))


# --- what is kept apart -----------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(
    documents=st.lists(
        st.lists(st.integers(1, 40), min_size=1, max_size=4), min_size=1, max_size=300
    ),
    share=st.floats(0, 0.5), seed=st.integers(0, 5),
)  # fmt: skip
def test_ranges_are_whole_lines_within_the_share(
    documents: list[list[int]], share: float, seed: int
) -> None:
    made = stream(documents)
    ranges = held_out_ranges(made, share, seed)
    assert ranges.shape == (len(ranges), 2)
    sizes = ranges[:, 1] - ranges[:, 0]
    assert (sizes > 0).all() and sizes.sum() <= share * len(made.pieces)
    assert (ranges[1:, 0] >= ranges[:-1, 1]).all()
    assert np.isin(ranges, made.lines).all()
    assert np.array_equal(ranges, held_out_ranges(made, share, seed))


@pytest.mark.parametrize(
    "made",
    [
        even(1000, 5, 10),  # many documents
        stream([[10] * 5000]),  # one
        stream([[10] * 100] * 30),  # few
        stream([[20] * 400] * 2 + [[3]] * 200),  # many, most of the text in two of them
        stream([[10] * 50] * 101),  # each as large as what may be taken
    ],
)
def test_something_is_held_out(made: Stream) -> None:
    for seed in range(6):
        ranges = held_out_ranges(made, 0.01, seed)
        taken = int((ranges[:, 1] - ranges[:, 0]).sum())
        assert taken > 0.004 * len(made.pieces), (seed, taken)


def test_of_a_large_corpus_only_so_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_HELD_OUT", 500)
    for made in (stream([[10] * 9000]), stream([[10] * 900] * 120)):
        for seed in range(4):
            ranges = held_out_ranges(made, 0.2, seed)
            assert 250 <= (ranges[:, 1] - ranges[:, 0]).sum() <= 500


def test_documents_stay_whole_where_there_are_many() -> None:
    made = even(500)
    assert np.isin(held_out_ranges(made, 0.05, 1), made.documents).all()


@settings(max_examples=60, deadline=None)
@given(documents=corpora, chosen=st.sets(st.integers(0, 60), max_size=12))
def test_what_is_kept_apart_is_a_stream(documents: list[list[int]], chosen: set[int]) -> None:
    made, ranges = stream(documents), ranges_of(documents, chosen, "lines")
    apart = kept_apart(made, ranges)
    wanted = [made.pieces[first:last] for first, last in ranges.tolist()]
    assert np.array_equal(apart.pieces, np.concatenate([*wanted, apart.pieces[:0]]))
    assert apart.lines[-1] == apart.documents[-1] == len(apart.pieces)
    assert apart.documents[0] == 0 and (np.diff(apart.lines) > 0).all()
    assert np.isin(apart.documents, apart.lines).all()
    begins = {int(made.pieces[at]) for at in made.lines[:-1]}
    assert all(int(apart.pieces[at]) in begins for at in apart.lines[:-1])
