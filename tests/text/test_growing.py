"""A tokenizer that goes on from another one."""

import numpy as np
import pytest

from nlpcli.errors import Unavailable
from nlpcli.text.config import TokenizerConfig
from nlpcli.text.tokenizer import Tokenizer

OLD = ["the cat sat", "the dog ran", "a cat"]
NEW = ["the hen sat", "a hen ran", "cat"]


def test_old_features_keep_their_rows_and_new_ones_follow() -> None:
    base, _ = Tokenizer.fit(TokenizerConfig(), OLD)
    grown, bags = Tokenizer.fit(TokenizerConfig(), NEW, base)
    assert grown.index.keys[: base.n_features].tolist() == base.index.keys.tolist()
    assert grown.words[: len(base.words)] == base.words
    assert set(grown.words) == {"the", "cat", "sat", "dog", "ran", "a", "hen"}
    assert len(set(grown.words)) == len(grown.words)
    assert len(bags) == len(NEW)


def test_documents_are_counted_on() -> None:
    base, _ = Tokenizer.fit(TokenizerConfig(), OLD)
    grown, bags = Tokenizer.fit(TokenizerConfig(), NEW, base)
    whole, _ = Tokenizer.fit(TokenizerConfig(), OLD + NEW)
    assert (base.n_texts, grown.n_texts) == (3, 6)
    by_key = dict(zip(grown.index.keys.tolist(), grown.idf.tolist(), strict=True))
    assert by_key == dict(zip(whole.index.keys.tolist(), whole.idf.tolist(), strict=True))
    again = grown.bags(NEW)
    assert np.array_equal(again.ids, bags.ids) and np.array_equal(again.weights, bags.weights)


def test_min_count_is_for_new_features_only() -> None:
    base, _ = Tokenizer.fit(TokenizerConfig(word_ngrams=1), OLD)
    grown, _ = Tokenizer.fit(TokenizerConfig(word_ngrams=1, min_count=2), NEW, base)
    assert set(grown.words) - set(base.words) == {"hen"}


def test_more_features_than_memory_are_refused() -> None:
    texts = [f"word{i} other{i}" for i in range(1000)]
    with pytest.raises(Unavailable, match="words and n-grams need about"):
        Tokenizer.fit(TokenizerConfig(), texts, room=10_000)
    with pytest.raises(Unavailable):
        Tokenizer.fit(TokenizerConfig(), texts, room=160_000)
    Tokenizer.fit(TokenizerConfig(), texts, room=10_000_000)
