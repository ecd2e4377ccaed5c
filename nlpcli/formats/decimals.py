"""Decimal numbers, many at a time: eight digits are read as one 64-bit word, without a loop.

Digits become a number as in Lemire's "Number parsing at a gigabyte per second" (2021), section 6.
A mantissa of at most 15 digits and a power of ten below 10^22 are exact in float64, so that their
quotient is rounded once (Clinger 1990). Anything else is left to ``float``.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]
U64 = npt.NDArray[np.uint64]
Bools = npt.NDArray[np.bool_]

_NUMBER = re.compile(rb"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_EXACT = 15
_PAD = 16
_MINUS, _DOT, _SPACE, _ZERO = 45, 46, 32, 48
_ZEROS, _HIGHEST = np.uint64(0x3030303030303030), np.uint64(0x8080808080808080)
_ABOVE_NINE = np.uint64(0x7676767676767676)
_PAIRS = np.uint64(0x000000FF000000FF)


def is_number(field: bytes) -> bool:
    """Whether a field is a decimal number, as C's and Python's ``%g`` write them."""
    return _NUMBER.fullmatch(field) is not None or field.lower().lstrip(b"+-") in (b"nan", b"inf")


def parse_decimals(text: bytes, count: int) -> F64 | None:
    """Numbers with one space between two, float64 [count]; None when it is not so many numbers."""
    codes = np.frombuffer(text, dtype=np.uint8)
    gaps = np.flatnonzero(codes == _SPACE)
    starts = np.concatenate((np.zeros(1, np.int64), gaps + 1))
    ends = np.append(gaps, len(codes))
    if len(starts) != count or not (ends > starts).all():
        return None
    is_dot = codes == _DOT
    dots = np.flatnonzero(is_dot)
    if len(dots) == count and (dots >= starts).all() and (dots < ends).all():
        owners = np.arange(count)  # the rule: one in each
    else:
        owners = np.searchsorted(gaps, dots)
    n_dots = np.bincount(owners, minlength=count)
    fraction = np.zeros(count, dtype=np.int64)
    fraction[owners] = ends[owners] - dots - 1
    negative = codes[starts] == _MINUS
    last = ends - np.cumsum(n_dots)
    n_digits = ends - starts - n_dots - negative
    mantissa, good = _whole_numbers(codes[~is_dot], last, n_digits)
    good &= n_dots <= 1
    values = mantissa / _powers()[np.minimum(fraction, _EXACT)]
    np.negative(values, out=values, where=negative)
    for i in np.flatnonzero(~good).tolist():
        field = text[int(starts[i]) : int(ends[i])]
        if not is_number(field):
            return None
        values[i] = float(field)
    return values


def _powers() -> F64:
    return np.array([float(f"1e{n}") for n in range(_EXACT + 1)])


def _whole_numbers(codes: U8, ends: I64, n_digits: I64) -> tuple[I64, Bools]:
    """The digits before each end as a number, and whether they are that, from 1 to 15."""
    padded = np.concatenate((np.full(_PAD, _ZERO, np.uint8), codes))
    # one window of eight bytes for each place at which one may begin
    eights = np.ndarray((len(padded) - 7,), dtype="<u8", buffer=padded, strides=(1,))
    found, good = _eight_digits(eights[ends + _PAD - 8], np.minimum(n_digits, 8))
    more = np.flatnonzero(n_digits > 8)
    if len(more):
        high, fine = _eight_digits(eights[ends[more]], np.minimum(n_digits[more] - 8, 8))
        found[more] += high * 100_000_000
        good[more] &= fine
    return found, good & (n_digits > 0) & (n_digits <= _EXACT)


def _eight_digits(words: U64, n_digits: I64) -> tuple[I64, Bools]:
    """The last ``n_digits`` characters of each word, as a number; whether they are digits."""
    # the first character is the lowest byte; those before the number become zero
    drop = np.array([(1 << 64) - (1 << (64 - 8 * n)) if n else 0 for n in range(9)], np.uint64)
    digits = (words ^ _ZEROS) & drop[n_digits]
    good = ((digits + _ABOVE_NINE) | digits) & _HIGHEST == 0
    digits = digits * np.uint64(10) + (digits >> np.uint64(8))
    low = (digits & _PAIRS) * np.uint64(0x000F424000000064)
    high = ((digits >> np.uint64(16)) & _PAIRS) * np.uint64(0x0000271000000001)
    return ((low + high) >> np.uint64(32)).astype(np.int64), good
