"""A classifier of limited size as tensors: shortened hashes, four-bit numbers, quantised rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nlpcli.errors import DataError
from nlpcli.models.quantisation import LEVELS, QuantisedTable, Shape
from nlpcli.store.bits import pack, pack_ascending, packed_size, unpack, unpack_ascending

Arrays = dict[str, npt.NDArray[Any]]

LOW_BITS = 8
"""Of a hash, below the bits that tell the kept features apart: an n-gram that has no row is taken
for one that has with a chance of at most 1 in 128, in training too."""
LEVEL_BITS = 4
KEY = "quantised"
"""In a manifest's configuration: the numbers that the tensors are read with."""
WIDTHS, CODE_BITS = (1, 2, 4, 8, 16, 32), (4, 8)
_NUMBERS = {"hash_bits", "low_bits", "width", "code_bits"}
_TYPES = {
    "hash_low": "uint8", "hash_high": "uint8", "idf": "uint8", "idf_levels": "float32",
    "norms": "uint8", "norm_levels": "float32", "codes": "uint8", "centroids": "float16",
    "bias": "float32", "output": "float32",
}  # fmt: skip


@dataclass(frozen=True)
class Compact:
    """``keys`` uint64 [V] ascending, the highest ``hash_bits`` of the hashes; ``idf`` uint8 [V]
    into ``idf_levels`` float32 [16]; the quantised rows; ``bias`` and ``output`` as they are."""

    keys: npt.NDArray[np.uint64]
    hash_bits: int
    idf: npt.NDArray[np.uint8]
    idf_levels: npt.NDArray[np.float32]
    table: QuantisedTable
    bias: npt.NDArray[np.float32]
    output: npt.NDArray[np.float32] | None = None

    @property
    def numbers(self) -> dict[str, int]:
        """What the manifest's configuration keeps."""
        shape = self.table.shape
        return {
            "hash_bits": self.hash_bits, "low_bits": min(LOW_BITS, self.hash_bits),
            "width": shape.width, "code_bits": shape.bits,
        }  # fmt: skip

    def tensors(self) -> Arrays:
        """By name, as they are written."""
        table, low_bits = self.table, self.numbers["low_bits"]
        short = self.keys >> np.uint64(64 - self.hash_bits)
        low, high = pack_ascending(short, self.hash_bits, low_bits)
        found: Arrays = {
            "hash_low": low, "hash_high": high,
            "idf": pack(self.idf, LEVEL_BITS), "idf_levels": self.idf_levels,
            "norms": pack(table.norms, LEVEL_BITS), "norm_levels": table.norm_levels,
            "codes": pack(table.codes.ravel(), table.shape.bits), "centroids": table.centroids,
            "bias": self.bias,
        }  # fmt: skip
        return found if self.output is None else {**found, "output": self.output}

    def dense(self) -> Arrays:
        """The tensors of a classifier of any size: hashes, idf, weight, bias and perhaps output."""
        found: Arrays = {
            "hashes": self.keys, "idf": self.idf_levels[self.idf], "weight": self.table.dense(),
            "bias": self.bias,
        }  # fmt: skip
        return found if self.output is None else {**found, "output": self.output}


def hash_bits(n_features: int) -> int:
    """How many bits of a hash tell so many features apart from each other and from others."""
    return n_features.bit_length() - 1 + LOW_BITS


def fixed_bytes(n_labels: int, n_columns: int, shape: Shape, *, output: bool) -> int:
    """Bytes of the tensors that do not grow with the features."""
    centroids = 2 * (n_columns << shape.bits)
    return centroids + 4 * n_labels * (1 + n_columns * output) + 2 * 4 * LEVELS


def feature_bits(n_columns: int, shape: Shape) -> int:
    """Bits of one feature: low and high bits of its hash, idf, norm and codes."""
    return LOW_BITS + 2 + 2 * LEVEL_BITS + shape.parts(n_columns) * shape.bits


