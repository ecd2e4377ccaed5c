"""Numbers in as many bits as they need: what goes in comes out, what cannot be is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpcli.store.bits import pack, pack_ascending, packed_size, unpack, unpack_ascending


@given(st.integers(1, 64), st.lists(st.integers(0, 2**64 - 1), max_size=40))
def test_pack_and_back(width: int, numbers: list[int]) -> None:
    values = np.array([n % (1 << width) for n in numbers], np.uint64)
    data = pack(values, width)
    assert data.shape == (packed_size(len(values), width),)
    assert unpack(data, width, len(values)).tolist() == values.tolist()


@given(st.integers(0, 12), st.sets(st.integers(0, 2**20 - 1), min_size=1, max_size=200))
def test_ascending_and_back(low_width: int, numbers: set[int]) -> None:
    values = np.array(sorted(numbers), np.uint64)
    low, high = pack_ascending(values, 20, low_width)
    assert unpack_ascending(low, high, 20, low_width, len(values)).tolist() == values.tolist()


def test_two_bits_and_the_low_ones_a_number() -> None:
    values = np.sort(np.random.default_rng(0).permutation(2**18)[: 2**10]).astype(np.uint64)
    low, high = pack_ascending(values, 18, 8)
    assert low.nbytes + high.nbytes == 2**10 * (8 + 2) // 8


@pytest.mark.parametrize(
    ("data", "width", "count", "reason"),
    [
        (np.zeros(2, np.uint8), 4, 5, "2 bytes, wanted 3"),
        (np.array([[1]], np.uint8), 8, 1, "wanted 1"),
        (np.array([1], np.uint8), 4, 1, "bits after the last"),
    ],
)
def test_what_pack_cannot_have_made(data: np.ndarray, width: int, count: int, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        unpack(data, width, count)


def test_what_pack_ascending_cannot_have_made() -> None:
    low, high = pack_ascending(np.array([3, 9, 200], np.uint64), 8, 4)
    for bad_low, bad_high, count, reason in (
        (low, high, 30, "bytes of high bits"),
        (low, np.zeros_like(high), 3, "0 high bits, wanted 3"),
        (low, np.array([0, 0, 7], np.uint8), 3, "high bits"),
        (np.zeros_like(low), np.array([0b11100000, 0, 0], np.uint8), 3, "not distinct"),
    ):
        with pytest.raises(ValueError, match=reason):
            unpack_ascending(bad_low, bad_high, 8, 4, count)
