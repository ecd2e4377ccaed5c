"""AdamW, and Muon for the matrices within an encoder.

Not by torch.optim's classes: making one imports torch's compiler, which takes longer than many a
run of a small encoder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.optim.adamw import adamw

from nlpcli.training.muon import move_matrix

BETAS, EPSILON = (0.9, 0.98), 1e-8
"""The decays of Liu et al. 2019 ("RoBERTa", table 9). Their epsilon, 1e-6, holds AdamW on the
plateau of the frequencies of pieces: measured in benchmarks/LOG.md."""
MOMENTUM = 0.95
_MEAN, _SQUARE, _STEP, _MOMENTUM = "exp_avg", "exp_avg_sq", "step", "momentum_buffer"
"""What is remembered of a parameter: the first three by AdamW, the last by Muon."""


class Recipe(Protocol):
    """How parameters are moved: ``adamw`` or ``muon``, the rate, and the decay of matrices."""

    @property
    def optimizer(self) -> str:
        """adamw or muon."""

    @property
    def lr(self) -> float:
        """The highest one."""

    @property
    def weight_decay(self) -> float:
        """Of matrices."""


@dataclass(frozen=True)
class _Way:
    """How some parameters are moved; ``scale`` of the rate."""

    muon: bool
    scale: float
    decay: float


class EncoderOptimizer:
    """Moves parameters by name. AdamW (Loshchilov & Hutter 2019), no decay of biases and norms.

    ``muon``: the matrices of the layers by Muon instead (Jordan et al. 2024), with its steps
    scaled to AdamW's size (Liu et al. 2025, "Muon is scalable", §2.2), so that one rate serves.
    """

    def __init__(
        self, tensors: dict[str, Tensor], config: Recipe,
        scale: Callable[[str], float] = lambda name: 1.0,
    ) -> None:  # fmt: skip
        """``scale``: of the learning rate, by the name of a parameter."""
        self._tensors = tensors
        self._ways: dict[str, _Way] = {}
        self._memory: dict[str, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            inside = name.startswith("encoder.layer.") and tensor.ndim == 2
            by_muon = config.optimizer == "muon" and inside
            decay = config.weight_decay if tensor.ndim == 2 else 0.0
            self._ways[name] = _Way(by_muon, 1.0 if by_muon else scale(name), decay)

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Moves all parameters along their gradients, those that have one."""
        groups: dict[_Way, list[str]] = {}
        for name, tensor in self._tensors.items():
            if tensor.grad is not None:
                groups.setdefault(self._ways[name], []).append(name)
        for way, names in groups.items():
            move = self._by_muon if way.muon else self._by_adamw
            move(names, rate * way.scale, way.decay)

    def _remembered(self, name: str) -> dict[str, Tensor]:
        """Of a parameter; zeros at first."""
        if name not in self._memory:
            tensor = self._tensors[name]
            parts = {part: torch.zeros_like(tensor) for part in self._parts(name) - {_STEP}}
            if _STEP in self._parts(name):
                parts[_STEP] = torch.zeros((), dtype=torch.float32, device=tensor.device)
            self._memory[name] = parts
        return self._memory[name]

    def _parts(self, name: str) -> set[str]:
        return {_MOMENTUM} if self._ways[name].muon else {_STEP, _MEAN, _SQUARE}

    def _by_adamw(self, names: list[str], rate: float, decay: float) -> None:
        held, memory = self._with_gradients(names), [self._remembered(name) for name in names]
        adamw(
            [tensor for tensor, _ in held], [gradient for _, gradient in held],
            [parts[_MEAN] for parts in memory], [parts[_SQUARE] for parts in memory], [],
            [parts[_STEP] for parts in memory], fused=True, amsgrad=False, beta1=BETAS[0],
            beta2=BETAS[1], lr=rate, weight_decay=decay, eps=EPSILON, maximize=False,
        )  # fmt: skip

    def _by_muon(self, names: list[str], rate: float, decay: float) -> None:
        for name, (tensor, gradient) in zip(names, self._with_gradients(names), strict=True):
            buffer = self._remembered(name)[_MOMENTUM]
            move_matrix(tensor, gradient, buffer, rate, momentum=MOMENTUM, weight_decay=decay)

    def _with_gradients(self, names: list[str]) -> list[tuple[Tensor, Tensor]]:
        tensors = [self._tensors[name] for name in names]
        return [(tensor, tensor.grad) for tensor in tensors if tensor.grad is not None]

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """All that ``load`` needs, as arrays; none before the first step."""
        return {
            f"{name}:{part}": value.cpu().numpy()
            for name, parts in self._memory.items()
            for part, value in parts.items()
        }

    def load(self, arrays: dict[str, npt.NDArray[Any]]) -> None:
        """Goes on from a state. Raises ValueError for one that does not fit."""
        memory: dict[str, dict[str, Tensor]] = {}
        for full, array in arrays.items():
            name, _, part = full.rpartition(":")
            tensor = self._tensors.get(name)
            if tensor is None or array.shape != (() if part == _STEP else tuple(tensor.shape)):
                raise ValueError(f"{full} does not fit")
            value = torch.from_numpy(np.array(array)).to(tensor.device)
            memory.setdefault(name, {})[part] = value
        for name, parts in memory.items():
            if set(parts) != self._parts(name):
                raise ValueError(f"{name}: {sorted(parts)}, wanted {sorted(self._parts(name))}")
        self._memory = memory
