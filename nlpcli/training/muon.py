"""Muon (Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks")."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of Jordan's polynomial, steepest at 0: five rounds bring singular values to between 0.7 and
1.2."""
_ROUNDS = 5
_LEAST_NORM = 1e-7
_RMS = 0.2
"""Of a step of AdamW (Liu et al. 2025, "Muon is scalable for LLM training", §2.2)."""


def orthogonalized(matrix: Tensor) -> Tensor:
    """U V^T of the matrix' singular value decomposition, roughly, [N, M], bfloat16: by a
    Newton-Schulz iteration."""
    a, b, c = _COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.bfloat16()
    x = x.T if tall else x
    x = x / x.norm().clamp(min=_LEAST_NORM)  # no singular value above 1
    for _ in range(_ROUNDS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x


def move_matrix(
    weight: Tensor, gradient: Tensor, buffer: Tensor, rate: float, *, momentum: float,
    weight_decay: float,
) -> None:  # fmt: skip
    """One step, in place, with Nesterov's momentum in ``buffer``; all [N, M]. The step is as large
    as AdamW's at the same rate."""
    buffer.lerp_(gradient, 1 - momentum)
    step = orthogonalized(gradient.lerp(buffer, momentum))
    weight.mul_(1 - rate * weight_decay)
    weight.add_(step, alpha=-rate * _RMS * math.sqrt(max(weight.shape)))
