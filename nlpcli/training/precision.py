"""Which numbers a model computes with, and how fast this machine multiplies them."""

from __future__ import annotations

import time
from typing import TypeVar

import torch
from torch import nn

from nlpcli.errors import Unavailable
from nlpcli.models.int8_linear import has_int8_products
from nlpcli.models.layers import EncoderLayer

M = TypeVar("M", bound=nn.Module)
INT8 = "int8"
_INT8_UNITS = ("avx512_vnni", "avx_vnni", "amx_int8")
"""Of processors, as torch names them; without them sums of two products overflow, or are slow."""

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


def has_fast_int8(device: torch.device) -> bool:
    """Whether products of 8-bit integers are to be had there, and faster than others."""
    if device.type != "cpu" or not hasattr(torch.cpu, "get_capabilities"):
        return False
    found = torch.cpu.get_capabilities()
    return any(found.get(name) for name in _INT8_UNITS) and has_int8_products()


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """``auto`` takes bf16 where it is fast, and so does int8, which is of an encoder's products
    alone, for all else. Raises Unavailable for bf16 or int8 where it is not had."""
    if name == INT8 and not has_fast_int8(device):
        raise Unavailable(
            f"--precision int8: no fast products of bytes on this {device.type}",
            hint="--precision auto",
        )
    if name == "fp32" or (name in ("auto", INT8) and not has_fast_bf16(device)):
        return torch.float32
    if device.type == "mps":
        raise Unavailable("--precision bf16: not on mps", hint="--precision fp32")
    return torch.bfloat16


def prepared(model: M, name: str, device: torch.device) -> M:
    """``model``, ready to answer: on the device and in the precision of that name. Raises
    Unavailable."""
    precision = choose_precision(name, device)
    if name == INT8:
        quantise(model)
    return model.to(device, precision).eval()


def quantise(model: nn.Module) -> None:
    """The products of its encoder become those of 8-bit integers."""
    for module in list(model.modules()):
        if isinstance(module, EncoderLayer):
            module.quantise()


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
