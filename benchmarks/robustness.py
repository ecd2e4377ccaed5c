"""Accuracy of train-fasttext and finetune on texts that are perturbed ever more, and under attack.

    ENCODER=/path/to/minilm python benchmarks/robustness.py
        [--sets sst2 chn_hotel] [--most N] [--test-rows N] [--attack-rows N] [--seed N]
        [--chinese-minutes N]

Each model is trained by the installed program with its defaults, finetune on at most ``--most``
rows, and measured by ``eval --robustness --json`` on the same perturbed texts. The encoder of
chn_hotel is pre-trained for so many minutes on texts of other sets: chn_shopping, thucnews and
qa_cmrc2018. A set without an encoder has train-fasttext alone. Writes
benchmarks/results/robustness.json and docs/robustness.svg; ``--picture`` only draws again what was
measured.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from accuracy import TASKS, files, read, write
from curves import Panel, Series, draw
from measure import DATA, NLPCLI, ROOT, run, write_result

SETS = ("sst2", "chn_hotel")
CHINESE = ("chn_shopping/*.csv*", "thucnews/train.csv.gz", "qa_cmrc2018/*.json.gz")
PICTURE = ROOT / "docs" / "robustness.svg"
LEAST_CHANGED = 0.1
"""Share of the words that a kind must reach at the greatest strength to be drawn."""


def sample(path: Path, most: int, out: Path) -> Path:
    """At most so many rows of a file, chosen by a fixed seed."""
    rows = read(path)
    random.Random(7).shuffle(rows)
    return write(out, rows[:most])


def chinese_texts() -> Iterator[str]:
    """Of the sets that chn_hotel's encoder learns from."""
    for path in (path for pattern in CHINESE for path in sorted(DATA.glob(pattern))):
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as file:
            if ".json" not in path.name:
                yield from (row["text"] for row in csv.DictReader(file))
                continue
            for article in json.load(file)["data"]:
                yield from (part["context"] for part in article["paragraphs"])


def chinese_encoder(work: Path, minutes: float) -> tuple[str, dict[str, Any]]:
    """Its folder, and what is told of it."""
    corpus, out = work / "chinese.txt", work / "chinese"
    documents = [" ".join(text.split()).replace("。", "。\n") for text in chinese_texts()]
    corpus.write_text("\n\n".join(documents) + "\n", encoding="utf-8")
    done = run([*NLPCLI, "pretrain-bert", str(corpus), "-o", str(out), "--minutes", str(minutes),
                "--vocab-size", "8000", "--json", "-q"])  # fmt: skip
    report = json.loads(done.stdout)
    names = ("steps", "tokens", "train_seconds", "metrics")
    return str(out), {name: report.get(name) for name in names}


def encoder_of(name: str, work: Path, options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """The encoder of a set, empty where there is none; and what is told of it."""
    if name == "sst2":
        return os.environ.get("ENCODER", ""), {}
    return chinese_encoder(work, options.chinese_minutes) if options.chinese_minutes else ("", {})


def measured(model: Path, test: Path, options: argparse.Namespace) -> dict[str, Any]:
    """What eval --robustness says, and how long it took."""
    done = run(
        [*NLPCLI, "eval", "-m", str(model), str(test), "--robustness", "--json", "-q",
         "--attack-rows", str(options.attack_rows), "--seed", str(options.seed)]
    )  # fmt: skip
    document = json.loads(done.stdout)
    names = ("n", "accuracy", "perturbed_accuracy", "attack", "robustness", "robustness_run")
    kept = {name: document.get(name) for name in names}
    kept["fragile_words"] = document["fragile_words"][:15]
    return {**kept, "eval_seconds": round(done.seconds, 1)}


def measure_set(name: str, work: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Trains and measures the models of one set."""
    train, test = files(name, TASKS[name], work)
    if options.test_rows:
        test = sample(test, options.test_rows, work / f"{name}_some.csv")
    commands = {"train-fasttext": [str(train)]}
    encoder, told = encoder_of(name, work, options)
    if encoder:
        few = sample(train, options.most, work / f"{name}_few.csv")
        commands["finetune"] = [str(few), "--from", encoder]
    found: dict[str, Any] = {}
    for command, words in commands.items():
        model = work / f"{name}-{command}"
        trained = run(
            [*NLPCLI, command, *words, "-o", str(model), "--force", "-q",
             "--seed", str(options.seed)]
        )  # fmt: skip
        found[command] = {
            "train_seconds": round(trained.seconds, 1), "train_rows": len(read(Path(words[0]))),
            **measured(model, test, options),
        }  # fmt: skip
        one = found[command]
        if command == "finetune" and told:
            one["encoder"] = told
        print(f"{name} {command}: {one['accuracy']['value']:.3f}, perturbed "
              f"{one['perturbed_accuracy']['value']:.3f}", flush=True)  # fmt: skip
    return found


def panels(sets: dict[str, Any]) -> dict[str, list[Panel]]:
    """For each set a panel a kind that has something to change there."""
    found: dict[str, list[Panel]] = {}
    for name, models in sets.items():
        first = next(iter(models.values()))["robustness"]
        for kind, points in first.items():
            if points[-1]["words_changed"] < LEAST_CHANGED:
                continue
            series = [
                Series(command, [
                    (p["strength"], *(p["accuracy"][key] for key in ("value", "low", "high")))
                    for p in one["robustness"][kind]
                ])
                for command, one in models.items()
            ]  # fmt: skip
            found.setdefault(heading(name, models), []).append(Panel(kind, series))
    return found


def heading(name: str, models: dict[str, Any]) -> str:
    """The set, and what an attack leaves of its models' accuracy."""
    under = "; ".join(
        f"{command} {one['attack']['accuracy']['value']:.2f} → "
        f"{one['attack']['accuracy_under_attack']['value']:.2f}"
        for command, one in models.items() if one["attack"]
    )  # fmt: skip
    return f"{name}; under attack: {under}" if under else name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--most", type=int, default=10_000)
    parser.add_argument("--test-rows", type=int, default=0)
    parser.add_argument("--attack-rows", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--chinese-minutes", type=float, default=10)
    parser.add_argument("--picture", action="store_true")
    options = parser.parse_args()
    result = ROOT / "benchmarks" / "results" / "robustness.json"
    sets: dict[str, Any] = json.loads(result.read_bytes())["sets"] if result.exists() else {}
    if not options.picture:
        with tempfile.TemporaryDirectory() as place:
            for name in options.sets:
                sets[name] = measure_set(name, Path(place), options)
        write_result("robustness", {"sets": sets})
    ordered = {name: sets[name] for name in SETS if name in sets}
    PICTURE.write_text(
        draw(panels(ordered), "accuracy against the share of words changed"), encoding="utf-8"
    )
    print(f"wrote {PICTURE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
