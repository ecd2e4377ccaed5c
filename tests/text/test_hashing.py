import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nlpcli.text import hashing
from nlpcli.text.ngrams import subwords
from nlpcli.text.normalize import Cleaning, join_texts, normalize_text
from nlpcli.text.segment import is_cjk, split_words

ALPHABET = st.sampled_from(list("abcXY 01.,'-_éßΣ我来到かな한😀\u3000\u0301\n"))
TEXTS = st.lists(st.text(ALPHABET, max_size=30), min_size=1, max_size=5)
PLAIN = Cleaning()


def _words(texts: list[str]) -> list[list[str]]:
    return [split_words(normalize_text(text, PLAIN)) for text in texts]


def _hashed(texts: list[str]) -> hashing.Words:
    return hashing.hash_words(join_texts(texts, PLAIN), "char")


def _by_text(hashes: np.ndarray, documents: np.ndarray, n: int) -> list[list[int]]:
    return [sorted(hashes[documents == i].tolist()) for i in range(n)]


@given(TEXTS)
def test_word_hashes_equal_those_of_the_strings(texts: list[str]) -> None:
    found = _hashed(texts)
    wanted = [sorted(map(hashing.word_hash, words)) for words in _words(texts)]
    assert _by_text(found.hashes, found.documents, len(texts)) == wanted


@given(TEXTS, st.integers(2, 4))
def test_ngrams_stay_inside_their_text(texts: list[str], n: int) -> None:
    found = hashing.hash_ngrams(_hashed(texts), n)
    wanted = [
        sorted(hashing.ngram_hash(words[i : i + n]) for i in range(len(words) - n + 1))
        for words in _words(texts)
    ]
    assert _by_text(*found, len(texts)) == wanted


@given(TEXTS, st.integers(1, 3), st.integers(0, 3))
def test_subwords_equal_their_definition(texts: list[str], low: int, more: int) -> None:
    found = hashing.hash_subwords(_hashed(texts), low, low + more)
    wanted = [
        sorted(
            hashing.subword_hash(gram)
            for word in words
            if (word[0].isalnum() and not is_cjk(ord(word[0]))) or word[0] == "\u0301"
            for gram in subwords(word, low, low + more)
        )
        for words in _words(texts)
    ]
    assert _by_text(*found, len(texts)) == wanted


def test_cjk_bigrams_do_not_cross_spaces_or_other_scripts() -> None:
    hashes, _ = hashing.hash_cjk_bigrams(_hashed(["我来 到x达观"]))
    assert hashes.tolist() == [hashing.ngram_hash(["我", "来"]), hashing.ngram_hash(["达", "观"])]


def test_no_collision_among_a_million_numbers() -> None:
    texts = [" ".join(map(str, range(i, i + 1000))) for i in range(0, 1_000_000, 1000)]
    hashes = np.concatenate([_hashed([text]).hashes for text in texts])
    assert len(np.unique(hashes)) == 1_000_000
