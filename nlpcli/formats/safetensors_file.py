"""safetensors files: a header that is believed only where the file's size bears it out.

Layout: u64 little-endian length of the header; the header, a JSON object of tensor names, each with
``dtype``, ``shape`` and ``data_offsets`` [begin, end) from the end of the header, and perhaps
``__metadata__``; then the tensors without gaps (the format's own description, safetensors README).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nlpcli.errors import shown
from nlpcli.formats.bounded import BoundedReader
from nlpcli.text.strict_json import parse_object

F32 = npt.NDArray[np.float32]

LARGEST_HEADER = 4 * 2**20
LARGEST_VALUE = 1e30
"""Sums of products must stay within float32."""
_SIZES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "I16": 2, "U16": 2, "F16": 2,
    "BF16": 2, "I32": 4, "U32": 4, "F32": 4, "F64": 8, "I64": 8, "U64": 8,
}  # fmt: skip
_FLOATS = {"F16": "<f2", "BF16": "<u2", "F32": "<f4", "F64": "<f8"}
_POINTER = 0x206E6F6973726576
"""The letters "version ", with which begins what a clone without Git LFS has in a file's place."""


@dataclass(frozen=True)
class TensorEntry:
    """One tensor of a header: its name there, type, shape and size in bytes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    size: int


def read_header(reader: BoundedReader) -> list[TensorEntry]:
    """The tensors in the order in which they lie, which fill the rest of the file exactly.

    Raises DataError for a header that says anything else.
    """
    (length,) = reader.unpack("Q", "the length of the header")
    if length == _POINTER:
        raise reader.bad("a pointer of Git LFS and not the tensors, which git lfs pull fetches")
    if length > LARGEST_HEADER:
        raise reader.bad(f"a header of {length:,} bytes, at most {LARGEST_HEADER:,}")
    document = parse_object(reader.read(length, "the header"), reader.where)
    document.pop("__metadata__", None)
    found = [_entry(reader, name, value) for name, value in document.items()]
    found.sort(key=lambda triple: triple[:2])
    at = 0
    for begin, end, entry in found:
        if begin != at:
            raise reader.bad(
                f"tensor {shown(entry.name)} begins at {begin:,}, the one before it ends at {at:,}"
            )
        at = end
    if at != reader.remaining:
        what = "truncated" if at > reader.remaining else "too long"
        raise reader.bad(f"{what}: tensors of {at:,} bytes, there are {reader.remaining:,}")
    return [entry for _, _, entry in found]


def _entry(reader: BoundedReader, name: str, value: Any) -> tuple[int, int, TensorEntry]:
    where = f"tensor {shown(name)}"
    if not isinstance(value, dict) or set(value) != {"dtype", "shape", "data_offsets"}:
        raise reader.bad(f"{where}: wanted dtype, shape and data_offsets")
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _SIZES:
        raise reader.bad(f"{where}: type {shown(str(dtype))} is none that is known")
    if not _whole_numbers(shape) or not _whole_numbers(offsets) or len(offsets) != 2:
        raise reader.bad(f"{where}: shape or data_offsets are not whole numbers")
    size = _SIZES[dtype]
    for length in shape:
        size *= length
    begin, end = offsets
    if end - begin != size:
        raise reader.bad(f"{where}: shape {_listed(shape)} of {dtype} takes {size:,} bytes, "
                         f"the offsets give it {end - begin:,}")  # fmt: skip
    return begin, end, TensorEntry(name, dtype, tuple(shape), size)


def _whole_numbers(values: Any) -> bool:
    return (
        isinstance(values, list)
        and len(values) <= 8
        and all(type(value) is int and 0 <= value < 2**48 for value in values)
    )


def _listed(shape: list[int]) -> str:
    return "x".join(map(str, shape)) or "of a scalar"


def is_float(entry: TensorEntry) -> bool:
    """Whether ``read_float32`` can read it."""
    return entry.dtype in _FLOATS


def read_float32(reader: BoundedReader, entry: TensorEntry) -> F32:
    """The next tensor as float32. Raises DataError for a value that is not finite."""
    what = f"tensor {shown(entry.name)}"
    if not is_float(entry):
        raise reader.bad(f"{what}: type {entry.dtype}, wanted {', '.join(_FLOATS)}")
    values = reader.array(_FLOATS[entry.dtype], entry.shape, what)
    with np.errstate(over="ignore", invalid="ignore"):
        if entry.dtype == "BF16":  # the upper half of a float32
            values = (values.astype(np.uint32) << np.uint32(16)).view(np.float32)
        found = values.astype(np.float32, copy=False)
        low, high = float(found.min(initial=np.inf)), float(found.max(initial=-np.inf))
    if found.size and not (low >= -LARGEST_VALUE and high <= LARGEST_VALUE):  # NaN fails both
        raise reader.bad(f"{what} holds a value that is not finite, or too large")
    return found
