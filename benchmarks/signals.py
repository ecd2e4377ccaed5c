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
from collections import Counter
from pathlib import Path

from measure import NLPCLI, run, write_result

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


STARTS = {"read": "reading", "train": "training", "measure": "measuring", "save": "saving"}
"""What -v says when a phase begins."""


def weights(store: Path) -> str:
    """Of the newest version."""
    versions = [p for p in (store / "m").iterdir() if p.name.isdigit()]
    newest = max(versions, key=lambda p: int(p.name))
    return hashlib.sha256((newest / "model.safetensors").read_bytes()).hexdigest()


def one(
    command: list[str], store: Path, phase: str, wait: float, number: int, code: int
) -> dict[str, bool | float]:
    """Starts, signals ``wait`` seconds into the phase, waits for the end."""
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(STARTS[phase]):
            break
    time.sleep(wait)
    early = process.poll() is not None
    begun = time.perf_counter()
    process.send_signal(number)
    try:
        process.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
    return {
        "finished_before": early or process.returncode == 0,
        "right_code": process.returncode == code,
        "seconds": time.perf_counter() - begun,
        # as a state, or, when the signal came a moment later, as the version itself
        "saved": any(list(store.glob(p)) for p in ("m/.state/*.state", "m/1/manifest.json")),
        "leftovers": bool(list(store.glob("m/.tmp-*"))),
    }


def signal_phase(
    command: list[str], store: Path, phase: str, length: float, times: int, wanted: str
) -> dict[str, float]:
    """Signals one phase so often with each signal, at moments drawn from its length."""
    drawn = random.Random(phase)
    tally: Counter[str] = Counter()
    slowest = 0.0
    for number, code in SIGNALS.values():
        done = 0
        while done < times:
            shutil.rmtree(store, ignore_errors=True)
            found = one(command, store, phase, drawn.random() * length, number, code)
            if found["finished_before"]:
                tally["finished_before"] += 1
                if tally["finished_before"] > 5 * times:
                    raise SystemExit(f"{phase}: the runs end before they are signalled")
                continue
            done += 1
            slowest = max(slowest, found["seconds"])
            tally["runs"] += 1
            tally["gone_in_time"] += bool(found["right_code"] and found["seconds"] < 10)
            tally["saved"] += bool(found["saved"])
            tally["leftovers"] += bool(found["leftovers"])
            if found["saved"] and phase != "read" and done % 5 == 0:
                run([*command, "--resume"])
                tally["resumed"] += 1
                tally["resumed_equal"] += weights(store) == wanted
    return {**tally, "slowest_seconds": round(slowest, 2)}


def main() -> None:
    """Each phase in turn; one line a phase."""
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    result: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as where:
        folder = Path(where)
        store = folder / "store"
        train = make_rows(folder / "train.csv", 30_000, 1)
        dev = make_rows(folder / "dev.csv", 30_000, 2)
        command = [*NLPCLI, "train-fasttext", train, "--dev", dev, "-o", "m", "-v", "--epochs", "2",
                   "--threads", "1", "--store", str(store)]  # fmt: skip
        stages = json.loads(run([*command, "--json"]).stdout)["stage_seconds"]
        wanted = weights(store)
        print(f"undisturbed: {stages}")
        for phase in STARTS:
            found = signal_phase(command, store, phase, stages[phase] * 0.9, times, wanted)
            result[phase] = found
            print(phase, found, flush=True)
    write_result("signals", result)


if __name__ == "__main__":
    main()
