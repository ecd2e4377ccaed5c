"""Rows of words: every word is answered once, with what stands around it."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.batching.framing import Specials
from nlpcli.batching.word_rows import (
    CONTEXT,
    UNLABELLED,
    PiecedWords,
    WordRows,
    piece_targets,
    pieced,
    word_rows,
)
from nlpcli.text.wordpiece import WordPieceTokenizer

CLS, SEP, PAD, LONGEST = 1, 2, 0, 14
SPECIALS = Specials(CLS, SEP, PAD, LONGEST)
ROOM = LONGEST - 2
SENTENCES = st.lists(st.lists(st.integers(1, ROOM + 3), max_size=12), max_size=5)


def given_words(sentences: list[list[int]]) -> PiecedWords:
    """Words of so many pieces; every piece has a number of its own."""
    sizes = np.array([size for sentence in sentences for size in sentence], np.int64)
    counts = np.array([0, *map(len, sentences)], np.int64)
    ids = np.arange(10, 10 + int(sizes.sum()), dtype=np.int32)
    return PiecedWords(ids, sizes, np.cumsum(counts))


def pieces_of(words: PiecedWords) -> list[list[int]]:
    ends = np.cumsum(words.sizes)
    return [
        words.ids[end - size : end].tolist()
        for end, size in zip(ends.tolist(), words.sizes.tolist(), strict=True)
    ]


def rows_of(found: WordRows) -> list[list[int]]:
    indptr = found.rows.indptr.tolist()
    return [found.rows.ids[indptr[i] : indptr[i + 1]].tolist() for i in range(len(indptr) - 1)]


@settings(deadline=None)
@given(SENTENCES)
def test_every_word_is_answered_once_and_stands_where_it_is_said(
    sentences: list[list[int]],
) -> None:
    words = given_words(sentences)
    found = word_rows(words, SPECIALS)
    pieces = pieces_of(words)
    rows = rows_of(found)
    assert len(found.words) == len(rows) + 1 == len(found.rows) + 1
    assert found.words[0] == 0 and found.words[-1] == len(pieces)
    assert (np.diff(found.words) > 0).all()
    for row in rows:
        assert row[0] == CLS and row[-1] == SEP and 3 <= len(row) <= LONGEST
        inside = row[1:-1]
        assert SEP not in inside and inside == sorted(inside)
    for number, whole in enumerate(pieces):
        first, size = int(found.firsts[number]), int(found.sizes[number])
        assert found.rows.ids[first : first + size].tolist() == whole[:ROOM]
        row = int(np.searchsorted(found.words, number, side="right")) - 1
        assert found.rows.indptr[row] < first < found.rows.indptr[row + 1]
    total = [sum(min(size, ROOM) for size in sentence) for sentence in sentences]
    assert found.n_split == sum(size > ROOM for size in total)
    assert found.rows.n_cut == sum(size > ROOM for sentence in sentences for size in sentence)
    assert found.opens.sum() == found.closes.sum() == sum(map(bool, sentences))


@settings(deadline=None)
@given(st.lists(st.integers(1, 2), min_size=30, max_size=60))
def test_words_within_a_long_sentence_have_words_around_them(sizes: list[int]) -> None:
    words = given_words([sizes])
    found = word_rows(words, SPECIALS)
    bounds = found.rows.indptr.tolist()
    least = ROOM // CONTEXT - 1  # a word of two pieces may not fit
    for row in range(len(found.rows)):
        first = found.firsts[found.words[row]] - bounds[row] - 1
        number = found.words[row + 1] - 1
        behind = bounds[row + 1] - 1 - (found.firsts[number] + found.sizes[number])
        assert bool(found.opens[row]) == (row == 0) and (row == 0 or first >= least)
        last = row == len(found.rows) - 1
        assert bool(found.closes[row]) == last and (last or behind >= least)


def test_targets_of_first_pieces_and_of_all() -> None:
    words = given_words([[1, 2], [], [3]])
    found = word_rows(words, SPECIALS)
    tags = np.array([5, 6, 7])
    no = UNLABELLED
    first = piece_targets(found, tags, all_pieces=False).tolist()
    assert first == [no, 5, 6, no, no, no, 7, no, no, no]
    every = piece_targets(found, tags, all_pieces=True).tolist()
    assert every == [no, 5, 6, 6, no, no, 7, 7, 7, no]


def test_words_without_pieces_get_the_unknown_one() -> None:
    words = WordPieceTokenizer.from_vocab(
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "##b", "u", ".", "s"]
    )
    sentences = [["ab", "", "\u200b"], [], ["U.S.", "zz"], [" "]]
    found = pieced(words.encode_tokens(sentences), np.array([3, 0, 2, 1]), unknown=words.unk)
    assert found.sizes.tolist() == [2, 1, 1, 4, 1, 1] and found.indptr.tolist() == [0, 3, 3, 5, 6]
    assert found.ids.tolist() == [5, 6, 1, 1, 7, 8, 9, 8, 1, 1]
