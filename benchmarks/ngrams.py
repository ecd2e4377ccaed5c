"""ngrams beside scikit-learn's CountVectorizer on the same tokens, and what holds memory down.

    python benchmarks/ngrams.py            all of it
    python benchmarks/ngrams.py speed      one part: speed, chosen or ways; the others stay

The tokens are those of english.txt.gz as nlpcli cuts them. The peer is given them ready split, one
document a line; nlpcli reads the packed text and cuts it too. Both write the 1- to 3-grams that
occur five times to a file. Then: chi-square's best tenth of the features on news20, and the memory,
time and loss of three ways to count with less.
"""

from __future__ import annotations

import csv
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measure import DATA, NLPCLI, ROOT, run, run_measured, write_result

CORPUS = DATA / "corpus" / "english.txt.gz"
MIN_COUNT = 5
WAYS = {
    "exact, all": [],
    "--min-count 5": ["--min-count", "5"],
    "--min-count 20": ["--min-count", "20"],
    "--buckets 1000000": ["--buckets", "1000000"],
    "--buckets 100000": ["--buckets", "100000"],
    "--level char": ["--level", "char"],
    "--level char --min-count 5": ["--level", "char", "--min-count", "5"],
}


def peer(tokens: str, target: str) -> None:
    """What CountVectorizer is measured by: run as a process of its own."""
    from sklearn.feature_extraction.text import CountVectorizer

    with open(tokens, encoding="utf-8") as stream:
        vectorizer = CountVectorizer(
            tokenizer=str.split, token_pattern=None, lowercase=False, ngram_range=(1, 3)
        )
        counts = vectorizer.fit_transform(stream).sum(axis=0).A1
    with open(target, "w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream, lineterminator="\n")
        for gram, column in vectorizer.vocabulary_.items():
            if counts[column] >= MIN_COUNT:
                rows.writerow([gram, counts[column]])


def write_tokens(target: Path) -> int:
    """The words of the corpus between blanks, a document a line; how many there are."""
    import numpy as np

    from nlpcli.data.source import Source
    from nlpcli.data.text_runs import TextRuns
    from nlpcli.text.config import TokenizerConfig
    from nlpcli.text.word_counts import cut_run

    n, config = 0, TokenizerConfig(word_ngrams=1)
    with target.open("w", encoding="utf-8") as stream:
        for part in TextRuns(Source(str(CORPUS))):
            cut = cut_run(config, part.text)
            known = cut.words(np.arange(len(cut.hashes)))
            words = iter([known[i] for i in cut.numbers.tolist()])
            for size in cut.sizes.tolist():
                stream.write(" ".join(next(words) for _ in range(size)) + "\n")
            n += len(cut.numbers)
    return n


def same_counts(ours: Path, theirs: Path) -> bool:
    """Whether both files hold the same n-grams with the same counts."""
    with (
        ours.open(encoding="utf-8", newline="") as one,
        theirs.open(encoding="utf-8", newline="") as two,
    ):
        mine = {row["ngram"]: row["count"] for row in csv.DictReader(one)}
        return mine == dict(csv.reader(two))


def speed(work: Path) -> dict[str, Any]:
    """Both programs, one after the other."""
    tokens, target, theirs = work / "tokens.txt", work / "ours.csv", work / "theirs.csv"
    n = write_tokens(tokens)
    command = [*NLPCLI, "ngrams", str(CORPUS), "--n", "1-3", "--min-count", str(MIN_COUNT), "-q"]
    other = run_measured([sys.executable, __file__, "--peer", str(tokens), str(theirs)])
    rows: dict[str, Any] = {"CountVectorizer": {"seconds": other.seconds, "peak_mb": other.peak_mb}}
    for name, options in (("nlpcli", []), ("nlpcli --memory 500M", ["--memory", "500M"])):
        done = run_measured([*command, *options, "-o", str(target)])
        rows[name] = {"seconds": done.seconds, "peak_mb": done.peak_mb}
        if not same_counts(target, theirs):
            raise SystemExit(f"{name}: other counts than CountVectorizer's")
    for row in rows.values():
        row["tokens_per_second"] = round(n / row["seconds"])
        row["ratio"] = round(other.seconds / row["seconds"], 2)
        row["memory_ratio"] = round(row["peak_mb"] / other.peak_mb, 3)
        row["seconds"], row["peak_mb"] = round(row["seconds"], 2), round(row["peak_mb"])
    return {"tokens": n, "rows": rows}


def chosen(work: Path) -> dict[str, Any]:
    """Accuracy on news20's test part with all features, and with a tenth of them."""
    train, test = (str(DATA / "news20" / f"{part}.csv.gz") for part in ("train", "test"))
    found: dict[str, Any] = {}
    for name in ("all", "chi2", "mutual-information"):
        options, model = [], str(work / f"model-{name}")
        if name != "all":
            features = str(work / f"{name}.csv")
            count = ["ngrams", train, "--n", "1-2", "--select", name, "--top", "10%", "-q"]
            run([*NLPCLI, *count, "--save", features, "-o", str(work / "scores.csv")])
            options = ["--features", features]
        done = run([*NLPCLI, "train-fasttext", train, "-o", model, "--json", "-q", *options])
        told = json.loads(run([*NLPCLI, "eval", "-m", model, test, "--json"]).stdout)
        accuracy = told["accuracy"]["value"]
        found[name] = {"features": json.loads(done.stdout)["features"], "accuracy": accuracy}
        found[name]["share"] = round(accuracy / found["all"]["accuracy"], 4)
        print(name, found[name], flush=True)
    return found


def ways(work: Path) -> dict[str, Any]:
    """Memory, time, and the share of the occurrences of 1- to 3-grams that are counted right."""
    found: dict[str, Any] = {}
    for name, options in WAYS.items():
        log, target = work / "log.txt", work / "table.csv"
        command = [*NLPCLI, "ngrams", str(CORPUS), "--n", "1-3", "-v", *options, "-o", str(target)]
        begun = time.perf_counter()
        done = run_measured(
            ["sh", "-c", 'log=$1; shift; exec "$@" 2> "$log"', "sh", str(log), *command]
        )
        found[name] = {
            "seconds": round(time.perf_counter() - begun, 1),
            "peak_mb": round(done.peak_mb),
            **told(log.read_text(encoding="utf-8")),
        }
        print(name, found[name], flush=True)
    return found


def told(log: str) -> dict[str, Any]:
    """Rows, and the share of occurrences that were dropped or mixed up, as --verbose tells them."""
    kept = total = mixed = rows = 0.0
    wrong: dict[str, float] = {}
    for line in log.splitlines():
        order, _, rest = line.partition("-grams: ")
        if "% of the occurrences" in rest:
            wrong[order] = float(rest.split("%")[0].split()[-1]) / 100
        elif " occurrences" in rest:
            numbers = [float(w.replace(",", "")) for w in rest.split() if w[0].isdigit()]
            rows, kept, total = rows + numbers[0], kept + numbers[1], total + numbers[2]
            mixed += wrong.get(order, 0.0) * numbers[2]
    return {"rows": round(rows), "lost": round((total - kept + mixed) / total, 4)}


def main() -> None:
    """All three, or the peer alone in its own process."""
    if sys.argv[1:2] == ["--peer"]:
        peer(sys.argv[2], sys.argv[3])
        return
    parts = {"speed": speed, "chosen": chosen, "ways": ways}
    result: dict[str, Any] = {}
    file = ROOT / "benchmarks" / "results" / "ngrams.json"
    if sys.argv[1:] and file.exists():
        result = json.loads(file.read_text(encoding="utf-8"))
        del result["machine"]
    with tempfile.TemporaryDirectory() as folder:
        for name in sys.argv[1:] or parts:
            result[name] = parts[name](Path(folder))
            print(name, result[name], flush=True)
    write_result("ngrams", result)


if __name__ == "__main__":
    main()
