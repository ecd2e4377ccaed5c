"""Kills, failing disks, power cuts, damaged files and races, at length.

    python benchmarks/faults.py [kills] [writes] [power] [corruption] [races]

Each section adds its part to benchmarks/results/faults.json. The short forms of the same loops are
tests/faults; a C compiler is needed.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measure import NLPCLI, ROOT, machine, run, write_result

sys.path.insert(0, str(ROOT))

from tests.faults.failing import FAULTS, fail_each
from tests.faults.injection import Server, build_shim
from tests.faults.killing import every_kill, kill, random_moments
from tests.faults.operations import OPERATIONS, World

RANDOM_KILLS = {"train": 600, "train-states": 550, "train-path": 120, "predict": 300, "prune": 120}
REAL_KILLS = 60


def kills(world: World) -> dict[str, Any]:
    """At every call, before and after it; then at random moments; then of whole processes."""
    found: dict[str, Any] = {}
    for name, operation in OPERATIONS.items():
        found[f"{name}, every call"] = kill(world, operation, every_kill(world, operation))
        print(name, found[f"{name}, every call"], flush=True)
    for name, count in RANDOM_KILLS.items():
        moments = random_moments(1, count, 0.06 if name in ("predict", "prune") else 0.25)
        found[f"{name}, any time"] = kill(world, OPERATIONS[name], moments)
        print(name, found[f"{name}, any time"], flush=True)
    found["train, whole processes"] = real_kills(REAL_KILLS)
    print("whole processes", found["train, whole processes"], flush=True)
    total = sum(part["kills"] for part in found.values())
    lost = [problem for part in found.values() for problem in part["lost"]]
    return {"kills": total, "models_lost": len(lost), "lost": lost, "parts": found}


def real_kills(count: int) -> dict[str, Any]:
    """SIGKILL of the installed program, started afresh, into a name that has a version."""
    drawn = random.Random(1)
    killed = late = 0
    lost: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        rows = str(ROOT / "sample_data" / "new_messages.csv")
        train = [*NLPCLI, "train-fasttext", str(ROOT / "sample_data" / "reviews_en.csv"),
                 "-o", "night", "-q", "--resume", "--store", str(store)]  # fmt: skip
        predict = [*NLPCLI, "predict", "-m", "night@1", rows, "--store", str(store)]
        length = run(train).seconds
        wanted = run(predict).stdout
        while killed < count:
            process = subprocess.Popen(train, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            # half of the kills fall into the last third, where files are written
            low = 0.0 if drawn.random() < 0.5 else 0.66
            time.sleep(length * drawn.uniform(low, 1.02))
            process.kill()
            if process.wait() == 0:
                late += 1
                continue
            killed += 1
            answer = subprocess.run(predict, capture_output=True, text=True)
            if answer.returncode or answer.stdout != wanted:
                lost.append(answer.stderr)
        run(train)
        left = [p.name for p in (store / "night").iterdir() if not p.name.isdigit()]
        lost += [f"left over: {left}"] if left else []
    return {"kills": killed, "finished_before": late, "lost": lost}


def writes(world: World) -> dict[str, Any]:
    """Each call that changes files failed once."""
    found: dict[str, Any] = {}
    for name, operation in OPERATIONS.items():
        for fault in FAULTS:
            part = found[f"{name}, {fault}"] = fail_each(world, operation, fault)
            print(name, fault, part, flush=True)
    wrong = [problem for part in found.values() for problem in part["wrong"]]
    calls = sum(part["calls"] for part in found.values())
    return {"calls_failed": calls, "wrong": wrong, "parts": found}


def power(world: World) -> dict[str, Any]:
    """The power goes after any call, and any part of what is not synced is lost."""
    from tests.faults.powerloss import cut_everywhere

    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        for name, operation in OPERATIONS.items():
            folder = Path(place) / "cut"
            found[name] = cut_everywhere(world, operation, folder, randoms=20, run_every=4)
            print("power", name, found[name], flush=True)
    wrong = [problem for part in found.values() for problem in part["wrong"]]
    states = sum(part["states"] for part in found.values())
    return {"states": states, "wrong": wrong, "parts": found}


def corruption(world: World) -> dict[str, Any]:
    """Files of a model cut and flipped."""
    from tests.faults.corrupting import corrupt

    return dict(corrupt(world.copy() / "plain", cuts=500, flips=10_000, seed=1))


def races(_: World) -> dict[str, Any]:
    """Twenty trainers and twenty readers on one name."""
    from tests.faults.racing import race

    return dict(race(20, 20))


SECTIONS: dict[str, Callable[[World], dict[str, Any]]] = {
    "kills": kills, "writes": writes, "power": power, "corruption": corruption, "races": races,
}  # fmt: skip


def add(name: str, part: dict[str, Any]) -> None:
    """Puts a section in place; the others stay as they are by now."""
    path = ROOT / "benchmarks" / "results" / "faults.json"
    document = json.loads(path.read_text()) if path.exists() else {}
    document.pop("machine", None)
    write_result("faults", {**document, name: part})


def main() -> None:
    """Runs the sections named, or all."""
    with tempfile.TemporaryDirectory() as where:
        shim = build_shim(Path(where))
        if shim is None:
            raise SystemExit("needs a C compiler (cc)")
        server = Server(shim, Path(where) / "scratch")
        world = World(server, Path(where))
        for name in sys.argv[1:] or list(SECTIONS):
            begun = time.perf_counter()
            part = SECTIONS[name](world)
            seconds = round(time.perf_counter() - begun)
            add(name, {**part, "seconds": seconds, "commit": machine()["commit"]})
        server.close()


if __name__ == "__main__":
    main()
