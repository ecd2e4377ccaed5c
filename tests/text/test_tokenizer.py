import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.errors import DataError
from nlpcli.text.config import TokenizerConfig
from nlpcli.text.features import text_chunks
from nlpcli.text.normalize import Cleaning, normalize_text
from nlpcli.text.segment import split_words
from nlpcli.text.tokenizer import Tokenizer

TEXTS = [
    "the cat sat on the mat, the end",
    "a dog sat on a log",
    "我来到达观数据参观",
    "The CAT and the dog! 我来到 cat",
    "",
    "unseen words only once",
]


def _fit(**options: object) -> Tokenizer:
    return Tokenizer.fit(TokenizerConfig(**options), TEXTS)[0]  # type: ignore[arg-type]


def test_weights_equal_scikit_learns_tfidf() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(
        tokenizer=lambda text: split_words(normalize_text(text, Cleaning())),
        token_pattern=None,
        lowercase=False,
        ngram_range=(1, 2),
        sublinear_tf=True,
    )
    wanted = vectorizer.fit_transform(TEXTS)
    tokenizer, bags = Tokenizer.fit(TokenizerConfig(word_ngrams=2), TEXTS)
    assert tokenizer.n_features == wanted.shape[1]
    for i in range(len(TEXTS)):
        ours = np.sort(bags.weights[bags.indptr[i] : bags.indptr[i + 1]])
        assert np.allclose(ours, np.sort(wanted[i].data), rtol=1e-6)


@settings(deadline=None)
@given(st.lists(st.sampled_from([*TEXTS, "cat dog", "zzz", "x " * 50]), max_size=12), st.randoms())
def test_a_text_has_the_same_bag_in_any_company(texts: list[str], random: object) -> None:
    tokenizer = _fit(min_n=2, max_n=3)
    bags = tokenizer.bags(texts)
    assert len(bags) == len(texts)
    for i, text in enumerate(texts):
        alone = tokenizer.bags([text])
        part = slice(int(bags.indptr[i]), int(bags.indptr[i + 1]))
        assert bags.ids[part].tobytes() == alone.ids.tobytes()
        assert bags.weights[part].tobytes() == alone.weights.tobytes()


def test_chunks_hold_all_texts_in_order() -> None:
    texts = ["a" * n for n in (5, 1, 30, 0, 2, 2, 2)]
    chunks = list(text_chunks(texts, limit=6))
    assert [t for chunk in chunks for t in chunk] == texts
    assert all(len(chunk) == 1 or sum(map(len, chunk)) <= 6 for chunk in chunks)


def test_fit_gives_the_bags_that_the_saved_tokenizer_gives() -> None:
    tokenizer, bags = Tokenizer.fit(TokenizerConfig(min_n=1, max_n=4, min_count=2), TEXTS)
    config = TokenizerConfig.from_json(json.loads(json.dumps(tokenizer.config.to_json())))
    again = Tokenizer(config, tokenizer.index.keys, tokenizer.idf, n_texts=tokenizer.n_texts).bags(
        TEXTS
    )
    assert again.ids.tobytes() == bags.ids.tobytes()
    assert again.weights.tobytes() == bags.weights.tobytes()


def test_words_are_listed_most_frequent_first() -> None:
    assert _fit().words[:3] == ["the", "cat", "a"] or _fit().words[0] == "the"
    assert set(_fit(min_count=4).words) == {"the"}


def test_chinese_has_character_bigrams_even_without_word_ngrams() -> None:
    one = Tokenizer.fit(TokenizerConfig(word_ngrams=1), ["我来到"])[0]
    assert one.n_features == 3 + 2
    assert Tokenizer.fit(TokenizerConfig(word_ngrams=1), ["a b c"])[0].n_features == 3


def test_buckets_bound_the_ngrams_but_not_the_words() -> None:
    free, bounded = (
        _fit(word_ngrams=3, min_n=3, max_n=5),
        _fit(word_ngrams=3, min_n=3, max_n=5, buckets=7),
    )
    assert bounded.words == free.words
    assert bounded.n_features <= len(free.words) + 7


def test_punctuation_can_be_dropped() -> None:
    assert "," in _fit().words
    assert not {",", "!"} & set(_fit(cleaning=Cleaning(strip_punctuation=True)).words)


def test_nothing_frequent_enough_is_an_error() -> None:
    with pytest.raises(DataError, match="no word occurs 99 times"):
        _fit(min_count=99)
    with pytest.raises(DataError, match="no words are left in 1 texts"):
        Tokenizer.fit(TokenizerConfig(cleaning=Cleaning(strip_punctuation=True)), ["?!"])


@pytest.mark.parametrize(
    "wrong", [{"word_ngrams": 0}, {"min_n": 4, "max_n": 2}, {"min_count": 0}, {"buckets": 0}]
)
def test_a_configuration_out_of_range_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        TokenizerConfig(**wrong)  # type: ignore[arg-type]


def test_unknown_words_count_in_the_length_of_a_text() -> None:
    tokenizer, _ = Tokenizer.fit(TokenizerConfig(word_ngrams=1), ["red cat", "red dog", "a cow"])
    known = tokenizer.bags(["red cat"])
    assert np.linalg.norm(known.weights) == pytest.approx(1, abs=1e-6)
    longer = tokenizer.bags(["red cat zebra zebra"])
    rare = np.log(4 / 2) + 1  # as one of three texts has it
    norm = np.sqrt((tokenizer.idf[known.ids] ** 2).sum() + 2 * rare**2)
    assert np.allclose(longer.weights, tokenizer.idf[known.ids] / norm)
    assert len(tokenizer.bags(["zebra"]).ids) == 0
