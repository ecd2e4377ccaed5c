"""Windows of contexts: what they cover, and where answers stand in them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.batching.framing import Specials
from nlpcli.batching.question_windows import (
    FAR,
    Windows,
    answer_places,
    pieces_between,
    question_windows,
    window_targets,
)
from nlpcli.text.wordpiece import Ragged, WordPieceTokenizer

from ..formats.bert_folder import TOKENIZER


def ragged(sizes: list[int], first: int) -> Ragged:
    """Texts of so many pieces, each with a number of its own."""
    bounds = np.cumsum([0, *sizes]).astype(np.int64)
    return Ragged(np.arange(first, first + bounds[-1], dtype=np.int32), bounds)


def windows_of(
    questions: list[int], contexts: list[int], context_of: list[int], *, longest: int = 12,
    overlap: int = 4, longest_question: int = 64,
) -> Windows:  # fmt: skip
    return question_windows(
        ragged(questions, 1000), ragged(contexts, 5000), np.array(context_of, np.int64),
        Specials(1, 2, 0, longest), overlap=overlap, longest_question=longest_question,
    )  # fmt: skip


def test_written_out() -> None:
    found = windows_of([2], [11], [0], longest=10, overlap=2)
    rows = [found.rows.ids[a:b].tolist() for a, b in pairwise(found.rows.indptr)]
    assert rows == [
        [1, 1000, 1001, 2, 5000, 5001, 5002, 5003, 5004, 2],
        [1, 1000, 1001, 2, 5003, 5004, 5005, 5006, 5007, 2],
        [1, 1000, 1001, 2, 5006, 5007, 5008, 5009, 5010, 2],
    ]
    assert found.rows.second.tolist() == [4, 4, 4] and found.indptr.tolist() == [0, 3]
    before, behind = found.neighbours()
    assert before.tolist() == [-1, 5, 8] and behind.tolist() == [3, 6, FAR]
    starts, ends = window_targets(found, np.array([3]), np.array([4]))
    assert starts.tolist() == [7, 4, 0] and ends.tolist() == [8, 5, 0]
    starts, _ = window_targets(found, np.array([4]), np.array([7]))
    assert starts.tolist() == [0, 5, 0]
    assert answer_places(found, np.array([2]), 12)[0].nonzero()[0].tolist() == [0, 4, 5, 6, 7, 8]


def test_a_question_is_cut_and_a_context_may_be_empty() -> None:
    found = windows_of([9, 0], [0, 3], [0, 1], longest=10)
    assert found.rows.ids[: found.rows.indptr[1]].tolist() == [1, 1000, 1001, 1002, 2, 2]
    assert found.rows.n_cut == 1 and len(found.rows) == 2
    assert found.rows.ids[found.rows.indptr[1] :].tolist() == [1, 2, 5000, 5001, 5002, 2]
    assert windows_of([9], [3], [0], longest_question=2).rows.second.tolist() == [4]
    assert window_targets(found, np.array([-1, 0]), np.array([-1, 0]))[0].tolist() == [0, 2]


shapes = st.tuples(
    st.lists(st.integers(0, 8), min_size=1, max_size=5),
    st.lists(st.integers(0, 40), min_size=1, max_size=4),
    st.integers(4, 20), st.integers(0, 12), st.data(),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(shapes)
def test_every_piece_is_read_and_short_answers_stand_whole_somewhere(shape: tuple) -> None:  # type: ignore[type-arg]
    questions, contexts, longest, overlap, data = shape
    of = data.draw(st.lists(st.integers(0, len(contexts) - 1), min_size=len(questions),
                            max_size=len(questions)))  # fmt: skip
    found = windows_of(questions, contexts, of, longest=longest, overlap=overlap)
    bounds = np.cumsum([0, *contexts])
    assert (found.rows.lengths <= longest).all()
    for q, context in enumerate(of):
        own = range(found.indptr[q], found.indptr[q + 1])
        seen: list[int] = []
        room = longest - 3 - int(found.rows.second[own[0]] - 2)
        shared = min(overlap, room // 2)
        for n in own:
            pieces = list(range(found.begins[n], found.ends[n]))
            row = found.rows.ids[found.rows.indptr[n] : found.rows.indptr[n + 1]]
            second = int(found.rows.second[n])
            assert row[second:-1].tolist() == [5000 + bounds[context] + p for p in pieces]
            assert row[0] == 1 and row[-1] == row[second - 1] == 2
            assert not seen or len(set(seen) & set(pieces)) == shared
            seen += pieces
        assert sorted(set(seen)) == list(range(contexts[context]))
        assert max(np.bincount(seen, minlength=1), default=0) <= 2
        for size in range(1, min(shared + 1, contexts[context]) + 1):
            for first in range(contexts[context] - size + 1):
                last = first + size - 1
                assert any(found.begins[n] <= first and last < found.ends[n] for n in own)


alphabet = st.text(st.sampled_from("ab the cats中É́\u0130ß ﬁ\x1e\u200b[SEP]"), max_size=30)


@settings(max_examples=150, deadline=None)
@given(alphabet, st.data())
def test_characters_to_pieces_and_back(text: str, data: st.DataObject) -> None:
    spans = WordPieceTokenizer.from_json(TOKENIZER, "t").encode_words([text]).spans
    assert ((spans[:, 0] <= spans[:, 1]) & (spans[:, 1] <= len(text))).all()
    assert (np.diff(spans, axis=0) >= 0).all()  # pieces stand in the order of the text
    begin = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(begin, len(text)))
    first, last = pieces_between(spans, begin, end)
    inside = [p for p, (a, b) in enumerate(spans.tolist()) if a < end and b > begin and a < b]
    if first < 0:
        assert not inside
    else:
        assert not inside or (first <= inside[0] and inside[-1] <= last)
    if len(spans):  # a span of pieces comes back as it is
        first = data.draw(st.integers(0, len(spans) - 1))
        last = data.draw(st.integers(first, len(spans) - 1))
        again = pieces_between(spans, int(spans[first, 0]), int(spans[last, 1]))
        if spans[first, 0] < spans[last, 1]:
            assert spans[again[0], 0] <= spans[first, 0] and spans[again[1], 1] == spans[last, 1]
