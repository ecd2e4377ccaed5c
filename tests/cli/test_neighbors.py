"""neighbors: the installed program."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nlpcli.models.word_vectors import WordVectors
from nlpcli.runs.neighbors import Neighbors
from nlpcli.runs.vector_files import read_word_vector_file

from .conftest import PROGRAM, SAMPLES, Run, environment

VECTORS = SAMPLES / "words_en.vec"
LINE = ["neighbors", "-m", VECTORS]


@pytest.fixture(scope="module")
def vectors() -> WordVectors:
    return read_word_vector_file(VECTORS)[0]


def test_rows_are_those_of_the_model(fresh: Run, vectors: WordVectors) -> None:
    done = fresh(*LINE, "refund", "late", "-k", 4)
    assert (done.code, done.err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(done.out), strict=True))
    wanted = [
        (word, str(rank), near, f"{cosine:.6f}")
        for word in ("refund", "late")
        for rank, (near, cosine) in enumerate(Neighbors(vectors, "", 4).of_word(word), 1)
    ]
    assert [tuple(row.values()) for row in rows] == wanted
    assert list(rows[0]) == ["word", "rank", "neighbor", "cosine"]
    assert fresh(*LINE, "-k", 4, stdin="refund\r\n\n late \n") == done
    done = fresh(*LINE, "-k", 4, "--json", stdin="refund\n")
    document = json.loads(done.out)
    assert document["word"] == "refund"
    assert [near["word"] for near in document["neighbors"]] == [row[2] for row in wanted[:4]]


def test_analogies(fresh: Run, vectors: WordVectors, tmp_path: Path) -> None:
    done = fresh(*LINE, "--analogy", "day", "days", "week", "-k", 2)
    found = Neighbors(vectors, "", 2).of_analogy("day", "days", "week")
    rows = [f"day,days,week,{i},{w},{x:.6f}" for i, (w, x) in enumerate(found, 1)]
    assert done.out.splitlines() == ["a,b,c,rank,neighbor,cosine", *rows]
    assert fresh(*LINE, "--analogy", "-k", 2, stdin="day\tdays week\n") == done
    assert fresh(*LINE, "--analogy", "-k", 2, "-o", "out.csv", stdin="day days week\n").out == ""
    assert (tmp_path / "out.csv").read_text() == done.out
    done = fresh(*LINE, "--analogy", "day", "days")
    assert (done.code, done.out) == (2, "")
    assert done.err == "error: --analogy: 2 words, wanted three: A B C\n"
    done = fresh(*LINE, "--analogy", stdin="day days week\nday days\n")
    assert done.code == 65 and "<stdin> line 2: 2 words, wanted three" in done.err
    lines = b"day days week\nday days\nday \xff week\nday days weeek\nday days week\n"
    done = fresh(*LINE, "--analogy", "-k", 1, "--on-error", "skip", stdin=lines)
    assert (done.code, len(done.out.splitlines())) == (0, 3)
    assert done.err == (
        "warning: 1 questions skipped: a word has no vector\nwarning: 2 bad rows skipped\n"
    )


def test_unknown_words(fresh: Run) -> None:
    done = fresh(*LINE, "refunds")
    assert (done.code, done.out) == (65, "")
    assert done.err == (
        f"error: {VECTORS}: no vector for 'refunds', which is none of its 236 words\n"
        "hint: did you mean refund?\n"
    )
    done = fresh(*LINE, "-k", 1, stdin="late\nrefunds\n")
    assert done.code == 65 and done.err.startswith("error: <stdin> line 2: ")
    assert len(done.out.splitlines()) == 2
    done = fresh(*LINE, "-k", 1, "--on-error", "skip", stdin="late\nrefunds\nearly\nrefund\n")
    assert (done.code, done.err) == (0, "warning: 2 questions skipped: a word has no vector\n")
    assert [line.split(",")[0] for line in done.out.splitlines()] == ["word", "late", "refund"]
    done = fresh(*LINE, "-k", 1, stdin="")
    assert (done.code, done.out) == (0, "word,rank,neighbor,cosine\n")
    done = fresh(*LINE, stdin=b"late\n\xff\n")
    assert done.code == 65 and "line 2 byte 1: invalid UTF-8" in done.err


def test_other_models_are_refused_in_one_line(nlpcli: Run, tmp_path: Path) -> None:
    done = nlpcli("neighbors", "-m", "reviews", "late")
    assert (done.code, done.out) == (65, "")
    assert done.err.endswith("/reviews/1: a model of kind fasttext, wanted word vectors\n")
    done = nlpcli("neighbors", "-m", SAMPLES / "reviews_en.bin", "late")
    assert done.code == 65 and "a supervised or quantised model" in done.err
    assert nlpcli("neighbors", "-m", "none", "late").code == 66


def test_a_slow_pipe_is_answered_line_by_line_and_without_torch(tmp_path: Path) -> None:
    code = (
        "import os, sys\n"
        "leave = os._exit\n"
        "def end(code):\n"
        "    print('torch' in sys.modules, file=sys.stderr)\n"
        "    leave(code)\n"
        "os._exit = end\n"
        "from nlpcli.__main__ import main\n"
        "main()\n"
    )
    assert os.path.exists(PROGRAM)
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, LINE), "-k", "1"], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(tmp_path),
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(b"late\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"word,rank,neighbor,cosine\n"
        assert process.stdout.readline().startswith(b"late,1,")
        out, err = process.communicate(b"refund\n", timeout=60)
    finally:
        process.kill()
    assert out.startswith(b"refund,1,")
    assert (process.returncode, err) == (0, b"False\n")
