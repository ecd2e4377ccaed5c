"""train-fasttext with its defaults beside the fastText program and TF-IDF with a linear SVM.

    python benchmarks/accuracy.py [SET ...]    (the other sets keep their figures)

Each set is trained and evaluated by the installed program, as a user would, with three seeds. The
fastText program, where it is installed, gets the same splits, lower-cased and with punctuation (or
Chinese characters) split off, shuffled, with three seeds at each of a few settings; the best on the
test part counts. scikit-learn's TfidfVectorizer (words, all punctuation split, 1-2-grams; with and
without sublinear counts, the better on the test part) and LinearSVC run as a process of their own.
Seconds are of whole processes that train and save; two threads.
"""

from __future__ import annotations

import csv
import gzip
import json
import random
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from measure import DATA, NLPCLI, ROOT, machine, run, write_result

csv.field_size_limit(2**30)


SEEDS = (1, 2, 3)
FLOOR = 5.0
"""Seconds that a set without a bar of its own may take, if the peer is faster."""


@dataclass(frozen=True)
class Task:
    """One set: training and test file, settings of the peer, options beyond the defaults.

    ``margin``: how much below the SVM the accuracy may lie; ``floor``: seconds that are always
    allowed.
    """

    train: str
    test: str
    metric: str = "accuracy"
    options: tuple[str, ...] = ()
    fasttext: tuple[str, ...] = ("-epoch 10 -dim 100 -wordNgrams 2", "-epoch 25 -dim 100")
    margin: float = 0.003
    floor: float = FLOOR
    svm: bool = True


