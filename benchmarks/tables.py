"""Writes the README's tables from benchmarks/results, between their markers.

python benchmarks/tables.py
"""

from __future__ import annotations

import json
import re
from typing import Any

from measure import ROOT

RESULTS = ROOT / "benchmarks" / "results"


def result(name: str) -> dict[str, Any]:
    """One result file; empty where nothing was measured yet."""
    if not (RESULTS / f"{name}.json").exists():
        return {}
    document: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return document


def accuracy_table() -> str:
    """A row a set."""
    lines = [
        "| set | metric | nlpcli (95 % interval) | s | MB | TF-IDF + LinearSVC | s "
        "| fastText program | s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in sorted(result("accuracy")["sets"].items()):
        ours, peer, svm = row["nlpcli"], row.get("fasttext", {}), row.get("svm")
        metric = {"precision_at_1": "P@1"}.get(row["metric"], row["metric"])
        lines.append(
            f"| {name} | {metric} | **{ours['value']:.3f}** ({ours['low']:.3f}–{ours['high']:.3f}) "
            f"| {ours['train_seconds']:.1f} | {ours['model_mb']:.0f} "
            + (f"| {svm['value']:.3f} | {svm['seconds']:.1f} " if svm else "| | ")
            + f"| {peer.get('value', float('nan')):.3f} | {peer.get('train_seconds', 0):.1f} |"
        )
    return "\n".join(lines)


def same_table() -> str:
    """A row a job at the same settings."""
    lines = ["| job | rows | settings | seconds, ratio | accuracy |", "|---|---|---|---|---|"]
    for name, row in result("fasttext_speed")["jobs"].items():
        ours, peer = row["nlpcli"], row["fasttext"]
        lines.append(
            f"| {name} | {row['rows']:,} | `{row['ours']}` | {ours['seconds']:.1f} against "
            f"{peer['seconds']:.1f}: **{row['ratio']:.2f}** "
            f"| {ours['accuracy']:.3f} against {peer['accuracy']:.3f} |"
        )
    return "\n".join(lines)


def speed_table() -> str:
    """Prediction and start-up."""
    predict, start = result("predict_throughput"), result("startup")
    memory = predict["memory"]
    rows = [
        (
            f"`predict`, CSV to CSV, {predict['rows']:,} short rows, 60 labels",
            f"{predict['nlpcli_rows_per_second']:,} rows/s; fastText's `predict-prob` (dim 10) on "
            f"the same lines, ready split, {predict['fasttext_rows_per_second']:,}: "
            f"ratio {predict['ratio']:.2f}",
        ),
        (
            "its peak memory at 50,000 and at 5,000,000 rows",
            f"{memory['50000']['peak_mb']:.0f} MB and {memory['5000000']['peak_mb']:.0f} MB",
        ),
        (
            "`nlpcli --help`",
            f"{start['help'] * 1000:.0f} ms, {start['help_ratio']:.2f} × `import typer`",
        ),
        ("`predict` of one row, model of debian", f"{start['predict_one_row'] * 1000:.0f} ms"),
    ]
    return "\n".join(["| what | measured |", "|---|---|", *(f"| {a} | {b} |" for a, b in rows)])


def faults_table() -> str:
    """Kills, failing calls, damage, races, signals."""
    faults, signals = result("faults"), result("signals")
    phases = [phase for name, phase in signals.items() if name != "machine"]
    runs, gone = (sum(phase[key] for phase in phases) for key in ("runs", "gone_in_time"))
    slowest = max(phase["slowest_seconds"] for phase in phases)
    told = {
        "kills": (
            "SIGKILL: train, prune, pin, rollback, `predict -o`",
            "{kills:,} kills, {models_lost} models lost or not resumed",
        ),
        "writes": (
            "a call that changes files failed once (ENOSPC, EIO, EINTR, short write)",
            "{calls_failed:,} calls, {n_wrong} wrong exits or harmed files",
        ),
        "power": (
            "power cut after any call, any part of the unsynced lost, replayed from a log of calls",
            "{states:,} states, {n_wrong} with a model or an output lost",
        ),
        "corruption": (
            "model files cut, and single bits flipped",
            "{cut:,} cuts and {flip:,} flips, {accepted} accepted",
        ),
        "races": (
            "trainers and readers on one name at once",
            "{trainers} and {readers}: {won} published, {busy} exit 75, {reads} reads, "
            "{n_wrong} wrong",
        ),
    }
    rows = [
        (what, form.format(**faults[name], n_wrong=len(faults[name].get("wrong", []))))
        for name, (what, form) in told.items()
        if name in faults
    ]
    rows.append((
        "SIGTERM and SIGINT while reading, training, measuring, saving",
        f"{gone} of {runs} gone within 10 s, the slowest after {slowest:.1f} s",
    ))  # fmt: skip
    return "\n".join(["| what | measured |", "|---|---|", *(f"| {a} | {b} |" for a, b in rows)])


def warm_table() -> str:
    """A row a case."""
    lines = ["| set | rows | before | continued | on all rows at once |", "|---|---|---|---|---|"]
    for name, row in result("warm_start").items():
        if name == "machine":
            continue
        cells = []
        for model in ("old", "warm", "all"):
            old, new = row[f"{model}_on_old"], row[f"{model}_on_new"]
            cells.append(f"{old:.3f}" + ("" if new is None else f" / {new:.3f}"))
        lines.append(
            f"| {name} | {row['old_rows']:,} + {row['new_rows']:,} | {' | '.join(cells)} |"
        )
    return "\n".join(lines)


def size_table() -> str:
    """A row a size of ours, beside the best of the fastText program's that is no larger."""
    lines = [
        "| set | `--model-size` | bytes | accuracy | fastText, no larger: bytes | accuracy |",
        "|---|---|---|---|---|---|",
    ]
    for name, points in result("model_size")["sets"].items():
        for ours in points["nlpcli"]:
            limit = ours["limit"] or "none"
            fits = [p for p in points.get("fasttext", []) if p["bytes"] <= ours["bytes"]]
            peer = max(fits, key=lambda p: p["accuracy"], default=None)
            told = f"{peer['bytes']:,} | {peer['accuracy']:.3f}" if peer else "| "
            lines.append(
                f"| {name} | {limit} | {ours['bytes']:,} | **{ours['accuracy']:.3f}** | {told} |"
            )
    return "\n".join(lines)


def stages_table() -> str:
    """Where the time of the runs at the program's settings goes; the rest is Python's start."""
    stages = ("read", "tokenize", "import_and_prepare", "train", "measure", "save")
    names = ("read", "split and hash", "import and prepare", "train", "measure", "save")
    lines = [f"| job | {' | '.join(names)} | start and end |", "|---" * 8 + "|"]
    for name, row in result("fasttext_speed")["jobs"].items():
        whole, parts = row["nlpcli"]["seconds"], row["nlpcli"]["stage_seconds"]
        shares = [parts[stage] / whole for stage in stages]
        cells = " | ".join(f"{share:.0%}" for share in [*shares, max(0.0, 1 - sum(shares))])
        lines.append(f"| {name} | {cells} |")
    return "\n".join(lines)


def losses_table() -> str:
    """A row a loss."""
    lines = ["| labels | program and loss | P@1 | s |", "|---|---|---|---|"]
    names = {"cooking": "cooking, 736", "synthetic": "made up, 100,000"}
    for job, rows in result("losses")["jobs"].items():
        for name, row in rows.items():
            lines.append(f"| {names[job]} | {name} | {row['value']:.3f} | {row['seconds']:.1f} |")
    return "\n".join(lines)


def none_table() -> str:
    """A row a way of telling that a text has no known label."""
    lines = ["| by | AUROC | passing at 95 % recall |", "|---|---|---|"]
    for name, row in result("none_of_these")["rows"].items():
        lines.append(f"| {name} | {row['auroc']:.3f} | {row['fpr95']:.1%} |")
    return "\n".join(lines)


def calibration_table() -> str:
    """A row a set: calibration error of the top label."""
    lines = [
        "| set | rows | uncalibrated | as trained | temperature | isotonic |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in sorted(result("calibration")["sets"].items()):
        if "ece" not in row:
            continue
        ece = row["ece"]
        lines.append(
            f"| {name} | {ece['rows']:,} | {ece['uncalibrated']:.3f} | {ece['as_trained']:.3f} "
            f"| {ece['temperature']['ece']:.3f} | {ece['isotonic']['ece']:.3f} |"
        )
    return "\n".join(lines)


def label_sets_table() -> str:
    """A row a set and level."""
    lines = [
        "| set | asked | held | labels a set | one label | none |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in sorted(result("calibration")["sets"].items()):
        lines += [
            f"| {name} | {point['level']:.0%} | {point['coverage']:.2%} "
            f"| {point['mean_set_size']:.2f} | {point['singletons']:.1%} | {point['empty']:.1%} |"
            for point in row.get("conformal", [])
        ]
    return "\n".join(lines)


def ngrams_table() -> str:
    """A row a program."""
    lines = ["| program | s | words/s | ratio | MB | ratio |", "|---|---|---|---|---|---|"]
    for name, row in result("ngrams")["speed"]["rows"].items():
        lines.append(
            f"| {name} | {row['seconds']:.1f} | {row['tokens_per_second']:,} | {row['ratio']:.1f} "
            f"| {row['peak_mb']:,} | {row['memory_ratio']:.2f} |"
        )
    return "\n".join(lines)


def ways_table() -> str:
    """A row a way to count with less."""
    lines = ["| options | rows | s | MB | lost |", "|---|---|---|---|---|"]
    for name, row in result("ngrams")["ways"].items():
        lines.append(
            f"| {name} | {row['rows']:,} | {row['seconds']:.1f} | {row['peak_mb']:,} "
            f"| {row['lost']:.1%} |"
        )
    return "\n".join(lines)


def chosen_table() -> str:
    """A row a choice of features."""
    lines = ["| chosen by | features | accuracy | of all |", "|---|---|---|---|"]
    for name, row in result("ngrams")["chosen"].items():
        lines.append(
            f"| {name} | {row['features']:,} | {row['accuracy']:.4f} | {row['share']:.1%} |"
        )
    return "\n".join(lines)


def word2vec_table() -> str:
    """A row a way of training and a program."""
    names = {
        "sg": "skip-gram, negatives", "cbow": "CBOW, negatives", "hs": "skip-gram, tree",
        "subwords": "skip-gram, sub-words", "svd": "svd (PPMI)",
    }  # fmt: skip
    keys = ("analogies", "ws353", "men", "simlex", "rare_words")
    lines = [
        "| what | program | words/s | ratio | analogies | WS-353 | MEN | SimLex | Rare Words "
        "| MB |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    jobs = result("word2vec")["jobs"]
    for job in (job for job in names if job in jobs):
        row, seeds = jobs[job], jobs[job]["seeds"]
        for program in ("nlpcli", "gensim"):
            if program not in row:
                continue
            mine, found = program == "nlpcli", row[program]
            scores = " | ".join(f"{found[key]:.3f}" for key in keys)
            ratio = f"**{row['ratio']:.2f}**" if mine and "ratio" in row else ""
            what = f"{names[job]}; {seeds} seed{'s' * (seeds > 1)}" if mine else ""
            lines.append(
                f"| {what} | {program} | {found['words_per_second']:,} | {ratio} | {scores} | "
                f"{found['peak_mb']} |"
            )
    return "\n".join(lines)


def language_table() -> str:
    """Perplexities: a row a text and order, a column a way of smoothing."""
    found = result("language_model")
    ways = ("kneser-ney", "interpolated", "backoff", "laplace", "mle")
    lines = [f"| text | order | {' | '.join(ways)} (impossible tokens) |", "|---" * 7 + "|"]
    rows = [("Penn Treebank", "3", found["ptb_3"])]
    rows += [("WikiText-2", order, found["wikitext2"][order]) for order in found["wikitext2"]]
    for name, order, row in rows:
        cells = [
            "infinite" if row[way]["perplexity"] is None else f"{row[way]['perplexity']:.1f}"
            for way in ways
        ]
        cells[-1] += f" ({row['mle']['zero_probability_share']:.1%})"
        lines.append(f"| {name} | {order} | {' | '.join(cells)} |")
    return "\n".join(lines)


def pretraining_table() -> str:
    """Speed, then a row a way of pre-training: what is learnt in so many minutes."""
    found = result("pretraining")
    lines = ["| program | pieces/s | nlpcli's ratio |", "|---|---|---|"]
    speed = found["speed"]
    lines.append(f"| nlpcli | {speed['nlpcli_tokens_per_second']:,} | |")
    for name, key, ratio in (
        ("Trainer as people run it, float32", "trainer_tokens_per_second", "ratio"),
        ("Trainer, bfloat16, fused AdamW, no dropout", "trainer_best_tokens_per_second",
         "ratio_best"),
    ):  # fmt: skip
        lines.append(f"| {name} | {speed[key]:,} | **{speed[ratio]:.2f}** |")
    lines += ["", "| learnt | minutes | steps | held-out loss of masked pieces | accuracy |",
              "|---|---|---|---|---|"]  # fmt: skip
    names = {
        "mlm": "nlpcli, masked pieces", "mlm+nsp": "nlpcli, and the next sentence",
        "span+sbo": "nlpcli, spans and their borders", "trainer_best": "Trainer at its best",
    }  # fmt: skip
    for key in (key for key in names if key in found["learn"]):
        row = found["learn"][key]
        held = row["held_out"]
        lines.append(
            f"| {names[key]} | {row['minutes']:g} | {row['steps']:,} | {held['loss']:.3f} | "
            f"{held['accuracy']:.3f} |"
        )
    return "\n".join(lines)


def robustness_table() -> str:
    """A row a model of a set."""
    lines = [
        "| set | model | accuracy | mean over kinds and strengths | worst kind at 0.4 "
        "| under attack | words to flip it |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, models in result("robustness")["sets"].items():
        for command, row in models.items():
            last = {kind: points[-1] for kind, points in row["robustness"].items()}
            worst = min(last, key=lambda kind: last[kind]["accuracy"]["value"])
            attack, mean = row["attack"], row["perturbed_accuracy"]
            lines.append(
                f"| {name} | `{command}` | {row['accuracy']['value']:.3f} | {mean['value']:.3f} "
                f"({mean['low']:.3f}–{mean['high']:.3f}) "
                f"| {last[worst]['accuracy']['value']:.3f} ({worst}) "
                f"| {attack['accuracy_under_attack']['value']:.3f} of "
                f"{attack['accuracy']['value']:.3f} | {attack['words_changed']:.1f} |"
            )
    return "\n".join(lines)


def finetuning_table() -> str:
    """Rows a second of fine-tuning and of prediction, beside the peers."""
    found = result("finetuning")
    lines = ["| job | program | rows/s | nlpcli's ratio | peak MB | |", "|---|---|---|---|---|---|"]
    train, predict = found.get("train"), found.get("predict")
    if train:
        for name, key, ratio in (
            ("nlpcli", "nlpcli", None),
            ("Trainer as people run it, float32", "trainer", "ratio"),
            ("Trainer, bfloat16, batches of one length", "trainer_best", "ratio_best"),
        ):
            share = "" if ratio is None else f"**{train[ratio]:.2f}**"
            lines.append(
                f"| sst2, 1 epoch | {name} | {train[f'{key}_rows_per_second']:,.0f} | {share} | "
                f"{train[f'{key}_peak_mb']:,} | accuracy {train[f'{key}_accuracy']:.3f} |"
            )
    if predict:
        for name, key in (
            ("nlpcli", "nlpcli"), ("pipeline, batches of 32, float32", "pipeline"),
            ("pipeline, bfloat16, sorted by length", "pipeline_best"),
            ("ONNX Runtime, float32, sorted", "onnx"),
        ):  # fmt: skip
            ratio, same = predict.get(f"{key}_ratio"), predict.get(f"{key}_same_labels")
            share = "" if ratio is None else f"**{ratio:.2f}**"
            more = "" if same is None else f"same labels {same:.2%}"
            rate, peak = predict[f"{key}_rows_per_second"], predict[f"{key}_peak_mb"]
            lines.append(
                f"| agnews, CSV to CSV | {name} | {rate:,.0f} | {share} | {peak:,} | {more} |"
            )
    return "\n".join(lines)


def tuned_table() -> str:
    """A row a data set: what both programs reach after the same budget."""
    lines = ["| data | rows, epochs | metric | nlpcli | Trainer | BERT-base, published |",
             "|---|---|---|---|---|---|"]  # fmt: skip
    for name, row in result("finetuning").get("quality", {}).items():
        cells = []
        for key in ("nlpcli", "trainer_best"):
            spread = row[key]["deviation"]
            exact = f" (EM {row['em'][key]['mean']:.3f})" if "em" in row else ""
            shown = "" if spread is None else f" ± {spread:.3f}"
            cells.append(f"{row[key]['mean']:.3f}{shown}{exact}")
        lines.append(
            f"| {name} | {row['rows']:,}, {row['epochs']} | {row['metric']} | {cells[0]} | "
            f"{cells[1]} | {row['published']} |"
        )
    return "\n".join(lines)


def tuning_choices_table() -> str:
    """What decoders, frozen layers and pre-training bring."""
    found = result("finetuning_choices")
    lines = ["| data | way | metric | mean of seeds | seconds |", "|---|---|---|---|---|"]
    groups = {"conll2003": found.get("tags", {})}
    for job in ("frozen", "pretrained"):
        groups |= {f"{name}, {job}": rows for name, rows in found.get(job, {}).items()}
    for name, rows in groups.items():
        for way, row in rows.items():
            if isinstance(row, dict):
                spread = "" if row["deviation"] is None else f" ± {row['deviation']:.3f}"
                took = "" if row["seconds"] is None else f"{row['seconds']:,.0f}"
                mean = f"{row['mean']:.3f}{spread}"
                lines.append(f"| {name} | {way} | {row['metric']} | {mean} | {took} |")
    return "\n".join(lines)


def cascade_table() -> str:
    """A small model in front of an encoder: rows a second and accuracy."""
    lines = ["| data | what answers | rows/s | by the small one | accuracy |",
             "|---|---|---|---|---|"]  # fmt: skip
    for name, held in result("cascade").get("sets", {}).items():
        for way, row in held["rows"].items():
            share = "" if row["small_share"] is None else f"{row['small_share']:.1%}"
            lines.append(
                f"| {name} | {way} | {row['rows_per_second']:,} | {share} | {row['accuracy']:.4f} |"
            )
    return "\n".join(lines)


def main() -> None:
    """Replaces what stands between the markers."""
    path = ROOT / "README.md"
    text = path.read_text(encoding="utf-8")
    tables = {
        "accuracy": accuracy_table, "same": same_table, "speed": speed_table,
        "faults": faults_table, "warm": warm_table, "size": size_table,
        "stages": stages_table, "losses": losses_table, "none": none_table,
        "word2vec": word2vec_table,
        "ngrams": ngrams_table, "ways": ways_table, "chosen": chosen_table,
        "language": language_table, "pretraining": pretraining_table,
        "finetuning": finetuning_table, "tuned": tuned_table, "tuning": tuning_choices_table,
        "robustness": robustness_table, "cascade": cascade_table,
        "calibration": calibration_table, "sets": label_sets_table,
    }  # fmt: skip
    for name, make in tables.items():
        table = make()
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
        text = pattern.sub(lambda _, t=table, b=begin, e=end: f"{b}\n{t}\n{e}", text)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
