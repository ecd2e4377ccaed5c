"""What every benchmark shares: running whole processes, their peak memory, and the result file."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("NLPCLI_DATA", ROOT.parent / "shared" / "data"))
NLPCLI = [str(Path(sys.executable).parent / "nlpcli")]


@dataclass(frozen=True)
class Run:
    """One finished process: seconds, peak resident memory in MB, what it printed."""

    seconds: float
    peak_mb: float
    stdout: str


def run(command: list[str], *, stdin: Path | None = None) -> Run:
    """Runs a command to its end and keeps what it prints; fails loudly when it fails."""
    begun = time.perf_counter()
    with open(stdin or os.devnull, "rb") as source:
        done = subprocess.run(command, stdin=source, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr[-2000:]}")
    return Run(time.perf_counter() - begun, 0.0, done.stdout)


def run_measured(
    command: list[str], *, stdin: Path | None = None, stdout: Path | None = None
) -> Run:
    """Like ``run``, with the process's own peak memory."""
    begun = time.perf_counter()
    source = os.open(stdin or os.devnull, os.O_RDONLY)
    sink = os.open(stdout or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    pid = os.fork()
    if pid == 0:
        os.dup2(source, 0)
        os.dup2(sink, 1)
        os.execvp(command[0], command)
    os.close(source)
    os.close(sink)
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)}: status {status}")
    return Run(time.perf_counter() - begun, usage.ru_maxrss / 1024, "")


def machine() -> dict[str, Any]:
    """Where a figure was measured."""
    commit = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True
    ).stdout.strip()
    return {
        "date": time.strftime("%Y-%m-%d"),
        "commit": commit,
        "cores": os.cpu_count(),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "torch", "scipy", "scikit-learn", "typer")},
    }


def write_result(name: str, document: dict[str, Any]) -> None:
    """Writes benchmarks/results/NAME.json."""
    path = ROOT / "benchmarks" / "results" / f"{name}.json"
    path.write_text(json.dumps({"machine": machine(), **document}, indent=1, sort_keys=True) + "\n")
    print(f"wrote {path.relative_to(ROOT)}")


def read_result(name: str) -> dict[str, Any]:
    """benchmarks/results/NAME.json; empty where nothing was measured yet."""
    path = ROOT / "benchmarks" / "results" / f"{name}.json"
    if not path.exists():
        return {}
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document
