import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nlpcli.text.config import TokenizerConfig
from nlpcli.text.features import hashed_words
from nlpcli.text.ngrams import subwords
from nlpcli.text.units import BREAK, border_signs, char_units, subword_units, word_units


def text_of(units: list[int]) -> str:
    return "".join("|" if unit == BREAK else chr(unit) for unit in units)


def test_words_have_a_break_behind_each_text() -> None:
    run = word_units(np.array([5, 6, 7], np.int32), np.array([2, 0, 1]))
    assert run.units.tolist() == [5, 6, -1, -1, 7, -1]
    assert run.sizes.tolist() == [3, 1, 2]
    run = word_units(np.array([5, 6, 7], np.int32), np.array([2, 1]), goes_on=True)
    assert run.units.tolist() == [5, 6, -1, 7]
    assert run.sizes.tolist() == [3, 1]


@given(st.lists(st.text("ab我 \t\n\u3000\x01", max_size=12), max_size=6))
def test_characters_have_single_blanks_between_and_none_around(texts: list[str]) -> None:
    run = char_units("".join(text + "\0" for text in texts))
    wanted = [" ".join(text.replace("\x01", " ").split()) for text in texts]
    assert text_of(run.units.tolist()) == "".join(text + "|" for text in wanted)
    assert run.sizes.tolist() == [len(text) + 1 for text in wanted]
    assert run.stretches.tolist() == [len(text) for text in wanted]


def test_a_text_that_goes_on_keeps_its_blank() -> None:
    run = char_units("a \0b  c \0", goes_on=True)
    assert text_of(run.units.tolist()) == "a|b c "
    assert run.sizes.tolist() == [2, 4]
    assert text_of(char_units(" d\0").units.tolist()) == "d|"


def test_words_of_letters_stand_between_border_signs() -> None:
    words = hashed_words(TokenizerConfig(), ["matter, 我", "", "a"])[1]
    run = subword_units(words, 3)
    assert text_of(run.units.tolist()) == "<matter>|<a>|"
    assert run.sizes.tolist() == [9, 0, 4]
    alone = border_signs(run.units, BREAK, BREAK)
    inside = [unit for unit, sign in zip(run.units.tolist(), alone, strict=True) if not sign]
    assert text_of(inside).rstrip("|") == "matter|a"
    assert subwords("matter", 3, 3) == ["<ma", "mat", "att", "tte", "ter", "er>"]
