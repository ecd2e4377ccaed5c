"""Dropout (Srivastava et al. 2014), with few random numbers on a CPU, where drawing them one by one
takes an eighth of a fine-tuning step (benchmarks/LOG.md)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

LEVELS = 256
"""A byte decides about a number, so the share that is dropped is a multiple of 1/256."""
_LOWEST = -(2**63)


def kept(shape: torch.Size | tuple[int, ...], p: float) -> tuple[Tensor, float]:
    """Which numbers stay, bool of ``shape`` on the CPU, and what they are multiplied by."""
    n = 1
    for size in shape:
        n *= size
    words = torch.empty(-(-n // 8), dtype=torch.int64).random_(_LOWEST, None)
    dropped = min(LEVELS - 1, max(1, round(p * LEVELS)))
    stays = words.view(torch.uint8)[:n] >= dropped
    return stays.view(shape), LEVELS / (LEVELS - dropped)


def dropout(x: Tensor, p: float) -> Tensor:
    """Numbers of ``x`` become 0 with probability ``p``, the others larger by as much; while
    training only."""
    if not p:
        return x
    if x.device.type != "cpu":
        return functional.dropout(x, p)
    stays, scale = kept(x.shape, p)
    return x.masked_fill(~stays, 0) * scale
