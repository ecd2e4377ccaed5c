"""fastText's two kinds of matrix: dense float32, and product-quantised.

A quantised row is ``nsubq`` codes of one byte, each the number of a centroid for ``dsub`` of its
columns (``lastdsub`` for the last), with ``qnorm`` times a norm that is a code as well. Layout and
arithmetic: densematrix.cc, quantmatrix.cc and productquantizer.cc of fastText 0.9.2.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from nlpcli.errors import DataError
from nlpcli.formats.bounded import BoundedReader

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]

CENTROIDS = 256
LARGEST = 1e8
"""Of a stored number: products of two quantised matrices must stay within float32."""


@dataclass(frozen=True)
class DenseMatrix:
    """``values`` float32 [R, D]."""

    values: F32

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.values.shape[0], self.values.shape[1]

    def rows(self, ids: I64) -> F32:
        """The rows of these numbers, float32 [N, D]."""
        return self.values.take(ids, axis=0)

    def column(self, index: int) -> F32:
        """One column, float32 [R], before ``norms`` are applied."""
        return np.ascontiguousarray(self.values[:, index])

    def norms(self) -> F32 | None:
        """What products with the rows are multiplied with, if with anything."""
        return None

    def write(self, stream: BinaryIO) -> None:
        """The matrix as the program stores it."""
        stream.write(struct.pack("<qq", *self.shape))
        stream.write(np.ascontiguousarray(self.values, dtype="<f4").view(np.uint8).data)


@dataclass(frozen=True)
class Quantizer:
    """Centroids of all parts, float32 [dim * 256], as they lie in the file."""

    dim: int
    nsubq: int
    dsub: int
    lastdsub: int
    centroids: F32

    def part(self, number: int) -> F32:
        """Centroids of one part, float32 [256, its width]."""
        begin = number * CENTROIDS * self.dsub
        width = self.lastdsub if number == self.nsubq - 1 else self.dsub
        return self.centroids[begin : begin + CENTROIDS * width].reshape(CENTROIDS, width)

    def decode(self, codes: U8) -> F32:
        """Codes [N, nsubq] -> rows float32 [N, dim]."""
        full = self.nsubq - 1
        rows = np.empty((len(codes), self.dim), dtype=np.float32)
        if full:
            table = self.centroids[: full * CENTROIDS * self.dsub].reshape(-1, self.dsub)
            at = codes[:, :full] + np.arange(0, full * CENTROIDS, CENTROIDS)
            rows[:, : full * self.dsub] = table.take(at, axis=0).reshape(len(codes), -1)
        rows[:, full * self.dsub :] = self.part(full).take(codes[:, full], axis=0)
        return rows

    def write(self, stream: BinaryIO) -> None:
        """The quantizer as the program stores it."""
        stream.write(struct.pack("<4i", self.dim, self.nsubq, self.dsub, self.lastdsub))
        stream.write(np.ascontiguousarray(self.centroids, dtype="<f4").view(np.uint8).data)


@dataclass(frozen=True)
class QuantisedMatrix:
    """``codes`` uint8 [R, nsubq]; with norms of their own ``norm_codes`` uint8 [R]."""

    columns: int
    codes: U8
    quantizer: Quantizer
    norm_codes: U8 | None = None
    norm_quantizer: Quantizer | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self.codes), self.columns

    def rows(self, ids: I64) -> F32:
        """The rows of these numbers, float32 [N, D]."""
        rows = self.quantizer.decode(self.codes.take(ids, axis=0))
        norms = self.norms(ids)
        if norms is not None:
            rows *= norms[:, None]
        return rows

    def column(self, index: int) -> F32:
        """One column, float32 [R], before ``norms`` are applied."""
        part, offset = divmod(index, self.quantizer.dsub)
        return self.quantizer.part(part)[:, offset].take(self.codes[:, part])

    def norms(self, ids: I64 | None = None) -> F32 | None:
        """What products with the rows (all, or these) are multiplied with, if with anything."""
        if self.norm_codes is None or self.norm_quantizer is None:
            return None
        chosen = self.norm_codes if ids is None else self.norm_codes.take(ids)
        return self.norm_quantizer.centroids.take(chosen)

    def write(self, stream: BinaryIO) -> None:
        """The matrix as the program stores it."""
        has_norms = self.norm_codes is not None
        stream.write(struct.pack("<?qqi", has_norms, *self.shape, self.codes.size))
        stream.write(np.ascontiguousarray(self.codes).data)
        self.quantizer.write(stream)
        if self.norm_codes is not None and self.norm_quantizer is not None:
            stream.write(np.ascontiguousarray(self.norm_codes).data)
            self.norm_quantizer.write(stream)


Matrix = DenseMatrix | QuantisedMatrix


def read_bool(reader: BoundedReader, what: str) -> bool:
    """One byte, 0 or 1. Raises DataError."""
    value = reader.read(1, what)[0]
    if value > 1:
        raise reader.bad(f"{what} is {value}, wanted 0 or 1")
    return bool(value)


def read_matrix(
    reader: BoundedReader, what: str, shape: tuple[int, int], *, quantised: bool
) -> Matrix:
    """A matrix of this shape. Raises DataError for another one and for values that are no weights.

    ``what``: its name in messages.
    """
    if quantised:
        return _read_quantised(reader, what, shape)
    _check_shape(reader, what, shape)
    matrix = DenseMatrix(reader.array("<f4", shape, f"the {what} matrix"))
    check_matrix(matrix, what, shape, reader.where)
    return matrix


def check_matrix(matrix: Matrix, what: str, shape: tuple[int, int], where: str) -> None:
    """Raises DataError for another shape, parts that do not fit and values that are no weights."""
    _expect_shape(matrix.shape, shape, what, where)
    if isinstance(matrix, DenseMatrix):
        _check_values(matrix.values, what, where)
        return
    rows, columns = shape
    _check_quantizer(matrix.quantizer, what, columns, where)
    parts = matrix.codes.shape[1]
    if rows and matrix.quantizer.nsubq != parts:
        raise DataError(
            f"{where}: the {what} matrix has {parts} codes a row and {matrix.quantizer.nsubq} parts"
        )
    if matrix.norm_codes is not None and matrix.norm_quantizer is not None:
        _check_quantizer(matrix.norm_quantizer, f"{what} norm", 1, where)
        if len(matrix.norm_codes) != rows:
            raise DataError(f"{where}: the {what} matrix has {len(matrix.norm_codes)} norms")


def skip_matrix(
    reader: BoundedReader, what: str, shape: tuple[int, int], *, quantised: bool
) -> None:
    """Passes over a matrix of this shape; of a dense one the values stay unread."""
    if quantised:
        _read_quantised(reader, what, shape)
        return
    _check_shape(reader, what, shape)
    reader.skip(4 * shape[0] * shape[1], f"the {what} matrix")


def _check_shape(reader: BoundedReader, what: str, shape: tuple[int, int]) -> None:
    found = reader.unpack("qq", f"the shape of the {what} matrix")
    _expect_shape((found[0], found[1]), shape, what, reader.where)


def _expect_shape(found: tuple[int, int], shape: tuple[int, int], what: str, where: str) -> None:
    if found != shape:
        seen, wanted = (f"{rows} x {columns}" for rows, columns in (found, shape))
        raise DataError(f"{where}: the {what} matrix is {seen}, wanted {wanted}")


def _read_quantised(reader: BoundedReader, what: str, shape: tuple[int, int]) -> QuantisedMatrix:
    has_norms = read_bool(reader, f"qnorm of the {what} matrix")
    _check_shape(reader, what, shape)
    (codesize,) = reader.unpack("i", f"the code size of the {what} matrix")
    rows, columns = shape
    parts = codesize // rows if rows else 0
    if parts * rows != codesize or not (0 < parts <= columns or (rows == 0 and codesize == 0)):
        raise reader.bad(f"the {what} matrix has {codesize} codes, which do not fit {rows} rows")
    codes = reader.array("u1", (rows, parts), f"the codes of the {what} matrix")
    quantizer = _read_quantizer(reader, what, columns)
    norms: tuple[U8, Quantizer] | tuple[None, None] = (None, None)
    if has_norms:
        norm_codes = reader.array("u1", (rows,), f"the norms of the {what} matrix")
        norms = norm_codes, _read_quantizer(reader, f"{what} norm", 1)
    matrix = QuantisedMatrix(columns, codes, quantizer, *norms)
    check_matrix(matrix, what, shape, reader.where)
    return matrix


def _read_quantizer(reader: BoundedReader, what: str, columns: int) -> Quantizer:
    dim, nsubq, dsub, lastdsub = reader.unpack("4i", f"the {what} quantizer")
    none = Quantizer(dim, nsubq, dsub, lastdsub, np.empty(0, np.float32))
    _check_sizes(none, what, columns, reader.where)
    centroids = reader.array("<f4", (dim * CENTROIDS,), f"the {what} centroids")
    return Quantizer(dim, nsubq, dsub, lastdsub, centroids)


def _check_quantizer(quantizer: Quantizer, what: str, columns: int, where: str) -> None:
    _check_sizes(quantizer, what, columns, where)
    if quantizer.centroids.shape != (columns * CENTROIDS,):
        raise DataError(f"{where}: the {what} centroids are of shape {quantizer.centroids.shape}")
    _check_values(quantizer.centroids, f"{what} centroid", where)


def _check_sizes(quantizer: Quantizer, what: str, columns: int, where: str) -> None:
    dim, nsubq = quantizer.dim, quantizer.nsubq
    dsub, lastdsub = quantizer.dsub, quantizer.lastdsub
    fits = dim == columns and dsub > 0 and nsubq == -(-columns // dsub)
    if not fits or lastdsub != (columns % dsub or dsub):
        seen = f"dim {dim}, nsubq {nsubq}, dsub {dsub}, lastdsub {lastdsub}"
        raise DataError(
            f"{where}: the {what} quantizer has {seen}, which do not fit {columns} columns"
        )


def _check_values(values: npt.NDArray[Any], what: str, where: str) -> None:
    """Raises DataError for a number that is not finite, or beyond ``LARGEST``."""
    if not values.size:
        return
    with np.errstate(invalid="ignore"):
        low, high = float(values.min()), float(values.max())
    if not (low >= -LARGEST and high <= LARGEST):  # NaN is passed on by both
        raise DataError(
            f"{where}: the {what} matrix holds a number that is not finite, or too large"
        )
