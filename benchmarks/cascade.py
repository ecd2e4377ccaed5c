"""predict --cascade: what a small model in front of an encoder saves, and what it loses.

    python benchmarks/cascade.py TRAIN TEST --from ENCODER [--dev DEV] [--name NAME]
        [--label-column label] [--losses 0 0.002 0.005 0.01] [--epochs 3] [--rounds 2]
    python benchmarks/cascade.py TRAIN TEST --encoder MODEL --small MODEL --dev DEV ...

TRAIN and TEST: CSV files, packed or not, as they are or in the folder of the data sets. Without
--dev a seeded tenth of TRAIN is kept from both models, and the threshold is chosen on it; the
encoder chooses its epoch on a tenth of the rest. A row of the table: the loss of accuracy that is
allowed on dev; rows a second of whole processes, CSV to CSV, start and all, best of the rounds.
Models that are given must not have learnt from DEV or TEST.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import random
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from measure import DATA, NLPCLI, ROOT, run, run_measured, write_result

csv.field_size_limit(2**30)
Row = tuple[str, str]
CHOSEN = re.compile(r"answers (?:none|([\d.]+)%, from (\S+) on); accuracy ([\d.]+) alone, "
                    r"the encoder ([\d.]+), both ([\d.]+)")  # fmt: skip
BOUND = re.compile(r"with 95 % confidence at most ([\d.]+)")


def read(name: str, label: str) -> list[Row]:
    """Text and label of each row."""
    path = Path(name) if Path(name).is_file() else DATA / name
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", newline="") as stream:
        return [(row["text"], row[label]) for row in csv.DictReader(stream)]


def write(path: Path, rows: list[Row]) -> str:
    """As CSV."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([("text", "label"), *rows])
    return str(path)


def models(options: argparse.Namespace, work: Path, train: str) -> tuple[str, str]:
    """The small model and the encoder, trained unless they are given."""
    small, encoder = options.small, options.encoder
    if small is None:
        small = str(work / "small")
        run([*NLPCLI, "train-fasttext", train, "-o", small, "-q"])
    if encoder is None:
        encoder = str(work / "encoder")
        run([*NLPCLI, "finetune", train, "--from", options.base, "-o", encoder, "--epochs",
             str(options.epochs), "-q"])  # fmt: skip
    return small, encoder


def threshold(command: list[str], small: str, dev: str, loss: float, work: Path) -> dict[str, Any]:
    """What predict says that it chose on the dev rows, asked with one row to answer."""
    one = work / "one.csv"
    one.write_text("text\nanything\n", encoding="utf-8")
    done = subprocess.run(
        [*command, str(one), "--cascade", small, "--cascade-dev", dev, "--cascade-loss", str(loss)],
        capture_output=True, text=True,
    )  # fmt: skip
    told = CHOSEN.search(done.stderr)
    if done.returncode or told is None:
        raise SystemExit(done.stderr[-2000:])
    share, above, *accuracies = told.groups()
    bound = BOUND.search(done.stderr)
    return {
        "above": None if above is None else float(above),
        "dev_share": 0.0 if share is None else float(share) / 100,
        **dict(zip(("dev_small", "dev_encoder", "dev_both"), map(float, accuracies), strict=True)),
        "dev_most_points_lost": None if bound is None else float(bound.group(1)),
    }


def measure(
    command: list[str], test: str, labels: list[str], out: Path, rounds: int
) -> dict[str, Any]:
    """Rows a second, peak memory and accuracy of one way to answer the test rows."""
    runs = [run_measured([*command, test, "-q"], stdout=out) for _ in range(rounds)]
    with out.open(encoding="utf-8", newline="") as stream:
        found = list(csv.DictReader(stream))
    right = [row["predicted_label"] == label for row, label in zip(found, labels, strict=True)]
    by = [row["predicted_by"] == "small" for row in found if "predicted_by" in row]
    return {
        "rows_per_second": round(len(labels) / min(each.seconds for each in runs)),
        "peak_mb": round(max(each.peak_mb for each in runs)),
        "accuracy": round(sum(right) / len(right), 4),
        "small_share": round(sum(by) / len(by), 4) if by else None,
    }


def show(rows: dict[str, dict[str, Any]]) -> None:
    """The table for people."""
    print(f"{'what':24} {'from':>9} {'by small':>8} {'rows/s':>8} {'MB':>6} {'accuracy':>8}")
    for name, row in rows.items():
        above = row.get("above")
        share = row["small_share"]
        print(
            f"{name:24} {'' if above is None else above:>9} "
            f"{'' if share is None else f'{share:.1%}':>8} {row['rows_per_second']:>8,} "
            f"{row['peak_mb']:>6,} {row['accuracy']:>8.4f}"
        )


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("train")
    parser.add_argument("test")
    parser.add_argument("--from", dest="base")
    parser.add_argument("--encoder")
    parser.add_argument("--small")
    parser.add_argument("--dev")
    parser.add_argument("--name")
    parser.add_argument("--label-column", default="label")
    parser.add_argument("--losses", type=float, nargs="+", default=[0.0, 0.002, 0.005, 0.01])
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    if (options.base is None) == (options.encoder is None):
        parser.error("either --from or --encoder")
    return options


def main() -> None:
    """Prints the table and adds it to the result file, under --name."""
    options = parsed()
    train = read(options.train, options.label_column)
    test = read(options.test, "label")
    random.Random(1).shuffle(train)
    if options.dev is not None:
        dev = read(options.dev, options.label_column)
    else:
        dev, train = train[: len(train) // 10], train[len(train) // 10 :]
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        small, encoder = models(options, work, write(work / "train.csv", train))
        dev_file, test_file = write(work / "dev.csv", dev), write(work / "test.csv", test)
        labels = [label for _, label in test]
        alone = {"the small model": small, "the encoder": encoder}
        rows = {
            name: measure([*NLPCLI, "predict", "-m", model], test_file, labels, work / "out.csv",
                          options.rounds)
            for name, model in alone.items()
        }  # fmt: skip
        command = [*NLPCLI, "predict", "-m", encoder]
        for loss in options.losses:
            told = threshold(command, small, dev_file, loss, work)
            # never: more than any probability, as nothing was chosen
            if told["above"] is None:
                rows[f"both, loss {loss:g}"] = {**rows["the encoder"], **told, "small_share": 0.0}
                continue
            both = [*command, "--cascade", small, "--cascade-above", str(told["above"])]
            found = measure(both, test_file, labels, work / "out.csv", options.rounds)
            rows[f"both, loss {loss:g}"] = {**found, **told}
    show(rows)
    if options.name:
        file = ROOT / "benchmarks" / "results" / "cascade.json"
        sets = json.loads(file.read_text(encoding="utf-8"))["sets"] if file.is_file() else {}
        counts = {"train_rows": len(train), "dev_rows": len(dev), "test_rows": len(test)}
        write_result("cascade", {"sets": {**sets, options.name: {**counts, "rows": rows}}})


if __name__ == "__main__":
    main()
