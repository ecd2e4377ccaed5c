"""predict with an encoder, and neighbors --in-context: the installed program."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from nlpcli.runs.embedding import Embedder

from ..runs.encoders import TEXTS, plain_folder, store_encoder, tiny_encoder
from .conftest import PROGRAM, Done, Run, environment, run_program

INPUT = "".join(f'"{text}",{i}\n' for i, text in enumerate(["text", *TEXTS])).replace(",0", ",n", 1)
FP32 = ["--precision", "fp32", "--device", "cpu"]
MARKED = 'text\nthe [[bank]] raised rates\n"we sat on the [[bank]], raised"\nthe old [[river]]\n'


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("encoders") / "store"
    store_encoder(root)
    plain_folder(root.parent / "plain")
    return root


@pytest.fixture
def program(store: Path) -> Run:
    return lambda *arguments, **more: run_program(store, *arguments, **more)


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return Embedder(tiny_encoder(), "tiny", device="cpu", precision="fp32")


def table(done: Done) -> list[dict[str, str]]:
    assert (done.code, done.err) == (
        0,
        "warning: 1 texts are longer than the 22 pieces that the model reads: "
        "their ends do not count\n",
    )
    return list(csv.DictReader(io.StringIO(done.out), strict=True))


def test_a_column_of_vectors(program: Run, embedder: Embedder) -> None:
    done = program("predict", "-m", "tiny", "--embed", "mean", *FP32, stdin=INPUT)
    rows = table(done)
    assert [(row["text"], row["n"]) for row in rows] == [
        (text, str(i)) for i, text in enumerate(TEXTS, 1)
    ]
    assert list(rows[0]) == ["text", "n", "embedding"]
    found = np.array([json.loads(row["embedding"]) for row in rows])
    np.testing.assert_allclose(found, embedder.texts(TEXTS, "mean"), rtol=0, atol=1e-6)
    line = ["predict", "-m", "./plain", "--embed", "last4", "--only", *FP32, "-q"]
    done = program(*line, "--output-format", "jsonl", "--prefix", "v_", stdin=INPUT)
    documents = [json.loads(text) for text in done.out.splitlines()]
    assert [list(document) for document in documents] == [["v_embedding"]] * len(TEXTS)
    found = np.array([document["v_embedding"] for document in documents])
    np.testing.assert_allclose(found, embedder.texts(TEXTS, "last4"), rtol=0, atol=1e-6)


def test_a_file_of_numpy(program: Run, store: Path, embedder: Embedder) -> None:
    target = store.parent / "x.npy"
    line = ["predict", "-m", "tiny", "-q", *FP32, "-o", "x.npy"]
    assert program(*line, "--embed", "cls", stdin=INPUT) == Done(0, "", "")
    np.testing.assert_allclose(np.load(target), embedder.texts(TEXTS, "cls"), rtol=0, atol=1e-6)
    assert program(*line, "--words", stdin=INPUT) == Done(0, "", "")
    before = target.read_bytes()
    (words,) = embedder.words(TEXTS, "last4")
    np.testing.assert_allclose(np.load(target), words.vectors, rtol=0, atol=1e-6)
    done = program(*line, "--words", stdin=INPUT + '"never,1\n')
    assert done.code == 65 and target.read_bytes() == before
    assert [path.name for path in store.parent.glob("*x.npy*")] == ["x.npy"]


def test_a_row_for_each_word(program: Run, embedder: Embedder) -> None:
    (words,) = embedder.words(TEXTS, "mean")
    line = ["predict", "-m", "tiny", "--words", "--embed", "mean", *FP32]
    rows = table(program(*line, stdin=INPUT))
    wanted = [
        (str(row + 1), TEXTS[row][start:end], str(start), str(end))
        for row, start, end in zip(words.rows, words.starts, words.ends, strict=True)
    ]
    assert [tuple(row.values())[:4] for row in rows] == wanted
    assert list(rows[0]) == ["row", "word", "start", "end", "embedding"]
    found = np.array([json.loads(row["embedding"]) for row in rows])
    np.testing.assert_allclose(found, words.vectors, rtol=0, atol=1e-6)
    done = program(*line, "-q", "--output-format", "jsonl", "--line-buffered", stdin=INPUT)
    documents = [json.loads(text) for text in done.out.splitlines()]
    assert [(d["row"], d["word"], d["start"]) for d in documents] == [
        (int(row), word, int(start)) for row, word, start, _ in wanted
    ]
    lists = np.array([document["embedding"] for document in documents])
    np.testing.assert_allclose(lists, words.vectors, rtol=0, atol=2e-6)


def refused(done: Done, code: int, says: str) -> None:
    assert (done.code, done.out) == (code, "")
    assert done.err.startswith("error: ") and says in done.err, done.err


def test_options_that_mean_nothing_are_refused(program: Run, nlpcli: Run) -> None:
    line = ["predict", "-m", "tiny"]
    refused(program(*line, stdin=INPUT), 65, ": an encoder, which gives vectors and no labels")
    refused(program("predict", "-m", "./plain", stdin=INPUT), 65, "hint: predict --embed mean")
    for more, says in {
        ("--top-k", "2"): "--top-k: not with vectors of an encoder",
        ("--abstain-below", "0.5"): "--abstain-below: not with vectors",
    }.items():
        refused(program(*line, "--embed", "cls", *more, stdin=INPUT), 2, says)
    refused(program(*line, "--words", "--embed", "cls", stdin=INPUT), 2, "--embed cls: a vector of")
    refused(program(*line, "--words", "--only", stdin=INPUT), 2, "--only: not with --words")
    npy = [*line, "--embed", "cls", "-o", "y.npy"]
    refused(program(*npy, "--only", stdin=INPUT), 2, "--only: a .npy file holds vectors alone")
    reviews = ["predict", "-m", "reviews"]
    refused(nlpcli(*reviews, "--threads", "1", stdin=INPUT), 2, "--threads: reviews is no encoder")
    refused(nlpcli(*reviews, "--embed", "cls", stdin=INPUT), 65, "wanted an encoder")
    done = nlpcli("neighbors", "-m", "reviews", "--device", "cpu", "x")
    refused(done, 2, "--device: only with --in-context")


def test_a_variable_for_trainers_does_not_stop_predict(nlpcli: Run) -> None:
    assert nlpcli("predict", "-m", "reviews", stdin=INPUT, NLPCLI_THREADS="1").code == 0


def test_a_slow_pipe_is_answered_within_a_second(store: Path) -> None:
    process = subprocess.Popen(
        [PROGRAM, "predict", "-m", "tiny", "--embed", "mean", *FP32], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, env=environment(store), cwd=store.parent,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(b"text,n\nfirst,1\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"text,n,embedding\n"
        assert process.stdout.readline().startswith(b"first,1,")
        begun = time.monotonic()
        process.stdin.write(b"second,2\n")
        process.stdin.flush()
        assert process.stdout.readline().startswith(b"second,2,")
        assert time.monotonic() - begun < 1
        process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0


def test_occurrences(program: Run, store: Path) -> None:
    (store.parent / "m.csv").write_text(MARKED, encoding="utf-8")
    line = ["neighbors", "-m", "tiny", "--in-context", "m.csv", *FP32, "-k", 1]
    done = program(*line)
    rows = list(csv.DictReader(io.StringIO(done.out), strict=True))
    assert (done.code, done.err) == (0, "")
    assert list(rows[0]) == [
        "row", "word", "rank", "neighbor_row", "neighbor", "cosine", "neighbor_text"
    ]  # fmt: skip
    assert [(row["row"], row["word"], row["rank"]) for row in rows] == [
        ("1", "bank", "1"), ("2", "bank", "1"), ("3", "river", "1"),
    ]  # fmt: skip
    assert all(row["neighbor_row"] != row["row"] for row in rows)
    documents = [json.loads(text) for text in program(*line, "--json").out.splitlines()]
    for row, document in zip(rows, documents, strict=True):
        (near,) = document["neighbors"]
        assert document["row"] == int(row["row"]) and document["word"] == row["word"]
        assert (near["row"], near["word"]) == (int(row["neighbor_row"]), row["neighbor"])
        assert near["text"] == row["neighbor_text"] and f"{near['cosine']:.6f}" == row["cosine"]
    assert program(*line, "-o", "n.csv") == Done(0, "", "")
    assert (store.parent / "n.csv").read_text(encoding="utf-8") == done.out


def test_rows_without_one_mark(program: Run, store: Path) -> None:
    (store.parent / "bad.csv").write_text(f"{MARKED}no mark\n", encoding="utf-8")
    line = ["neighbors", "-m", "tiny", "--in-context", "bad.csv", *FP32]
    refused(program(*line), 65, "error: bad.csv line 5: no word is marked, wanted one as [[word]]")
    done = program(*line, "--on-error", "skip")
    assert (done.code, len(done.out.splitlines())) == (0, 7)
    assert done.err.startswith("warning: 1 rows skipped, bad.csv line 5: no word is marked")
    refused(program(*line, "bank"), 2, "--in-context: words are marked in FILE; no WORD")
    refused(program("neighbors", "-m", "tiny", "bank"), 65, "wanted word vectors")
    refused(program(*line[:3], "--in-context", "none.csv"), 66, "none.csv")
