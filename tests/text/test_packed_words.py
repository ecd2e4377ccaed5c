from hypothesis import given
from hypothesis import strategies as st

from nlpcli.text.packed_words import PackedWords

WORD = st.text(st.characters(exclude_characters="\n\0", exclude_categories=["Cs"]), max_size=20)


@given(st.lists(st.one_of(WORD, st.text("ab", max_size=20)), max_size=40))
def test_the_order_is_that_of_the_bytes(words: list[str]) -> None:
    packed = PackedWords.of(words)
    assert len(packed) == len(words)
    assert [packed[i] for i in range(len(words))] == words
    order = packed.order()
    wanted = sorted(range(len(words)), key=lambda i: words[i].encode())
    assert order.tolist() == wanted
    assert packed.chosen(order).strings(range(len(words))) == sorted(words)


def test_words_that_agree_for_long_are_told_apart() -> None:
    words = ["a" * 30 + end for end in ("c", "", "b", "ba")] + ["a" * 8, "a" * 16]
    packed = PackedWords.of(words)
    assert packed.chosen(packed.order()).strings(range(6)) == sorted(words)
