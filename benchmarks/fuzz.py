"""Random mutations of good inputs to the readers of configuration, rows and manifests.

    python benchmarks/fuzz.py [INPUTS]

Two processes, each with a seed of its own. Writes benchmarks/results/fuzz.json.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from measure import ROOT, write_result

sys.path.insert(0, str(ROOT))

from tests.faults.fuzzing import fuzz

PROCESSES = 2


def part(seed: int, inputs: int) -> tuple[dict[str, int], list[str]]:
    """One process's share, and what went wrong in it."""
    problems: list[str] = []
    return fuzz(seed, inputs, problems), problems


def main() -> None:
    """Splits the inputs, adds up the counts."""
    inputs = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    begun = time.perf_counter()
    with ProcessPoolExecutor(PROCESSES) as pool:
        seeds = range(1, PROCESSES + 1)
        shares = [inputs // PROCESSES + (i < inputs % PROCESSES) for i in range(PROCESSES)]
        parts = list(pool.map(part, seeds, shares))
    total: dict[str, Any] = {key: sum(counts[key] for counts, _ in parts) for key in parts[0][0]}
    total["problems"] = [problem for _, problems in parts for problem in problems][:20]
    total["seconds"] = round(time.perf_counter() - begun, 1)
    print(total)
    write_result("fuzz", total)


if __name__ == "__main__":
    main()
