"""Texts with one marked word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpcli.errors import DataError
from nlpcli.text.marked import Marked, read_marked

plain = st.text().filter(lambda text: "[" not in text and "]" not in text)


@given(plain, plain.filter(lambda text: text.strip() != ""), plain)
def test_the_text_without_the_brackets(before: str, word: str, after: str) -> None:
    found = read_marked(f"{before}[[{word}]]{after}")
    assert found.text == before + word + after
    assert found.word == word.strip()
    assert found.text[: found.start] == before + word[: word.index(word.strip())]


def test_brackets_that_are_no_mark_stay() -> None:
    assert read_marked("[1] a ]] [[b c]] [") == Marked("[1] a ]] b c [", 9, 12)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no word is marked, wanted one as [[word]]"),
        ("on the [bank]", "no word is marked"),
        ("on the [[bank]", "[[ without ]] after it"),
        ("[[a]] or [[b]]", "2 marks, [[a]] and [[b]] first, wanted one"),
        ("on the [[ \t]] side", "the mark is empty, wanted [[word]]"),
    ],
)
def test_what_is_refused(text: str, says: str) -> None:
    with pytest.raises(DataError) as error:
        read_marked(text)
    assert error.value.message.startswith(says)
