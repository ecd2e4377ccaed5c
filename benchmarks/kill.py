"""SIGKILL at random moments of training into a name that has a version.

    python benchmarks/kill.py [KILLS]

After each kill the earlier version must verify and predict the same bytes.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import NLPCLI, ROOT, run, write_result

TRAIN = ROOT / "sample_data" / "reviews_en.csv"
ROWS = ROOT / "sample_data" / "new_messages.csv"


def main() -> None:
    """Kills, checks, counts; a run that finished before its kill is counted apart."""
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    drawn = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        train = [*NLPCLI, "train-fasttext", str(TRAIN), "-o", "night", "-q", "--store", str(store)]
        predict = [*NLPCLI, "predict", "-m", "night@1", str(ROWS), "--store", str(store)]
        length = run(train).seconds
        wanted = run(predict).stdout
        killed = lost = late = 0
        while killed < kills:
            process = subprocess.Popen(train, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            # half of the kills fall into the last third, where files are written
            low = 0.0 if drawn.random() < 0.5 else 0.66
            time.sleep(length * drawn.uniform(low, 1.02))
            process.kill()
            if process.wait() == 0:
                late += 1
                continue
            killed += 1
            verified = subprocess.run(
                [*NLPCLI, "models", "verify", "night@1", "--store", str(store)], capture_output=True
            )
            answer = subprocess.run(predict, capture_output=True, text=True)
            if verified.returncode or answer.returncode or answer.stdout != wanted:
                lost += 1
        after = run(train)
        newest = run([*NLPCLI, "predict", "-m", "night", str(ROWS), "--store", str(store)])
        leftovers = [p.name for p in (store / "night").iterdir() if p.name.startswith(".tmp")]
    result = {
        "kills": killed,
        "models_lost": lost,
        "finished_before_the_kill": late,
        "next_run_publishes": bool(after.stdout.strip()),
        "same_answers_after": newest.stdout == wanted,
        "leftovers": len(leftovers),
    }
    print(result)
    write_result("kill", result)


if __name__ == "__main__":
    main()
