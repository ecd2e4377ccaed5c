"""Tables of train-fasttext, its prediction and its models, from their results."""

from __future__ import annotations

from measure import read_result


def accuracy_table() -> str:
    """A row a set."""
    lines = [
        "| set | metric | nlpcli (95 % interval) | s | MB | TF-IDF + LinearSVC | s "
        "| fastText program | s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in sorted(read_result("accuracy")["sets"].items()):
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
    for name, row in read_result("fasttext_speed")["jobs"].items():
        ours, peer = row["nlpcli"], row["fasttext"]
        lines.append(
            f"| {name} | {row['rows']:,} | `{row['ours']}` | {ours['seconds']:.1f} against "
            f"{peer['seconds']:.1f}: **{row['ratio']:.2f}** "
            f"| {ours['accuracy']:.3f} against {peer['accuracy']:.3f} |"
        )
    return "\n".join(lines)


def speed_table() -> str:
    """Prediction and start-up."""
    predict, start = read_result("predict_throughput"), read_result("startup")
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


def warm_table() -> str:
    """A row a case."""
    lines = ["| set | rows | before | continued | on all rows at once |", "|---|---|---|---|---|"]
    for name, row in read_result("warm_start").items():
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
    for name, points in read_result("model_size")["sets"].items():
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
    for name, row in read_result("fasttext_speed")["jobs"].items():
        whole, parts = row["nlpcli"]["seconds"], row["nlpcli"]["stage_seconds"]
        shares = [parts[stage] / whole for stage in stages]
        cells = " | ".join(f"{share:.0%}" for share in [*shares, max(0.0, 1 - sum(shares))])
        lines.append(f"| {name} | {cells} |")
    return "\n".join(lines)


def losses_table() -> str:
    """A row a loss."""
    lines = ["| labels | program and loss | P@1 | s |", "|---|---|---|---|"]
    names = {"cooking": "cooking, 736", "synthetic": "made up, 100,000"}
    for job, rows in read_result("losses")["jobs"].items():
        for name, row in rows.items():
            lines.append(f"| {names[job]} | {name} | {row['value']:.3f} | {row['seconds']:.1f} |")
    return "\n".join(lines)


def none_table() -> str:
    """A row a way of telling that a text has no known label."""
    lines = ["| by | AUROC | passing at 95 % recall |", "|---|---|---|"]
    for name, row in read_result("none_of_these")["rows"].items():
        lines.append(f"| {name} | {row['auroc']:.3f} | {row['fpr95']:.1%} |")
    return "\n".join(lines)
