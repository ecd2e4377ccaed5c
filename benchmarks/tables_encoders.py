"""Tables of pre-training, fine-tuning and cascades, from their results."""

from __future__ import annotations

from typing import Any

from measure import read_result


def pretraining_table() -> str:
    """Speed, then a row a way of pre-training: what is learnt in so many minutes."""
    found = read_result("pretraining")
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


def finetuning_table() -> str:
    """Rows a second of fine-tuning and of prediction, beside the peers."""
    found = read_result("finetuning")
    lines = ["| job | program | rows/s | nlpcli's ratio | peak MB | |", "|---|---|---|---|---|---|"]
    train, predict = found.get("train"), found.get("predict")
    if train:
        for name, key, ratio in (
            ("nlpcli", "nlpcli", None),
            ("Trainer as people run it, float32", "trainer", "ratio"),
            ("Trainer, bfloat16, batches of one length", "trainer_best", "ratio_best"),
        ):
            share = "" if ratio is None else f"**{train[ratio]:.2f}**"
            more = "" if ratio else f"; {train['nlpcli_share_of_peak']:.0%} of the products' peak"
            lines.append(
                f"| sst2, 1 epoch | {name} | {train[f'{key}_rows_per_second']:,.0f} | {share} | "
                f"{train[f'{key}_peak_mb']:,} | accuracy {train[f'{key}_accuracy']:.3f}{more} |"
            )
    if predict:
        lines += prediction_lines(predict)
    return "\n".join(lines)


def prediction_lines(predict: dict[str, Any]) -> list[str]:
    """A row a program."""
    lines = []
    for name, key in (
        ("nlpcli", "nlpcli"), ("nlpcli, `--precision int8`", "nlpcli_int8"),
        ("pipeline, batches of 32, float32", "pipeline"),
        ("pipeline, bfloat16, sorted by length", "pipeline_best"),
        ("ONNX Runtime, float32, sorted", "onnx"), ("ONNX Runtime, int8, sorted", "onnx_int8"),
    ):  # fmt: skip
        if f"{key}_rows_per_second" not in predict:
            continue
        ratio, same = predict.get(f"{key}_ratio"), predict.get(f"{key}_same_labels")
        share = "" if ratio is None else f"**{ratio:.2f}**"
        more = "" if same is None else f"same labels {same:.2%}"
        if key == "nlpcli_int8":
            share = "; ".join(
                f"{told} {predict[f'int8_{way}_ratio']:.2f}"
                for told, way in (("float32", "pipeline"), ("bfloat16", "pipeline_best"),
                                  ("ONNX", "onnx"))
            )  # fmt: skip
        rate, peak = predict[f"{key}_rows_per_second"], predict[f"{key}_peak_mb"]
        lines.append(f"| agnews, CSV to CSV | {name} | {rate:,.0f} | {share} | {peak:,} | {more} |")
    return lines


def tuned_table() -> str:
    """A row a data set: what both programs reach after the same budget."""
    lines = ["| data | rows, epochs | metric | nlpcli | Trainer | BERT-base, published |",
             "|---|---|---|---|---|---|"]  # fmt: skip
    for name, row in read_result("finetuning").get("quality", {}).items():
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
    """What decoders and frozen layers bring."""
    found = read_result("finetuning_choices")
    lines = ["| data | way | metric | mean of seeds | seconds |", "|---|---|---|---|---|"]
    groups = {"conll2003": found.get("tags", {})}
    groups |= {f"{name}, frozen": rows for name, rows in found.get("frozen", {}).items()}
    for name, rows in groups.items():
        for way, row in rows.items():
            if isinstance(row, dict):
                spread = "" if row["deviation"] is None else f" ± {row['deviation']:.3f}"
                took = "" if row["seconds"] is None else f"{row['seconds']:,.0f}"
                mean = f"{row['mean']:.3f}{spread}"
                lines.append(f"| {name} | {way} | {row['metric']} | {mean} | {took} |")
    return "\n".join(lines)


def brought_table() -> str:
    """What minutes of pre-training bring: a row a data set and pooling, a column an encoder."""
    ways = ("scratch", "mlm", "mlm+nsp", "span+sbo")
    lines = [f"| data | pooling | {' | '.join(ways)} |", "|---" * 6 + "|"]
    for name, rows in read_result("finetuning_choices").get("pretrained", {}).items():
        for pooling in ("cls", "mean"):
            cells = [rows[f"{way}, {pooling}"]["all"] for way in ways]
            told = " | ".join(" ".join(f"{value:.3f}" for value in each) for each in cells)
            lines.append(f"| {name} | {pooling} | {told} |")
    return "\n".join(lines)


def cascade_table() -> str:
    """A small model in front of an encoder: rows a second and accuracy."""
    lines = ["| data | what answers | rows/s | by the small one | accuracy |",
             "|---|---|---|---|---|"]  # fmt: skip
    for name, held in read_result("cascade").get("sets", {}).items():
        for way, row in held["rows"].items():
            share = "" if row["small_share"] is None else f"{row['small_share']:.1%}"
            lines.append(
                f"| {name} | {way} | {row['rows_per_second']:,} | {share} | {row['accuracy']:.4f} |"
            )
    return "\n".join(lines)
