"""Seeded, stratified splits, and the order of label names."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import numpy.typing as npt


def label_names(labels: list[tuple[str, ...]]) -> list[str]:
    """Every label, sorted by code point, so that row order does not matter."""
    return sorted({name for row in labels for name in row})


def holdout(
    labels: list[tuple[str, ...]], fraction: float, seed: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Row numbers of the training and the held-out part, each ascending int64.

    Stratified by the first label; each label keeps at least one training row.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for i, row in enumerate(labels):
        groups[row[0] if row else ""].append(i)
    generator = np.random.default_rng(seed)
    held: list[int] = []
    spill = 0.0
    for name in sorted(groups):
        rows = generator.permutation(groups[name])
        # what rounding left over is carried on, so that many small labels still give their share
        wanted = len(rows) * fraction + spill
        take = min(int(wanted), len(rows) - 1)
        spill = min(wanted - take, 1.0)
        held += rows[:take].tolist()
    chosen = np.zeros(len(labels), dtype=bool)
    chosen[held] = True
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def holdout_groups(
    groups: list[str], fraction: float, seed: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """As ``holdout``, of rows of which those of one group stay together.

    Groups are drawn until about ``fraction`` of the rows is held out; one group at least, and one
    at most of two, where ``fraction`` is not 0.
    """
    numbers = {name: number for number, name in enumerate(dict.fromkeys(groups))}
    owner = np.array([numbers[name] for name in groups], np.int64)
    sizes = np.bincount(owner, minlength=len(numbers))
    order = np.random.default_rng(seed).permutation(len(numbers))[: len(numbers) - 1]
    held = np.zeros(len(numbers), bool)
    if fraction > 0 and len(order):
        reached = np.cumsum(sizes[order])
        count = 1 + int(np.searchsorted(reached, fraction * len(groups)))
        held[order[:count]] = True
    return np.flatnonzero(~held[owner]), np.flatnonzero(held[owner])
