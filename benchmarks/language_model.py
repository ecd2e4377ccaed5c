"""N-gram language models: perplexity, speed of training, accuracy as a classifier; beside KenLM.

    LMPLZ=/path/to/lmplz python benchmarks/language_model.py

KenLM's lmplz, where the variable LMPLZ names it, is trained on the same words in the same run, and
its ARPA file is compared with ours, n-gram by n-gram. It refuses <unk> in a text, so both get
another name for it, and no blank lines, which it takes for empty sentences.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from accuracy import find
from measure import DATA, NLPCLI, run, run_measured, write_result

CORPUS = DATA / "corpus"
AS_IT_IS = ["--segmenter", "blank", "--keep-case", "--unicode-form", "none"]
SMOOTHINGS = ("mle", "laplace", "interpolated", "backoff", "kneser-ney")
ROUNDS = 3


def perplexity(work: Path, train: Path, test: Path, order: int, smoothing: str) -> dict[str, Any]:
    """Of one model: perplexity with and without unknown words, share of impossible tokens."""
    model = str(work / "model")
    run([*NLPCLI, "train-lm", str(train), "-o", model, "--force", "-q", "--order", str(order),
         "--smoothing", smoothing, *AS_IT_IS])  # fmt: skip
    done = run([*NLPCLI, "eval", "-m", model, str(test), "--json", "--resamples", "10"])
    document = json.loads(done.stdout)
    names = ("perplexity", "perplexity_without_unknown", "zero_probability_share")
    return {name: document[name]["value"] for name in names}


def without_unk(source: Path, target: Path) -> Path:
    """The text with another name for <unk>, and without blank lines."""
    with gzip.open(source, "rt", encoding="utf-8") as lines, target.open("w") as out:
        out.writelines(line.replace("<unk>", "UNKW") for line in lines if line.strip())
    return target


def arpa(path: Path) -> dict[str, tuple[float, float]]:
    """log10 of probability and weight by n-gram."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        fields = line.split("\t")
        if len(fields) > 1:
            found[fields[1]] = float(fields[0]), float(fields[2]) if len(fields) > 2 else 0.0
    return found


def beside_lmplz(lmplz: str, work: Path, source: Path, order: int) -> dict[str, Any]:
    """The largest differences of log10 by order, and both programs' discounts of order 1."""
    text = without_unk(source, work / "text")
    done = subprocess.run(
        [lmplz, "-o", str(order), "-S", "1G", "--text", str(text), "--arpa", str(work / "peer")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    model = str(work / "model")
    ours = run([*NLPCLI, "train-lm", str(text), "-o", model, "--force", "-q", "--json", "--order",
                str(order), *AS_IT_IS])  # fmt: skip
    mine = work / "mine"
    run([*NLPCLI, "models", "export", model, str(mine), "--to", "arpa", "--force"])
    one, other = arpa(mine), arpa(work / "peer")
    assert set(one) == set(other)
    worst = [[0.0, 0.0] for _ in range(order)]
    for gram, values in one.items():
        row = worst[gram.count(" ")]
        for k in (0, 1):
            if gram != "<s>" or k:  # its probability means nothing
                row[k] = max(row[k], abs(values[k] - other[gram][k]))
    said = re.findall(r"D1=(\S+) D2=(\S+) D3\+=(\S+)", done.stderr)
    return {
        "ngrams": len(one),
        "largest_difference": {str(n): row for n, row in enumerate(worst, 1)},
        "lmplz_discounts": [[float(d) for d in row] for row in said],
        "our_discounts": [d["discounts"] for d in json.loads(ours.stdout)["estimates"]],
    }


def speed(lmplz: str | None, work: Path) -> dict[str, Any]:
    """Whole processes on english.txt, order 3: ours on the packed text, lmplz on our words."""
    source = CORPUS / "english.txt.gz"
    seconds, peaks = [], []
    words = 0
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        done = run([*NLPCLI, "train-lm", str(source), "-o", str(work / "english"), "--force",
                    "--json", "-q"])  # fmt: skip
        seconds.append(time.perf_counter() - begun)
        report = json.loads(done.stdout)
        words = report["words"]
        peaks.append(report["peak_memory_mb"])
    found: dict[str, Any] = {
        "tokens": words,
        "seconds": sorted(seconds)[ROUNDS // 2],
        "tokens_per_second": round(words / sorted(seconds)[ROUNDS // 2]),
        "peak_mb": max(peaks),
        "stage_seconds": report["stage_seconds"],
    }
    if lmplz is not None:
        text = work / "plain"
        with gzip.open(source, "rb") as packed, text.open("wb") as out:
            out.write(packed.read())
        options = ["-o", "3", "-S", "2G", "--discount_fallback", "--skip_symbols"]
        peer = run_measured([lmplz, *options, "--text", str(text), "--arpa", str(work / "peer")])
        # it splits at blanks alone: fewer and other tokens
        found["lmplz"] = {"seconds": peer.seconds, "peak_mb": round(peer.peak_mb)}
    return found


def as_classifier(work: Path) -> dict[str, Any]:
    """Characters, order 5, one model a language."""
    model = str(work / "langid")
    begun = time.perf_counter()
    run([*NLPCLI, "train-lm", str(find("langid/train.csv.gz")), "-o", model, "-q", "--level",
         "char", "--label-column", "label"])  # fmt: skip
    trained = time.perf_counter() - begun
    done = run([*NLPCLI, "eval", "-m", model, str(find("langid/test.csv.gz")), "--json",
                "--resamples", "200"])  # fmt: skip
    document = json.loads(done.stdout)
    return {
        "accuracy": document["accuracy"]["value"],
        "log_loss": document["log_loss"]["value"],
        "ece": document["ece"]["value"],
        "train_seconds": trained,
        "eval_seconds": done.seconds,
    }


def main() -> None:
    """Measures all and writes the result."""
    lmplz = os.environ.get("LMPLZ")
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        train, test = CORPUS / "ptb_train.txt.gz", CORPUS / "ptb_test.txt.gz"
        result["ptb_3"] = {name: perplexity(work, train, test, 3, name) for name in SMOOTHINGS}
        train, test = CORPUS / "wikitext2_valid.txt.gz", CORPUS / "wikitext2_test.txt.gz"
        result["wikitext2"] = {
            str(order): {name: perplexity(work, train, test, order, name) for name in SMOOTHINGS}
            for order in range(1, 6)
        }
        if lmplz is not None:
            result["lmplz"] = {
                "ptb_3": beside_lmplz(lmplz, work, CORPUS / "ptb_train.txt.gz", 3),
                "wikitext2_5": beside_lmplz(lmplz, work, CORPUS / "wikitext2_valid.txt.gz", 5),
            }
        result["langid"] = as_classifier(work)
        result["english_3"] = speed(lmplz, work)
    write_result("language_model", result)


if __name__ == "__main__":
    main()
