"""The peer of fine-tuning on questions: AutoModelForQuestionAnswering and transformers' Trainer.

    TRANSFORMERS_PYTHON benchmarks/trainer_questions.py OPTIONS.json

As trainer.py, with rows of id, question, context and answers. A context is read in windows of
``max_length`` pieces that share ``doc_stride``; a window learns the first answer, or [CLS] where
it has not all of it. An answer is the best sum of a start's and an end's logit among the 20 best
of each in each window, of at most 30 pieces. The weights of the epoch with the best F1 on the dev
questions are kept. Prints seconds, questions a second, peak memory and the number of windows.
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
from finetuning_questions import question_scores
from trainer import arguments_of, rows_of

N_BEST, LONGEST = 20, 30


class Windows(torch.utils.data.Dataset):  # type: ignore[misc]
    """Windows as the model takes them, ``items``; the question of each, ``owners``, and where its
    pieces stand in the context, ``places``, None for what is not of the context. Sorted by
    length, so that batches of evaluation have little padding."""

    def __init__(self, rows: list[dict[str, Any]], options: dict[str, Any], tokenizer: Any) -> None:
        found = tokenizer(
            [row["question"].strip() for row in rows], [row["context"] for row in rows],
            truncation="only_second", max_length=options["max_length"],
            stride=options["doc_stride"], return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )  # fmt: skip
        self.rows = rows
        self.items, self.owners, self.places = [], [], []
        order = sorted(range(len(found["input_ids"])), key=lambda n: len(found["input_ids"][n]))
        for n in order:
            owner = found["overflow_to_sample_mapping"][n]
            places = [
                place if part == 1 else None
                for place, part in zip(
                    found["offset_mapping"][n], found.sequence_ids(n), strict=True
                )
            ]
            start, end = target(places, rows[owner]["answers"][0])
            item = {key: found[key][n] for key in ("input_ids", "token_type_ids", "attention_mask")}
            self.items.append({**item, "start_positions": start, "end_positions": end})
            self.owners.append(owner)
            self.places.append(places)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, at: int) -> dict[str, Any]:
        return self.items[at]


def target(places: list[Any], answer: dict[str, Any]) -> tuple[int, int]:
    """Positions of the first and the last piece of an answer; twice 0 where it is not all here."""
    begin, end = answer["answer_start"], answer["answer_start"] + len(answer["text"])
    own = [i for i, place in enumerate(places) if place is not None]
    if not own or places[own[0]][0] > begin or places[own[-1]][1] < end:
        return 0, 0
    inside = [i for i in own if places[i][1] > begin and places[i][0] < end]
    return (inside[0], inside[-1]) if inside else (0, 0)


def best_answers(windows: Windows, starts: Any, ends: Any) -> list[str]:
    """One text a question, of the logits of all its windows."""
    best = [(-np.inf, "")] * len(windows.rows)
    for owner, places, first, last in zip(
        windows.owners, windows.places, starts, ends, strict=True
    ):
        size = len(places)  # behind it is padding
        for i in np.argsort(-first[:size])[:N_BEST]:
            for j in np.argsort(-last[:size])[:N_BEST]:
                score = float(first[i] + last[j])
                if places[i] is None or places[j] is None or not i <= j < i + LONGEST:
                    continue
                if score > best[owner][0]:
                    context = windows.rows[owner]["context"]
                    best[owner] = (score, context[places[i][0] : places[j][1]])
    return [text for _, text in best]


class InOrder(hf.Trainer):  # type: ignore[misc]
    """Evaluates windows as they stand: answers are put together from them."""

    def _get_eval_sampler(self, dataset: Any) -> Any:
        return torch.utils.data.SequentialSampler(dataset)


def main() -> None:
    options = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(options["threads"])
    hf.set_seed(options["seed"])
    tokenizer = hf.AutoTokenizer.from_pretrained(options["encoder"])
    train, dev, test = (
        None if options[part] is None else Windows(rows_of(options[part]), options, tokenizer)
        for part in ("train", "dev", "test")
    )
    assert train is not None and test is not None

    def score(found: Any) -> dict[str, float]:
        assert dev is not None
        return {"score": question_scores(dev.rows, best_answers(dev, *found.predictions))["f1"]}

    steps = options["epochs"] * -(-len(train) // options["batch"])
    trainer = InOrder(
        model=hf.AutoModelForQuestionAnswering.from_pretrained(options["encoder"]),
        args=arguments_of(options, steps), train_dataset=train, eval_dataset=dev,
        data_collator=hf.DataCollatorWithPadding(tokenizer), compute_metrics=score,
    )  # fmt: skip
    begun = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    trainer.compute_metrics = None  # of the dev questions
    found = best_answers(test, *trainer.predict(test).predictions[:2])
    with open(options["answers"], "w", encoding="utf-8") as out:
        out.writelines(json.dumps(text) + "\n" for text in found)
    best = [e["eval_score"] for e in trainer.state.log_history if "eval_score" in e]
    print(json.dumps({
        "seconds": seconds, "rows_per_second": options["epochs"] * len(train.rows) / seconds,
        "peak_mb": round(peak), "dev": max(best, default=None), "steps": steps,
        "windows": len(train),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
