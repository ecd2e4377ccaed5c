"""Which numbers a model computes with, and how fast this machine multiplies them."""

from __future__ import annotations

import time

import torch

from nlpcli.errors import Unavailable

_SIDE, _TRIES = 1024, 12
_WIDE = 4096
"""Of matrices on a GPU."""


def has_fast_bf16(device: torch.device) -> bool:
    """Whether bfloat16 products are faster than float32 ones there."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu" or not hasattr(torch.cpu, "get_capabilities"):
        return False
    found = torch.cpu.get_capabilities()
    return bool(found.get("amx_bf16") or found.get("avx512_bf16"))


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """``auto`` takes bf16 where it is fast. Raises Unavailable for bf16 where it is not had."""
    if name == "fp32" or (name == "auto" and not has_fast_bf16(device)):
        return torch.float32
    if device.type == "mps":
        raise Unavailable("--precision bf16: not on mps", hint="--precision fp32")
    return torch.bfloat16


def matmul_peak(device: torch.device, precision: torch.dtype) -> float:
    """FLOP/s of the best of a few products of square matrices."""
    side = _WIDE if device.type == "cuda" else _SIDE
    left = torch.ones(side, side, dtype=precision, device=device)
    best = float("inf")
    for _ in range(_TRIES):
        begun = time.perf_counter()
        torch.mm(left, left)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - begun)
    return float(2 * side**3 / best)
