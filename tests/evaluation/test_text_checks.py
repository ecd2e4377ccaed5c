"""What is odd about a text itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpcli.evaluation.text_checks import damage, long_texts


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("plain text, with a tab\tand\na line", None),
        ("Grüße, naïve café – “quoted”", None),
        ("很好的酒店", None),
        ("ÖÄÜ and Ãß", None),
        ("caf\ufffd", "U+FFFD"),
        ("bell\x07", "U+0007"),
        ("It’s here".encode().decode("cp1252"), "another encoding"),
        ("café".encode().decode("latin-1"), "another encoding"),
        ("", None),
    ],
)
def test_damage(text: str, wanted: str | None) -> None:
    found = damage(text)
    assert (found is None) == (wanted is None)
    assert wanted is None or (found is not None and wanted in found)


@given(st.text(st.characters(min_codepoint=0xC0, max_codepoint=0x17F), min_size=1, max_size=12))
def test_what_was_read_twice_is_noticed(text: str) -> None:
    assert damage(text.encode().decode("latin-1")) is not None


def test_long_texts_are_far_longer_than_the_others() -> None:
    texts = ["ten chars." for _ in range(20)] + ["x" * 999, "x" * 1001]
    assert (long_texts(texts)[0].tolist(), long_texts(texts)[1]) == ([21], 10.0)
    assert long_texts(["x" * 500] * 5 + ["x" * 4999])[0].tolist() == []
    assert long_texts([])[0].tolist() == []
