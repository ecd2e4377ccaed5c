"""Accuracy of train-fasttext with its defaults on real sets, beside the fastText program.

    python benchmarks/accuracy.py [SET ...]

Each set is trained and evaluated by the installed program, as a user would. The fastText program,
where it is installed, gets the same splits, lower-cased and with punctuation (or Chinese
characters) split off, shuffled, at the best of a few settings.
"""

from __future__ import annotations

import csv
import gzip
import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from measure import DATA, NLPCLI, run, write_result

csv.field_size_limit(2**30)


@dataclass(frozen=True)
class Task:
    """One set: training and test file, the bar, and options beyond the defaults."""

    train: str
    test: str
    bar: float
    metric: str = "accuracy"
    options: tuple[str, ...] = ()
    fasttext: tuple[str, ...] = ("-epoch 10 -dim 100 -wordNgrams 2", "-epoch 25 -dim 100")


MULTI = ("--label-separator", ";")
TASKS = {
    "news20": Task("news20/train.csv.gz", "news20/test.csv.gz", 0.80),
    "sst2": Task("sst2/train.csv", "sst2/test.csv", 0.805),
    "debian": Task("debian/train.csv.gz", "debian/test.csv.gz", 0.77),
    "pypi_family": Task("pypi_family/train.csv.gz", "pypi_family/test.csv.gz", 0.67),
    "langid": Task(
        "langid/train.csv.gz", "langid/test.csv.gz", 0.90, options=("--min-n", "1", "--max-n", "4"),
        fasttext=("-epoch 5 -dim 16 -minn 2 -maxn 4",),
    ),
    "thucnews": Task("thucnews/train.csv.gz", "thucnews/test.csv.gz", 0.88),
    "chn_hotel": Task("chn_hotel/all.csv", "", 0.88),
    "cooking": Task("cooking/train.csv", "cooking/valid.csv", 0.60, "precision_at_1", MULTI),
    "reuters": Task("reuters/train.csv.gz", "reuters/test.csv.gz", 0.90, "precision_at_1", MULTI),
}  # fmt: skip


def find(name: str) -> Path:
    """The file, packed or not."""
    plain = DATA / name
    for path in (plain, plain.with_suffix(""), plain.with_name(plain.name + ".gz")):
        if path.is_file():
            return path
    raise SystemExit(f"{plain} is not there; set NLPCLI_DATA")


def read(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file, packed or not."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    """Rows as CSV."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def files(name: str, task: Task, work: Path) -> tuple[Path, Path]:
    """Training and test file; chn_hotel has no split: a seeded 80/20."""
    if task.test:
        return find(task.train), find(task.test)
    rows = read(find(task.train))
    random.Random(1).shuffle(rows)
    cut = len(rows) * 8 // 10
    return (
        write(work / f"{name}_train.csv", rows[:cut]),
        write(work / f"{name}_test.csv", rows[cut:]),
    )


def label_column(path: Path) -> str:
    """The column that holds labels."""
    columns = read(path)[0]
    return "labels" if "labels" in columns else "label"


def ours(name: str, task: Task, train: Path, test: Path, work: Path) -> dict[str, float]:
    """Trains and evaluates with the installed program."""
    column = ("--label-column", label_column(train))
    trained = run(
        [*NLPCLI, "train-fasttext", str(train), "-o", str(work / name), "--force", "--json", "-q",
         *column, *task.options]
    )  # fmt: skip
    evaluated = run([*NLPCLI, "eval", "-m", str(work / name), str(test), "--json", "-q", *column])
    metric = json.loads(evaluated.stdout)[task.metric]
    size = sum(f.stat().st_size for f in (work / name).iterdir())
    return {
        "value": metric["value"], "low": metric["low"], "high": metric["high"],
        "train_seconds": round(trained.seconds, 2), "model_mb": round(size / 1e6, 1),
        "features": json.loads(trained.stdout)["features"],
    }  # fmt: skip


def prepared(text: str) -> str:
    """Lower case, punctuation split off, Chinese one token a character."""
    return " ".join(re.findall(r"[\u3400-\u9fff]|[^\W_]+|[^\w\s]|_", text.lower()))


def fasttext_lines(path: Path, out: Path, separator: str | None) -> Path:
    """The rows in fastText's format, shuffled."""
    rows, column = read(path), label_column(path)
    lines = []
    for row in rows:
        labels = row[column].split(separator) if separator else [row[column]]
        head = " ".join("__label__" + x.strip().replace(" ", "_") for x in labels if x)
        lines.append(f"{head} {prepared(row['text'])}\n")
    random.Random(1).shuffle(lines)
    out.write_text("".join(lines), encoding="utf-8")
    return out


def peer(name: str, task: Task, train: Path, test: Path, work: Path) -> dict[str, float | str]:
    """The fastText program at the best of the settings (best on the test part: in its favour)."""
    separator = ";" if task.options == MULTI else None
    train_lines = fasttext_lines(train, work / "ft.train", separator)
    test_lines = fasttext_lines(test, work / "ft.test", separator)
    best: dict[str, float | str] = {"value": 0.0}
    for setting in task.fasttext:
        begun = time.perf_counter()
        subprocess.run(
            ["fasttext", "supervised", "-input", str(train_lines), "-output", str(work / "ft"),
             "-lr", "0.5", "-bucket", "200000", "-thread", "2", *setting.split()],
            check=True, capture_output=True,
        )  # fmt: skip
        seconds = time.perf_counter() - begun
        done = subprocess.run(
            ["fasttext", "test", str(work / "ft.bin"), str(test_lines)],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        value = float(re.search(r"P@1\s+([0-9.]+)", done.stdout)[1])  # type: ignore[index]
        if value > float(best["value"]):
            best = {"value": value, "train_seconds": round(seconds, 2), "setting": setting}
    return best


def main() -> None:
    """Runs the sets named, or all."""
    chosen = sys.argv[1:] or list(TASKS)
    results = {}
    for name in chosen:
        task = TASKS[name]
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder)
            train, test = files(name, task, work)
            result = {
                "metric": task.metric,
                "bar": task.bar,
                "nlpcli": ours(name, task, train, test, work),
            }
            if shutil.which("fasttext"):
                result["fasttext"] = peer(name, task, train, test, work)
            results[name] = result
            print(name, json.dumps(result), flush=True)
    if len(chosen) == len(TASKS):
        write_result("accuracy", {"sets": results})


if __name__ == "__main__":
    main()
