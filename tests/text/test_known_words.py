"""Words a model has met, in a Bloom filter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpcli.text.known_words import KnownWords, plain_words

WORDS = st.lists(st.text("abcdefgh", min_size=1, max_size=6), max_size=60)


@given(WORDS)
def test_every_word_that_occurs_twice_is_known(words: list[str]) -> None:
    text = " ".join(words)
    known = KnownWords.of([text, text])
    assert all(word in known for word in plain_words(text))
    assert known.unknown_share(text) == 0


def test_few_others_pass_for_known() -> None:
    text = " ".join(f"word{n}" for n in range(2000))
    known = KnownWords.of([text, text])
    strange = sum(f"other{n}" in known for n in range(5000)) / 5000
    assert strange < 0.05


def test_a_word_of_one_text_alone_is_unknown() -> None:
    known = KnownWords.of(["the cat", "the dog", "the cow"])
    assert known.unknown_share("the dog") == 0.5


def test_the_same_bytes_whatever_the_order() -> None:
    texts = ["a b c d", "b c", "d a e", "e f", "f"]
    assert KnownWords.of(texts).bits == KnownWords.of(texts[::-1]).bits


def test_chinese_is_read_by_character() -> None:
    assert plain_words("我爱 ABC。") == ["我", "爱", "abc"]


@pytest.mark.parametrize("bits", [b"", b"abc", bytes(1 << 17)])
def test_no_filter(bits: bytes) -> None:
    with pytest.raises(ValueError, match="Bloom"):
        KnownWords(bits)
