import sys

import pytest

from nlpcli.errors import Unavailable
from nlpcli.text.segment import split_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("   \t\n", []),
        ("hello, world!", ["hello", ",", "world", "!"]),
        ("don't stop", ["don", "'", "t", "stop"]),
        ("我来到达观", ["我", "来", "到", "达", "观"]),
        ("用python3写代码，好！", ["用", "python3", "写", "代", "码", "，", "好", "！"]),
        ("かな カナー", ["か", "な", "カ", "ナ", "ー"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("naïve\u00a0café\u3000x", ["naïve", "café", "x"]),
        ("a\u200bb", ["a", "b"]),
        ("good😀👍", ["good", "😀", "👍"]),
        ("foo_bar-1.5", ["foo", "_", "bar", "-", "1", ".", "5"]),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert split_words(text) == words


def test_a_dictionary_segmenter_cuts_chinese_into_words_and_leaves_the_rest() -> None:
    pytest.importorskip("jieba")
    words = split_words("我来到北京清华大学 and python3", "jieba")
    assert words[-2:] == ["and", "python3"]
    assert "清华大学" in words
    assert "".join(words[:-2]) == "我来到北京清华大学"


def test_a_missing_segmenter_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jieba", None)
    with pytest.raises(Unavailable, match="jieba"):
        split_words("我", "jieba")
