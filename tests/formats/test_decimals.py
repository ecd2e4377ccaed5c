"""Decimal numbers in bulk: the same bits as ``float`` gives, and nothing else is one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nlpcli.formats.decimals import is_number, parse_decimals

WRITTEN = st.one_of(
    st.floats(allow_nan=False).map(repr),
    st.floats(width=32, allow_nan=False).map(lambda x: f"{x:.9g}"),
    st.floats(-10, 10).map(lambda x: f"{x:.5g}"),
    st.floats(-10, 10).map(lambda x: f"{x:f}"),
    st.from_regex(r"[+-]?([0-9]{1,20}\.?[0-9]{0,20}|\.[0-9]{1,20})", fullmatch=True),
    st.integers(-(10**17), 10**17).map(str),
)


@given(st.lists(WRITTEN, min_size=1, max_size=30))
@example(
    ["-0.0", ".5", "5.", "-.5", "+1", "1e5", "999999999999999", "9999999999999999", "00000001"]
)
def test_the_bits_of_float(numbers: list[str]) -> None:
    found = parse_decimals(" ".join(numbers).encode(), len(numbers))
    assert found is not None
    expected = np.array([float(number) for number in numbers])
    np.testing.assert_array_equal(found.view(np.int64), expected.view(np.int64))


@given(st.lists(st.text("0123456789.-+eE_x:/ ", min_size=1, max_size=12), min_size=1, max_size=5))
def test_what_is_no_number_is_not_taken_for_one(fields: list[str]) -> None:
    text = " ".join(fields).encode()
    parts = text.split(b" ")
    found = parse_decimals(text, len(parts))
    if all(map(is_number, parts)):
        assert found is not None
        assert found.tolist() == [float(part) for part in parts]
    else:
        assert found is None


@pytest.mark.parametrize("text", [b"", b"1", b"1 2 3", b"1  2", b" 1 2", b"1 2 ", b"1 -", b"1 ."])
def test_another_count_than_expected(text: bytes) -> None:
    assert parse_decimals(text, 2) is None


@pytest.mark.parametrize("field", [b"1_0", b"0x1", b"1,5", b"--1", b"1e", b"", b"infinity", b"1\0"])
def test_fields_that_are_no_numbers(field: bytes) -> None:
    assert not is_number(field)
    assert parse_decimals(b"1 " + field, 2) is None


def test_numbers_that_are_not_finite_are_numbers() -> None:
    found = parse_decimals(b"nan -inf 1e400", 3)
    assert found is not None and np.isnan(found[0]) and found[1] == -np.inf == -found[2]
