"""Wrong labels found by doctor, and what predict --select brings.

    python benchmarks/doctor.py [--only doctor|peer|select] [--set trec|sst2] [--seeds N]

agnews_noisy has the labels of people and the official ones: the share of truly wrong labels among
the first suspects, against scikit-learn's usual way (TF-IDF of 1-2-grams, logistic regression,
cross_val_predict, rows of the lowest self-confidence first, which is also cleanlab's default
score). Then 100 rows are labelled at random and five times 100 more, chosen by predict --select or
at random, on trec and sst2: accuracy on the test part, means over seeds.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from measure import DATA, NLPCLI, run, write_result

FIRST = (250, 500, 1000, 2000)
STEP, ROUNDS = 100, 5
SETS = ["trec", "sst2"]
Rows = list[dict[str, str]]


def read(path: Path) -> Rows:
    """All rows of a CSV file."""
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def write(path: Path, rows: Rows, columns: tuple[str, ...] = ("text", "label")) -> Path:
    """Some columns of rows as a CSV file."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


def found(order: list[int], wrong: list[bool]) -> dict[str, float]:
    """Share of truly wrong labels among the first suspects."""
    return {
        str(n): round(sum(wrong[i] for i in order[:n]) / n, 4) for n in FIRST if n <= len(order)
    }


def wrong_labels() -> dict[str, Any]:
    """Of agnews_noisy, by doctor and by the usual way."""
    path = DATA / "agnews_noisy" / "train.csv.gz"
    rows = read(path)
    wrong = [row["label"] != row["true_label"] for row in rows]
    result: dict[str, Any] = {"rows": len(rows), "base": round(sum(wrong) / len(rows), 4)}
    for rounds in (2, 1):
        done = run([*NLPCLI, "doctor", str(path), "-q", "--rounds", str(rounds)])
        lines = list(csv.DictReader(io.StringIO(done.stdout, newline="")))
        judged = [line for line in lines if line["problem"] in ("label", "doubtful")]
        order = [int(line["row"]) - 1 for line in judged]
        likely = [i for i, line in zip(order, judged, strict=True) if line["problem"] == "label"]
        renamed = sum(line["suggested_label"] == rows[i]["true_label"]
                      for i, line in zip(order, judged[:1000], strict=False))  # fmt: skip
        name = "doctor" if rounds == 2 else f"doctor --rounds {rounds}"
        result[name] = {
            "first": found(order, wrong), "suspects": len(order), "seconds": round(done.seconds, 1),
            "likely": len(likely),
            "likely_wrong": round(sum(wrong[i] for i in likely) / max(1, len(likely)), 4),
            "suggested_right_of_first_1000": round(renamed / 1000, 4),
        }  # fmt: skip
    return result


def usual() -> dict[str, Any]:
    """The same by scikit-learn, at the best of three C on the very rows that are counted."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict

    rows = read(DATA / "agnews_noisy" / "train.csv.gz")
    wrong = [row["label"] != row["true_label"] for row in rows]
    begun = time.perf_counter()
    x = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit_transform(
        [row["text"] for row in rows]
    )
    names = sorted({row["label"] for row in rows})
    y = np.array([names.index(row["label"]) for row in rows])
    tried = {}
    for cost in (1, 3, 10):
        model = LogisticRegression(C=cost, max_iter=300)
        p = cross_val_predict(model, x, y, cv=5, method="predict_proba")
        order = np.argsort(p[np.arange(len(y)), y], kind="stable").tolist()
        tried[cost] = found(order, wrong)
    best = max(tried, key=lambda cost: tried[cost]["1000"])
    seconds = (time.perf_counter() - begun) / len(tried)
    return {"first": tried[best], "C": best, "seconds": round(seconds, 1)}


def labelling(work: Path, name: str, seed: int, *, selected: bool) -> list[float]:
    """Accuracy on the test part with 100, 200, … labelled rows."""
    pool = read(DATA / name / "train.csv")
    random.Random(seed).shuffle(pool)
    for number, row in enumerate(pool):
        row["number"] = str(number)
    mine, rest, accuracies = pool[:STEP], pool[STEP:], []
    while True:
        train = write(work / "train.csv", mine)
        run([*NLPCLI, "train-fasttext", str(train), "-o", str(work / "m"), "--force", "-q"])
        test = str(DATA / name / "test.csv")
        done = run([*NLPCLI, "eval", "-m", str(work / "m"), test, "--json", "--resamples", "10"])
        accuracies.append(json.loads(done.stdout)["accuracy"]["value"])
        if len(accuracies) > ROUNDS:
            return accuracies
        if selected:
            file = write(work / "pool.csv", rest, ("number", "text"))
            done = run(
                [*NLPCLI, "predict", "-m", str(work / "m"), str(file), "--select", str(STEP)]
            )
            taken = {row["number"] for row in csv.DictReader(io.StringIO(done.stdout, newline=""))}
        else:
            taken = {row["number"] for row in rest[:STEP]}
        mine = mine + [row for row in rest if row["number"] in taken]
        rest = [row for row in rest if row["number"] not in taken]


def selection(work: Path, seeds: int, sets: list[str]) -> dict[str, Any]:
    """Chosen against random rows."""
    result: dict[str, Any] = {"rows": [STEP * (i + 1) for i in range(ROUNDS + 1)]}
    for name in sets:
        for what in ("select", "random"):
            every = np.array(
                [labelling(work, name, seed, selected=what == "select") for seed in range(seeds)]
            )
            result[f"{name} {what}"] = {
                "accuracy": np.round(every.mean(axis=0), 4).tolist(),
                "mean_of_rounds": round(float(every[:, 1:].mean()), 4),
                "each_seed": np.round(every[:, 1:].mean(axis=1), 4).tolist(),
            }
    return result


def main() -> None:
    """Prints and writes the figures; with --only the others stay as they were."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=("doctor", "peer", "select"))
    parser.add_argument("--set", choices=SETS, action="append")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    result: dict[str, Any] = {}
    before = Path(__file__).parent / "results" / "doctor.json"
    if options.only and before.exists():
        result = {k: v for k, v in json.loads(before.read_text()).items() if k != "machine"}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if options.only in (None, "doctor"):
            result["agnews_noisy"] = wrong_labels()
        if options.only in (None, "peer"):
            result["TF-IDF, LogisticRegression, self-confidence"] = usual()
        if options.only in (None, "select"):
            chosen = selection(work, options.seeds, options.set or SETS)
            result["select"] = {**result.get("select", {}), **chosen}
    print(json.dumps(result, indent=1))
    write_result("doctor", result)


if __name__ == "__main__":
    main()
