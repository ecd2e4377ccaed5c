"""Processes of one machine that train one model: what they tell each other, and their tables."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from nlpcli.errors import Unavailable
from nlpcli.training.flat_parameters import FlatParameters

PREFIX = "nlpcli/"
JOINING_SECONDS = 300
PATIENCE_SECONDS = 30 * 86400
"""One rank may read a corpus for hours; the end of a process is noticed at once."""


class Ranks:
    """This process, number ``rank`` of ``size``, and what it says to the others.

    Joins by RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT of the environment, as torchrun sets
    them. Raises Unavailable when the others do not come, as do the methods when one is gone.
    """

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size
        try:
            joining = timedelta(seconds=JOINING_SECONDS)
            store, _, _ = next(rendezvous("env://", rank, size, timeout=joining))
            patience = timedelta(seconds=PATIENCE_SECONDS)
            store.set_timeout(patience)
            self._store = store
            dist.init_process_group(
                "gloo", store=store, rank=rank, world_size=size, timeout=patience
            )
        except (RuntimeError, ValueError) as error:
            raise self._gone("the other ranks did not come", error) from None

    def _gone(self, what: str, error: Exception) -> Unavailable:
        reason = (str(error).splitlines() or [""])[0][:100]
        return Unavailable(f"rank {self.rank} of {self.size}: {what}: {reason}")

    def tell(self, key: str, value: str) -> None:
        """Says something that ``heard`` of any rank gives from then on."""
        try:
            self._store.set(PREFIX + key, value)
        except RuntimeError as error:
            raise self._gone("another rank is gone", error) from None

    def heard(self, key: str) -> str | None:
        """What was told, or None when nothing was yet; waits for nothing."""
        try:
            if not self._store.check([PREFIX + key]):
                return None
            return bytes(self._store.get(PREFIX + key)).decode()
        except RuntimeError as error:
            raise self._gone("another rank is gone", error) from None

    def leave(self) -> None:
        """No sums any more: a rank that waits for one hears of it. Tell and hear go on."""
        if dist.is_initialized():
            dist.destroy_process_group()

    def sum(self, values: Tensor) -> Tensor:
        """Sum over ranks, in place, the same bits in each of them."""
        try:
            dist.all_reduce(values)
        except RuntimeError as error:
            raise self._gone("another rank is gone", error) from None
        return values

    def from_first(self, values: Tensor) -> Tensor:
        """The values of rank 0, in place."""
        try:
            dist.broadcast(values, src=0)
        except RuntimeError as error:
            raise self._gone("another rank is gone", error) from None
        return values


def from_first_rank(
    ranks: Ranks, arrays: dict[str, npt.NDArray[Any]], numbers: dict[str, Any]
) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    """The state of rank 0, in all ranks, whatever theirs is.

    ``arrays`` of numbers, ``numbers`` as JSON values. Raises Unavailable as the methods do.
    """
    kinds = {name: (array.dtype.str, array.shape) for name, array in arrays.items()}
    about = bytearray(json.dumps([kinds, numbers]).encode())
    size = int(ranks.from_first(torch.tensor([len(about)])).item())
    text = torch.frombuffer(about, dtype=torch.uint8)
    if ranks.rank:
        text = torch.empty(size, dtype=torch.uint8)
    kinds, numbers = json.loads(bytes(ranks.from_first(text).numpy()))
    found = {}
    for name, (kind, shape) in kinds.items():
        array = arrays[name] if ranks.rank == 0 else np.empty(shape, kind)
        ranks.from_first(torch.from_numpy(array))
        found[name] = array
    return found, numbers


def sum_gradients(ranks: Ranks, parameters: FlatParameters) -> None:
    """Gradients of all ranks, of which one may have none of a tensor."""
    tensors = parameters.tensors
    found = ranks.sum(torch.tensor([int(t.grad is not None) for t in tensors.values()]))
    for name, n in zip(tensors, found.tolist(), strict=True):
        if n and tensors[name].grad is None:
            parameters.give(name, None)
    for gradient in parameters.gradients():
        ranks.sum(gradient)


def sum_rows(ranks: Ranks, rows: Tensor, values: Tensor, n_rows: int) -> tuple[Tensor, Tensor]:
    """Of rows int64 [u] of a table of ``n_rows``, distinct in each rank, those that any rank has,
    and the sums of their values [u, D]."""
    touched = torch.zeros(n_rows, dtype=torch.int32)
    touched[rows] = 1
    union = ranks.sum(touched).nonzero()[:, 0]
    summed = values.new_zeros(len(union), values.shape[1])
    summed[torch.searchsorted(union, rows)] = values
    return union, ranks.sum(summed)


class SharedTable:
    """A table, float32 [R, D] on the CPU, that ranks move apart and bring together again.

    To each row what every rank moved it by since the last time is added, as if gradients came late
    by that long (Dean et al. 2012, "Large scale distributed deep networks", section 4.1). The mean
    of the ranks that moved a row instead halves its learning rate: figures in LOG.md. Rows that no
    rank touched are not sent: a third of a table of 31,000 words in 65,536 words of text.
    """

    def __init__(self, weight: Tensor) -> None:
        self._weight = weight
        self._touched = torch.zeros(len(weight), dtype=torch.uint8)
        self.settle()

    def settle(self) -> None:
        """The table is the same in all ranks now."""
        self._settled = self._weight.clone()

    def touch(self, rows: Tensor) -> None:
        """Rows int32 [m] that were moved here."""
        self._touched.numpy()[rows.numpy()] = 1

    def add_up(self, ranks: Ranks) -> int:
        """Makes the table the same in all ranks; gives the number of rows that were touched."""
        rows = ranks.sum(self._touched.to(torch.int32)).numpy().nonzero()[0]
        weight, settled = self._weight.numpy(), self._settled.numpy()
        before = settled.take(rows, axis=0)
        moves = weight.take(rows, axis=0)
        moves -= before
        ranks.sum(torch.from_numpy(moves))
        moves += before
        weight[rows] = settled[rows] = moves
        self._touched.zero_()
        return len(rows)