MULTI = ("--label-separator", ";")
TASKS = {
    "news20": Task("news20/train.csv.gz", "news20/test.csv.gz", floor=0,
                   fasttext=("-epoch 25 -dim 100",)),
    "debian": Task("debian/train.csv.gz", "debian/test.csv.gz", floor=0,
                   fasttext=("-epoch 10 -dim 100 -wordNgrams 2",)),
    "pypi_family": Task("pypi_family/train.csv.gz", "pypi_family/test.csv.gz", floor=0,
                        fasttext=("-epoch 10 -dim 10 -wordNgrams 2",)),
    "sst2": Task("sst2/train.csv", "sst2/test.csv"),
    "trec": Task("trec/train.csv", "trec/test.csv"),
    "clinc150": Task("clinc150/train.csv", "clinc150/test.csv"),
    "thucnews": Task("thucnews/train.csv.gz", "thucnews/test.csv.gz"),
    "chn_shopping": Task("chn_shopping/all.csv.gz", ""),
    "chn_hotel": Task("chn_hotel/all.csv", ""),
    "agnews_noisy": Task("agnews_noisy/train.csv.gz", "agnews/test.csv"),
    "cooking": Task("cooking/train.csv", "cooking/valid.csv", "precision_at_1", MULTI,
                    fasttext=("-epoch 25 -dim 100 -wordNgrams 2", "-epoch 25 -dim 100"),
                    margin=0.01, floor=0),
    "reuters": Task("reuters/train.csv.gz", "reuters/test.csv.gz", "precision_at_1", MULTI,
                    margin=0.01, floor=0),
    "langid": Task(
        "langid/train.csv.gz", "langid/test.csv.gz", options=("--min-n", "1", "--max-n", "4"),
        fasttext=("-epoch 5 -dim 16 -minn 2 -maxn 4",), svm=False,
    ),
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


def ours(name: str, task: Task, train: Path, test: Path, work: Path) -> dict[str, Any]:
    """Trains and evaluates with the installed program; means over the seeds."""
    column = ("--label-column", label_column(train))
    values, seconds = [], []
    for seed in SEEDS:
        trained = run(
            [*NLPCLI, "train-fasttext", str(train), "-o", str(work / name), "--force", "--json",
             "-q", "--threads", "2", "--seed", str(seed), *column, *task.options]
        )  # fmt: skip
        done = run([*NLPCLI, "eval", "-m", str(work / name), str(test), "--json", "-q", *column])
        document = json.loads(done.stdout)
        values.append(document[task.metric]["value"])
        seconds.append(trained.seconds)
    report = json.loads(trained.stdout)
    size = sum(f.stat().st_size for f in (work / name).iterdir())
    metric = document[task.metric]
    return {
        "value": mean(values), "values": values, "low": metric["low"], "high": metric["high"],
        "train_seconds": round(mean(seconds), 2), "model_mb": round(size / 1e6, 1),
        "features": report["features"], "stage_seconds": report["stage_seconds"],
        "ece": document.get("ece", {}).get("value"),
    }  # fmt: skip


def prepared(text: str) -> str:
    """Lower case, punctuation split off, Chinese one token a character."""
    return " ".join(re.findall(r"[\u3400-\u9fff]|[^\W_\u3400-\u9fff]+|[^\w\s]|_", text.lower()))


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


def fasttext_peer(task: Task, train: Path, test: Path, work: Path) -> dict[str, Any]:
    """The fastText program at the best of the settings (best on the test part: in its favour)."""
    separator = ";" if task.options == MULTI else None
    train_lines = fasttext_lines(train, work / "ft.train", separator)
    test_lines = fasttext_lines(test, work / "ft.test", separator)
    best: dict[str, Any] = {"value": 0.0}
    for setting in task.fasttext:
        values, seconds = [], []
        for seed in SEEDS:
            trained = run(
                ["fasttext", "supervised", "-input", str(train_lines), "-output", str(work / "ft"),
                 "-lr", "0.5", "-bucket", "200000", "-thread", "2", "-seed", str(seed),
                 *setting.split()]
            )  # fmt: skip
            tested = run(["fasttext", "test", str(work / "ft.bin"), str(test_lines)])
            found = re.search(r"P@1\s+([0-9.]+)", tested.stdout)
            values.append(float(found[1]) if found else 0.0)
            seconds.append(trained.seconds)
        if mean(values) > best["value"]:
            took = round(mean(seconds), 2)
            best = {"value": mean(values), "train_seconds": took, "setting": setting}
    return best


SVM = """
import json, re, sys
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import MultiLabelBinarizer
from sklearn.svm import LinearSVC
train, test, sublinear = sys.argv[1], sys.argv[2], sys.argv[3] == "1"
def read(path):
    labels, texts = [], []
    for line in open(path, encoding="utf-8"):
        words = line.split()
        marks = [w for w in words if w.startswith("__label__")]
        labels.append(marks); texts.append(" ".join(words[len(marks):]))
    return labels, texts
labels, texts = read(train)
vectorizer = TfidfVectorizer(
    ngram_range=(1, 2), sublinear_tf=sublinear, token_pattern=None, tokenizer=str.split,
    lowercase=False,
)
x = vectorizer.fit_transform(texts)
if any(len(marks) != 1 for marks in labels):
    binarizer = MultiLabelBinarizer().fit(labels)
    model = OneVsRestClassifier(LinearSVC()).fit(x, binarizer.transform(labels))
    names = list(binarizer.classes_)
else:
    model = LinearSVC().fit(x, [marks[0] for marks in labels])
    names = list(model.classes_)
wanted, texts = read(test)
scores = model.decision_function(vectorizer.transform(texts))
if scores.ndim == 1:
    scores = np.stack([-scores, scores], axis=1)
top = scores.argmax(axis=1)
pairs = [(names[t], w) for t, w in zip(top, wanted) if w]
print(sum(t in w for t, w in pairs) / len(pairs))
"""


def svm_peer(task: Task, train: Path, test: Path, work: Path) -> dict[str, Any]:
    """TF-IDF and LinearSVC on the same lines; training and test in one process."""
    separator = ";" if task.options == MULTI else None
    train_lines = fasttext_lines(train, work / "svm.train", separator)
    test_lines = fasttext_lines(test, work / "svm.test", separator)
    best: dict[str, Any] = {"value": 0.0}
    for sublinear in "01":
        command = [sys.executable, "-W", "ignore", "-c", SVM]
        done = run([*command, str(train_lines), str(test_lines), sublinear])
        if float(done.stdout) > best["value"]:
            best = {"value": float(done.stdout), "seconds": round(done.seconds, 2),
                    "sublinear": sublinear == "1"}  # fmt: skip
    return best


def measure(name: str, task: Task) -> dict[str, Any]:
    """One set, and whether both bars are reached."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        train, test = files(name, task, work)
        result: dict[str, Any] = {
            "metric": task.metric, "nlpcli": ours(name, task, train, test, work),
        }  # fmt: skip
        if shutil.which("fasttext"):
            peer = result["fasttext"] = fasttext_peer(task, train, test, work)
            allowed = max(task.floor, peer["train_seconds"])
            result["time_ratio"] = round(result["nlpcli"]["train_seconds"] / allowed, 3)
        if task.svm:
            peer = result["svm"] = svm_peer(task, train, test, work)
            result["accuracy_bar"] = round(peer["value"] - task.margin, 4)
            result["above_bar"] = round(result["nlpcli"]["value"] - result["accuracy_bar"], 4)
    return {**result, "commit": machine()["commit"]}


def main() -> None:
    """Runs the sets named, or all."""
    chosen = sys.argv[1:] or list(TASKS)
    path, results = ROOT / "benchmarks" / "results" / "accuracy.json", {}
    known = json.loads(path.read_text())["sets"] if path.is_file() else {}
    for name in chosen:
        results[name] = measure(name, TASKS[name])
        print(name, json.dumps(results[name]), flush=True)
    write_result("accuracy", {"sets": {**known, **results}})


if __name__ == "__main__":
    main()
