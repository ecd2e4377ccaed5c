"""train-fasttext at the fastText program's own settings: whole-process time, ratio, accuracy.

    python benchmarks/fasttext_speed.py [JOB ...]

The same dimension, n-grams and epochs for both; the program gets the rows lower-cased, with
punctuation split off and shuffled, nlpcli the CSV as it lies. One after the other, ROUNDS times,
the median of the ratios counts. Two threads each.
"""

from __future__ import annotations

import csv
import gzip
import json
import random
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

from accuracy import fasttext_lines, find, read, write
from measure import DATA, NLPCLI, run, write_result

ROUNDS = 3
csv.field_size_limit(2**30)


@dataclass(frozen=True)
class Job:
    """Files of a set ("lines": made of two corpora), the same settings twice, the bar."""

    train: str
    test: str
    ours: str
    peer: str
    bar: float


JOBS = {
    "news20": Job("news20/train.csv.gz", "news20/test.csv.gz",
                  "--dim 10 --word-ngrams 2 --epochs 5", "-dim 10 -wordNgrams 2 -epoch 5", 1.0),
    "langid": Job("langid/train.csv.gz", "langid/test.csv.gz",
                  "--dim 16 --word-ngrams 1 --min-n 2 --max-n 4 --epochs 5",
                  "-dim 16 -minn 2 -maxn 4 -epoch 5", 1.0),
    "lines": Job("lines", "lines", "--dim 10 --word-ngrams 2 --epochs 3",
                 "-dim 10 -wordNgrams 2 -epoch 3", 0.7),
}  # fmt: skip


def corpus_lines(work: Path) -> tuple[Path, Path]:
    """The distinct lines of two corpora, labelled by their file; 20,000 of them set apart."""
    rows = []
    for name in ("pypi_summaries", "english"):
        with gzip.open(DATA / "corpus" / f"{name}.txt.gz", "rt", encoding="utf-8") as stream:
            lines = dict.fromkeys(line.strip() for line in stream)
        rows += [{"text": line, "label": name} for line in lines if line]
    random.Random(1).shuffle(rows)
    return write(work / "train.csv", rows[20_000:]), write(work / "test.csv", rows[:20_000])


def once(job: Job, train: Path, lines: Path, work: Path, seed: int) -> tuple[Any, Any]:
    """One run of each; gives both with their output."""
    peer = run(
        ["fasttext", "supervised", "-input", str(lines), "-output", str(work / "ft"), "-thread",
         "2", "-seed", str(seed), *job.peer.split()]
    )  # fmt: skip
    ours = run(
        [*NLPCLI, "train-fasttext", str(train), "-o", str(work / "m"), "--force", "--json", "-q",
         "--threads", "2", "--seed", str(seed), *job.ours.split()]
    )  # fmt: skip
    return ours, peer


def measure(job: Job, work: Path) -> dict[str, Any]:
    """The ratios of all rounds, and the accuracy of both."""
    if job.train == "lines":
        train, test = corpus_lines(work)
    else:
        train, test = find(job.train), find(job.test)
    n_rows = len(read(train))
    lines = fasttext_lines(train, work / "ft.train", None)
    test_lines = fasttext_lines(test, work / "ft.test", None)
    ratios, ours_seconds, peer_seconds, ours_values, peer_values = [], [], [], [], []
    for seed in range(1, ROUNDS + 1):
        ours, peer = once(job, train, lines, work, seed)
        ratios.append(ours.seconds / peer.seconds)
        ours_seconds.append(ours.seconds)
        peer_seconds.append(peer.seconds)
        done = run([*NLPCLI, "eval", "-m", str(work / "m"), str(test), "--json", "-q"])
        ours_values.append(json.loads(done.stdout)["accuracy"]["value"])
        tested = run(["fasttext", "test", str(work / "ft.bin"), str(test_lines)])
        peer_values.append(float(re.findall(r"P@1\s+([0-9.]+)", tested.stdout)[0]))
    return {
        "rows": n_rows, "bar": job.bar, "ratio": round(median(ratios), 3), "ours": job.ours,
        "ratios": [round(r, 3) for r in ratios], "peer": job.peer,
        "nlpcli": {"seconds": round(mean(ours_seconds), 2), "accuracy": round(mean(ours_values), 4),
                   "stage_seconds": json.loads(ours.stdout)["stage_seconds"]},
        "fasttext": {"seconds": round(mean(peer_seconds), 2),
                     "accuracy": round(mean(peer_values), 4)},
    }  # fmt: skip


def main() -> None:
    """Runs the jobs named, or all."""
    chosen = sys.argv[1:] or list(JOBS)
    results = {}
    for name in chosen:
        with tempfile.TemporaryDirectory() as folder:
            results[name] = measure(JOBS[name], Path(folder))
        print(name, json.dumps(results[name]), flush=True)
    if len(chosen) == len(JOBS):
        write_result("fasttext_speed", {"jobs": results})


if __name__ == "__main__":
    main()
