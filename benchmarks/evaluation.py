"""Whether eval's intervals and verdicts keep what they promise, and how fast they are.

python benchmarks/evaluation.py intervals     plain bootstrap intervals against the true values of a
                                              large population, on 500 test sets drawn from it
python benchmarks/evaluation.py false_better  500 pairs of equally good models
python benchmarks/evaluation.py false_better_else  the same of F1 of entities, of answers, of
                                              correlations and of language models
python benchmarks/evaluation.py million       a million rows of predictions, 10,000 resamples

Each writes its part of results/evaluation.json. --sets N draws fewer.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from measure import NLPCLI, ROOT, run_measured, write_result

from nlpcli.evaluation.compare import Outcome, compare
from nlpcli.evaluation.metrics import (
    confusion_cells,
    confusion_estimates,
    confusion_metrics,
    count_labels,
)
from nlpcli.evaluation.paired import Sums, f1_sums, pearson_sums, ratio_sums, spearman_sums
from nlpcli.evaluation.ranking import ranking_metrics

POPULATION = 1_000_000
METRICS = ("accuracy", "macro_f1", "mcc")
CASES = {
    "even_3_of_1000": ((1 / 3, 1 / 3, 1 / 3), 1000),
    "even_10_of_1000": ((0.1,) * 10, 1000),
    "prior_90_of_1000": ((0.9, 0.1), 1000),
    "prior_90_of_300": ((0.9, 0.1), 300),
    "prior_10_of_1000": ((0.1, 0.9), 1000),
}
"""Priors of the labels, and rows of a test set."""


def population(priors: tuple[float, ...], right: float, rng: np.random.Generator) -> Any:
    """Truth and answers of rows, right so often, else any other label by its prior."""
    labels = len(priors)
    truth = rng.choice(labels, POPULATION, p=priors)
    other = rng.choice(labels, POPULATION, p=priors)
    other = np.where(other == truth, (truth + 1) % labels, other)
    return truth, np.where(rng.random(POPULATION) < right, truth, other)


def intervals(sets: int) -> dict[str, Any]:
    """The share of sets whose interval holds the population's value, by metric and case."""
    found: dict[str, Any] = {}
    for name, (priors, rows) in CASES.items():
        rng = np.random.default_rng(7)
        truth, guess = population(priors, 0.85, rng)
        labels = len(priors)
        cells = confusion_cells(truth, guess, labels)
        whole = confusion_metrics(count_labels(cells, cells.counts[None, :]))
        held = dict.fromkeys(METRICS, 0)
        for seed in range(sets):
            drawn = rng.integers(0, POPULATION, rows)
            cells = confusion_cells(truth[drawn], guess[drawn], labels)
            estimates = confusion_estimates(cells, 1000, seed)
            for metric in METRICS:
                low, high = estimates[metric]["low"], estimates[metric]["high"]
                assert low is not None and high is not None
                held[metric] += bool(low <= whole[metric][0] <= high)
        found[name] = {metric: round(float(count) / sets, 4) for metric, count in held.items()}
        print(name, found[name], flush=True)
    found["roc_auc_of_500"] = areas(sets)
    print("roc_auc_of_500", found["roc_auc_of_500"])
    return {"sets": sets, "resamples": 1000, "coverage": found}


def areas(sets: int) -> dict[str, float]:
    """The same of the AUC's and average precision's formulas, on 500 rows, a tenth of them
    positive."""
    rng = np.random.default_rng(8)

    def drawn(rows: int) -> Any:
        truth = (rng.random(rows) < 0.1).astype(np.int64)
        share = 1 / (1 + np.exp(-(rng.normal(size=rows) + 1.5 * truth)))
        return truth, np.stack([1 - share, share], axis=1)

    names = ("roc_auc", "average_precision")
    whole, held = ranking_metrics(*drawn(POPULATION)), dict.fromkeys(names, 0)
    for _ in range(sets):
        part = ranking_metrics(*drawn(500))
        for name in names:
            low, value, high = part[name]["low"], whole[name]["value"], part[name]["high"]
            assert low is not None and value is not None and high is not None
            held[name] += low <= value <= high
    return {name: round(float(count) / sets, 4) for name, count in held.items()}


def false_better(sets: int) -> dict[str, Any]:
    """The share of pairs of equally good models of which the second is called better, or worse,
    and the share with p <= 0.05 for macro F1, either way."""
    found: dict[str, Any] = {}
    for number, (name, (priors, rows)) in enumerate(CASES.items()):
        better = worse = by_f1 = 0
        for seed in range(sets):
            rng = np.random.default_rng([number, seed])
            truth = rng.choice(len(priors), rows, p=priors)
            hard = rng.random(rows) < 0.3  # models fail on the same rows
            pair = []
            for _ in range(2):
                right = rng.random(rows) < np.where(hard, 0.5, 0.98)
                guess = np.where(right, truth, (truth + 1) % len(priors))
                pair.append(Outcome({"accuracy": right * 1.0}, truth, guess))
            entry = compare(pair, resamples=200, seed=seed)[0]
            better += entry["verdict"] == "better"
            worse += entry["verdict"] == "worse"
            by_f1 += entry["difference"]["macro_f1"]["p"] <= 0.05
        counts = {"better": better, "worse": worse, "macro_f1_p": by_f1}
        found[name] = {key: round(count / sets, 4) for key, count in counts.items()}
        print(name, found[name], flush=True)
    return {"pairs": sets, "false_better": found}


