"""Devices and threads."""

from __future__ import annotations

import ctypes
import sys

import torch

from nlpcli.errors import Unavailable, UsageError


def choose_device(name: str) -> torch.device:
    """``auto`` takes a GPU when there is one; a named device that is missing is Unavailable."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"--device {name}: not auto, cpu, cuda, cuda:N or mps") from None
    if device.type == "cuda" and not (
        torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count()
    ):
        raise Unavailable(f"--device {name}: no such GPU here", hint="--device auto")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise Unavailable("--device mps: not available here", hint="--device auto")
    if device.type not in ("cpu", "cuda", "mps"):
        raise UsageError(f"--device {name}: not auto, cpu, cuda, cuda:N or mps")
    return device


def seed_draws(seed: int, device: torch.device) -> None:
    """Of dropout there, from now on. (``torch.manual_seed`` keeps the seed for each kind of device
    that is not there, with a trace of the stack, every time.)"""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed_all(seed)  # the device may be another than the current one
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Of glibc's mallopt(3)."""
_KEPT, _MAPPED = 2**31 - 1, 2**25
"""Bytes that are free at the end of the heap and stay with the process; bytes from which an array
has pages of its own, the most that glibc takes."""


def keep_freed_memory() -> None:
    """Memory of one batch is used for the next instead of going back to the system and coming
    again as empty pages, which takes a fifth of the time of small encoders (benchmarks/LOG.md).
    Nothing where the C library is not glibc."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, _KEPT)
        mallopt(_M_MMAP_THRESHOLD, _MAPPED)


def set_threads(count: int | None) -> int:
    """Sets torch's threads within an operation, and keeps memory that is freed; gives the number
    in force."""
    keep_freed_memory()
    if count is not None:
        torch.set_num_threads(count)
    return torch.get_num_threads()
