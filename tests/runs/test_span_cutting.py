"""Spans in characters and in words: to and fro, and what cannot be learnt."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.data.spanned import Span, Spanned
from nlpcli.errors import DataError
from nlpcli.runs.span_cutting import (
    SpanCutter,
    in_words,
    known_of,
    made_of_words,
    overlapping,
    spans_in_words,
    texts_of,
)
from nlpcli.text.wordpiece import WordPieceTokenizer

from .encoders import tiny_encoder

TEXTS = st.text(st.sampled_from("the bank's of中文 éE\u0301\u200b\n.,[SEP]raised"), max_size=40)
OVERLAPS = st.lists(st.tuples(st.integers(0, 6), st.integers(1, 4)), max_size=5)


def cutter(longest: int = 12, max_span: int = 3) -> SpanCutter:
    words = WordPieceTokenizer.from_json(tiny_encoder().tokenizer_json, "test")
    return SpanCutter(words, longest, max_span)


def rows_of(*given: tuple[str, list[Span]]) -> Spanned:
    texts = [text for text, _ in given]
    spans = [own for _, own in given]
    n = len(given)
    return Spanned(
        texts, [tuple(s[2] for s in own) for own in spans], None, list(range(2, n + 2)), "", n, 0,
        0, 0, words=[None] * n, spans=spans, relations=[[] for _ in given],
    )  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(TEXTS)
def test_offsets_go_to_words_and_back(text: str) -> None:
    places = cutter().places([text])[0]
    assert all(0 <= a < b <= len(text) for a, b in places)
    assert all(one[1] <= two[0] for one, two in pairwise(places))
    for i in range(len(places)):
        for j in range(i + 1, len(places) + 1):
            span = places[i][0], places[j - 1][1], "x"
            assert in_words(span, places, text) == (i, j, "x")


def test_words_are_those_of_the_tokenizer() -> None:
    text = " The bank's rates, 中文 cafe\u0301."
    places = cutter().places([text, ""])
    words = ["The", "bank", "'", "s", "rates", ",", "中", "文", "cafe\u0301", "."]
    assert [text[a:b] for a, b in places[0]] == words and places[1] == []
    cut = cutter().cut([text, ("New York", "bank"), ()])
    assert cut.places[1] == [(0, 1), (1, 2)] and cut.places[2] == []
    assert cut.rows.words.indptr.tolist() == [0, 10, 12, 12]


def test_blanks_do_not_count_and_words_are_not_cut() -> None:
    text = "the  old banks"
    places = cutter().places([text])[0]
    assert in_words((3, 9, "x"), places, text) == (1, 2, "x")
    for span, said in {
        (3, 5): "holds no word", (5, 12): "cuts the word banks, which is 9 to 14",
        (1, 8): "cuts the word the, which is 0 to 3",
    }.items():  # fmt: skip
        with pytest.raises(ValueError, match=said):
            in_words((*span, "x"), places, text)


def test_rows_whose_spans_cut_words() -> None:
    rows = rows_of(("the bank", [(0, 3, "A")]), ("the bank", [(0, 3, "A"), (4, 6, "B")]))
    with pytest.raises(DataError) as caught:
        made_of_words(rows, cutter(), "x.csv", None)
    assert caught.value.message == (
        "x.csv line 3: span 1, 4 to 6, cuts the word bank, which is 4 to 8"
    )
    rejected: list[int] = []
    kept = made_of_words(rows, cutter(), "x.csv", lambda line, *_: rejected.append(line))
    assert kept.lines == [2] and kept.n_skipped == 1 and rejected == [3]
    texts = texts_of(rows)
    spans, n_bad = spans_in_words(rows, texts, cutter().places(texts))
    assert spans == [[(0, 1, "A")], [(0, 1, "A"), (-5, -7, "B")]] and n_bad == 1
    with pytest.raises(DataError, match="no rows with spans"):
        made_of_words(rows_of(("a b", [(0, 2, "A"), (1, 2, "A")])), cutter(), "x", lambda *_: None)


@settings(deadline=None)
@given(OVERLAPS)
def test_whether_spans_overlap(drawn: list[tuple[int, int]]) -> None:
    spans = {(a, a + width) for a, width in drawn}
    wanted = any(x < y and x[1] > y[0] for x in spans for y in spans)
    assert overlapping([[(a, b, "x") for a, b in spans]]) == wanted


def test_what_is_learnt_and_what_is_lost() -> None:
    text = "the bank of the river raised its rates and the old river runs"
    spans: list[Span] = [(0, 8, "A"), (0, 15, "A"), (4, 8, "B"), (4, 8, "A"), (47, 61, "B")]
    rows = rows_of((text, spans), ("the bank", []))
    rows.relations[0].extend([(0, 2, "r"), (1, 2, "r"), (0, 4, "s")])
    texts = texts_of(rows)
    cut = cutter().cut(texts)
    assert cut.rows.words.n_split == 1
    words, _ = spans_in_words(rows, texts, cut.places)
    assert words[0] == [(0, 2, "A"), (0, 4, "A"), (1, 2, "B"), (1, 2, "A"), (10, 13, "B")]
    known, lost = known_of(rows, words, cut.rows, ["A", "B"], ["r", "s"])
    keys = cut.rows.key(np.array([0, 1, 10]), np.array([2, 2, 13]))
    assert known.keys.tolist() == keys.tolist() and known.labels.tolist() == [1, 2, 2]
    assert (lost.long, lost.twice) == (1, 1)
    # one relation is of the span that is too long, one goes from row to row
    assert lost.relations == 2
    assert known.relations(np.array([0, 0]), np.array([1, 2])).tolist() == [1, 0]
