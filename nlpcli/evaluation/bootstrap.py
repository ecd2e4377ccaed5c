"""The bootstrap behind the 95 % intervals of ``eval``.

A plain (unstratified) percentile bootstrap over rows: Efron & Tibshirani, "An Introduction
to the Bootstrap" (1993), chapter 13; where that says nothing, of shares that are 0 or 1, Wilson's
interval (1927). Rows are never copied. Rows of the same kind are one
*cell*, a resample is a vector of counts over the cells, and every metric is a function of
sums over those counts. All randomness comes from one seeded generator: the same seed gives
the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.integer[Any]]
FloatArray = NDArray[np.floating[Any]]
Counts = NDArray[np.int64]
Floats = NDArray[np.float64]
Estimate = dict[str, float | None]

LEVEL = 0.95
Z = 1.959963984540054
"""The normal distribution's quantile of that level."""
BLOCK_ELEMENTS = 2_000_000
"""Numbers held by one block of resamples: bounds memory to some tens of megabytes."""
BINOMIAL_COST = 12
"""A binomial draw costs about as much as this many uniform row draws."""
MAX_DRAWS = 1_000_000_000
"""Row draws at most in one bootstrap; beyond it the number of resamples falls."""
MIN_RESAMPLES = 200


def generator(seed: int, stream: int) -> np.random.Generator:
    """An independent generator for each pair of seed (any integer) and stream."""
    return np.random.default_rng([abs(seed), int(seed < 0), stream])


def affordable(resamples: int, cost: int) -> int:
    """The number of resamples to draw when one costs ``cost`` row draws.

    It is ``resamples`` unless that would pass MAX_DRAWS; then fewer, but not fewer than
    MIN_RESAMPLES.
    """
    return min(resamples, max(MIN_RESAMPLES, MAX_DRAWS // max(cost, 1)))


def count_blocks(counts: IntArray, resamples: int, rng: np.random.Generator) -> Iterator[Counts]:
    """Draw ``resamples`` bootstrap resamples of rows that fall into C cells.

    counts: (C,) rows in each cell, n in all, n > 0. Yields arrays (r, C) whose rows are
    draws of Multinomial(n, counts / n); the r add up to ``resamples``. Row weights are the
    case of one row a cell.

    Two exact ways, the cheaper is taken: n uniform row draws counted by cell, or C
    conditional binomials (``Generator.multinomial``).
    """
    cells = len(counts)
    total = int(counts.sum())
    by_rows = total <= BINOMIAL_COST * cells
    block = max(1, BLOCK_ELEMENTS // (max(total, cells) if by_rows else cells))
    one_each = cells == total and bool((counts == 1).all())
    cell_of_row = np.repeat(np.arange(cells, dtype=np.int64), counts) if by_rows else None
    for start in range(0, resamples, block):
        size = min(block, resamples - start)
        if cell_of_row is None:
            yield rng.multinomial(total, counts / total, size=size)
            continue
        drawn = rng.integers(0, total, size=(size, total), dtype=np.int64)
        if not one_each:
            drawn = cell_of_row[drawn]
        drawn += (np.arange(size, dtype=np.int64) * cells)[:, None]
        yield np.bincount(drawn.ravel(), minlength=size * cells).reshape(size, cells)


def group_starts(rows: int, groups: int) -> Counts:
    """Where each of ``groups`` contiguous, nearly equal pieces of ``rows`` rows starts.

    Returns (G,) strictly rising, first 0; needs 0 < groups <= rows.
    """
    return np.arange(groups, dtype=np.int64) * rows // groups


def row_groups(rows: int, limit: int, rng: np.random.Generator) -> tuple[Counts | None, Counts]:
    """A random partition of the rows into at most ``limit`` groups of nearly equal size.

    Returns (order (B,) or None for the order as it is, starts (G,)). Resampling whole
    random groups estimates the variance of sums over rows without bias, and its work is
    bounded; with rows <= limit each row is its own group and the bootstrap is the plain
    one over rows.
    """
    if rows <= limit:
        return None, np.arange(rows, dtype=np.int64)
    return rng.permutation(rows), group_starts(rows, limit)


def resampled_sums(sums: Floats, resamples: int, rng: np.random.Generator) -> Floats:
    """Column sums of bootstrap resamples of the rows of ``sums``.

    sums: (G, C) one row for each row or group of rows. Returns (resamples, C).
    """
    out = np.empty((resamples, sums.shape[1]), dtype=np.float64)
    done = 0
    for weights in count_blocks(np.ones(len(sums), dtype=np.int64), resamples, rng):
        out[done : done + len(weights)] = weights.astype(np.float64) @ sums
        done += len(weights)
    return out


def finite(value: float) -> float | None:
    """The value as a Python float, or None where it is not defined (NaN or infinite)."""
    return float(value) if math.isfinite(value) else None


def wilson(hits: float, n: int) -> tuple[float, float]:
    """The 95 % interval of a share of ``hits`` in ``n``, n > 0 (Wilson 1927)."""
    share, squared = hits / n, Z * Z
    middle = (share + squared / (2 * n)) / (1 + squared / n)
    half = Z / (1 + squared / n) * math.sqrt(share * (1 - share) / n + squared / (4 * n * n))
    return (middle - half if hits > 0 else 0.0), (middle + half if hits < n else 1.0)


UNIT = (0.0, 1.0)
"""The bounds of a metric that is a share, or a mean of shares."""


def estimate(
    value: float, samples: Floats, *, share_of: int | None = None, bounds: tuple[float, ...] = ()
) -> Estimate:
    """A metric's entry of the result document: value and 95 % percentile interval.

    samples: (R,) the metric on each resample, NaN where it is not defined there; those
    resamples are left out. An undefined value has no interval either; no defined resample
    gives a value without one. ``share_of``: the value is a share of so many rows; if all or none
    of them are right, resamples are all alike, and the interval is Wilson's. ``bounds``: beyond
    which the metric is never; at one of them, with all resamples there too, nothing can be told of
    other rows, and there is no interval.
    """
    shown = finite(value)
    kept = samples[np.isfinite(samples)]
    if shown is None or not len(kept):
        return {"value": shown, "low": None, "high": None}
    if share_of and shown in (0.0, 1.0):
        low, high = wilson(shown * share_of, share_of)
    elif any((np.abs(np.append(kept, shown) - bound) < 1e-9).all() for bound in bounds):
        return {"value": shown, "low": None, "high": None}
    else:
        low, high = _percentiles(kept)
    return {"value": shown, "low": low, "high": high}


def estimate_of_distance(value: float, samples: Floats, noise: Floats) -> Estimate:
    """As ``estimate``, of a sum of absolute values, which noise makes larger: resamples, with more
    of it, are above the value by about as much as that is above the truth. So the lower end is
    moved down by twice that, the upper one, to be on the safe side, by that once; the interval
    holds the value.

    noise: (R,) the same sum of what resamples are off the whole, as it would be were the truth 0;
    where the value is no larger than that may be, the interval begins at 0.
    """
    found = estimate(value, samples)
    shown, low, high = found["value"], found["low"], found["high"]
    if shown is None or low is None or high is None:
        return found
    above = max(0.0, float(np.nanmean(samples)) - shown)
    low = 0.0 if shown <= _percentiles(noise)[1] else low - 2 * above
    return {"value": shown, "low": max(0.0, min(low, shown)), "high": max(high - above, shown)}


def _percentiles(samples: Floats) -> tuple[float, float]:
    tail = (1.0 - LEVEL) / 2.0
    low, high = np.quantile(samples, [tail, 1.0 - tail])
    return float(low), float(high)
