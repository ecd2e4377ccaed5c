"""Word vectors against gensim: words a second of the whole process, and quality.

    GENSIM_PYTHON=/path/to/python python benchmarks/word2vec.py [JOB ...] [--seeds 3] [--epochs 3]

Jobs: sg (skip-gram, negatives), cbow, hs (skip-gram, tree), subwords (3 to 6 characters), svd
(against nobody; compare its quality with sg's). The two programs run one after the other, seed by
seed, on the same words of corpus/english.txt.gz: lower case, cut by nlpcli's splitter, a line a
sentence. gensim reads them from a plain file with spaces (``corpus_file``, 2 workers), which
nlpcli reads too. Both: 100 numbers, window 5, 5 negatives, min count 5, sample 1e-4 by
word2vec.c's formula. Words a second count all words, rare ones too, in the process from start to
end. GENSIM_PYTHON is the interpreter of an environment that has gensim; without it the current
one. Quality is measured by nlpcli for both, with gensim's rules: analogies among 30,000 words.
A job's row is written as soon as it is done; other jobs' rows stay.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import sys
import tempfile
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from measure import DATA, NLPCLI, ROOT, run_measured, write_result

from nlpcli.data.word_questions import Analogies, read_word_questions
from nlpcli.evaluation.analogies import evaluate_analogies
from nlpcli.evaluation.word_similarity import evaluate_similarity
from nlpcli.models.word_vectors import SubwordVectors, WordVectors
from nlpcli.store.folder import ModelFolder
from nlpcli.store.word_vectors import read_word_vectors
from nlpcli.text.segment import split_words

JOBS: dict[str, tuple[dict[str, Any] | None, list[str]]] = {
    "sg": ({"sg": 1}, []),
    "cbow": ({"sg": 0}, ["--algorithm", "cbow"]),
    "hs": ({"sg": 1, "negative": 0, "hs": 1}, ["--loss", "hs"]),
    "subwords": ({"sg": 1, "min_n": 3, "max_n": 6}, ["--subwords"]),
    "svd": (None, ["--algorithm", "svd"]),
}
FILES = {
    "analogies": "questions-words.txt", "ws353": "EN-WS-353-ALL.txt", "men": "EN-MEN-TR-3k.txt",
    "simlex": "EN-SIMLEX-999.txt", "rare_words": "EN-RW-STANFORD.txt",
}  # fmt: skip
PEER = """
import json, sys
import numpy as np
from gensim.models import FastText, Word2Vec
text, out, options = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
model = (FastText if "min_n" in options else Word2Vec)(
    corpus_file=text, vector_size=100, window=5, min_count=5, sample=1e-4, workers=2, **options)
np.save(out + ".npy", model.wv.vectors)
open(out + ".txt", "w").write("\\n".join(model.wv.index_to_key))
if "min_n" in options:
    np.save(out + ".ngrams.npy", model.wv.vectors_ngrams)
"""


def write_words(place: Path) -> tuple[Path, int]:
    """The corpus as words between spaces, and how many there are."""
    path, n = place / "english.txt", 0
    with (
        gzip.open(DATA / "corpus" / "english.txt.gz", "rt", encoding="utf-8") as lines,
        path.open("w", encoding="utf-8") as out,
    ):
        for line in lines:
            words = split_words(line.strip().lower())
            n += len(words)
            if words:
                out.write(" ".join(words) + "\n")
    return path, n


def quality(vectors: WordVectors) -> dict[str, float | None]:
    """Accuracy of analogies, Spearman of the rest."""
    found: dict[str, float | None] = {}
    for name, file in FILES.items():
        path = str(DATA / "wordsim" / file)
        read = read_word_questions(
            path, on_error="fail", max_field=1 << 20, on_reject=lambda *_: None
        )
        if isinstance(read, Analogies):
            document = evaluate_analogies(vectors, read, limit=30_000, resamples=0, seed=0)
            found[name] = document["accuracy"]["value"]
        else:
            document = evaluate_similarity(vectors, read, limit=None, resamples=0, seed=0)
            found[name] = document["spearman"]["value"]
    return found


def peer(text: Path, place: Path, options: dict[str, Any]) -> tuple[float, float, WordVectors]:
    """Seconds, peak MB and vectors of gensim."""
    python = os.environ.get("GENSIM_PYTHON", sys.executable)
    done = run_measured([python, "-c", PEER, str(text), str(place / "peer"), json.dumps(options)])
    words = (place / "peer.txt").read_text(encoding="utf-8").split("\n")
    subwords = None
    if "min_n" in options:
        table = np.load(place / "peer.ngrams.npy")
        subwords = SubwordVectors(options["min_n"], options["max_n"], table)
    vectors = WordVectors(words, np.load(place / "peer.npy"), None, subwords)
    return done.seconds, done.peak_mb, vectors


def ours(text: Path, place: Path, options: list[str]) -> tuple[float, float, WordVectors]:
    """Seconds, peak MB and vectors of nlpcli."""
    path = place / "ours"
    command = [*NLPCLI, "train-w2v", str(text), "-o", str(path), "--force", "-q", *options]
    done = run_measured([*command, "--threads", "2"])
    return done.seconds, done.peak_mb, read_word_vectors(ModelFolder(path))


def summary(runs: list[tuple[float, float, WordVectors]], n_words: int) -> dict[str, Any]:
    """Means over the seeds."""
    measured = [quality(vectors) for _, _, vectors in runs]
    each = {
        name: round(mean(m[name] or 0.0 for m in measured), 4)
        for name in FILES
    }  # fmt: skip
    return {
        "seconds": round(mean(run[0] for run in runs), 2),
        "words_per_second": round(mean(n_words / run[0] for run in runs)),
        "peak_mb": round(max(run[1] for run in runs)),
        **each,
    }


def job(name: str, text: Path, n: int, place: Path, seeds: int, epochs: int) -> dict[str, Any]:
    """Both programs, seed by seed."""
    peer_options, our_options = JOBS[name]
    theirs, mine = [], []
    for seed in range(1, seeds + 1):
        if peer_options is not None:
            options = {**peer_options, "epochs": epochs, "seed": seed}
            theirs.append(peer(text, place, options))
        passes = [] if name == "svd" else ["--epochs", str(epochs)]
        mine.append(ours(text, place, [*our_options, *passes, "--seed", str(seed)]))
    n_words = n if name == "svd" else n * epochs
    found: dict[str, Any] = {"nlpcli": summary(mine, n_words), "seeds": seeds, "epochs": epochs}
    if theirs:
        found["gensim"] = summary(theirs, n_words)
        ratio = found["nlpcli"]["words_per_second"] / found["gensim"]["words_per_second"]
        found["ratio"] = round(ratio, 2)
        found["differences"] = {
            key: round(found["nlpcli"][key] - found["gensim"][key], 4)
            for key in (*FILES, "peak_mb")
        }  # fmt: skip
    return found


def main() -> None:
    """Runs the jobs asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("jobs", nargs="*", choices=[*JOBS, []], default=list(JOBS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3)
    asked = parser.parse_args()
    path = ROOT / "benchmarks" / "results" / "word2vec.json"
    rows = json.loads(path.read_text())["jobs"] if path.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        text, n_words = write_words(place)
        for name in asked.jobs:
            rows[name] = job(name, text, n_words, place, asked.seeds, asked.epochs)
            print(name, json.dumps(rows[name]))
            write_result("word2vec", {"words": n_words, "jobs": rows})


if __name__ == "__main__":
    main()
