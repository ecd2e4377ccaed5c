"""How much main memory there is for a run."""

from __future__ import annotations


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
