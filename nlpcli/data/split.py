"""Seeded, stratified splits, and the order of label names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Sequence

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


def with_carriers(
    kept: npt.NDArray[np.int64], held: npt.NDArray[np.int64],
    carried: Sequence[Collection[Hashable]], groups: Sequence[Hashable] | None = None,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:  # fmt: skip
    """The parts that a holdout gives, but rows go into the training part where it would lack
    something that rows have (``carried``, of each row): what is in no training row is not learnt.

    With ``groups`` all rows of one move together.
    """
    groups = range(len(carried)) if groups is None else groups
    known = {each for i in kept.tolist() for each in carried[i]}
    moved = set()
    for i in held.tolist():
        if not known.issuperset(carried[i]):
            known.update(carried[i])
            moved.add(groups[i])
    goes = np.array([groups[i] in moved for i in held.tolist()], bool)
    return np.sort(np.concatenate([kept, held[goes]])), held[~goes]
