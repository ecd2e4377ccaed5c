"""Pre-training BERT against transformers' Trainer: pieces a second, and what is learnt in minutes.

    TRANSFORMERS_PYTHON=/path/to/python python benchmarks/pretraining.py [JOB ...]
        [--minutes 15] [--steps 60] [--keep FOLDER]

Jobs: speed (4 layers of 256, 30,522 pieces, rows of 128), learn (the same sizes, 16,000 pieces, so
many minutes of training each; the loss on documents that nobody saw). The text is
corpus/english.txt.gz, every 100th document kept apart. All use one tokenizer and rows of 128
pieces; the Trainer gets them ready-made. Its first configuration is what people run: float32,
dropout 0.1. Its best: bfloat16, fused AdamW, no dropout, the learning rate in --peer-lr. Seconds
are those of the training loops. Losses are measured by one program on the same masks, single
pieces, in float32. A variant's row is written as soon as it is done; ``--keep`` copies its folder.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from measure import DATA, NLPCLI, ROOT, run, write_result

LENGTH, BATCH = 128, 32
EVERY = 100
"""Documents of which one is kept apart."""
VARIANTS = {
    "mlm": [],
    "mlm+nsp": ["--next-sentence"],
    "span+sbo": ["--mask", "spans"],
}
PEER = """
import json, sys, time
import numpy as np, torch
from transformers import (BertConfig, BertForMaskedLM, DataCollatorForLanguageModeling,
    PreTrainedTokenizerFast, Trainer, TrainingArguments, set_seed)
out, options = sys.argv[1], json.loads(sys.argv[2])
torch.set_num_threads(options["threads"])
set_seed(options["seed"])
tokenizer = PreTrainedTokenizerFast(tokenizer_file=options["tokenizer"], pad_token="[PAD]",
    unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]")
rows = np.load(options["rows"], mmap_mode="r")
class Rows(torch.utils.data.Dataset):
    def __len__(self): return len(rows)
    def __getitem__(self, i): return {"input_ids": rows[i].astype(np.int64).tolist()}
def trainer(steps):
    config = BertConfig(vocab_size=len(tokenizer), hidden_size=256, num_hidden_layers=4,
        num_attention_heads=4, intermediate_size=1024, max_position_embeddings=128,
        hidden_dropout_prob=options["dropout"], attention_probs_dropout_prob=options["dropout"])
    arguments = TrainingArguments(output_dir=out, max_steps=steps, use_cpu=True,
        per_device_train_batch_size=options["batch"], learning_rate=options["lr"],
        warmup_steps=max(1, round(0.06 * steps)), lr_scheduler_type="linear", weight_decay=0.01,
        bf16=options["bf16"], optim="adamw_torch_fused", save_strategy="no", report_to=[],
        logging_steps=100, disable_tqdm=True, seed=options["seed"], dataloader_num_workers=0)
    return Trainer(model=BertForMaskedLM(config), args=arguments, train_dataset=Rows(),
        data_collator=DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15))
steps = options["steps"]
if not steps:
    probe = trainer(40)
    begun = time.perf_counter(); probe.train()
    steps = max(1, int(60 * options["minutes"] * 40 / (time.perf_counter() - begun)))
    set_seed(options["seed"])
made = trainer(steps)
begun = time.perf_counter()
made.train()
seconds = time.perf_counter() - begun
made.model.save_pretrained(out)
print(json.dumps({"seconds": seconds, "steps": steps,
    "tokens_per_second": steps * options["batch"] * rows.shape[1] / seconds}))
