"""Telling texts of no known label: clinc150's out-of-scope rows against its test rows.

    python benchmarks/none_of_these.py

AUROC of the top probability, and how many out-of-scope rows pass where 95 % of the others do (both
on the test part), for train-fasttext and for scikit-learn on words and word pairs with TF-IDF:
logistic regression at the best of four C, LinearSVC by its largest score and by calibrated
probabilities. Then what --abstain-error does.
"""

from __future__ import annotations

import csv
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from accuracy import find, prepared, read
from measure import NLPCLI, run, write_result
from sklearn.calibration import CalibratedClassifierCV
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.svm import LinearSVC

PARTS = ("clinc150/test.csv", "clinc150/out_of_scope_test.csv")


def figures(inside: np.ndarray, outside: np.ndarray) -> dict[str, float]:
    """AUROC, and the false positives at 95 % recall of the known labels."""
    truth = np.concatenate([np.ones(len(inside)), np.zeros(len(outside))])
    return {
        "auroc": round(float(roc_auc_score(truth, np.concatenate([inside, outside]))), 4),
        "fpr95": round(float((outside >= np.quantile(inside, 0.05)).mean()), 4),
    }


def answers(model: Path, part: str, *options: str) -> list[dict[str, str]]:
    """Rows with predictions."""
    done = run([*NLPCLI, "predict", "-m", str(model), str(find(part)), *options])
    return list(csv.DictReader(done.stdout.splitlines()))


def ours(work: Path, *options: str) -> dict[str, Any]:
    """Of one trained model."""
    model = work / "m"
    train = [*NLPCLI, "train-fasttext", str(find("clinc150/train.csv")), "-o", str(model)]
    run([*train, "--force", "-q", *options])
    found: dict[str, Any] = figures(
        *(np.array([float(r["predicted_probability"]) for r in answers(model, p)]) for p in PARTS)
    )
    for error in (0.02, 0.05):
        inside, outside = (answers(model, part, "--abstain-error", str(error)) for part in PARTS)
        given = [row for row in inside if row["predicted_label"]]
        wrong = sum(row["predicted_label"] != row["label"] for row in given)
        found[f"abstain_error_{error}"] = {
            "answered": round(len(given) / len(inside), 4),
            "wrong_of_answered": round(wrong / len(given), 4),
            "out_of_scope_answered": round(
                sum(bool(row["predicted_label"]) for row in outside) / len(outside), 4
            ),
        }
    return found


def peers() -> dict[str, Any]:
    """scikit-learn's, on the same cleaned texts."""
    train = read(find("clinc150/train.csv"))
    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2), token_pattern=None, tokenizer=str.split, sublinear_tf=True
    )
    x = vectorizer.fit_transform([prepared(row["text"]) for row in train])
    y = [row["label"] for row in train]
    inside, outside = (
        vectorizer.transform([prepared(row["text"]) for row in read(find(part))]) for part in PARTS
    )
    found: dict[str, Any] = {}
    for cost in (1, 10, 100, 1000):
        model = LogisticRegression(C=cost, max_iter=500).fit(x, y)
        found[f"LogisticRegression C={cost}"] = figures(
            model.predict_proba(inside).max(axis=1), model.predict_proba(outside).max(axis=1)
        )
    svm = LinearSVC().fit(x, y)
    found["LinearSVC, largest score"] = figures(
        svm.decision_function(inside).max(axis=1), svm.decision_function(outside).max(axis=1)
    )
    calibrated = CalibratedClassifierCV(LinearSVC()).fit(x, y)
    found["LinearSVC, calibrated"] = figures(
        calibrated.predict_proba(inside).max(axis=1), calibrated.predict_proba(outside).max(axis=1)
    )
    return found


def main() -> None:
    """Prints and writes the figures."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        result = {
            "nlpcli": ours(work),
            "nlpcli --min-n 2 --max-n 4": ours(work, "--min-n", "2", "--max-n", "4"),
            **peers(),
        }
    print(json.dumps(result, indent=1))
    write_result("none_of_these", {"rows": result})


if __name__ == "__main__":
    main()
