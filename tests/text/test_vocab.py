import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nlpcli.text.vocab import HashIndex, count_hashes, highest

HASHES = st.lists(st.integers(0, 2**64 - 1), max_size=200)


@given(HASHES, HASHES)
def test_every_key_is_found_at_its_place_and_nothing_else(
    keys: list[int], other: list[int]
) -> None:
    distinct = np.array(sorted(set(keys)), dtype=np.uint64)
    asked = np.array(keys + other, dtype=np.uint64)
    position = {key: i for i, key in enumerate(distinct.tolist())}
    wanted = [position.get(key, -1) for key in asked.tolist()]
    assert HashIndex(distinct).rows(asked).tolist() == wanted


def test_keys_that_crowd_one_end_of_the_table_wrap_around() -> None:
    keys = np.arange(2**64 - 50, 2**64 - 1, dtype=np.uint64)
    index = HashIndex(keys)
    assert index.rows(keys).tolist() == list(range(len(keys)))
    assert index.rows(np.array([2**64 - 1, 5], np.uint64)).tolist() == [-1, -1]


def test_counts() -> None:
    distinct, counts = count_hashes(np.array([5, 1, 5, 5, 2], dtype=np.uint64))
    assert distinct.tolist() == [1, 2, 5]
    assert counts.tolist() == [1, 1, 3]
    assert len(count_hashes(np.empty(0, np.uint64))[0]) == 0


@given(st.integers(1, 64), HASHES)
def test_of_shortened_hashes_the_highest_bits_decide(bits: int, hashes: list[int]) -> None:
    every = np.array(hashes, dtype=np.uint64)
    keys = np.unique(highest(every, bits))
    assert [int(k) for k in keys] == sorted({h >> (64 - bits) << (64 - bits) for h in hashes})
    try:
        index = HashIndex(keys, bits)
    except ValueError:  # they all begin alike
        return
    assert keys[index.rows(every)].tolist() == highest(every, bits).tolist()


@given(st.lists(st.integers(0, 2**64 - 1), unique=True, max_size=300), st.integers(1, 50))
def test_keys_added_bit_by_bit_are_found_at_their_places(keys: list[int], step: int) -> None:
    index = HashIndex(np.empty(0, np.uint64))
    for i in range(0, len(keys), step):
        index.add(np.array(keys[i : i + step], dtype=np.uint64))
    assert len(index) == len(keys)
    assert index.rows(np.array(keys, dtype=np.uint64)).tolist() == list(range(len(keys)))
    known = set(keys)
    others = np.array([k ^ 1 for k in keys if k ^ 1 not in known], dtype=np.uint64)
    assert (index.rows(others) == -1).all()
