"""What choices of fine-tuning bring: decoders of tags, frozen layers, pre-training.

    ENCODER=/path/to/minilm PRETRAINED=/folder/of/encoders python benchmarks/finetuning_choices.py
        [JOB ...] [--seeds 1 2 3] [--most N]

Jobs: tags (conll2003: greedy, CRF, spans), frozen (trec and sst2: everything moves, all but the
head frozen with cached features: accuracy and seconds), pretrained (sst2, trec, mrpc: encoders of
``benchmarks/pretraining.py learn`` in PRETRAINED, and the same network with random weights, by the
pooler and by the mean). The best epoch is chosen on the dev part, figures are the test part's.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from finetuning_data import JOBS, write_parts
from measure import NLPCLI, ROOT, run, write_result

ENCODER = os.environ.get("ENCODER", "")
PRETRAINED = os.environ.get("PRETRAINED", "")
RATE = "5e-4"
"""Of encoders that were learnt for minutes: the best of 1.5e-4, 5e-4 and 1e-3 on training rows of
trec and sst2 that were set apart (LOG.md)."""
EPOCHS = {"tags": 3, "frozen": 3, "frozen all": 30, "pretrained": 5}


def trained(
    place: Path, data: str, base: str, metric: str, seed: int, epochs: int, more: list[str]
) -> tuple[float, float]:  # fmt: skip
    """The test part's metric, and the seconds of the whole command."""
    end = "conll" if JOBS[data].task == "words" else "csv"
    pair = ["--text-b-column", "text_b"] if JOBS[data].task == "pair" else []
    begun = time.perf_counter()
    run([
        *NLPCLI, "finetune", str(place / f"train.{end}"), "--from", base, "-o",
        str(place / "model"), "--dev", str(place / f"dev.{end}"), "--seed", str(seed), "--epochs",
        str(epochs), "--force", "-q", *pair, *more,
    ])  # fmt: skip
    seconds = time.perf_counter() - begun
    found = run([*NLPCLI, "eval", "-m", str(place / "model"), str(place / f"test.{end}"), *pair,
                 "--json", "-q", "--resamples", "10"])  # fmt: skip
    return float(json.loads(found.stdout)[metric]["value"]), seconds


def measured(
    place: Path, data: str, base: str, metric: str, arguments: argparse.Namespace, epochs: int,
    more: list[str],
) -> dict[str, Any]:  # fmt: skip
    """Over the seeds."""
    runs = [trained(place, data, base, metric, seed, epochs, more) for seed in arguments.seeds]
    values = [value for value, _ in runs]
    row = {
        "metric": metric, "mean": statistics.mean(values), "all": values, "epochs": epochs,
        "deviation": statistics.stdev(values) if len(values) > 1 else None,
        "seconds": round(statistics.mean(seconds for _, seconds in runs), 1),
    }  # fmt: skip
    print(data, Path(base).name, more, json.dumps(row), flush=True)
    return row


def measure_tags(place: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    rows = len(write_parts("ner", place, arguments.most)["train"])
    ways = {"greedy": ["--task", "token"], "crf": ["--task", "token", "--crf"],
            "spans": ["--task", "span"]}  # fmt: skip
    found: dict[str, Any] = {"rows": rows}
    for way, more in ways.items():
        metric = "span_f1" if way == "spans" else "entity_f1"
        found[way] = measured(place, "ner", ENCODER, metric, arguments, EPOCHS["tags"], more)
    return found


def measure_frozen(place: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for data in ("trec", "sst2"):
        write_parts(data, place, arguments.most)
        found[data] = {
            "full": measured(place, data, ENCODER, "accuracy", arguments, EPOCHS["frozen"], []),
            "frozen": measured(place, data, ENCODER, "accuracy", arguments, EPOCHS["frozen all"],
                               ["--freeze", "all", "--lr", "1e-2"]),
        }  # fmt: skip
    return found


def measure_pretrained(place: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    folders = {path.name: path for path in sorted(Path(PRETRAINED).iterdir()) if path.is_dir()}
    first = next(iter(folders.values()))
    scratch, text = place / "scratch", place / "text.txt"
    text.write_text("\n".join(f"line number {n} of a text" for n in range(4000)))
    run([*NLPCLI, "pretrain-bert", str(text), "-o", str(scratch), "--tokenizer",
         str(first / "tokenizer.json"), "--size", "mini", "--max-length", "128", "--steps", "1",
         "--lr", "1e-7", "-q"])  # fmt: skip
    found: dict[str, Any] = {}
    for data in ("sst2", "trec", "mrpc"):
        write_parts(data, place, arguments.most)
        found[data] = {
            f"{name}, {pooling}": measured(
                place, data, str(folder), "accuracy", arguments, EPOCHS["pretrained"],
                ["--pooling", pooling, "--lr", RATE],
            )
            for name, folder in {"scratch": scratch, **folders}.items()
            for pooling in ("cls", "mean")
        }  # fmt: skip
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    ways = {"tags": measure_tags, "frozen": measure_frozen, "pretrained": measure_pretrained}
    parser.add_argument("jobs", nargs="+", choices=list(ways))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--most", type=int)
    arguments = parser.parse_args()
    path = ROOT / "benchmarks" / "results" / "finetuning_choices.json"
    result: dict[str, Any] = {}
    if path.exists():
        result = {k: v for k, v in json.loads(path.read_text()).items() if k in ways}
    with tempfile.TemporaryDirectory() as folder:
        for job in arguments.jobs:
            result[job] = ways[job](Path(folder), arguments)
            write_result("finetuning_choices", result)


if __name__ == "__main__":
    main()
