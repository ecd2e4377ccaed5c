"""Fine-tuning and prediction of an encoder against transformers (Trainer, pipeline) and ONNX.

    ENCODER=/path/to/minilm TRANSFORMERS_PYTHON=/path/to/python python benchmarks/finetuning.py JOB
        [--sets sst2 ...] [--seeds 1 2 3] [--lrs 5e-5 1e-4] [--peer-lr 5e-5] [--most N] [--turns 2]

Jobs: train (sst2, batch 32, one epoch: rows a second of the training loops and peak memory, twice,
the better of each, but the slow Trainer once), predict (agnews, CSV to CSV, processes, in so many
turns, the best of each, the slow pipeline once), both with ``--pooling cls``, the network of the
peers; tune (scores on the dev part for each learning rate, one seed, both programs), quality (mean
and spread of the test part's metric over seeds; the weights of the best epoch on dev). The
questions of the set qa are of SQuAD's development file, by article: of 48, 8 are the test part and
40 are for training, of which 4 are the dev part of both programs, so that 36 are learnt.
In predict int8 of nlpcli stands beside that of ONNX Runtime, and its labels are compared with those
of the pipeline in float32, all others with nlpcli's.
The Trainer as people run it: float32, random batches; at its best: bfloat16, batches of about one
length, fused AdamW. pipeline: batch 32, float32; at its best: bfloat16, texts sorted by length.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from finetuning_data import DOC_STRIDE, ENDINGS, JOBS, measured, write_parts
from finetuning_questions import question_scores
from measure import DATA, NLPCLI, ROOT, run, run_measured, write_result

HERE = Path(__file__).resolve().parent
THREADS = os.cpu_count() or 1
ENCODER = os.environ.get("ENCODER", "")
PEER = os.environ.get("TRANSFORMERS_PYTHON", sys.executable)
SAME = ["--pooling", "cls"]
"""Speed is compared on one network, BERT's with its pooler, the only one that the peers know."""


