"""The batches of each epoch: of all rows, or of several tasks that share an encoder.

Shapes: N rows of all tasks together, B of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from nlpcli.batching.framing import Rows, shuffled_batches

I64 = npt.NDArray[np.int64]

POWERS = {"proportional": 1.0, "sqrt": 0.5, "even": 0.0}
"""A task's share of the steps is its number of batches to such a power (Stickland & Murray 2019,
"BERT and PALs", §3.2)."""
_ORDER = 1
"""Sets the draws of the order of tasks apart from those of their rows."""


class Plan(Protocol):
    """Which rows each step of each epoch has; the same however often it is asked."""

    @property
    def steps(self) -> int:
        """Of an epoch."""

    def batches(self, epoch: int) -> list[I64]:
        """The rows of each step of an epoch from 0, int64 [B]."""

    def rows_before(self, epoch: int) -> int:
        """Rows of all epochs before this one."""


class RowPlan:
    """Every row once an epoch, rows of about one ``lengths`` together."""

    def __init__(self, lengths: I64, size: int, seed: int) -> None:
        self._lengths, self._size, self._seed = lengths, size, seed
        self.steps = -(-len(lengths) // size)

    def batches(self, epoch: int) -> list[I64]:
        """As a Plan."""
        return shuffled_batches(self._lengths, self._size, self._seed, epoch)

    def rows_before(self, epoch: int) -> int:
        """As a Plan."""
        return epoch * len(self._lengths)


class TaskPlan:
    """Batches of one task each, in an order that is drawn anew for each epoch (Liu et al. 2019,
    "Multi-task deep neural networks", algorithm 1).

    ``lengths`` int64 [rows] of each task, whose rows are numbered one task behind the other. With
    ``proportional`` sampling an epoch has every row once; otherwise about as many steps, of which
    the tasks have other shares. A task goes through its rows again and again, from one epoch on
    into the next, so that each of its rows comes as often as the others.
    """

    def __init__(self, lengths: Sequence[I64], size: int, seed: int, sampling: str) -> None:
        self._lengths, self._size, self._seed = list(lengths), size, seed
        self._counts = [-(-len(own) // size) for own in lengths]
        self._first = np.concatenate([[0], np.cumsum([len(own) for own in lengths])])
        self.quotas = quotas(self._counts, sampling)
        self.steps = sum(self.quotas)
        self._rows: list[int] = []

    def batches(self, epoch: int) -> list[I64]:
        """As a Plan."""
        each = [iter(self._of_task(task, epoch)) for task in range(len(self.quotas))]
        order = np.repeat(np.arange(len(self.quotas)), self.quotas)
        order = np.random.default_rng([self._seed, epoch, _ORDER]).permutation(order)
        return [next(each[task]) for task in order.tolist()]

    def rows_before(self, epoch: int) -> int:
        """As a Plan."""
        while len(self._rows) < epoch:
            self._rows.append(sum(map(len, self.batches(len(self._rows)))))
        return sum(self._rows[:epoch])

    def _of_task(self, task: int, epoch: int) -> list[I64]:
        """The next batches of a task: as many as an epoch has."""
        quota, count = self.quotas[task], self._counts[task]
        seed = int(np.random.SeedSequence((self._seed, task)).generate_state(1)[0])
        at, found = epoch * quota, []
        while len(found) < quota:
            turn, begin = divmod(at + len(found), count)
            own = shuffled_batches(self._lengths[task], self._size, seed, turn)
            found += own[begin : begin + quota - len(found)]
        return [rows + self._first[task] for rows in found]


def quotas(counts: Sequence[int], sampling: str) -> list[int]:
    """Steps of each task in an epoch, of tasks of so many batches: in all about as many as these,
    and at least one each."""
    shares = np.asarray(counts, np.float64) ** POWERS[sampling]
    wanted = sum(counts) * shares / shares.sum()
    return [max(1, round(steps)) for steps in wanted.tolist()]


def joined(tasks: Sequence[Rows]) -> Rows:
    """The rows of tasks one behind the other. Which were windows of one text is left out: that
    matters to answers alone."""
    lengths = np.concatenate([rows.lengths for rows in tasks])
    return Rows(
        np.concatenate([rows.ids for rows in tasks]),
        np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]),
        np.concatenate([rows.second for rows in tasks]),
        sum(rows.n_cut for rows in tasks),
    )
