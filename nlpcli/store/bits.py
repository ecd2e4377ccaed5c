"""Small whole numbers in as many bits as they need, and ascending ones in about two more than that.

All bits run from the highest of the first byte on; what the last byte has left over is zero.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

U8 = npt.NDArray[np.uint8]
U64 = npt.NDArray[np.uint64]


def pack(values: npt.NDArray[np.unsignedinteger], width: int) -> U8:
    """Numbers below 2^width, width 0 to 64, in ceil(n · width / 8) bytes."""
    if width == 8:
        return values.astype(np.uint8)
    bits = np.empty((len(values), width), np.uint8)
    for column in range(width):
        place = values.dtype.type(width - 1 - column)
        bits[:, column] = (values >> place) & values.dtype.type(1)
    return np.packbits(bits)


def unpack(data: U8, width: int, count: int) -> U64:
    """The inverse of ``pack``. Raises ValueError for another number of bytes, or bits left over."""
    if data.shape != (packed_size(count, width),):
        raise ValueError(f"{data.size:,} bytes, wanted {packed_size(count, width):,}")
    if width == 8:
        return data.astype(np.uint64)
    bits = np.unpackbits(data)
    if bits[count * width :].any():
        raise ValueError("bits after the last number")
    found = np.zeros(count, np.uint64)
    for column in bits[: count * width].reshape(count, width).T if width else ():
        found = (found << np.uint64(1)) | column
    return found


def packed_size(count: int, width: int) -> int:
    """Bytes that ``pack`` gives."""
    return -(-count * width // 8)


def pack_ascending(values: U64, width: int, low_width: int) -> tuple[U8, U8]:
    """Distinct ascending numbers below 2^width: their low bits, and a bitmap of the high ones.

    In the bitmap each number is a 1, after as many zeros as its high bits say altogether (Elias
    1974; Fano 1971): n + 2^(width - low_width) bits.
    """
    n_bits = len(values) + (1 << (width - low_width))
    bitmap = np.zeros(n_bits, np.uint8)
    bitmap[(values >> np.uint64(low_width)).astype(np.int64) + np.arange(len(values))] = 1
    low = values & np.uint64((1 << low_width) - 1)
    return pack(low, low_width), np.packbits(bitmap)


def unpack_ascending(low: U8, bitmap: U8, width: int, low_width: int, count: int) -> U64:
    """The inverse of ``pack_ascending``. Raises ValueError for what it cannot have made."""
    n_bits = count + (1 << (width - low_width))
    if bitmap.shape != (-(-n_bits // 8),):
        raise ValueError(f"{bitmap.size:,} bytes of high bits, wanted {-(-n_bits // 8):,}")
    bits = np.unpackbits(bitmap)
    at = np.flatnonzero(bits)
    if len(at) != count or (count and at[-1] >= n_bits - 1):
        raise ValueError(f"{len(at):,} high bits, wanted {count:,}")
    high = (at - np.arange(count)).astype(np.uint64)
    values = (high << np.uint64(low_width)) | unpack(low, low_width, count)
    if not (values[1:] > values[:-1]).all():
        raise ValueError("not distinct and ascending")
    return values
