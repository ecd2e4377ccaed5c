"""Words spelled almost alike."""

from __future__ import annotations

from nlpcli.text.spelling import near_spellings

WORDS = ["the", "König", "könig", "zebra", "zebras", "cobra"]


def test_another_case_comes_first() -> None:
    assert near_spellings("KÖNIG", WORDS) == ["König", "könig"]


def test_near_ones_nearest_first() -> None:
    assert near_spellings("zebrra", WORDS) == ["zebra", "zebras"]
    assert near_spellings("zebrra", WORDS, most=1) == ["zebra"]
    assert near_spellings("xyzzy", WORDS) == []
