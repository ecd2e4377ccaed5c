"""Time and accuracy of each loss of train-fasttext: 736 labels of cooking, 100,000 made-up ones.

    python benchmarks/losses.py [cooking] [synthetic]

The fastText program at its own losses, dimension and epochs beside it; its softmax and
one-vs-all over 100,000 labels were not run. Whole processes that train and save, two threads.
"""

from __future__ import annotations

import csv
import json
import random
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from accuracy import TASKS, fasttext_lines, files, write
from measure import NLPCLI, ROOT, run, write_result

N_LABELS, N_ROWS, N_TEST = 100_000, 200_000, 5_000
COOKING = {
    "squared-hinge": [], "softmax": ["--dim", "100"], "one-vs-all": ["--dim", "100"],
    "hs": [], "ns": [], "adaptive": [],
}  # fmt: skip
SYNTHETIC = {
    "hs": [], "ns": [], "adaptive": [],
    "softmax, one pass": ["--dim", "100", "--epochs", "1"],
}  # fmt: skip
"""All labels in each step take minutes a pass."""


def synthetic(work: Path) -> tuple[Path, Path]:
    """Rows of 100,000 labels, each seen once, the others as Zipf: three of the label's six words
    out of 20,000, and five that say nothing."""
    rng = random.Random(1)
    signature = [[f"w{rng.randrange(20_000)}" for _ in range(6)] for _ in range(N_LABELS)]
    weights = [1 / (rank + 1) for rank in range(N_LABELS)]
    noise = [1 / (rank + 1) for rank in range(5_000)]

    def row(label: int) -> dict[str, str]:
        words = rng.sample(signature[label], 3)
        words += [f"n{x}" for x in rng.choices(range(5_000), noise, k=5)]
        rng.shuffle(words)
        return {"text": " ".join(words), "label": f"l{label}"}

    more = rng.choices(range(N_LABELS), weights, k=N_ROWS - N_LABELS)
    train = [row(label) for label in [*range(N_LABELS), *more]]
    rng.shuffle(train)
    test = [row(label) for label in rng.choices(range(N_LABELS), weights, k=N_TEST)]
    return write(work / "many_train.csv", train), write(work / "many_test.csv", test)


def ours(train: Path, test: Path, work: Path, options: list[str], columns: list[str]) -> Any:
    """Precision at 1 (which is accuracy where a row has one label), and seconds."""
    command = [*NLPCLI, "train-fasttext", str(train), "-o", str(work / "m"), "--force", "-q",
               "--json", "--threads", "2", *columns, *options]  # fmt: skip
    trained = run(command)
    report = json.loads(trained.stdout)
    extra = ["--threshold", "0", "--top-k", "2"] if columns else []
    done = run([*NLPCLI, "predict", "-m", str(work / "m"), str(test), *extra])
    rows = list(csv.DictReader(done.stdout.splitlines()))
    name, given = ("labels", "predicted_labels") if columns else ("label", "predicted_label")
    hits = [row[given].split(";")[0] in row[name].split(";") for row in rows if row[name]]
    return {
        "value": round(sum(hits) / len(hits), 4), "seconds": round(trained.seconds, 2),
        "train_stage_seconds": report["stage_seconds"]["train"],
        "predict_rows_per_second": round(len(rows) / done.seconds),
    }  # fmt: skip


def peer(lines: tuple[Path, Path], work: Path, setting: str) -> dict[str, Any]:
    """The fastText program."""
    trained = run(
        ["fasttext", "supervised", "-input", str(lines[0]), "-output", str(work / "ft"),
         "-lr", "0.5", "-bucket", "200000", "-thread", "2", "-dim", "100", *setting.split()]
    )  # fmt: skip
    tested = run(["fasttext", "test", str(work / "ft.bin"), str(lines[1])])
    found = re.search(r"P@1\s+([0-9.]+)", tested.stdout)
    return {"value": float(found[1]) if found else 0.0, "seconds": round(trained.seconds, 2),
            "setting": setting}  # fmt: skip


def cooking(work: Path) -> dict[str, Any]:
    """736 labels, several a row."""
    train, test = files("cooking", TASKS["cooking"], work)
    columns = ["--label-column", "labels", "--label-separator", ";"]
    found: dict[str, Any] = {
        f"nlpcli {loss}": ours(train, test, work, ["--loss", loss, *options], columns)
        for loss, options in COOKING.items()
    }
    lines = fasttext_lines(train, work / "c.train", ";"), fasttext_lines(test, work / "c.test", ";")
    for loss in ("softmax", "ova", "hs", "ns"):
        found[f"fastText {loss}"] = peer(lines, work, f"-loss {loss} -epoch 25 -wordNgrams 2")
    return found


def many(work: Path) -> dict[str, Any]:
    """100,000 labels, one a row; word 1-grams and three passes for both."""
    train, test = synthetic(work)
    common = ["--epochs", "3", "--word-ngrams", "1"]
    found: dict[str, Any] = {
        f"nlpcli {loss}": ours(
            train, test, work, ["--loss", loss.partition(",")[0], *common, *options], []
        )
        for loss, options in SYNTHETIC.items()
    }
    lines = (
        fasttext_lines(train, work / "m.train", None),
        fasttext_lines(test, work / "m.test", None),
    )
    for loss in ("hs", "ns"):
        found[f"fastText {loss}"] = peer(lines, work, f"-loss {loss} -epoch 3")
    return found


def main() -> None:
    """Runs the jobs named, or both."""
    jobs = {"cooking": cooking, "synthetic": many}
    path = ROOT / "benchmarks" / "results" / "losses.json"
    found = json.loads(path.read_text())["jobs"] if path.is_file() else {}
    for name in sys.argv[1:] or jobs:
        with tempfile.TemporaryDirectory() as folder:
            found[name] = jobs[name](Path(folder))
        print(name, json.dumps(found[name], indent=1), flush=True)
    write_result("losses", {"jobs": found})


if __name__ == "__main__":
    main()
