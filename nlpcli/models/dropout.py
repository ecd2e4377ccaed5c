"""Dropout (Srivastava et al. 2014), with few random numbers on a CPU, where drawing them one by one
takes an eighth of a fine-tuning step (benchmarks/LOG.md)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

LEVELS = 256
"""A byte decides about a number, so the share that is dropped is a multiple of 1/256."""
_LOWEST = -(2**63)


def kept(shape: torch.Size | tuple[int, ...], p: float) -> tuple[Tensor, float]:
    """1 where a number stays and 0 where not, uint8 of ``shape`` on the CPU, and what those that
    stay are multiplied by. No bool, whose products and comparisons take three times as long."""
    n = 1
    for size in shape:
        n *= size
    words = torch.empty(-(-n // 8), dtype=torch.int64).random_(_LOWEST, None)
    dropped = min(LEVELS - 1, max(1, round(p * LEVELS)))
    stays = words.view(torch.uint8)[:n].clamp_(dropped - 1, dropped).sub_(dropped - 1)
    return stays.view(shape), LEVELS / (LEVELS - dropped)


def dropout(x: Tensor, p: float) -> Tensor:
    """Numbers of ``x`` become 0 with probability ``p``, the others larger by as much; while
    training only."""
    if not p:
        return x
    if x.device.type != "cpu":
        return functional.dropout(x, p)
    found: Tensor = _Bytes.apply(x, p)  # type: ignore[no-untyped-call]
    return found


class _Bytes(torch.autograd.Function):
    """Products with bytes, of which autograd itself would make numbers."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, p: float) -> Tensor:
        stays, ctx.scale = kept(x.shape, p)
        ctx.save_for_backward(stays)
        return torch.mul(x, stays).mul_(ctx.scale)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None]:
        (stays,) = ctx.saved_tensors
        return torch.mul(upstream[0], stays).mul_(ctx.scale), None
