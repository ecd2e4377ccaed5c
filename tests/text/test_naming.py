"""Names of features against the hashed path that every model takes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.text.config import TokenizerConfig
from nlpcli.text.naming import feature_names
from nlpcli.text.normalize import Cleaning
from nlpcli.text.tokenizer import Tokenizer

TEXTS = ["Good food, bad service!", "我来到北京 city", "<b> a a b", "ﬁne — don't", "🙂 x_y 3.5", ""]
CONFIGS = [
    TokenizerConfig(),
    TokenizerConfig(word_ngrams=1),
    TokenizerConfig(word_ngrams=3, min_n=1, max_n=3),
    TokenizerConfig(word_ngrams=1, min_n=2, max_n=4, cleaning=Cleaning(strip_punctuation=True)),
    TokenizerConfig(buckets=7, min_n=1, max_n=2),
]


@pytest.mark.parametrize("config", CONFIGS)
def test_every_feature_of_a_text_has_its_name(config: TokenizerConfig) -> None:
    tokenizer, _ = Tokenizer.fit(config, TEXTS)
    for text in [*TEXTS, "good 北京 city unknown", "a/b"]:
        assert sorted(feature_names(tokenizer, text)) == tokenizer.bags([text]).ids.tolist()


@settings(max_examples=60)
@given(st.text(max_size=40))
def test_any_text(text: str) -> None:
    tokenizer, _ = Tokenizer.fit(CONFIGS[2], [*TEXTS, text])
    assert sorted(feature_names(tokenizer, text)) == tokenizer.bags([text]).ids.tolist()


def test_names_are_what_was_written() -> None:
    tokenizer, _ = Tokenizer.fit(TokenizerConfig(min_n=3, max_n=3), TEXTS)
    names = set(feature_names(tokenizer, "good food 北京").values())
    assert {"good", "good/food", "<go", "od>", "北", "北/京"} <= names


def test_n_grams_that_share_a_bucket_are_named_together() -> None:
    tokenizer, _ = Tokenizer.fit(TokenizerConfig(buckets=1), ["a b c"])
    assert "a/b | b/c" in feature_names(tokenizer, "a b c").values()
