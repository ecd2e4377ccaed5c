import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.text.config import TokenizerConfig
from nlpcli.text.features import frequent
from nlpcli.text.tokenizer import Tokenizer
from nlpcli.text.vocab import HashIndex, number_hashes


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 40), max_size=300))
def test_numbers_are_those_of_unique(hashes: list[int]) -> None:
    array = np.array(hashes, dtype=np.uint64)
    wanted, numbers, counts = np.unique(array, return_inverse=True, return_counts=True)
    found = number_hashes(array)
    assert np.array_equal(found[0], wanted)
    assert np.array_equal(found[1], counts)
    assert np.array_equal(found[2], numbers)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(0, 30), max_size=40), max_size=5), st.integers(1, 5))
def test_what_is_frequent(parts: list[list[int]], min_count: int) -> None:
    spread = [np.array(part, dtype=np.uint64) << np.uint64(58) for part in parts]
    counted = [number_hashes(part)[:2] for part in spread]
    every = np.concatenate([np.empty(0, np.uint64), *spread])
    distinct, counts = np.unique(every, return_counts=True)
    assert np.array_equal(frequent(counted, min_count, map), distinct[counts >= min_count])


def test_rows_of_any_order_and_short_hashes_give_ascending_bags() -> None:
    texts = ["a b c d e f g a b", "h g f e x y z", "c c c d"]
    tokenizer, bags = Tokenizer.fit(TokenizerConfig(word_ngrams=1), texts)
    turned = Tokenizer(tokenizer.config, tokenizer.index.keys[::-1], tokenizer.idf[::-1], n_texts=3)
    assert not turned.index.ordered
    again = turned.bags(texts)
    last = tokenizer.n_features - 1
    for i in range(3):
        part = slice(int(bags.indptr[i]), int(bags.indptr[i + 1]))
        assert np.array_equal(again.ids[part], last - bags.ids[part][::-1])
        assert np.allclose(again.weights[part], bags.weights[part][::-1])
    keys = np.unique(tokenizer.index.keys >> np.uint64(61) << np.uint64(61))
    short = Tokenizer(
        tokenizer.config, keys, np.ones(len(keys), np.float32), n_texts=3, hash_bits=3
    )
    assert not HashIndex(keys, 3).ordered
    found = short.bags(texts)
    for i in range(3):
        part = found.ids[found.indptr[i] : found.indptr[i + 1]]
        assert (np.diff(part) > 0).all() and len(part)
