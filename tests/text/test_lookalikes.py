"""Tables of characters that are taken for one another."""

from __future__ import annotations

import unicodedata

import pytest

from nlpcli.text.lookalikes import HOMOGLYPHS, keyboard_neighbours
from nlpcli.text.same_shape import same_shape
from nlpcli.text.same_sound import same_sound
from nlpcli.text.segment import is_cjk


def test_homoglyphs_are_other_letters_to_every_tokenizer() -> None:
    for letter, others in HOMOGLYPHS.items():
        assert len(letter) == 1 and letter.isascii() and letter.isalpha()
        for other in others:
            assert other.isalpha() and not other.isascii()
            assert unicodedata.normalize("NFKC", other) == other
            assert letter not in (other.lower(), other.upper())


def test_keys_lie_beside_one_another() -> None:
    near = keyboard_neighbours()
    assert len(near) == 36
    assert set(near["g"]) == set("tyfhvb")
    for key, others in near.items():
        assert key not in others
        assert all(key in near[other] for other in others)


@pytest.mark.parametrize(("table", "least"), [(same_sound, 3727), (same_shape, 1200)])
def test_what_is_alike_is_so_both_ways(table: object, least: int) -> None:
    assert callable(table)
    found: dict[str, str] = table()
    assert len(found) >= least
    for character, others in found.items():
        assert others
        assert character not in others
        assert len(set(others)) == len(others)
        assert all(is_cjk(ord(c)) and character in found[c] for c in others)


def test_same_sounds() -> None:
    found = same_sound()
    assert found["青"] == "轻氢倾卿清擎晴氰情顷请庆"
    assert "吕" in found["旅"] and "路" not in found["旅"]  # lü is not lu
    assert "略" in found["掠"]
    assert "您" not in found  # alone in its syllable
    assert "淸" not in found


def test_same_sounds_are_those_of_pypinyin() -> None:
    pypinyin = pytest.importorskip("pypinyin", reason="pypinyin is not installed")
    style = pypinyin.Style.NORMAL
    readings = {
        c: set(pypinyin.pinyin(c, style=style, heteronym=True, v_to_u=True)[0])
        for c in same_sound()
    }
    for character, others in same_sound().items():
        assert all(readings[character] & readings[other] for other in others)
