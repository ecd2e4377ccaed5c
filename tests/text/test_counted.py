from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpcli.text.counted import Counted, add_up, count_keys, in_order

PAIRS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), max_size=60)


@pytest.mark.parametrize("shift", [0, 62])  # places do not fit beside keys of 64 bits
@given(pairs=PAIRS)
def test_occurrences_and_documents_are_counted(pairs: list[tuple[int, int]], shift: int) -> None:
    factor = (1 << shift) + 1 if shift else 1
    pairs.sort(key=lambda pair: pair[1])
    keys = np.array([key % 4 * factor for key, _ in pairs], np.uint64)
    documents = np.array([document for _, document in pairs], np.int32)
    found, numbers = count_keys(keys, documents)
    counts = Counter(keys.tolist())
    assert found.keys.tolist() == sorted(counts)
    assert found.counts.tolist() == [counts[key] for key in sorted(counts)]
    held = {
        (key, document) for key, document in zip(keys.tolist(), documents.tolist(), strict=True)
    }
    wanted = [sum(1 for key, _ in held if key == one) for one in sorted(counts)]
    assert found.documents.tolist() == wanted
    assert found.keys[numbers].tolist() == keys.tolist()
    assert len(count_keys(keys, documents, numbered=False)[1]) == 0


@given(st.lists(st.integers(0, 2**64 - 1), max_size=30))
def test_equal_keys_stay_as_they_stood(keys: list[int]) -> None:
    ordered, places = in_order(np.array(keys * 2, np.uint64))
    assert ordered.tolist() == sorted(keys * 2)
    assert places.tolist() == sorted(range(2 * len(keys)), key=lambda i: (keys * 2)[i])


def test_counts_are_added_up_beyond_32_bits() -> None:
    most = np.array([2**32 - 1], np.uint32)
    one = Counted(np.array([7], np.uint64), most, most)
    both = add_up([one, one, Counted(np.array([3], np.uint64), most[:1], most[:1])])
    assert both.keys.tolist() == [3, 7]
    assert both.counts.tolist() == [2**32 - 1, 2 * (2**32 - 1)]
    assert both.frequent(2**32).keys.tolist() == [7]
    assert len(add_up([])) == 0