def entities_found(rng: np.random.Generator, there: Any, hard: Any) -> Sums:
    """A model of F1 0.8 or so, on sentences of few entities, which models miss together."""
    hits = rng.binomial(there, np.where(hard, 0.5, 0.95))
    guess = hits + rng.poisson(0.2, len(there))
    return f1_sums(np.stack([hits, there, guess], axis=1).astype(np.float64))


def numbers_found(rng: np.random.Generator, truth: Any, *, ranks: bool) -> Sums:
    """A model whose answers correlate with the truth by 0.8 or so, with some far off."""
    found = truth + 0.6 * rng.standard_t(4, len(truth))
    return (spearman_sums if ranks else pearson_sums)(truth, found)


def texts_scored(rng: np.random.Generator, characters: Any) -> Sums:
    """A language model at 2 bits a character, on texts of very different lengths."""
    bits = characters * (2 + 0.4 * rng.standard_normal(len(characters)))
    return ratio_sums(bits, characters, less=True)


def pair_of_others(kind: str, rng: np.random.Generator, rows: int) -> list[Outcome]:
    """Two equally good models of a kind, on the same rows."""
    if kind == "answers":  # F1 of each answer, often 0 or 1
        return [
            Outcome({"f1": np.clip(rng.normal(0.7, 0.6, rows), 0, 1)}, decides="f1")
            for _ in range(2)
        ]
    truth = rng.standard_normal(rows)
    lengths = np.round(rng.lognormal(3.5, 1.0, rows)) + 1
    there, hard = rng.poisson(1.5, rows), rng.random(rows) < 0.3
    models = []
    for _ in range(2):
        if kind == "entity_f1":
            metric = entities_found(rng, there, hard)
        elif kind == "bits_per_character":
            metric = texts_scored(rng, lengths)
        else:
            metric = numbers_found(rng, truth, ranks=kind == "spearman")
        models.append(Outcome({}, sums={kind: metric}, decides=kind, worth=rng.random(rows)))
    return models


def false_better_else(sets: int) -> dict[str, Any]:
    """As ``false_better``, of models that are not right or wrong row by row."""
    found: dict[str, Any] = {}
    kinds = ("entity_f1", "answers", "pearson", "spearman", "bits_per_character")
    for number, kind in enumerate(kinds):
        for rows in (100, 400):
            verdicts = [
                compare(
                    pair_of_others(kind, np.random.default_rng([number, rows, seed]), rows),
                    resamples=400, seed=seed,
                )[0]["verdict"]
                for seed in range(sets)
            ]  # fmt: skip
            found[f"{kind}_of_{rows}"] = {
                name: round(verdicts.count(name) / sets, 4) for name in ("better", "worse")
            }
            print(kind, rows, found[f"{kind}_of_{rows}"], flush=True)
    return {"pairs": sets, "false_better": found}


def million(sets: int) -> dict[str, Any]:
    """Seconds and peak memory of eval --predictions, the file's reading with it."""
    rng, found = np.random.default_rng(0), {"rows": POPULATION, "resamples": 10_000}
    truth = rng.integers(0, 20, POPULATION)
    guess = np.where(rng.random(POPULATION) < 0.85, truth, rng.integers(0, 20, POPULATION))
    sure = rng.random(POPULATION)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "predictions.csv"
        with path.open("w") as file:
            file.write("label,predicted_label,predicted_probability\n")
            rows = zip(truth.tolist(), guess.tolist(), sure.tolist(), strict=True)
            file.writelines(f"class{a},class{b},{p:.6f}\n" for a, b, p in rows)
        command = [*NLPCLI, "eval", "--predictions", str(path), "--resamples", "10000", "--json"]
        done = run_measured(command)
    found |= {"seconds": round(done.seconds, 2), "peak_mb": round(done.peak_mb, 1)}
    print(found)
    return found


JOBS: dict[str, Callable[[int], dict[str, Any]]] = {
    "intervals": intervals, "false_better": false_better,
    "false_better_else": false_better_else, "million": million,
}  # fmt: skip


def main() -> None:
    """Runs the jobs named, all without a name, and keeps the results of the others."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("jobs", nargs="*", choices=[[], *JOBS])
    parser.add_argument("--sets", type=int, default=500)
    asked = parser.parse_args()
    path = ROOT / "benchmarks" / "results" / "evaluation.json"
    document = json.loads(path.read_text()) if path.exists() else {}
    for job in asked.jobs or JOBS:
        begun = time.perf_counter()
        document[job] = JOBS[job](asked.sets)
        print(f"{job}: {time.perf_counter() - begun:.1f} s")
    document.pop("machine", None)
    if asked.sets == 500:
        write_result("evaluation", document)


if __name__ == "__main__":
    main()
