"""SIGTERM and SIGINT in each phase of training: saved and gone within 10 s, or not?

    python benchmarks/signals.py [TIMES]

The data is made up, large enough that reading, training, measuring and saving each take a while. A
run that was signalled must exit 143 or 130 within 10 s and leave no temporary file; after training
has begun it must leave a state, which ``--resume`` takes up (a sample of those is finished and must
give the weights of an undisturbed run).
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import NLPCLI, run, write_result

PHASES = ("read", "train", "measure", "save")
SIGNALS = {"TERM": (signal.SIGTERM, 143), "INT": (signal.SIGINT, 130)}


def make_rows(path: Path, n_rows: int, seed: int) -> str:
    """Rows of a hundred labels with words of their own and of all."""
    drawn = random.Random(seed)
    with path.open("w", encoding="utf-8") as out:
        out.write("text,label\n")
        for _ in range(n_rows):
            label = drawn.randrange(100)
            words = [f"w{drawn.randrange(30000)}" for _ in range(8)]
            out.write(f"{' '.join(words)} l{label}x{drawn.randrange(3)},label{label}\n")
    return str(path)


def bounds(report: dict[str, float]) -> dict[str, tuple[float, float]]:
    """When each phase begins and ends, in seconds before the end of the process."""
    late = report["save"]
    found = {"save": (late, 0.0)}
    for phase in ("measure", "train"):
        found[phase] = (late + report[phase], late)
        late += report[phase]
    return found


def weights(store: Path) -> str:
    """Of the newest version."""
    newest = max((p for p in (store / "m").iterdir() if p.name.isdigit()), key=lambda p: int(p.name))
    return hashlib.sha256((newest / "model.safetensors").read_bytes()).hexdigest()


def one(command: list[str], store: Path, at: float, number: int, code: int) -> dict[str, object]:
    """Starts, signals after ``at`` seconds, waits."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(at)
    early = process.poll() is not None
    begun = time.perf_counter()
    process.send_signal(number)
    try:
        found = process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        found = -9
    return {
        "finished_before": early,
        "right_code": found == code,
        "seconds": time.perf_counter() - begun,
        "saved": bool(list(store.glob("m/.state/*.state"))),
        "published": bool(list(store.glob("m/1/manifest.json"))),
        "leftovers": bool(list(store.glob("m/.tmp-*"))),
    }


def main() -> None:
    """Signals each phase so often, at moments drawn from the phase's own length."""
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    drawn = random.Random(1)
    result: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as where:
        folder = Path(where)
        store = folder / "store"
        train = make_rows(folder / "train.csv", 30_000, 1)
        dev = make_rows(folder / "dev.csv", 30_000, 2)
        command = [*NLPCLI, "train-fasttext", train, "--dev", dev, "-o", "m", "-q", "--epochs", "2",
                   "--store", str(store)]  # fmt: skip
        begun = time.perf_counter()
        report = json.loads(run([*command, "--json"]).stdout)
        whole = time.perf_counter() - begun
        wanted, stages = weights(store), report["stage_seconds"]
        print(f"undisturbed: {whole:.1f} s, of it {stages}")
        ends = bounds(stages)
        start = whole - report["seconds"]  # of the interpreter
        for phase in PHASES:
            tally = {"runs": 0, "in_time": 0, "saved": 0, "leftovers": 0, "slowest_seconds": 0.0,
                     "resumed": 0, "resumed_equal": 0, "finished_before": 0}  # fmt: skip
            for name, (number, code) in SIGNALS.items():
                done = 0
                while done < times:
                    shutil.rmtree(store, ignore_errors=True)
                    if phase == "read":
                        at = start + drawn.random() * stages["read"]
                    else:
                        first, last = ends[phase]
                        at = whole - first + drawn.random() * (first - last) * 0.9
                    found = one(command, store, at, number, code)
                    if found["finished_before"] or (found["published"] and not found["saved"]):
                        tally["finished_before"] += 1
                        if tally["finished_before"] > 5 * times:
                            raise SystemExit(f"{phase}: the runs end before they are signalled")
                        continue
                    done += 1
                    tally["runs"] += 1
                    tally["in_time"] += bool(found["right_code"]) and float(found["seconds"]) < 10
                    tally["saved"] += bool(found["saved"])
                    tally["leftovers"] += bool(found["leftovers"])
                    tally["slowest_seconds"] = max(
                        tally["slowest_seconds"], round(float(found["seconds"]), 2)
                    )
                    if found["saved"] and done % 5 == 0:
                        run([*command, "--resume"])
                        tally["resumed"] += 1
                        tally["resumed_equal"] += weights(store) == wanted
            result[phase] = tally
            print(phase, tally, flush=True)
    write_result("signals", result)


if __name__ == "__main__":
    main()
