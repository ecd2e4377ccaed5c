"""Accuracy of train-fasttext and finetune on texts that are perturbed ever more, and under attack.

    ENCODER=/path/to/minilm [CHINESE_ENCODER=/path/to/encoder] python benchmarks/robustness.py
        [--sets sst2 chn_hotel] [--most N] [--test-rows N] [--attack-rows N] [--seed N]

Each model is trained by the installed program with its defaults, finetune on at most ``--most``
rows, and measured by ``eval --robustness --json`` on the same perturbed texts. A set without an
encoder has train-fasttext alone. Writes benchmarks/results/robustness.json and docs/robustness.svg;
``--picture`` only draws again what was measured.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
from pathlib import Path
from typing import Any

from accuracy import TASKS, files, read, write
from curves import Panel, Series, draw
from measure import NLPCLI, ROOT, run, write_result

ENCODERS = {
    "sst2": os.environ.get("ENCODER", ""), "chn_hotel": os.environ.get("CHINESE_ENCODER", ""),
}  # fmt: skip
PICTURE = ROOT / "docs" / "robustness.svg"
LEAST_CHANGED = 0.1
"""Share of the words that a kind must reach at the greatest strength to be drawn."""


def sample(path: Path, most: int, out: Path) -> Path:
    """At most so many rows of a file, chosen by a fixed seed."""
    rows = read(path)
    random.Random(7).shuffle(rows)
    return write(out, rows[:most])


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
    if ENCODERS[name]:
        few = sample(train, options.most, work / f"{name}_few.csv")
        commands["finetune"] = [str(few), "--from", ENCODERS[name]]
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
    parser.add_argument("--sets", nargs="+", default=list(ENCODERS), choices=list(ENCODERS))
    parser.add_argument("--most", type=int, default=10_000)
    parser.add_argument("--test-rows", type=int, default=0)
    parser.add_argument("--attack-rows", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--picture", action="store_true")
    options = parser.parse_args()
    result = ROOT / "benchmarks" / "results" / "robustness.json"
    sets: dict[str, Any] = json.loads(result.read_bytes())["sets"] if result.exists() else {}
    if not options.picture:
        with tempfile.TemporaryDirectory() as place:
            for name in options.sets:
                sets[name] = measure_set(name, Path(place), options)
        write_result("robustness", {"sets": sets})
    ordered = {name: sets[name] for name in ENCODERS if name in sets}
    PICTURE.write_text(
        draw(panels(ordered), "accuracy against the share of words changed"), encoding="utf-8"
    )
    print(f"wrote {PICTURE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