def peer(script: str, place: Path, **options: Any) -> dict[str, Any]:
    """One run of a peer's script: what it printed."""
    file = place / "options.json"
    file.write_text(json.dumps({"threads": THREADS, "encoder": ENCODER, **options}))
    done = subprocess.run([PEER, str(HERE / script), str(file)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def by_trainer(name: str, place: Path, *, best: bool, lr: float, seed: int, epochs: int,
               looks: bool = True) -> tuple[dict[str, Any], list[Any]]:  # fmt: skip
    """One run of the Trainer: its report, and its answers to the test part."""
    job = JOBS[name]
    script = "trainer_questions.py" if job.task == "questions" else "trainer.py"
    answers = place / "answers.jsonl"
    report = peer(
        script, place, task=job.task, train=str(place / "train.jsonl"),
        dev=str(place / "dev.jsonl") if looks else None, test=str(place / "test.jsonl"),
        out=str(place / "trainer"), answers=str(answers), bf16=best, grouped=best, lr=lr, seed=seed,
        epochs=epochs, batch=32, max_length=job.max_length, doc_stride=DOC_STRIDE,
    )  # fmt: skip
    return report, [json.loads(line) for line in answers.open(encoding="utf-8")]


def by_nlpcli(name: str, place: Path, *, seed: int, epochs: int, more: list[str],
              looks: bool = True) -> tuple[dict[str, Any], list[Any]]:  # fmt: skip
    """One run of nlpcli: its report, and its answers to the test part."""
    job, out = JOBS[name], place / "ours"
    end = ENDINGS.get(job.task, "csv")
    columns = []
    if job.task in ENDINGS:
        columns = ["--task", {"words": "token", "questions": "qa"}[job.task]]
    elif job.task in ("pair", "regression"):
        columns = ["--text-b-column", "text_b"]
    elif job.task == "several":
        columns = ["--label-separator", ";"]
    if job.task == "regression":
        columns += ["--task", "regression"]
    dev = ["--dev", str(place / f"dev.{end}")] if looks else ["--dev-fraction", "0"]
    done = run([
        *NLPCLI, "finetune", str(place / f"train.{end}"), "--from", ENCODER, "-o", str(out),
        *columns, *dev, "--seed", str(seed), "--epochs", str(epochs), "--max-length",
        str(job.max_length), "--force", "--json", "-q", *job.more, *more,
    ])  # fmt: skip
    report: dict[str, Any] = json.loads(done.stdout)
    pair = ["--text-b-column", "text_b"] if job.task in ("pair", "regression") else []
    found = run([*NLPCLI, "predict", "-m", str(out), str(place / f"test.{end}"), *pair, "--only",
                 "--output-format", "jsonl", "-q"])  # fmt: skip
    key = {"words": "predicted_tags", "several": "predicted_labels",
           "regression": "predicted_score", "questions": "predicted_answer",
           }.get(job.task, "predicted_label")  # fmt: skip
    values = [json.loads(line)[key] for line in found.stdout.splitlines()]
    if job.task == "words":
        values = [v.split(" ") if isinstance(v, str) else v for v in values]
    elif job.task == "several":
        values = [[part for part in v.split(";") if part] for v in values]
    return report, values


def measure_training(place: Path) -> dict[str, Any]:
    """sst2, one epoch, no dev part."""
    name, row = "sst2", {}
    parts = write_parts(name, place)
    rates: dict[str, list[float]] = {"nlpcli": [], "trainer": [], "trainer_best": []}
    for _ in range(2):
        report, found = by_nlpcli(name, place, seed=1, epochs=1, more=SAME, looks=False)
        rates["nlpcli"].append(report["rows_per_second"])
        row["nlpcli_accuracy"] = measured(name, parts["test"], found)
        row["nlpcli_peak_mb"] = report["peak_memory_mb"]
        row["nlpcli_share_of_peak"] = report.get("share_of_peak")
        for key, best in (("trainer", False), ("trainer_best", True)):
            if rates["trainer"] and not best:
                continue  # a slow one
            report, found = by_trainer(name, place, best=best, lr=5e-5, seed=1, epochs=1,
                                       looks=False)  # fmt: skip
            rates[key].append(report["rows_per_second"])
            row[f"{key}_accuracy"] = measured(name, parts["test"], found)
            row[f"{key}_peak_mb"] = report["peak_mb"]
        print(json.dumps(rates), flush=True)
    best_of = {key: round(max(values), 1) for key, values in rates.items()}
    row |= {f"{key}_rows_per_second": value for key, value in best_of.items()}
    row |= {"ratio": round(best_of["nlpcli"] / best_of["trainer"], 2),
            "ratio_best": round(best_of["nlpcli"] / best_of["trainer_best"], 2)}  # fmt: skip
    return row


def answers_in(file: Path) -> list[str]:
    with file.open(encoding="utf-8", newline="") as lines:
        return [row["predicted_label"] for row in csv.DictReader(lines)]


def measure_prediction(place: Path, turns: int, most: int | None) -> dict[str, Any]:
    """agnews' test rows, or so many; the model is one of a small part of agnews_noisy."""
    train, out = place / "noisy.csv", place / "agnews"
    with gzip.open(DATA / "agnews_noisy" / "train.csv.gz", "rt", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))[:3200]
    with train.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["text", "label"])
        writer.writerows([row["text"], row["label"]] for row in rows)
    run([*NLPCLI, "finetune", str(train), "--from", ENCODER, "-o", str(out), "--epochs", "1",
         "--force", "-q", *SAME])  # fmt: skip
    test = place / "test.csv"
    with (DATA / "agnews" / "test.csv").open(encoding="utf-8", newline="") as lines:
        asked = list(csv.reader(lines))[: None if most is None else most + 1]
    with test.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(asked)
    own = {"nlpcli": "auto", "nlpcli_int8": "int8"}
    ways = ("pipeline", "pipeline_best", "onnx", "onnx_int8")
    seconds: dict[str, list[float]] = {key: [] for key in (*own, *ways)}
    peak: dict[str, float] = {}
    labels: dict[str, list[str]] = {}
    for _ in range(turns):
        for name, precision in own.items():
            target = place / f"{name}.csv"
            done = run_measured([*NLPCLI, "predict", "-m", str(out), str(test), "-o", str(target),
                                 "--precision", precision, "-q"])  # fmt: skip
            seconds[name].append(done.seconds)
            peak[name], labels[name] = done.peak_mb, answers_in(target)
        for way in ways:
            if way == "pipeline" and seconds[way]:
                continue  # a slow one
            report = peer("encoder_answers.py", place, model=str(out), input=str(test), way=way,
                          output=str(place / f"{way}.csv"), work=str(place))  # fmt: skip
            seconds[way].append(report["seconds"])
            peak[way] = report["peak_mb"]
            labels[way] = answers_in(place / f"{way}.csv")
        print(json.dumps(seconds), flush=True)
    n = len(labels["nlpcli"])
    row: dict[str, Any] = {"rows": n, "turns": turns}
    for key, values in seconds.items():
        row[f"{key}_rows_per_second"] = round(n / min(values), 1)
        row[f"{key}_peak_mb"] = round(peak[key])
        if key not in own:
            mine = "nlpcli_int8" if key.endswith("int8") else "nlpcli"
            row[f"{key}_ratio"] = round(min(values) / min(seconds[mine]), 2)
        if key != "nlpcli":
            exact = "pipeline" if key.endswith("int8") else "nlpcli"
            same = sum(a == b for a, b in zip(labels[key], labels[exact], strict=True))
            row[f"{key}_same_labels"] = round(same / n, 4)
    for way in ("pipeline", "pipeline_best", "onnx"):
        row[f"int8_{way}_ratio"] = round(min(seconds[way]) / min(seconds["nlpcli_int8"]), 2)
    return row


