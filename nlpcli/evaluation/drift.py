"""Whether rows still look like those that a model was measured on.

Each row falls into one cell of each feature, so rows of one source are draws of a multinomial
distribution, and how far two such samples differ by chance is simulated rather than assumed. The
distances are the population stability index (Siddiqi 2006, "Credit Risk Scorecards", chapter 11)
and the Jensen-Shannon divergence in bits (Lin 1991).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from nlpcli.evaluation.bootstrap import generator
from nlpcli.text.row_cells import FEATURES, Reference, cell_names

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
SMOOTHING = 0.5
"""Rows that each cell has for a start: a distance to an empty cell would be infinite."""
SIMULATIONS = 4000
STREAM = 77


def psi(reference: F64, now: F64) -> F64:
    """Population stability index of samples [..., C] of counts, smoothed; >= 0."""
    p, q = _shares(reference), _shares(now)
    found: F64 = ((q - p) * np.log(q / p)).sum(axis=-1)
    return found


def jensen_shannon(reference: F64, now: F64) -> F64:
    """Jensen-Shannon divergence in bits of samples [..., C] of counts, smoothed; in [0, 1]."""
    p, q = _shares(reference), _shares(now)
    middle = (p + q) / 2
    found: F64 = (p * np.log2(p / middle) + q * np.log2(q / middle)).sum(axis=-1) / 2
    return np.maximum(found, 0.0)


def _shares(counts: F64) -> F64:
    smoothed = counts + SMOOTHING
    shares: F64 = smoothed / smoothed.sum(axis=-1, keepdims=True)
    return shares


def chance_limit(reference: F64, n: int, level: float, rng: np.random.Generator) -> float:
    """What the index of ``n`` rows of the reference's own source [C] exceeds with probability
    ``level``: both samples are drawn anew, since the reference is one too."""
    shares = _shares(reference)
    old = rng.multinomial(int(reference.sum()), shares, size=SIMULATIONS)
    new = rng.multinomial(n, shares, size=SIMULATIONS)
    values = np.sort(psi(old.astype(np.float64), new.astype(np.float64)))
    at = min(SIMULATIONS - 1, math.ceil((1 - level) * SIMULATIONS))
    return float(values[at])


def compare(
    reference: Reference, now: dict[str, I64], *, level: float, least: float, seed: int
) -> dict[str, Any]:
    """The document of --drift: each feature's distances, its limit, and whether it is passed.

    ``level``: the probability that rows of the reference's own source pass any limit at all,
    parted evenly among the features (Bonferroni). ``least``: an index below it is no drift however
    many rows there are. No rows: nothing is passed.
    """
    n = int(now["length"].sum())
    document: dict[str, Any] = {
        "rows": n, "reference_rows": reference.rows, "false_alarms": level, "least": least,
        "drifted": False, "features": {},
    }  # fmt: skip
    for stream, name in enumerate(FEATURES):
        old, new = np.array(reference.counts[name], np.float64), now[name].astype(np.float64)
        part: dict[str, Any] = {"psi": None, "jensen_shannon": None, "limit": None,
                                "drifted": False}  # fmt: skip
        if n:
            rng = generator(seed, STREAM + stream)
            limit = max(least, chance_limit(old, n, level / len(FEATURES), rng))
            index = float(psi(old, new))
            part = {
                "psi": index, "jensen_shannon": float(jensen_shannon(old, new)), "limit": limit,
                "drifted": index > limit,
            }  # fmt: skip
        part["cells"] = [
            {"cell": cell, "reference": a, "now": b}
            for cell, a, b in zip(
                cell_names(reference, name), _plain(old), _plain(new), strict=True
            )
        ]
        document["features"][name] = part
        document["drifted"] = document["drifted"] or part["drifted"]
    return document


def _plain(counts: F64) -> list[float]:
    """Shares of all rows; 0 where there are none."""
    shares: list[float] = (counts / max(counts.sum(), 1.0)).round(6).tolist()
    return shares
