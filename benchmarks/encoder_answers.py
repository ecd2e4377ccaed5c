"""The peers of prediction: a folder's classifier by transformers or ONNX Runtime, CSV to CSV.

    TRANSFORMERS_PYTHON benchmarks/encoder_answers.py OPTIONS.json

``way``: pipeline (batches of 32 as they come, float32), pipeline_best (bfloat16 weights, texts
sorted by length, batches of 32), onnx (float32, sorted, batches of 32; exported beforehand, which
is not counted), onnx_int8 (the same, quantised beforehand: weights by channel, what is read by
tensor while it runs, as ONNX Runtime does). ``seconds`` are those from before the imports to the
written file.
"""

from __future__ import annotations

import time

BEGUN = time.perf_counter()

import csv  # noqa: E402
import json  # noqa: E402
import resource  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

BATCH, LONGEST = 32, 128


def read(path: str) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def by_pipeline(
    options: dict[str, Any], texts: list[str], *, best: bool
) -> list[tuple[str, float]]:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

    torch.set_num_threads(options["threads"])
    model = AutoModelForSequenceClassification.from_pretrained(
        options["model"], dtype=torch.bfloat16 if best else torch.float32
    )
    tokenizer = AutoTokenizer.from_pretrained(options["model"])
    order = sorted(range(len(texts)), key=lambda i: len(texts[i])) if best else range(len(texts))
    classify = pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")
    found: list[tuple[str, float]] = [("", 0.0)] * len(texts)
    answers = classify([texts[i] for i in order], batch_size=BATCH, truncation=True,
                       max_length=LONGEST)  # fmt: skip
    for place, answer in zip(order, answers, strict=True):
        found[place] = (answer["label"], answer["score"])
    return found


def export(options: dict[str, Any], file: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(
        options["model"], attn_implementation="eager"
    ).eval()
    names = ["input_ids", "attention_mask", "token_type_ids"]
    ids = torch.ones(2, 16, dtype=torch.int64)
    batch, length = torch.export.Dim("batch"), torch.export.Dim("length", max=512)
    torch.onnx.export(
        model, (ids, torch.ones_like(ids), torch.zeros_like(ids)), str(file), input_names=names,
        output_names=["logits"], dynamo=True,
        dynamic_shapes=[{0: batch, 1: length}] * 3,
    )  # fmt: skip


def quantise(exact: Path, file: Path) -> None:
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    whole = file.with_suffix(".whole.onnx")  # its weights beside it would not be found
    model = onnx.load(str(exact))
    model.graph.ClearField("value_info")  # shapes that its own inference contradicts
    onnx.save_model(model, str(whole))
    quantize_dynamic(str(whole), str(file), per_channel=True, weight_type=QuantType.QInt8)


def by_onnx(options: dict[str, Any], texts: list[str], file: Path) -> list[tuple[str, float]]:
    import numpy as np
    import onnxruntime
    from tokenizers import Tokenizer

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options["threads"]
    session = onnxruntime.InferenceSession(str(file), settings, providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(Path(options["model"]) / "tokenizer.json"))
    tokenizer.enable_truncation(LONGEST)
    tokenizer.enable_padding()
    config = json.loads((Path(options["model"]) / "config.json").read_text())
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    found: list[tuple[str, float]] = [("", 0.0)] * len(texts)
    for at in range(0, len(order), BATCH):
        chosen = order[at : at + BATCH]
        encoded = tokenizer.encode_batch([texts[i] for i in chosen])
        ids, mask, kinds = (
            np.array([getattr(e, key) for e in encoded], np.int64)
            for key in ("ids", "attention_mask", "type_ids")
        )
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": kinds}
        wanted = {i.name: given[i.name] for i in session.get_inputs()}
        logits = session.run(["logits"], wanted)[0]
        p = np.exp(logits - logits.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        for place, row in zip(chosen, p, strict=True):
            best = int(row.argmax())
            found[place] = (config["id2label"][str(best)], float(row[best]))
    return found


def main() -> None:
    options = json.loads(Path(sys.argv[1]).read_text())
    begun = BEGUN
    file = exact = Path(options["work"]) / "model.onnx"
    if options["way"].startswith("onnx"):
        if not exact.exists():
            export(options, exact)
        if options["way"] == "onnx_int8":
            file = exact.with_name("model-int8.onnx")
            if not file.exists():
                quantise(exact, file)
        begun = time.perf_counter()
    rows = read(options["input"])
    texts = [row["text"] for row in rows]
    if options["way"].startswith("onnx"):
        found = by_onnx(options, texts, file)
    else:
        found = by_pipeline(options, texts, best=options["way"] == "pipeline_best")
    with open(options["output"], "w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([*rows[0], "predicted_label", "predicted_probability"])
        for row, (label, p) in zip(rows, found, strict=True):
            writer.writerow([*row.values(), label, f"{p:.6g}"])
    print(json.dumps({
        "seconds": time.perf_counter() - begun,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