def tune(place: Path, sets: list[str], lrs: list[float], most: int | None,
         programs: list[str], more: list[str]) -> None:  # fmt: skip
    """Dev scores by learning rate; printed, for choosing."""
    for name in sets:
        write_parts(name, place, most)
        parts = {"test": json_rows(place / "dev.jsonl")}
        (place / "test.jsonl").write_bytes((place / "dev.jsonl").read_bytes())
        end = ENDINGS.get(JOBS[name].task, "csv")
        (place / f"test.{end}").write_bytes((place / f"dev.{end}").read_bytes())
        for lr in lrs:
            for program in programs:
                epochs = JOBS[name].epochs
                if program == "nlpcli":
                    _, found = by_nlpcli(name, place, seed=1, epochs=epochs,
                                         more=["--lr", str(lr), *more])  # fmt: skip
                else:
                    _, found = by_trainer(name, place, best=True, lr=lr, seed=1, epochs=epochs)
                score = measured(name, parts["test"], found)
                print(name, program, lr, *more, round(score, 4), flush=True)


def json_rows(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def of_seeds(values: list[float]) -> dict[str, Any]:
    """Mean and spread."""
    spread = statistics.stdev(values) if len(values) > 1 else None
    return {"mean": statistics.mean(values), "deviation": spread, "all": values}


def answers_of(
    program: str, name: str, place: Path, seed: int, arguments: argparse.Namespace
) -> list[Any]:
    """Of one run, to the test part."""
    epochs = JOBS[name].epochs
    if program == "nlpcli":
        return by_nlpcli(name, place, seed=seed, epochs=epochs, more=arguments.more.split())[1]
    return by_trainer(name, place, best=True, lr=arguments.peer_lr, seed=seed, epochs=epochs)[1]


def measure_quality(place: Path, arguments: argparse.Namespace, result: dict[str, Any]) -> None:
    """Set by set, seed by seed, both programs; written after each seed. Of --programs that are not
    run what was measured before stays."""
    keys = {"nlpcli": "nlpcli", "trainer": "trainer_best"}
    for name in arguments.sets:
        job = JOBS[name]
        parts = write_parts(name, place, arguments.most)
        scores: dict[str, list[float]] = {keys[program]: [] for program in arguments.programs}
        exact: dict[str, list[float]] = {key: [] for key in scores}
        before = result["quality"].get(name, {})
        row: dict[str, Any] = {
            "metric": job.metric, "rows": len(parts["train"]), "epochs": job.epochs,
            "published": job.published,
        }  # fmt: skip
        row["peer_lr"] = (arguments.peer_lr if "trainer" in arguments.programs
                          else before.get("peer_lr"))  # fmt: skip
        row |= {key: before[key] for key in keys.values() if key in before}
        for number, seed in enumerate(arguments.seeds, 1):
            for program in arguments.programs:
                found, key = answers_of(program, name, place, seed, arguments), keys[program]
                scores[key].append(measured(name, parts["test"], found))
                if job.task == "questions":
                    exact[key].append(question_scores(parts["test"], found)["em"])
            print(name, seed, json.dumps(scores), flush=True)
            row |= {key: of_seeds(values) for key, values in scores.items()}
            row["seeds"] = arguments.seeds[:number]
            if job.task == "questions":
                row["em"] = {key: of_seeds(values) for key, values in exact.items()}
            result["quality"][name] = row
            write_result("finetuning", result)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("jobs", nargs="+", choices=["train", "predict", "tune", "quality"])
    parser.add_argument("--sets", nargs="+", default=[name for name in JOBS if name != "trec"],
                        choices=list(JOBS))  # fmt: skip
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--lrs", nargs="+", type=float, default=[3e-5, 5e-5, 1e-4])
    parser.add_argument("--programs", nargs="+", default=["nlpcli", "trainer"])
    parser.add_argument("--peer-lr", type=float, default=5e-5)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--most", type=int)
    parser.add_argument("--more", default="")
    arguments = parser.parse_args()
    if not ENCODER:
        raise SystemExit("ENCODER: the folder of an encoder is wanted")
    path = ROOT / "benchmarks" / "results" / "finetuning.json"
    result: dict[str, Any] = {"quality": {}}
    if path.exists():
        held = json.loads(path.read_text())
        result |= {k: v for k, v in held.items() if k in ("train", "predict", "quality")}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        if "train" in arguments.jobs:
            result["train"] = measure_training(place)
            print(json.dumps(result["train"]))
            write_result("finetuning", result)
        if "predict" in arguments.jobs:
            result["predict"] = measure_prediction(place, arguments.turns, arguments.most)
            print(json.dumps(result["predict"]))
            write_result("finetuning", result)
        if "tune" in arguments.jobs:
            tune(place, arguments.sets, arguments.lrs, arguments.most, arguments.programs,
                 arguments.more.split())  # fmt: skip
        if "quality" in arguments.jobs:
            measure_quality(place, arguments, result)


if __name__ == "__main__":
    main()
