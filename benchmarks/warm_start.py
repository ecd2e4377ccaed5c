"""--continue-from against training on everything: accuracy on rows like the old and the new ones.

    python benchmarks/warm_start.py [--dev] [SET ...] [-- OPTIONS of the continued run]

Three nights of data: ``more``: the second half of the rows, drawn at random. ``labels``: the second
part has a quarter of the labels, which the first part lacks, and nothing else. ``drift``: the
second part has all labels, that quarter twice as often as the first part had any. --dev measures on
a fifth of the training rows instead of the test part.
"""

from __future__ import annotations

import csv
import gzip
import json
import random
import sys
import tempfile
from pathlib import Path

from measure import DATA, NLPCLI, run, write_result

csv.field_size_limit(2**30)
SETS = {"news20": ("train.csv.gz", "test.csv.gz"), "debian": ("train.csv.gz", "test.csv.gz"),
        "sst2": ("train.csv", "test.csv")}  # fmt: skip
Row = tuple[str, str]


def read(path: Path) -> list[Row]:
    """Text and label of each row."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", newline="") as stream:
        return [(row["text"], row["label"]) for row in csv.DictReader(stream)]


def write(path: Path, rows: list[Row]) -> str:
    """As CSV."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("text", "label"), *rows])
    return str(path)


def nights(rows: list[Row], kind: str) -> tuple[list[Row], list[Row], set[str]]:
    """Old rows, new rows, and the labels that only the new rows have."""
    if kind == "more":
        return rows[: len(rows) // 2], rows[len(rows) // 2 :], set()
    labels = sorted({label for _, label in rows})
    late = set(labels[:: 4 if len(labels) > 3 else 2])
    old = [row for row in rows if row[1] not in late]
    new = [row for row in rows if row[1] in late]
    if kind == "drift":
        half = len(old) // 4
        old, new = old[half:], new + old[:half]
    return old, new, late


def accuracy(folder: Path, model: str, rows: list[Row]) -> float | None:
    """Of a model in the folder's store on these rows."""
    if not rows:
        return None
    test = write(folder / "test.csv", rows)
    out = run([*NLPCLI, "eval", "-m", model, test, "--json", "--resamples", "10", "--store",
               str(folder / "store"), "-q"]).stdout  # fmt: skip
    return round(json.loads(out)["accuracy"]["value"], 4)


def measure(name: str, kind: str, dev: bool, options: list[str]) -> dict[str, float | None]:
    """Trains on the old rows, on all rows, and on the old rows first and the new ones later."""
    train, test = (read(DATA / name / part) for part in SETS[name])
    random.Random(1).shuffle(train)
    if dev:
        train, test = train[len(train) // 5 :], train[: len(train) // 5]
    old, new, late = nights(train, kind)
    likes_old = [row for row in test if row[1] not in late]
    likes_new = [row for row in test if row[1] in late] if late else []
    with tempfile.TemporaryDirectory() as where:
        folder = Path(where)
        begin = [*NLPCLI, "train-fasttext", "--store", str(folder / "store"), "-q"]
        files = {n: write(folder / f"{n}.csv", r) for n, r in
                 (("old", old), ("all", old + new), ("new", new))}  # fmt: skip
        if len({label for _, label in old}) > 1:
            run([*begin, files["old"], "-o", "old"])
        run([*begin, files["all"], "-o", "all"])
        run([*begin, files["new"], "-o", "warm", "--continue-from", "old", *options])
        result = {"old_rows": len(old), "new_rows": len(new)}
        for model in ("old", "warm", "all"):
            result[f"{model}_on_old"] = accuracy(folder, model, likes_old)
            result[f"{model}_on_new"] = accuracy(folder, model, likes_new)
            result[f"{model}_on_both"] = accuracy(folder, model, test)
    return result


def main() -> None:
    """Prints a line a case and writes the result of the test parts."""
    arguments, options = sys.argv[1:], []
    if "--" in arguments:
        at = arguments.index("--")
        arguments, options = arguments[:at], arguments[at + 1 :]
    dev = "--dev" in arguments
    names = [a for a in arguments if a != "--dev"] or list(SETS)
    results: dict[str, dict[str, float | None]] = {}
    for name in names:
        for kind in ("more",) if name == "sst2" else ("more", "labels", "drift"):
            results[f"{name} {kind}"] = found = measure(name, kind, dev, options)
            shown = "  ".join(
                f"{m} {found[f'{m}_on_old']} {found[f'{m}_on_new']} {found[f'{m}_on_both']}"
                for m in ("old", "warm", "all")
            )
            print(f"{name:8} {kind:7} {found['old_rows']:6} + {found['new_rows']:6}  {shown}",
                  flush=True)  # fmt: skip
    if not dev and not options and names == list(SETS):
        write_result("warm_start", results)


if __name__ == "__main__":
    main()
