"""Label sets that hold what they promise, and what eval --calibrate does to the calibration error.

    python benchmarks/calibration.py [--sets trec sst2 ...] [--seed N]

Models of train-fasttext with its defaults (langid with --min-n 1 --max-n 4). Label sets: the test
rows' probabilities, computed once, 200 times parted at random into rows to calibrate by and rows to
measure on, half each; coverage, size and share of single labels are means over these. Calibration
error (15 bins, top label): without any scale, as trained, and after ``eval --calibrate`` of the
installed program on the dev file, all measured on the test rows; where there is no dev file a
random half of the test rows stands for it, and the other half is measured on. ``cross_validated``
is what that command says itself of its rows. reuters has several labels a text: the same halves
give the threshold that finds a share of them (conformal risk control). Writes
benchmarks/results/calibration.json.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from accuracy import find, read, write
from measure import NLPCLI, ROOT, run, write_result

from nlpcli.evaluation.calibration import expected_calibration_error
from nlpcli.evaluation.conformal import conformal_quantile, label_sets, true_scores
from nlpcli.evaluation.risk_control import controlled_threshold, found_shares
from nlpcli.evaluation.truths import SeveralLabels, label_truths
from nlpcli.store.classifier import TextClassifier, read_classifier
from nlpcli.store.folder import ModelFolder

SETS: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    "trec": ("trec/train.csv", "", "trec/test.csv", ()),
    "sst2": ("sst2/train.csv", "sst2/dev.csv", "sst2/test.csv", ()),
    "clinc150": ("clinc150/train.csv", "clinc150/dev.csv", "clinc150/test.csv", ()),
    "news20": ("news20/train.csv.gz", "", "news20/test.csv.gz", ()),
    "thucnews": ("thucnews/train.csv.gz", "thucnews/dev.csv.gz", "thucnews/test.csv.gz", ()),
    "langid": (
        "langid/train.csv.gz", "", "langid/test.csv.gz", ("--min-n", "1", "--max-n", "4"),
    ),
}  # fmt: skip
"""Training, dev (empty: none) and test file, and options."""
SEVERAL = {
    "reuters": ("reuters/train.csv.gz", "reuters/test.csv.gz",
                ("--label-column", "labels", "--label-separator", ";")),
}  # fmt: skip
"""Training and test file of sets with several labels a text, and options."""
CONFORMAL = ("clinc150", "langid", "thucnews")
LEVELS = (0.8, 0.9, 0.95, 0.99)
SPLITS = 200
WITHIN = 0.005
HALVED_ABOVE = 0.03
METHODS = ("temperature", "isotonic")


def probabilities_of(model: TextClassifier, rows: list[dict[str, str]]) -> Any:
    """Probabilities [B, K] and numbers of the true labels [B]."""
    place = {name: i for i, name in enumerate(model.labels)}
    true = np.array([place.get(row["label"], len(place)) for row in rows])
    return model.probabilities([row["text"] for row in rows]), true


def coverage(probabilities: Any, true: Any, level: float, seed: int) -> dict[str, Any]:
    """Means over ``SPLITS`` partings, and the standard error of the coverage's."""
    rng, half = np.random.default_rng(seed), len(true) // 2
    scores = true_scores(true, probabilities)
    held, size, single, empty = [], [], [], []
    for _ in range(SPLITS):
        order = rng.permutation(len(true))
        quantile = conformal_quantile(scores[order[:half]], level)
        sets = label_sets(probabilities[order[half:]], quantile).sum(axis=1)
        held.append(float((scores[order[half:]] <= quantile).mean()))
        size.append(float(sets.mean()))
        single.append(float((sets == 1).mean()))
        empty.append(float((sets == 0).mean()))
    mean = float(np.mean(held))
    return {
        "level": level, "coverage": round(mean, 5),
        "least": round(min(held), 4), "most": round(max(held), 4),
        "standard_error": round(float(np.std(held)) / SPLITS**0.5, 5),
        "mean_set_size": round(float(np.mean(size)), 3),
        "singletons": round(float(np.mean(single)), 4), "empty": round(float(np.mean(empty)), 4),
        "met": abs(mean - level) <= WITHIN,
    }  # fmt: skip


