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


def free_memory() -> int | None:
    """Bytes of main memory that this process may still take; None where it cannot be told."""
    limits = [_meminfo("MemAvailable"), _cgroup_room()]
    found = [limit for limit in limits if limit is not None]
    return min(found) if found else None


def _meminfo(key: str) -> int | None:
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            sizes = [line.split()[1] for line in lines if line.startswith(f"{key}:")]
        return int(sizes[0]) * 1024
    except (OSError, ValueError, IndexError):
        return None


def _cgroup_room() -> int | None:
    """What a container's limit leaves; cached files make room when it is needed."""
    folder = "/sys/fs/cgroup"
    try:
        with open(f"{folder}/memory.max", encoding="ascii") as limit:
            most = int(limit.read())
        with open(f"{folder}/memory.current", encoding="ascii") as current:
            used = int(current.read())
        with open(f"{folder}/memory.stat", encoding="ascii") as stat:
            cached = [int(line.split()[1]) for line in stat if line.startswith("inactive_file ")]
    except (OSError, ValueError):
        return None
    return most - used + sum(cached)
