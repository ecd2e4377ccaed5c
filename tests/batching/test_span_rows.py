"""Spans as numbers, against loops over all of them."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.batching.framing import Specials
from nlpcli.batching.span_rows import (
    SpanRows,
    known_spans,
    ordered_pairs,
    places,
    sampled,
    without_overlap,
)
from nlpcli.batching.word_rows import PiecedWords, word_rows

SPECIALS = Specials(cls=1, sep=2, pad=0, longest=14)
ROOM = SPECIALS.longest - 2
SENTENCES = st.lists(st.lists(st.integers(1, ROOM + 2), max_size=12), min_size=1, max_size=4)
SPANS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(1, 5), st.integers(0, 3)), min_size=1, max_size=9
)


def span_rows(sentences: list[list[int]], longest: int) -> SpanRows:
    """Words of so many pieces, every piece with a number of its own."""
    sizes = np.array([size for sentence in sentences for size in sentence], np.int64)
    bounds = np.cumsum([0, *map(len, sentences)]).astype(np.int64)
    ids = np.arange(10, 10 + int(sizes.sum()), dtype=np.int32)
    return SpanRows.of(word_rows(PiecedWords(ids, sizes, bounds), SPECIALS), longest)


@settings(max_examples=150, deadline=None)
@given(SENTENCES, st.integers(1, 6))
def test_all_spans_and_no_others(sentences: list[list[int]], longest: int) -> None:
    made = span_rows(sentences, longest)
    n_rows = len(made.words.rows)
    spans = made.spans(np.arange(n_rows))
    assert made.counts.tolist() == np.bincount(spans.row, minlength=n_rows).tolist()
    sizes = [size for sentence in sentences for size in sentence]
    starts = np.cumsum([10, *sizes]).tolist()
    wanted, sentence_of = [], np.repeat(np.arange(len(sentences)), [*map(len, sentences)])
    for row in range(n_rows):
        ids = made.words.rows.ids[made.words.rows.indptr[row] :][: made.words.rows.lengths[row]]
        for begin in range(made.words.words[row], made.words.words[row + 1]):
            for behind in range(begin + 1, min(begin + longest, len(sizes)) + 1):
                if sentence_of[begin] != sentence_of[behind - 1]:
                    break
                first, last = starts[begin], starts[behind - 1] + min(sizes[behind - 1], ROOM) - 1
                if first in ids and last in ids:
                    at = ids.tolist().index(first), ids.tolist().index(last)
                    wanted.append((row, begin, behind, *at))
    found = zip(*(getattr(spans, n).tolist() for n in ("row", "begin", "behind", "first", "last")),
                strict=True)  # fmt: skip
    assert list(found) == wanted
    whole = [i for i, own in enumerate(sentences) if sum(own) <= ROOM]
    for number in whole:  # of a sentence that is read at once none is missing
        n = len(sentences[number])
        mine = int((sentence_of[spans.begin] == number).sum()) if len(spans) else 0
        assert mine == sum(min(longest, n - i) for i in range(n))
    keys = made.key(spans.begin, spans.behind)
    assert len(set(keys.tolist())) == len(keys)


def test_rows_may_be_chosen_in_any_order() -> None:
    made = span_rows([[1, 2], [3], [1, 1, 1]], 2)
    spans = made.spans(np.array([2, 0]))
    assert spans.row.tolist() == [0] * 5 + [1] * 3
    assert spans.begin.tolist() == [3, 3, 4, 4, 5, 0, 0, 1]
    assert spans.last.tolist() == [1, 2, 2, 3, 3, 1, 3, 3]
    assert spans.slot.tolist() == [0, 1, 2, 3, 4, 0, 1, 2]
    assert made.n_words(np.array([2, 0])) == 5


@settings(deadline=None)
@given(SPANS)
def test_no_overlap_and_the_best_first(drawn: list[tuple[int, int, int]]) -> None:
    begin, width, score = (np.array(column) for column in zip(*drawn, strict=True))
    behind = begin + width
    kept = without_overlap(begin, behind, score.astype(float))
    ranked = sorted(range(len(drawn)), key=lambda i: (-score[i], begin[i], behind[i]))
    wanted: list[int] = []
    for i in ranked:
        if all(behind[i] <= begin[j] or behind[j] <= begin[i] for j in wanted):
            wanted.append(i)
    assert np.flatnonzero(kept).tolist() == sorted(wanted)
    for i, j in combinations(wanted, 2):
        assert behind[i] <= begin[j] or behind[j] <= begin[i]


@settings(deadline=None)
@given(st.lists(st.integers(0, 4), max_size=9).map(sorted))
def test_pairs_within_groups(group: list[int]) -> None:
    left, right = ordered_pairs(np.array(group, np.int64))
    n = range(len(group))
    wanted = [(i, j) for i in n for j in n if i != j and group[i] == group[j]]
    assert list(zip(left.tolist(), right.tolist(), strict=True)) == wanted
    counts = [group[:i].count(value) for i, value in enumerate(group)]
    assert places(np.array(group, np.int64)).tolist() == counts


def test_so_many_others_of_each_row() -> None:
    made = span_rows([[1] * 6, [1] * 2, [1]], 3)
    spans = made.spans(np.arange(3))
    known = np.zeros(len(spans), bool)
    known[[0, 3, 16]] = True
    random = np.random.default_rng(1).random(len(spans)).astype(np.float32)
    kept = sampled(spans, known, 4, random)
    assert kept[known].all()
    assert np.bincount(spans.row[kept & ~known], minlength=3).tolist() == [4, 2, 1]
    first = np.flatnonzero((spans.row == 0) & ~known)
    assert set(first[np.argsort(random[first])[:4]]) == set(first[kept[first]])
    assert sampled(spans, known, 99, random).all()


def test_what_is_known_of_spans_and_pairs() -> None:
    # the third span is the first again, with another label: the first counts
    known = known_spans(
        np.array([7, 3, 7, 5]), np.array([1, 2, 3, 1]), np.array([0, 2]), np.array([1, 3]),
        np.array([4, 5]),
    )  # fmt: skip
    assert known.keys.tolist() == [3, 5, 7] and known.labels.tolist() == [2, 1, 1]
    assert known.numbers(np.array([5, 4, 7, 9])).tolist() == [1, -1, 2, -1]
    heads, tails = np.array([2, 2, 0]), np.array([0, 1, 2])
    assert known.relations(heads, tails).tolist() == [4, 5, 0]
    nothing = known_spans(*(np.zeros(0, np.int64) for _ in range(5)))
    assert nothing.numbers(np.array([1])).tolist() == [-1]


@pytest.mark.parametrize("longest", [1, 3])
def test_no_words_no_spans(longest: int) -> None:
    made = span_rows([[], []], longest)
    assert len(made.spans(np.zeros(0, np.int64))) == 0