"""


def documents() -> Iterator[str]:
    """Those of the corpus, each with its lines."""
    with gzip.open(DATA / "corpus" / "english.txt.gz", "rt", encoding="utf-8") as lines:
        held: list[str] = []
        for line in lines:
            if line.strip():
                held.append(line)
            elif held:
                yield "".join(held)
                held = []
        if held:
            yield "".join(held)


def write_texts(place: Path) -> tuple[Path, Path]:
    """What is learnt from, and what is kept apart."""
    train, apart = place / "train.txt", place / "apart.txt"
    with train.open("w", encoding="utf-8") as a, apart.open("w", encoding="utf-8") as b:
        for number, document in enumerate(documents()):
            (b if number % EVERY == 0 else a).write(document + "\n")
    return train, apart


def tokenizer_of(train: Path, place: Path, pieces: int) -> Path:
    """A tokenizer.json of so many pieces, learnt by nlpcli."""
    out = place / f"tokenizer-{pieces}"
    run([*NLPCLI, "pretrain-bert", str(train), "-o", str(out), "--vocab-size", str(pieces),
         "--size", "tiny", "--steps", "1", "--max-length", "16", "-q"])  # fmt: skip
    return out / "tokenizer.json"


def write_rows(train: Path, tokenizer: Path, place: Path) -> Path:
    """[CLS] pieces [SEP], one after the other, uint16 [N, LENGTH], for the peer."""
    from nlpcli.text.wordpiece import WordPieceTokenizer

    words = WordPieceTokenizer.from_json(tokenizer.read_bytes(), str(tokenizer))
    parts, batch = [], []
    with train.open(encoding="utf-8") as lines:
        for line in lines:
            batch.append(line)
            if len(batch) == 10_000:
                parts.append(words.encode(batch).ids)
                batch = []
    parts.append(words.encode(batch).ids)
    pieces = np.concatenate(parts)
    inside = LENGTH - 2
    rows = np.empty((len(pieces) // inside, LENGTH), np.uint16)
    rows[:, 0], rows[:, -1] = words.cls, words.sep
    rows[:, 1:-1] = pieces[: len(rows) * inside].reshape(-1, inside)
    path = place / f"rows-{words.n_pieces}.npy"
    np.save(path, rows)
    return path


def held_out_loss(folder: Path, apart: Path, tokenizer: Path) -> dict[str, float]:
    """Masked single pieces of the documents kept apart: loss and accuracy, in float32."""
    import torch

    from nlpcli.batching.masking import MaskConfig
    from nlpcli.batching.pretraining_rows import PretrainingRows, Stream
    from nlpcli.batching.pretraining_targets import as_tensors
    from nlpcli.data.piece_corpus import encode_pieces
    from nlpcli.formats.hf_folder import read_hf_folder
    from nlpcli.models.pretraining import PretrainingBert
    from nlpcli.runs.encoder_corpus import maskable_pieces, specials_of
    from nlpcli.text.wordpiece import WordPieceTokenizer

    words = WordPieceTokenizer.from_json(tokenizer.read_bytes(), str(tokenizer))
    found = read_hf_folder(folder)
    model = PretrainingBert(found.config)
    model.begin(1)
    model.load({**model.weights(), **found.weights})
    model.eval()
    with tempfile.TemporaryDirectory() as place:
        corpus = encode_pieces([str(apart)], words, Path(place))
        stream = Stream(np.array(corpus.pieces), np.array(corpus.lines), np.array(corpus.documents))
    pieces = maskable_pieces(words, stream, by_frequency=False)
    rows = PretrainingRows(
        stream, np.zeros((0, 2), np.int64), LENGTH, specials_of(words), pieces,
        MaskConfig(how="pieces"), seed=1,
    )  # fmt: skip
    losses, right = [], []
    for first in range(0, min(len(rows), 1024) // BATCH * BATCH, BATCH):
        ids, segments, targets = as_tensors([rows.batch(0, first, BATCH)], torch.device("cpu"))
        loss, good = model.scores(ids, segments, targets)["mlm"]
        losses.append(loss)
        right.append(good)
    return {
        "loss": round(float(torch.cat(losses).double().mean()), 4),
        "accuracy": round(float(torch.cat(right).double().mean()), 4),
    }


def peer(place: Path, name: str, **options: Any) -> tuple[dict[str, Any], Path]:
    """One run of the Trainer: what it printed, and the folder that it saved."""
    python = os.environ.get("TRANSFORMERS_PYTHON", sys.executable)
    out = place / name
    given = {"threads": os.cpu_count(), "batch": BATCH, "seed": 1, "steps": 0, "minutes": 0,
             **options}  # fmt: skip
    done = subprocess.run(
        [python, "-c", PEER, str(out), json.dumps(given)], capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    tokenizer = Path(options["tokenizer"])
    if not (out / "tokenizer.json").exists():
        (out / "tokenizer.json").write_bytes(tokenizer.read_bytes())
    return found, out


def ours(train: Path, place: Path, name: str, tokenizer: Path, more: list[str]) -> dict[str, Any]:
    """One run of nlpcli's, its report; with the Trainer's sizes."""
    out = place / name
    done = run([*NLPCLI, "pretrain-bert", str(train), "-o", str(out), "--tokenizer",
                str(tokenizer), "--size", "mini", "--max-length", str(LENGTH), "--json",
                *more])  # fmt: skip
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def measure_speed(train: Path, place: Path, steps: int) -> dict[str, Any]:
    """Pieces a second of both programs, one after the other, twice; the better of each."""
    tokenizer = tokenizer_of(train, place, 30_522)
    rows = write_rows(train, tokenizer, place)
    shared = {"tokenizer": str(tokenizer), "rows": str(rows), "lr": 1e-4, "steps": steps}
    found: dict[str, list[float]] = {"nlpcli": [], "trainer": [], "trainer_best": []}
    share = []
    for turn in range(2):
        report = ours(train, place, f"ours-{turn}", tokenizer,
                      ["--steps", str(steps), "--batch-size", str(BATCH)])  # fmt: skip
        found["nlpcli"].append(report["tokens_per_second"])
        share.append(report["share_of_peak"])
        for name, bf16, dropout in (("trainer", False, 0.1), ("trainer_best", True, 0.0)):
            done, _ = peer(place, f"{name}-{turn}", bf16=bf16, dropout=dropout, **shared)
            found[name].append(done["tokens_per_second"])
    best = {name: round(max(values)) for name, values in found.items()}
    row: dict[str, Any] = {f"{name}_tokens_per_second": value for name, value in best.items()}
    row |= {
        "steps": steps, "share_of_peak": max(share),
        "ratio": round(best["nlpcli"] / best["trainer"], 2),
        "ratio_best": round(best["nlpcli"] / best["trainer_best"], 2),
    }  # fmt: skip
    print(json.dumps(row), flush=True)
    return row


def measure_learning(
    train: Path, apart: Path, place: Path, names: list[str], arguments: argparse.Namespace,
    result: dict[str, Any],
) -> None:  # fmt: skip
    """Held-out loss after so many minutes, variant by variant."""
    tokenizer = tokenizer_of(train, place, 16_000)
    for name in names:
        if name == "trainer_best":
            rows = write_rows(train, tokenizer, place)
            done, out = peer(
                place, name, bf16=True, dropout=0.0, tokenizer=str(tokenizer), rows=str(rows),
                lr=arguments.peer_lr, minutes=arguments.minutes,
            )  # fmt: skip
            row = {"tokens_per_second": round(done["tokens_per_second"]), "steps": done["steps"],
                   "train_seconds": round(done["seconds"], 1), "lr": arguments.peer_lr}  # fmt: skip
        else:
            report = ours(train, place, name, tokenizer,
                          ["--minutes", str(arguments.minutes), *VARIANTS[name]])  # fmt: skip
            out = place / name
            entries = [json.loads(line) for line in (out / "log.jsonl").open(encoding="utf-8")]
            row = {
                "tokens_per_second": report["tokens_per_second"], "steps": report["steps"],
                "train_seconds": report["train_seconds"], "share_of_peak": report["share_of_peak"],
                "held_out_by_itself": report["metrics"],
                "curve": [[e["tokens"], e["seconds"], e["held_out"]["mlm_loss"]]
                          for e in entries if "held_out" in e],
            }  # fmt: skip
        if arguments.keep:
            shutil.copytree(out, Path(arguments.keep) / name)
        row |= {"held_out": held_out_loss(out, apart, tokenizer), "minutes": arguments.minutes}
        result["learn"][name] = row
        print(name, json.dumps(row), flush=True)
        write_result("pretraining", result)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("jobs", nargs="*", default=["speed", "learn"])
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--peer-lr", type=float, default=1e-3)
    parser.add_argument("--keep", help="a folder for the encoders that were learnt")
    parser.add_argument("--variants", nargs="*", default=["mlm", "trainer_best", "mlm+nsp",
                                                          "span+sbo"])  # fmt: skip
    arguments = parser.parse_args()
    path = ROOT / "benchmarks" / "results" / "pretraining.json"
    result: dict[str, Any] = {"learn": {}}
    if path.exists():
        result |= {k: v for k, v in json.loads(path.read_text()).items() if k in ("speed", "learn")}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        train, apart = write_texts(place)
        if "speed" in arguments.jobs:
            result["speed"] = measure_speed(train, place, arguments.steps)
            write_result("pretraining", result)
        if "learn" in arguments.jobs:
            measure_learning(train, apart, place, arguments.variants, arguments, result)


if __name__ == "__main__":
    main()
