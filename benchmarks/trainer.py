"""The peer of fine-tuning: transformers' Trainer, one run, in a process of its own.

    TRANSFORMERS_PYTHON benchmarks/trainer.py OPTIONS.json

``task`` sequence, pair, regression, several or words; ``train``, ``dev``, ``test``: JSONL with
text, text_b, label, or tokens and tags. After each epoch the dev rows are scored and the weights
of the best epoch are kept, as nlpcli does (``dev``: null leaves that out). Prints one JSON
document: seconds of the training loop, rows a second, peak memory; writes answers to ``answers``.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers as hf

IGNORED = -100


def rows_of(path: str) -> list[dict[str, Any]]:
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


class Encoded(torch.utils.data.Dataset):  # type: ignore[misc]
    """Rows as the model takes them."""

    def __init__(self, rows: list[dict[str, Any]], options: dict[str, Any], tokenizer: Any,
                 numbers: dict[str, int]) -> None:  # fmt: skip
        self.items = [self._item(row, options, tokenizer, numbers) for row in rows]

    def _item(self, row: dict[str, Any], options: dict[str, Any], tokenizer: Any,
              numbers: dict[str, int]) -> dict[str, Any]:  # fmt: skip
        task, longest = options["task"], options["max_length"]
        if task == "words":
            item = tokenizer(row["tokens"], is_split_into_words=True, truncation=True,
                             max_length=longest)  # fmt: skip
            words, labels, last = item.word_ids(), [], None
            for word in words:
                first = word is not None and word != last
                labels.append(numbers[row["tags"][word]] if first else IGNORED)
                last = word
            return {**item, "labels": labels}
        second = row.get("text_b")
        item = dict(tokenizer(row["text"], second, truncation=True, max_length=longest))
        label = row["label"]
        if task == "regression":
            item["labels"] = float(label)
        elif task == "several":
            item["labels"] = [float(name in label) for name in numbers]
        else:
            item["labels"] = numbers[label]
        return item

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, at: int) -> dict[str, Any]:
        return self.items[at]


def model_of(options: dict[str, Any], names: list[str]) -> Any:
    kind = (hf.AutoModelForTokenClassification if options["task"] == "words"
            else hf.AutoModelForSequenceClassification)  # fmt: skip
    problem = {"regression": "regression", "several": "multi_label_classification"}
    more = {"problem_type": problem[options["task"]]} if options["task"] in problem else {}
    return kind.from_pretrained(
        options["encoder"], num_labels=1 if options["task"] == "regression" else len(names), **more
    )


def score(task: str, names: list[str]) -> Any:
    """What the best epoch is chosen by."""

    def compute(found: Any) -> dict[str, float]:
        logits, truth = found.predictions, found.label_ids
        if task == "regression":
            return {"score": float(np.corrcoef(logits.reshape(-1), truth.reshape(-1))[0, 1])}
        if task == "several":
            best = max(micro_f1(truth > 0.5, logits > t) for t in np.linspace(-3, 1, 41))
            return {"score": best}
        if task == "words":
            from sklearn.metrics import f1_score

            kept = truth != IGNORED
            outside = names.index("O")
            labels = [n for n in range(len(names)) if n != outside]
            return {"score": float(f1_score(truth[kept], logits.argmax(-1)[kept], labels=labels,
                                            average="micro"))}  # fmt: skip
        return {"score": float((logits.argmax(-1) == truth).mean())}

    return compute


def micro_f1(truth: Any, found: Any) -> float:
    return float(2 * (truth & found).sum() / max(1, truth.sum() + found.sum()))


def arguments_of(options: dict[str, Any], steps: int) -> Any:
    looks = options["dev"] is not None
    return hf.TrainingArguments(
        output_dir=options["out"], num_train_epochs=options["epochs"], use_cpu=True,
        per_device_train_batch_size=options["batch"], per_device_eval_batch_size=64,
        learning_rate=options["lr"], warmup_steps=round(0.06 * steps), weight_decay=0.01,
        lr_scheduler_type="linear", bf16=options["bf16"], optim="adamw_torch_fused",
        train_sampling_strategy="group_by_length" if options["grouped"] else "random",
        eval_strategy="epoch" if looks else "no", save_strategy="epoch" if looks else "no",
        save_only_model=True, save_total_limit=1, load_best_model_at_end=looks,
        metric_for_best_model="score", greater_is_better=True, report_to=[], disable_tqdm=True,
        seed=options["seed"], logging_strategy="no",
    )  # fmt: skip


def main() -> None:
    options = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(options["threads"])
    hf.set_seed(options["seed"])
    train, test = rows_of(options["train"]), rows_of(options["test"])
    dev = None if options["dev"] is None else rows_of(options["dev"])
    task = options["task"]
    every = (tag for row in train for tag in row["tags"]) if task == "words" else (
        name for row in train for name in (row["label"] if task == "several" else [row["label"]])
    )  # fmt: skip
    names = [] if task == "regression" else sorted(set(every))
    numbers = {name: n for n, name in enumerate(names)}
    tokenizer = hf.AutoTokenizer.from_pretrained(options["encoder"])
    model = model_of(options, names)
    made = [None if rows is None else Encoded(rows, options, tokenizer, numbers)
            for rows in (train, dev, test)]  # fmt: skip
    collator = (hf.DataCollatorForTokenClassification if task == "words"
                else hf.DataCollatorWithPadding)(tokenizer)  # fmt: skip
    steps = options["epochs"] * -(-len(train) // options["batch"])
    trainer = hf.Trainer(
        model=model, args=arguments_of(options, steps), train_dataset=made[0], eval_dataset=made[1],
        data_collator=collator, compute_metrics=score(task, names),
    )  # fmt: skip
    begun = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    trainer.args.train_sampling_strategy = "random"  # else answers come in another order
    logits, dev_logits = trainer.predict(made[2]).predictions, None
    if task == "several" and made[1] is not None:
        dev_logits = trainer.predict(made[1])
    write_answers(options, names, test, made[2], logits, dev_logits)
    best = [e["eval_score"] for e in trainer.state.log_history if "eval_score" in e]
    print(json.dumps({
        "seconds": seconds, "rows_per_second": options["epochs"] * len(train) / seconds,
        "peak_mb": round(peak), "dev": max(best, default=None), "steps": steps,
    }))  # fmt: skip


def write_answers(options: dict[str, Any], names: list[str], test: list[dict[str, Any]],
                  encoded: Any, logits: Any, dev: Any) -> None:  # fmt: skip
    """One JSON value a test row: a label, labels, a number, or tags."""
    task = options["task"]
    found: list[Any]
    if task == "regression":
        found = logits.reshape(-1).tolist()
    elif task == "several":
        limits = np.linspace(-3, 1, 41)
        limit = 0.0 if dev is None else max(
            limits, key=lambda t: micro_f1(dev.label_ids > 0.5, dev.predictions > t)
        )  # fmt: skip
        found = [[names[i] for i in np.flatnonzero(row > limit)] for row in logits]
    elif task == "words":
        found = []
        for row, item, scores in zip(test, encoded.items, logits, strict=True):
            tags = [names[scores[i].argmax()]
                    for i, label in enumerate(item["labels"]) if label != IGNORED]  # fmt: skip
            found.append(tags + ["O"] * (len(row["tokens"]) - len(tags)))
    else:
        found = [names[i] for i in logits.argmax(-1)]
    with open(options["answers"], "w", encoding="utf-8") as out:
        for value in found:
            out.write(json.dumps(value) + "\n")


if __name__ == "__main__":
    main()