def read_compact(arrays: Arrays, config: dict[str, Any], n_labels: int, where: str) -> Compact:
    """From the tensors of a model whose configuration has ``KEY``. Raises DataError.

    Values of the dense tensors are for ``check_tensors`` to look at.
    """
    numbers, n_features = _numbers(config, where)
    for name, wanted in _TYPES.items():
        if name == "output" and name not in arrays:
            continue
        if name not in arrays or str(arrays[name].dtype) != wanted:
            raise DataError(f"{where}: tensor {name} is missing or not {wanted}")
    if set(arrays) - set(_TYPES):
        raise DataError(f"{where}: unknown tensors {sorted(set(arrays) - set(_TYPES))[:3]}")
    shape = Shape(numbers["width"], numbers["code_bits"])
    centroids, output = arrays["centroids"], arrays.get("output")
    if centroids.ndim != 2 or not 1 <= len(centroids) <= 1 << shape.bits:
        raise DataError(f"{where}: tensor centroids has shape {centroids.shape}")
    width = n_labels if output is None else centroids.shape[1]
    _expect(arrays, where, {
        "idf_levels": (LEVELS,), "norm_levels": (LEVELS,), "bias": (n_labels,),
        "centroids": (len(centroids), max(1, width)), "output": (n_labels, width),
        "codes": (packed_size(n_features * shape.parts(width), shape.bits),),
    })  # fmt: skip
    for name in ("centroids", "norm_levels"):
        if not np.isfinite(arrays[name]).all():
            raise DataError(f"{where}: tensor {name} holds a value that is not finite")
    try:
        keys = unpack_ascending(
            arrays["hash_low"], arrays["hash_high"], numbers["hash_bits"], numbers["low_bits"],
            n_features,
        )  # fmt: skip
        idf, norms = (unpack(arrays[n], LEVEL_BITS, n_features) for n in ("idf", "norms"))
        codes = unpack(arrays["codes"], shape.bits, n_features * shape.parts(width))
    except ValueError as error:
        raise DataError(f"{where}: packed tensors do not add up: {error}") from None
    if codes.max(initial=0) >= len(centroids):
        raise DataError(f"{where}: tensor codes names a centroid that is not there")
    table = QuantisedTable(
        codes.astype(np.uint8).reshape(n_features, -1), centroids, norms.astype(np.uint8),
        arrays["norm_levels"], shape,
    )  # fmt: skip
    return Compact(
        keys << np.uint64(64 - numbers["hash_bits"]), numbers["hash_bits"], idf.astype(np.uint8),
        arrays["idf_levels"], table, arrays["bias"], output,
    )  # fmt: skip


def _numbers(config: dict[str, Any], where: str) -> tuple[dict[str, int], int]:
    """The configuration's own numbers and how many features there are. Raises DataError."""
    numbers, n_features = config.get(KEY), config.get("n_features")
    if not isinstance(numbers, dict) or set(numbers) != _NUMBERS:
        raise DataError(f"{where}: {KEY} is not {', '.join(sorted(_NUMBERS))}")
    whole = all(type(value) is int for value in (*numbers.values(), n_features))
    if (
        not whole
        or not 1 <= numbers["low_bits"] <= numbers["hash_bits"] <= 64
        or numbers["width"] not in WIDTHS
        or numbers["code_bits"] not in CODE_BITS
        or not 1 <= n_features < 2**31  # type: ignore[operator]
    ):
        raise DataError(f"{where}: {KEY} or n_features holds a number that cannot be")
    return numbers, n_features  # type: ignore[return-value]


def _expect(arrays: Arrays, where: str, shapes: dict[str, tuple[int, ...]]) -> None:
    for name, wanted in shapes.items():
        if name in arrays and arrays[name].shape != wanted:
            raise DataError(
                f"{where}: tensor {name} has shape {arrays[name].shape}, wanted {wanted}"
            )
