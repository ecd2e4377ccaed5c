"""What a model costs: rows a second, the time of one row, start-up, memory, disk."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nlpcli.runs import cost_probe

MOST_ROWS = 200
"""Rows of the test whose time is taken one by one."""
_WARM = 3
_LIMIT = 600
"""Seconds that a start may take."""


def latency(answer: Callable[[int], object], rows: int) -> dict[str, float]:
    """Milliseconds of one row, asked alone: median and 99th percentile over up to MOST_ROWS rows,
    evenly over the test."""
    chosen = np.unique(np.linspace(0, rows - 1, min(rows, MOST_ROWS)).astype(int)).tolist()
    for row in chosen[:_WARM]:
        answer(row)
    times = []
    for row in chosen:
        begun = time.perf_counter()
        answer(row)
        times.append(1000 * (time.perf_counter() - begun))
    middle, high = np.percentile(times, [50, 99]).tolist()
    return {"latency_p50_ms": round(middle, 4), "latency_p99_ms": round(high, 4)}


def start(arguments: Sequence[str], header: list[str], rows: list[list[str]]) -> dict[str, Any]:
    """Seconds until a fresh ``predict`` has answered its first row, and its peak memory in bytes
    after up to MOST_ROWS rows; both None where it fails. ``arguments``: what follows the command.
    """
    command = [sys.executable, "-P", "-m", "nlpcli", "predict", *arguments]
    asked = {
        "command": command, "first": _csv([header, *rows[:1]]), "rest": _csv(rows[1:MOST_ROWS]),
    }  # fmt: skip
    probe = [sys.executable, "-I", "-S", str(Path(cost_probe.__file__))]
    try:
        done = subprocess.run(
            probe, input=json.dumps(asked) + "\n", capture_output=True, text=True, timeout=_LIMIT
        )
        found = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError, OSError):
        found = {"code": 1}
    if found["code"] != 0:
        return {"startup_seconds": None, "peak_memory_bytes": None}
    return {
        "startup_seconds": round(found["seconds"], 3), "peak_memory_bytes": int(found["peak"])
    }  # fmt: skip


def _csv(rows: list[list[str]]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()


def disk_bytes(path: Path) -> int:
    """Of a file, or of all files of a folder."""
    files = [path] if path.is_file() else [f for f in path.rglob("*") if f.is_file()]
    return sum(file.stat().st_size for file in files)
