import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpcli.text.normalize import BORDER, Cleaning, join_texts, normalize_text

TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), max_size=6)
SWITCHES = st.builds(
    Cleaning,
    unicode_form=st.sampled_from(["NFC", "NFKC", "none"]),
    lowercase=st.booleans(),
    strip_urls=st.booleans(),
    strip_mentions=st.booleans(),
    strip_html=st.booleans(),
    strip_control=st.booleans(),
)


@given(TEXTS, SWITCHES)
def test_a_chunk_is_its_texts_one_by_one(texts: list[str], cleaning: Cleaning) -> None:
    alone = [normalize_text(text, cleaning) for text in texts]
    assert join_texts(texts, cleaning) == "".join(text + BORDER for text in alone)


@pytest.mark.parametrize(
    ("switch", "text", "wanted"),
    [
        ({"strip_urls": True}, "see https://a.b/c?d=1 now", "see   now"),
        ({"strip_mentions": True}, "hi @bob, mail a@b.c", "hi  , mail a@b.c"),
        ({"strip_html": True}, "a&amp;b <b>bold</b> 1 < 2", "a&b  bold  1 < 2"),
        ({"strip_control": True}, "a\x07b", "a b"),
        ({"unicode_form": "NFKC"}, "ＡＢ①", "ab1"),
        ({"unicode_form": "NFC"}, "Ａe\u0301", "ａé"),
        ({"lowercase": False}, "AbC", "AbC"),
        ({}, "a\0b", "a b"),
    ],
)
def test_each_switch(switch: dict[str, object], text: str, wanted: str) -> None:
    assert normalize_text(text, Cleaning(**switch)) == wanted  # type: ignore[arg-type]


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(ValueError, match="NFD"):
        Cleaning(unicode_form="NFD")  # type: ignore[arg-type]
