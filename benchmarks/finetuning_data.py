"""Data sets of fine-tuning as both programs read them: JSONL for the peer, rows for nlpcli."""

from __future__ import annotations

import csv
import gzip
import json
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finetuning_questions import question_parts, question_scores, write_squad
from measure import DATA

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Job:
    """``files``: of the train, dev and test parts; no dev: a tenth of train is kept apart.

    ``most``: training rows at most. ``max_length``: pieces of a row.
    """

    task: str
    metric: str
    files: tuple[str, str | None, str]
    published: str
    epochs: int = 3
    most: int | None = None
    max_length: int = 128
    more: list[str] = field(default_factory=list)


DOC_STRIDE = 128
"""Pieces that windows of a context share, for both programs."""
ENDINGS = {"words": "conll", "questions": "json"}
"""Of the files that nlpcli reads, by task; csv of others."""

JOBS = {
    "sst2": Job("sequence", "accuracy", ("sst2/train.csv", "sst2/dev.csv", "sst2/test.csv"),
                "0.935 (GLUE, with phrases)"),
    "cola": Job("sequence", "mcc", ("cola_public/in_domain_train.csv", None,
                                    "cola_public/in_domain_dev.csv"), "0.521 (GLUE)"),
    "trec": Job("sequence", "accuracy", ("trec/train.csv", None, "trec/test.csv"), "0.97"),
    "mrpc": Job("pair", "f1", ("mrpc/train.csv", None, "mrpc/test.csv"), "0.889 (GLUE)"),
    "rte": Job("pair", "accuracy", ("rte/train.csv", None, "rte/dev.csv"), "0.664 (GLUE)"),
    "stsb": Job("regression", "spearman", ("stsb/train.csv.gz", "stsb/dev.csv.gz",
                                           "stsb/test.csv.gz"), "0.858 (GLUE)"),
    "ner": Job("words", "entity_f1", tuple(f"ner_conll2003_en/{part}.conll.gz"
                                           for part in ("train", "dev", "test")), "0.924"),
    "qa": Job("questions", "f1", ("qa_squad/dev-v1.1.json.gz", None, "qa_squad/dev-v1.1.json.gz"),
              "0.885, EM 0.808 (all of SQuAD's 87,599 training questions)", max_length=256,
              more=["--doc-stride", str(DOC_STRIDE)]),
    "goemotions": Job("several", "macro_f1", tuple(f"goemotions/{part}.csv.gz"
                                                   for part in ("train", "dev", "test")),
                      "0.46 (Demszky et al. 2020)", epochs=3),
}  # fmt: skip
POSITIVE = {"mrpc": "paraphrase"}


def opened(path: Path) -> Any:
    return (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8", newline="")


def read_rows(name: str, file: str) -> Rows:
    """Of a file of the data set, as the peer takes them."""
    task = JOBS[name].task
    with opened(DATA / file) as lines:
        if task == "words":
            return sentences(lines)
        rows = list(csv.DictReader(lines))
    label = {"several": "labels", "regression": "score"}.get(task, "label")
    made = []
    for row in rows:
        value: Any = row[label]
        if task == "several":
            value = [part for part in value.split(";") if part]
        texts = {"text": row["text_a"], "text_b": row["text_b"]} if "text_a" in row else {
            "text": row["text"]}  # fmt: skip
        made.append({**texts, "label": value})
    return made


def sentences(lines: Any) -> Rows:
    """Tokens and tags of a CoNLL file."""
    made: Rows = []
    tokens: list[str] = []
    tags: list[str] = []
    for line in [*lines, "\n"]:
        cells = line.split()
        if cells and cells[0] != "-DOCSTART-":
            tokens.append(cells[0])
            tags.append(cells[-1])
        elif tokens:
            made.append({"tokens": tokens, "tags": tags})
            tokens, tags = [], []
    return made


def parts_of(name: str, most: int | None = None) -> dict[str, Rows]:
    """train, dev and test rows; the same for every program and seed."""
    job = JOBS[name]
    train, dev, test = job.files
    if job.task == "questions":
        return question_parts(DATA / train, most)
    rows = read_rows(name, train)
    shuffled = random.Random(7)
    if dev is None:
        shuffled.shuffle(rows)
        cut = len(rows) // 10
        apart, rows = rows[:cut], rows[cut:]
    else:
        apart = read_rows(name, dev)
    limit = most if most is not None else job.most
    if limit is not None and len(rows) > limit:
        shuffled.shuffle(rows)
        rows = rows[:limit]
    return {"train": rows, "dev": apart, "test": read_rows(name, test)}


def write_parts(name: str, place: Path, most: int | None = None) -> dict[str, Rows]:
    """Writes PART.jsonl for the peer and what nlpcli reads beside it."""
    task = JOBS[name].task
    parts = parts_of(name, most)
    for part, rows in parts.items():
        with (place / f"{part}.jsonl").open("w", encoding="utf-8") as out:
            out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        if task == "questions":
            write_squad(rows, place / f"{part}.json")
            continue
        if task == "words":
            with (place / f"{part}.conll").open("w", encoding="utf-8") as out:
                for row in rows:
                    pairs = zip(row["tokens"], row["tags"], strict=True)
                    out.write("".join(f"{word} {tag}\n" for word, tag in pairs) + "\n")
            continue
        with (place / f"{part}.csv").open("w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out, lineterminator="\n")
            pair = "text_b" in rows[0]
            writer.writerow(["text", *(["text_b"] if pair else []), "label"])
            for row in rows:
                label = ";".join(row["label"]) if task == "several" else row["label"]
                writer.writerow([row["text"], *([row["text_b"]] if pair else []), label])
    return parts


def measured(name: str, truth: Rows, found: list[Any]) -> float:
    """The data set's metric, by scikit-learn and scipy; entities as conlleval counts them."""
    import numpy as np
    from sklearn import metrics

    job = JOBS[name]
    if job.task == "questions":
        return question_scores(truth, found)[job.metric]
    if job.metric == "entity_f1":
        return entity_f1([row["tags"] for row in truth], found)
    true = [row["label"] for row in truth]
    if job.metric == "spearman":
        from scipy.stats import spearmanr

        return float(spearmanr([float(v) for v in true], found).statistic)
    if job.metric == "macro_f1":
        names = sorted({label for labels in true for label in labels})
        dense = [np.array([[n in labels for n in names] for labels in rows])
                 for rows in (true, found)]  # fmt: skip
        return float(metrics.f1_score(*dense, average="macro", zero_division=0))
    if job.metric == "mcc":
        return float(metrics.matthews_corrcoef(true, found))
    if job.metric == "f1":
        return float(metrics.f1_score(true, found, pos_label=POSITIVE[name]))
    return float(metrics.accuracy_score(true, found))


def entity_f1(truth: list[list[str]], found: list[list[str]]) -> float:
    right = n_true = n_found = 0
    for tags, guess in zip(truth, found, strict=True):
        a, b = entities(tags), entities(guess)
        right, n_true, n_found = right + len(a & b), n_true + len(a), n_found + len(b)
    return 2 * right / max(1, n_true + n_found)


def entities(tags: list[str]) -> set[tuple[int, int, str]]:
    """(first, behind, type) of BIO tags; an I- that cannot go on begins one."""
    made, start, kind = set(), 0, ""
    for at, tag in enumerate([*tags, "O"]):
        begins, _, name = tag.partition("-")
        if kind and (begins != "I" or name != kind):
            made.add((start, at, kind))
            kind = ""
        if begins != "O" and not kind:
            start, kind = at, name
    return made
