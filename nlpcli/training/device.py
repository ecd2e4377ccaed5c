"""Devices and threads."""

from __future__ import annotations

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


def set_threads(count: int | None) -> int:
    """Sets torch's threads within an operation; gives the number in force."""
    if count is not None:
        torch.set_num_threads(count)
    return torch.get_num_threads()