def shares_found(probabilities: Any, true: Any, level: float, seed: int) -> dict[str, Any]:
    """Of several labels a text: the mean share of true ones that the threshold finds, and how many
    labels it answers. probabilities: (B, K); true: bool (B, L)."""
    rng, half = np.random.default_rng(seed), len(true) // 2
    held, size, single, empty = [], [], [], []
    for _ in range(SPLITS):
        order = rng.permutation(len(true))
        first, rest = order[:half], order[half:]
        threshold = controlled_threshold(true[first], probabilities[first], level)
        assert threshold is not None
        answers = probabilities[rest] >= threshold
        held.append(float(found_shares(true[rest], answers).mean()))
        sizes = answers.sum(axis=1)
        size.append(float(sizes.mean()))
        single.append(float((sizes == 1).mean()))
        empty.append(float((sizes == 0).mean()))
    mean = float(np.mean(held))
    return {
        "level": level, "coverage": round(mean, 5),
        "least": round(min(held), 4), "most": round(max(held), 4),
        "mean_set_size": round(float(np.mean(size)), 3),
        "singletons": round(float(np.mean(single)), 4), "empty": round(float(np.mean(empty)), 4),
    }  # fmt: skip


def measured_several(name: str, work: Path, seed: int) -> dict[str, Any]:
    """Trains and measures one set of several labels a text."""
    train, test_name, options = SEVERAL[name]
    path = work / name
    run([*NLPCLI, "train-fasttext", str(find(train)), "-o", str(path), "-q",
         "--seed", str(seed), *options])  # fmt: skip
    model, test = read_classifier(ModelFolder(path)), read(find(test_name))
    labels = [tuple(filter(None, row["labels"].split(";"))) for row in test]
    truths = label_truths(labels, model.labels, 0.5)
    assert isinstance(truths, SeveralLabels)
    p = model.probabilities([row["text"] for row in test])
    points = [shares_found(p, truths.true, level, seed) for level in LEVELS]
    return {"test_rows": len(test), "conformal": points}


def error(model: TextClassifier, rows: list[dict[str, str]]) -> float:
    """Calibration error of the top label."""
    p, true = probabilities_of(model, rows)
    return round(expected_calibration_error(p.max(axis=1), p.argmax(axis=1) == true), 4)


def calibrated(path: Path, dev: Path, method: str, out: Path) -> tuple[TextClassifier, Any]:
    """The model that eval --calibrate makes, and what it says."""
    done = run(
        [*NLPCLI, "eval", "-m", str(path), str(dev), "--calibrate", method, "-o", str(out),
         "--json", "-q", "--resamples", "10"]
    )  # fmt: skip
    return read_classifier(ModelFolder(out)), json.loads(done.stdout)


def measured(name: str, work: Path, seed: int) -> dict[str, Any]:
    """Trains and measures one set."""
    train, dev_name, test_name, options = SETS[name]
    path = work / name
    run([*NLPCLI, "train-fasttext", str(find(train)), "-o", str(path), "-q",
         "--seed", str(seed), *options])  # fmt: skip
    model = read_classifier(ModelFolder(path))
    test = read(find(test_name))
    found: dict[str, Any] = {"test_rows": len(test)}
    if name in CONFORMAL:
        p, true = probabilities_of(model, test)
        found["conformal"] = [coverage(p, true, level, seed) for level in LEVELS]
    dev = find(dev_name) if dev_name else work / f"{name}_half.csv"
    if not dev_name:
        random.Random(seed).shuffle(test)
        half = len(test) // 2
        write(dev, test[:half])
        test = test[half:]
    bare = replace(model, scorer=replace(model.scorer, scale=1.0, offset=0.0))
    before = error(bare, test)
    found["ece"] = {
        "dev": "dev file" if dev_name else "half of the test rows",
        "dev_rows": len(read(dev)), "rows": len(test), "uncalibrated": before,
        "as_trained": error(model, test),
    }  # fmt: skip
    for method in METHODS:
        again, said = calibrated(path, dev, method, work / f"{name}-{method}")
        after = error(again, test)
        found["ece"][method] = {
            "ece": after,
            "cross_validated": {
                part: round(said[part]["ece"]["value"], 4) for part in ("before", "after")
            },
            "met": before <= HALVED_ABOVE or after <= before / 2,
        }  # fmt: skip
    return found


def main() -> None:
    """Prints and writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="+", default=[*SETS, *SEVERAL],
                        choices=[*SETS, *SEVERAL])  # fmt: skip
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    result = ROOT / "benchmarks" / "results" / "calibration.json"
    sets: dict[str, Any] = json.loads(result.read_bytes())["sets"] if result.exists() else {}
    for name in options.sets:
        with tempfile.TemporaryDirectory() as place:
            measure = measured_several if name in SEVERAL else measured
            sets[name] = measure(name, Path(place), options.seed)
        print(name, json.dumps(sets[name]), flush=True)
        write_result("calibration", {"sets": {n: sets[n] for n in [*SETS, *SEVERAL] if n in sets}})


if __name__ == "__main__":
    main()
