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

from nlpcli.training.flat_parameters import FlatParameters
from nlpcli.training.muon import move_matrix

BETAS, EPSILON = (0.9, 0.98), 1e-8
"""The decays of Liu et al. 2019 ("RoBERTa", table 9). Their epsilon, 1e-6, holds AdamW on the
plateau of the frequencies of pieces: measured in benchmarks/LOG.md."""
MOMENTUM = 0.95
_MEAN, _SQUARE, _STEP, _MOMENTUM = "exp_avg", "exp_avg_sq", "step", "momentum_buffer"
"""What is kept of a parameter: the first three of AdamW, the last of Muon."""


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


def norm_of(gradients: list[Tensor]) -> float:
    """Of all of them as one vector. (torch's own norm of a vector is found by one thread.)"""
    squares = [torch.dot(flat, flat) for flat in (g.reshape(-1) for g in gradients)]
    return float(torch.stack(squares).sum().sqrt()) if squares else 0.0


def clip(gradients: list[Tensor], norm: float, limit: float) -> None:
    """Makes gradients of that norm in all no longer than ``limit`` (Pascanu et al. 2013, "On the
    difficulty of training recurrent neural networks", §3.2)."""
    shrink = limit / (norm + 1e-6)
    if shrink < 1:
        for gradient in gradients:
            gradient.mul_(shrink)


class EncoderOptimizer:
    """Moves parameters by name. AdamW (Loshchilov & Hutter 2019), no decay of biases and norms.

    ``muon``: the matrices of the layers by Muon instead (Jordan et al. 2024), with its steps
    scaled to AdamW's size (Liu et al. 2025, "Muon is scalable", §2.2), so that one rate serves.
    """

    def __init__(
        self, parameters: FlatParameters, config: Recipe,
        scale: Callable[[str], float] = lambda name: 1.0,
    ) -> None:  # fmt: skip
        """``scale``: of the learning rate, by the name of a parameter."""
        self._parameters = parameters
        self._ways: dict[str, _Way] = {}
        self._steps: dict[str, int] = {}
        """Of those that AdamW has moved."""
        self._means, self._squares = torch.empty(0), torch.empty(0)
        """Behind each other as the parameters, once AdamW has moved any."""
        self._momenta: dict[str, Tensor] = {}
        """Of those that Muon has moved."""
        for name, tensor in parameters.tensors.items():
            inside = name.startswith("encoder.layer.") and tensor.ndim == 2
            by_muon = config.optimizer == "muon" and inside
            decay = config.weight_decay if tensor.ndim == 2 else 0.0
            self._ways[name] = _Way(by_muon, 1.0 if by_muon else scale(name), decay)

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Moves all parameters along their gradients, those that have one."""
        groups: dict[tuple[_Way, int], list[str]] = {}
        for name in self._parameters.with_gradient:
            key = self._ways[name], self._steps.get(name, 0)
            groups.setdefault(key, []).append(name)
        for (way, steps), names in groups.items():
            if way.muon:
                self._by_muon(names, rate * way.scale, way.decay)
            else:
                self._by_adamw(names, steps, rate * way.scale, way.decay)

    def _by_adamw(self, names: list[str], steps: int, rate: float, decay: float) -> None:
        """Those that were moved ``steps`` times, neighbours at once."""
        self._remember()
        held, runs = self._parameters, self._parameters.runs(names)
        adamw(
            [held.buffer[run] for run in runs], [held.gradient(run) for run in runs],
            [self._means[run] for run in runs], [self._squares[run] for run in runs], [],
            [torch.tensor(float(steps), device=held.buffer.device) for _ in runs], fused=True,
            amsgrad=False, beta1=BETAS[0], beta2=BETAS[1], lr=rate, weight_decay=decay,
            eps=EPSILON, maximize=False,
        )  # fmt: skip
        self._steps |= dict.fromkeys(names, steps + 1)

    def _remember(self) -> None:
        """Zeros at first."""
        if not len(self._means):
            self._means = torch.zeros_like(self._parameters.buffer)
            self._squares = torch.zeros_like(self._parameters.buffer)

    def _by_muon(self, names: list[str], rate: float, decay: float) -> None:
        for name in names:
            tensor = self._parameters.tensors[name]
            assert tensor.grad is not None
            if name not in self._momenta:
                self._momenta[name] = torch.zeros_like(tensor)
            buffer = self._momenta[name]
            move_matrix(tensor, tensor.grad, buffer, rate, momentum=MOMENTUM, weight_decay=decay)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """All that ``load`` needs, as arrays; none before the first step."""
        held = {f"{name}:{_MOMENTUM}": buffer for name, buffer in self._momenta.items()}
        for part, buffer in ((_MEAN, self._means), (_SQUARE, self._squares)):
            if self._steps:
                views = self._parameters.views(buffer)
                held |= {f"{name}:{part}": views[name] for name in self._steps}
        held |= {f"{n}:{_STEP}": torch.tensor(float(k)) for n, k in self._steps.items()}
        return {name: value.cpu().numpy() for name, value in held.items()}

    def load(self, arrays: dict[str, npt.NDArray[Any]]) -> None:
        """Goes on from a state. Raises ValueError for one that does not fit."""
        memory: dict[str, dict[str, npt.NDArray[Any]]] = {}
        for full, array in arrays.items():
            name, _, part = full.rpartition(":")
            tensor = self._parameters.tensors.get(name)
            if tensor is None or array.shape != (() if part == _STEP else tuple(tensor.shape)):
                raise ValueError(f"{full} does not fit")
            memory.setdefault(name, {})[part] = array
        for name, parts in memory.items():
            wanted = {_MOMENTUM} if self._ways[name].muon else {_STEP, _MEAN, _SQUARE}
            if set(parts) != wanted:
                raise ValueError(f"{name}: {sorted(parts)}, wanted {sorted(wanted)}")
        self._take(memory)

    def _take(self, memory: dict[str, dict[str, npt.NDArray[Any]]]) -> None:
        self._steps = {n: int(parts[_STEP]) for n, parts in memory.items() if _STEP in parts}
        self._means, self._squares = torch.empty(0), torch.empty(0)
        if self._steps:
            self._remember()
        for part, buffer in ((_MEAN, self._means), (_SQUARE, self._squares)):
            views = self._parameters.views(buffer) if self._steps else {}
            for name in self._steps:
                views[name].copy_(torch.from_numpy(np.array(memory[name][part])))
        device = self._parameters.buffer.device
        self._momenta = {
            name: torch.from_numpy(np.array(parts[_MOMENTUM])).to(device)
            for name, parts in memory.items()
            if _MOMENTUM in parts
        }
