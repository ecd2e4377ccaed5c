"""Texts as numbers, with the borders of sentences."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.text.config import TokenizerConfig
from nlpcli.text.sentence_ids import BOS, EOS, SPECIAL, UNK, SentenceCoder, with_borders

CONFIG = TokenizerConfig(word_ngrams=1)
BLANK = TokenizerConfig(word_ngrams=1, segmenter="blank")


def test_words() -> None:
    coder = SentenceCoder([*SPECIAL, "the", ",", "cat"], CONFIG, "word", unk_is_word=False)
    found = coder.encode(["The cat, dog", "", "dog  cat"])
    assert found.tokens.tolist() == [BOS, 3, 5, 4, UNK, EOS, BOS, EOS, BOS, UNK, 5, EOS]
    assert np.flatnonzero(found.unknown).tolist() == [4, 9]
    assert found.sizes.tolist() == [6, 2, 4]
    assert found.words.tolist() == [4, 0, 2]
    assert coder.characters(["The cat, dog", "", " dog  cat "]).tolist() == [12, 0, 7]


def test_unk_is_a_word_where_the_training_text_said_so() -> None:
    for known in (True, False):
        coder = SentenceCoder([*SPECIAL, "a"], BLANK, "word", unk_is_word=known)
        found = coder.encode(["<unk> a <s> </s>"])
        assert found.tokens.tolist() == [BOS, UNK, 3, UNK, UNK, EOS]
        assert found.unknown.tolist() == [False, not known, False, True, True, False]


def test_characters() -> None:
    coder = SentenceCoder([*SPECIAL, "b", " ", "a", "漢"], CONFIG, "char", unk_is_word=False)
    found = coder.encode([" A\tb  x漢 ", ""])
    assert found.tokens.tolist() == [BOS, 5, 4, 3, 4, UNK, 6, EOS, BOS, EOS]
    assert found.unknown.tolist() == [i == 5 for i in range(10)]


@given(st.lists(st.lists(st.integers(-1, 9), max_size=5)))
def test_borders(rows: list[list[int]]) -> None:
    numbers = np.array([n for row in rows for n in row], np.int32)
    found = with_borders(numbers, np.array([len(row) for row in rows], np.int64))
    wanted = [t for row in rows for t in (BOS, *(max(n, UNK) for n in row), EOS)]
    assert found.tokens.tolist() == wanted
    assert found.unknown.sum() == (numbers < 0).sum()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(max_size=20), max_size=6))
def test_a_text_does_not_depend_on_its_neighbours(texts: list[str]) -> None:
    for level in ("word", "char"):
        coder = SentenceCoder([*SPECIAL, "a", "b", "0"], CONFIG, level, unk_is_word=False)
        whole = coder.encode(texts)
        ends = np.cumsum(whole.sizes)
        for text, size, end in zip(texts, whole.sizes.tolist(), ends.tolist(), strict=False):
            assert coder.encode([text]).tokens.tolist() == whole.tokens[end - size : end].tolist()
