"""Rows of a table in a few bytes each: product quantisation with the norms apart; numpy alone.

A row is its norm times a direction; the direction is cut into sub-vectors, and each of these is
the nearest of a few centroids (Jégou et al. 2011, section 2; with norms apart as in Joulin et al.
2016, "FastText.zip", section 3.1). Rows are weighed by how much a feature is used: the error of the
logits is what is made small, not that of the table.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
U8 = npt.NDArray[np.uint8]

LEVELS = 16
"""Of norms and of other numbers above zero: four bits each."""
SAMPLE = 65_536
"""Rows that centroids are learnt from."""
ROUNDS = 12
_BLOCK = 1 << 15
_TINY = 1e-12


@dataclass(frozen=True)
class Shape:
    """``width`` numbers a centroid, at most; ``bits`` of its number, 1 to 8."""

    width: int
    bits: int

    def parts(self, n_columns: int) -> int:
        """Sub-vectors of a row."""
        return -(-n_columns // self.width)


@dataclass(frozen=True)
class QuantisedTable:
    """``codes`` uint8 [V, M] into ``centroids`` float16 [C, D]; ``norms`` uint8 [V] into
    ``norm_levels`` float32 [16].

    Centroid c of part m is ``centroids[c, borders[m]:borders[m + 1]]``.
    """

    codes: U8
    centroids: npt.NDArray[np.float16]
    norms: U8
    norm_levels: F32
    shape: Shape

    def dense(self) -> F32:
        """The table, float32 [V, D]."""
        table = _directions(self.codes, self.centroids.astype(np.float32), self.shape)
        table *= self.norm_levels[self.norms][:, None]
        return table


def quantise(
    table: F32, importance: F64, shape: Shape, seed: int, rounds: int = ROUNDS
) -> QuantisedTable:
    """A table float32 [V, D] in codes; ``importance`` [V] weighs the squared error of each row."""
    norms = np.linalg.norm(table.astype(np.float64), axis=1)
    directions = (table / np.maximum(norms, _TINY)[:, None]).astype(np.float32)
    weights = importance * norms**2 + _TINY
    generator = np.random.default_rng(seed)
    sample = np.sort(generator.permutation(len(table))[:SAMPLE])
    borders = _borders(table.shape[1], shape)
    size = min(1 << shape.bits, len(sample))
    centroids = np.empty((size, table.shape[1]), np.float16)
    codes = np.empty((len(table), len(borders) - 1), np.uint8)
    for part in range(len(borders) - 1):
        columns = slice(borders[part], borders[part + 1])
        points = np.ascontiguousarray(directions[:, columns])
        found = _k_means(points[sample], weights[sample], size, generator, rounds)
        centroids[:, columns] = found
        codes[:, part] = _nearest(points, centroids[:, columns].astype(np.float32))
    # the best length along the direction that was found, not the row's own
    along = _directions(codes, centroids.astype(np.float32), shape)
    inner = np.einsum("vd,vd->v", table, along, dtype=np.float64)
    squares = np.einsum("vd,vd->v", along, along, dtype=np.float64)
    levels, picked = to_levels(np.maximum(inner / np.maximum(squares, _TINY), 0))
    return QuantisedTable(codes, centroids, picked, levels, shape)


def relative_error(table: F32, importance: F64, found: QuantisedTable) -> float:
    """Weighed squared error as a share of the weighed squares of the table."""
    wrong = np.square(table - found.dense(), dtype=np.float64).sum(axis=1)
    whole = np.square(table, dtype=np.float64).sum(axis=1)
    return float((importance * wrong).sum() / max(float((importance * whole).sum()), _TINY))


def to_levels(values: F64) -> tuple[F32, U8]:
    """Values of 0 or more -> 16 levels in equal ratios, float32, and the nearest of each, uint8."""
    above = values[values > 0]
    low, high = (float(above.min()), float(above.max())) if len(above) else (1.0, 1.0)
    ratio = max(np.log(high / low), _TINY) / (LEVELS - 1)
    levels = (low * np.exp(ratio * np.arange(LEVELS))).astype(np.float32)
    picked = np.rint(np.log(np.maximum(values, low) / low) / ratio).clip(0, LEVELS - 1)
    return levels, picked.astype(np.uint8)


def _borders(n_columns: int, shape: Shape) -> list[int]:
    """Where the sub-vectors begin and end; their widths differ by one at most."""
    parts = shape.parts(n_columns)
    return [round(part * n_columns / parts) for part in range(parts + 1)]


def _directions(codes: U8, centroids: F32, shape: Shape) -> F32:
    borders = _borders(centroids.shape[1], shape)
    found = np.empty((len(codes), centroids.shape[1]), np.float32)
    for part in range(codes.shape[1]):
        columns = slice(borders[part], borders[part + 1])
        found[:, columns] = centroids[:, columns].take(codes[:, part], axis=0)
    return found


def _k_means(
    points: F32, weights: F64, size: int, generator: np.random.Generator, rounds: int
) -> F32:
    """Lloyd's algorithm, weighed, from points drawn by weight; centroids float32 [size, d]."""
    drawn = generator.choice(len(points), size, replace=False, p=weights / weights.sum())
    centroids = points[np.sort(drawn)].copy()
    for _ in range(rounds):
        nearest = _nearest(points, centroids)
        mass = np.bincount(nearest, weights, minlength=size)
        used = mass > 0
        for column in range(points.shape[1]):
            sums = np.bincount(nearest, weights * points[:, column], minlength=size)
            centroids[used, column] = sums[used] / mass[used]
        lost = np.flatnonzero(~used)
        if len(lost):
            centroids[lost] = points[generator.choice(len(points), len(lost))]
    return centroids


def _nearest(points: F32, centroids: F32) -> npt.NDArray[np.int64]:
    """Number of the nearest centroid of each point; int64 [N]."""
    if points.shape[1] == 1:  # between which two of them it lies
        order = np.argsort(centroids[:, 0], kind="stable")
        ordered = centroids[order, 0]
        return order[np.searchsorted((ordered[1:] + ordered[:-1]) / 2, points[:, 0])]
    half = np.square(centroids).sum(axis=1) / 2
    found = np.empty(len(points), np.int64)
    for first in range(0, len(points), _BLOCK):
        block = slice(first, first + _BLOCK)
        found[block] = (points[block] @ centroids.T - half).argmax(axis=1)
    return found
