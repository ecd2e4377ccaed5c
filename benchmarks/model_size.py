"""Accuracy against size: train-fasttext --model-size beside the fastText program's quantize.

    python benchmarks/model_size.py [SET ...]    (the other sets keep their figures)

Ours is trained and evaluated by the installed program, once a size. The fastText program is trained
at its settings of accuracy.py and then made smaller by ``quantize -qnorm -retrain -cutoff N`` at
several N, trained again at its defaults and at the same rate and epochs: the better on the test
part counts. Bytes are those of all files of a model; the share of correct labels is of the test
part; two threads.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from accuracy import TASKS, Task, fasttext_lines, find
from measure import NLPCLI, ROOT, run, write_result

SETS: dict[str, tuple[tuple[str, ...], tuple[int, ...]]] = {
    "news20": (("", "20M", "5M", "2M", "1M", "500K", "200K"), (20_000, 5_000, 1_000)),
    "langid": (("", "5M", "1M", "200K"), (200_000, 40_000, 9_500, 3_000)),
}
"""Sizes of ours, and features that the fastText program keeps."""


def ours(task: Task, sizes: tuple[str, ...], work: Path) -> list[dict[str, Any]]:
    """One point a size; '' is no limit."""
    found = []
    for size in sizes:
        model = work / f"ours{size}"
        limit = ("--model-size", size) if size else ()
        trained = run(
            [*NLPCLI, "train-fasttext", str(find(task.train)), "-o", str(model), "--json", "-q",
             "--threads", "2", *task.options, *limit]
        )  # fmt: skip
        done = run([*NLPCLI, "eval", "-m", str(model), str(find(task.test)), "--json", "-q"])
        report, document = json.loads(trained.stdout), json.loads(done.stdout)
        point = {
            "limit": size, "bytes": report["model_bytes"], "features": report["features"],
            "seconds": round(trained.seconds, 1), "accuracy": document["accuracy"]["value"],
            "held_out": report["held_out"]["accuracy"], "ece": document["ece"]["value"],
        }  # fmt: skip
        print(json.dumps(point), flush=True)
        found.append(point)
        shutil.rmtree(model)
    return found


def peer(task: Task, cutoffs: tuple[int, ...], work: Path) -> list[dict[str, Any]]:
    """The whole model, then one point a cutoff."""
    train = fasttext_lines(find(task.train), work / "ft.train", None)
    test = fasttext_lines(find(task.test), work / "ft.test", None)
    base, setting = str(work / "ft"), task.fasttext[0].split()
    again = ("-lr", "0.5", "-epoch", setting[setting.index("-epoch") + 1])
    trained = run(
        ["fasttext", "supervised", "-input", str(train), "-output", base, "-thread", "2",
         "-seed", "1", "-lr", "0.5", "-bucket", "200000", *setting]
    )  # fmt: skip
    found = [point(f"{base}.bin", test, trained.seconds, None)]
    for cutoff in cutoffs:
        tried = []
        for retrain in ((), again):
            done = run(
                ["fasttext", "quantize", "-output", base, "-input", str(train), "-qnorm",
                 "-retrain", "-cutoff", str(cutoff), "-thread", "2", *retrain]
            )  # fmt: skip
            tried.append(point(f"{base}.ftz", test, trained.seconds + done.seconds, cutoff))
        found.append(max(tried, key=lambda p: p["accuracy"]))
    return found


def point(model: str, test: Path, seconds: float, cutoff: int | None) -> dict[str, Any]:
    """Bytes and accuracy of a file of the fastText program."""
    tested = run(["fasttext", "test", model, str(test)])
    share = re.search(r"P@1\s+([0-9.]+)", tested.stdout)
    assert share is not None, tested.stdout
    found = {
        "cutoff": cutoff, "bytes": Path(model).stat().st_size, "seconds": round(seconds, 1),
        "accuracy": float(share[1]),
    }  # fmt: skip
    print(json.dumps(found), flush=True)
    return found


def main() -> None:
    """Runs the sets named, or all."""
    path = ROOT / "benchmarks" / "results" / "model_size.json"
    results = json.loads(path.read_text())["sets"] if path.is_file() else {}
    for name in sys.argv[1:] or list(SETS):
        sizes, cutoffs = SETS[name]
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder)
            results[name] = {"nlpcli": ours(TASKS[name], sizes, work)}
            if shutil.which("fasttext"):
                results[name]["fasttext"] = peer(TASKS[name], cutoffs, work)
        write_result("model_size", {"sets": results})


if __name__ == "__main__":
    main()
