"""Parameters in float32 behind a model that computes in bfloat16 (Micikevicius et al. 2018,
"Mixed precision training", §3.1, with bfloat16 and so without a scale of the loss)."""

from __future__ import annotations

import torch
from torch import Tensor

from nlpcli.models.bert import Named


class MasterWeights:
    """By name, what an optimizer moves, float32; a model of that precision shares its memory."""

    def __init__(self, model: Named, precision: torch.dtype) -> None:
        """The model computes in ``precision`` from now on."""
        self._parts = list(model.all_parts())
        exact = {part.name: part.view.float() for part in self._parts}
        model.to(precision)
        self._live = self._parts
        self._shared = precision == torch.float32
        self.tensors: dict[str, Tensor] = {}
        for part in self._parts:
            found = part.view if self._shared else exact[part.name]
            self.tensors[part.name] = found.requires_grad_(True)

    def collect(self, without: str | None = None) -> None:
        """Adds what backward left in the model to the gradients here, and clears it there; what
        the parameter named ``without`` has stays where it is."""
        for part in self._live:
            master, gradient = self.tensors[part.name], part.gradient
            if gradient is None or part.name == without:
                continue
            if master.grad is None:
                master.grad = gradient.float() if gradient.dtype != torch.float32 else gradient
            else:
                master.grad += gradient
        for part in self._live:
            if part.name != without:
                part.parameter.grad = None

    def freeze(self, names: set[str]) -> None:
        """Those stay as they are: they ask for no gradient, and steps need not hand them down."""
        self._live = [part for part in self._parts if part.name not in names]
        for part in self._parts:
            if part.name in names:
                part.parameter.requires_grad_(False)

    @property
    def n_numbers(self) -> int:
        """Of all parameters."""
        return sum(tensor.numel() for tensor in self.tensors.values())

    def gradients(self) -> list[Tensor]:
        """Of all parameters that have one."""
        return [t.grad for t in self.tensors.values() if t.grad is not None]

    def clear(self) -> None:
        """No gradients."""
        for tensor in self.tensors.values():
            tensor.grad = None

    @torch.no_grad()
    def hand_down(self, without: str | None = None, *, frozen: bool = False) -> None:
        """The model's parameters become these, rounded, but for the one named ``without`` and,
        unless they are asked for, those that are ``frozen``."""
        if not self._shared:
            for part in self._parts if frozen else self._live:
                if part.name != without:
                    part.view.copy_(self.tensors[part.name])
