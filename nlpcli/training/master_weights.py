"""Parameters in float32 behind a model that computes in bfloat16 (Micikevicius et al. 2018,
"Mixed precision training", §3.1, with bfloat16 and so without a scale of the loss)."""

from __future__ import annotations

from collections.abc import Set

import torch
from torch import Tensor

from nlpcli.models.bert import Named, Part
from nlpcli.training.flat_parameters import FlatParameters

NOTHING: Set[str] = frozenset()


class MasterWeights:
    """By name, what an optimizer moves, float32; a model of that precision shares its memory.

    Those that move lie behind each other in ``moving``, and so do the model's own: matrices first,
    as all but they have no decay. Those that are ``frozen`` stay as they are and ask for no
    gradient. The parameter named ``apart`` is moved by someone else, and so are its gradients.
    """

    def __init__(
        self, model: Named, precision: torch.dtype, *, frozen: Set[str] = NOTHING,
        apart: str | None = None,
    ) -> None:  # fmt: skip
        """The model computes in ``precision`` from now on."""
        self._parts = list(model.all_parts())
        exact = {part.name: part.view.float() for part in self._parts}
        model.to(precision)
        self._shared = precision == torch.float32
        self._still = [part for part in self._parts if part.name in frozen or part.name == apart]
        aside = {part.name for part in self._still}
        self._live = [part for part in self._parts if part.name not in aside]
        blocks = _blocks(self._live)
        self.moving = FlatParameters([{p.name: exact[p.name] for p in block} for block in blocks])
        self._below = self.moving.buffer.detach().to(precision)  # the same one in float32
        for block, place in zip(blocks, self.moving.blocks, strict=True):
            parameter = block[0].parameter
            parameter.data = self._below[place].view(parameter.shape)
        for part in self._still:
            part.parameter.requires_grad_(part.name not in frozen)
            held = part.view if self._shared else exact[part.name]
            exact[part.name] = held.requires_grad_(True)
        self.tensors = {
            part.name: self.moving.tensors.get(part.name, exact[part.name]) for part in self._parts
        }

    def collect(self) -> None:
        """Adds what backward left in the model to the gradients here, and clears it there."""
        for part in self._live:
            if (gradient := part.gradient) is not None:
                self.moving.give(part.name, gradient)
        for part in self._live:
            part.parameter.grad = None

    @property
    def n_numbers(self) -> int:
        """Of all parameters."""
        return sum(tensor.numel() for tensor in self.tensors.values())

    def gradients(self) -> list[Tensor]:
        """Of all parameters that have one, [n] each, of several in one."""
        return self.moving.gradients()

    def clear(self) -> None:
        """No gradients."""
        self.moving.clear()

    @torch.no_grad()
    def hand_down(self, *, everything: bool = False) -> None:
        """The model's parameters become these, rounded: those that move, or all of them."""
        if self._shared:
            return
        self._below.copy_(self.moving.buffer)
        if everything:
            for part in self._still:
                part.view.copy_(self.tensors[part.name])


def _blocks(parts: list[Part]) -> list[list[Part]]:
    """The parts of each parameter, matrices first."""
    blocks: dict[int, list[Part]] = {}
    for part in parts:
        blocks.setdefault(id(part.parameter), []).append(part)
    return sorted(blocks.values(), key=lambda block: block[0].parameter.ndim != 2)
