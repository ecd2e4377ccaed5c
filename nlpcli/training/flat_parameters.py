"""Parameters that lie one behind the other, so that a step reads and moves many of them at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor

ALIGNED = 64
"""Numbers between places where a block may begin, so that none shares a line of a cache with
another."""


class FlatParameters:
    """Tensors by name, float32, and their gradients: views of two buffers.

    Where a tensor has no gradient its ``grad`` is None, whatever the buffer holds. What lies
    between two blocks is 0 in both, and stays so.
    """

    def __init__(self, blocks: Sequence[Mapping[str, Tensor]]) -> None:
        """Of copies of the tensors, in this order; those of a block lie tight."""
        self._places: dict[str, slice] = {}
        self.blocks: list[slice] = []
        """Where each block lies."""
        end = 0
        for block in blocks:
            first = end = -(-end // ALIGNED) * ALIGNED
            for name, tensor in block.items():
                self._places[name] = slice(end, end := end + tensor.numel())
            self.blocks.append(slice(first, end))
        given = {name: tensor for block in blocks for name, tensor in block.items()}
        device = next((tensor.device for tensor in given.values()), torch.device("cpu"))
        self.buffer = torch.zeros(end, device=device)
        self._shapes = {name: tensor.shape for name, tensor in given.items()}
        self.tensors = self.views(self.buffer)
        """By name; leaves, which may have a gradient."""
        for name, tensor in self.tensors.items():
            tensor.copy_(given[name].detach())
            tensor.requires_grad_(True)
        self._gradients: Tensor | None = None

    def views(self, buffer: Tensor) -> dict[str, Tensor]:
        """Of a buffer that is as long as this one, the numbers of each tensor in its shape."""
        return {
            name: buffer[place].view(self._shapes[name]) for name, place in self._places.items()
        }

    def give(self, name: str, gradient: Tensor | None) -> None:
        """Adds to the gradient of a tensor; None stands for zeros."""
        tensor = self.tensors[name]
        if tensor.grad is None:
            if self._gradients is None:
                self._gradients = torch.zeros_like(self.buffer)
            place = self._gradients[self._places[name]].view(tensor.shape)
            tensor.grad = place.zero_() if gradient is None else place.copy_(gradient)
        elif gradient is not None:
            tensor.grad += gradient

    def clear(self) -> None:
        """No gradients."""
        for tensor in self.tensors.values():
            tensor.grad = None

    @property
    def with_gradient(self) -> list[str]:
        """Names of those that have one."""
        return [name for name, tensor in self.tensors.items() if tensor.grad is not None]

    def gradients(self) -> list[Tensor]:
        """Of all tensors that have one, neighbours as one, [n] each."""
        return [self.gradient(run) for run in self.runs(self.with_gradient)]

    def gradient(self, run: slice) -> Tensor:
        """Of the tensors of a run, which have one, [n]."""
        assert self._gradients is not None
        return self._gradients[run]

    def runs(self, names: Collection[str]) -> list[slice]:
        """Where these tensors lie, from the first one to the last one of neighbours."""
        wanted, found = set(names), list[slice]()
        begun: int | None = None
        end = 0
        for name, place in self._places.items():
            if name in wanted:
                begun = place.start if begun is None else begun
                end = place.stop
            elif begun is not None:
                found.append(slice(begun, end))
                begun = None
        return found if begun is None else [*found, slice(begun, end)]
