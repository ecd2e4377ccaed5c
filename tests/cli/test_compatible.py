"""train-fasttext --fasttext-compatible: models that the fastText program reads, and agrees with."""

from __future__ import annotations

import csv
import io
import json
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from ..formats.program import needs_program, run
from .conftest import PROGRAM, SAMPLES, Run, environment

TRAIN = SAMPLES / "reviews_en.csv"
SMALL = ["--fasttext-compatible", "--dim", "8", "--buckets", "5000"]


def sample_texts(count: int = 300) -> list[str]:
    """Texts of all samples, some of them changed: unknown words, odd blanks, nothing at all."""
    draw, texts = random.Random(1), []
    for name in ("reviews_en_test.csv", "messages_zh_test.csv", "tags_en.csv", "reviews_en.csv"):
        with (SAMPLES / name).open(encoding="utf-8", newline="") as stream:
            texts += [row["text"] for row in csv.DictReader(stream)]
    found = ["", " ", "__label__delivery", "zzz", "s> late", "é\u3000好 late"]
    for text in draw.sample(texts, count - len(found)):
        words = [w if draw.random() < 0.8 else w[::-1] + "x" for w in text.split()]
        found.append(draw.choice([" ", "  ", "\t"]).join(words))
    return found


def table(texts: list[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([["id", "text"], *enumerate(texts)])
    return out.getvalue()


@needs_program
@pytest.mark.parametrize(
    ("train", "options"),
    [
        pytest.param("reviews_en.csv", [], marks=pytest.mark.slow),
        pytest.param("reviews_en.csv", ["--word-ngrams", "1"], marks=pytest.mark.slow),
        ("reviews_en.csv", ["--min-n", "2", "--max-n", "4", "--word-ngrams", "3"]),
        pytest.param(
            "messages_zh.csv", ["--max-n", "3", "--min-count", "2"], marks=pytest.mark.slow
        ),
        pytest.param(
            "reviews_en.csv",
            ["--dev-fraction", "0.2", "--label-smoothing", "0"],
            marks=pytest.mark.slow,
        ),
        ("reviews_en.csv", ["--loss", "hs", "--epochs", "20"]),
        pytest.param(
            "messages_zh.csv",
            ["--loss", "ns", "--negatives", "3", "--epochs", "20"],
            marks=pytest.mark.slow,
        ),
    ],
)
def test_the_program_gives_the_same_labels(
    fresh: Run, tmp_path: Path, train: str, options: list[str]
) -> None:
    done = fresh("train-fasttext", SAMPLES / train, "-o", "m", "-q", *SMALL, *options)
    assert (done.code, done.err) == (0, "")
    assert fresh("models", "export", "m", "m.bin", "--to", "fasttext").code == 0
    texts = sample_texts()
    lines = "".join(text + "\n" for text in texts)
    said = [row.split(" ") for row in run("predict-prob", tmp_path / "m.bin", "-", data=lines)
            .splitlines()]  # fmt: skip
    stored = fresh("predict", "-m", "m", "--only", stdin=table(texts))
    assert stored == fresh("predict", "-m", tmp_path / "m.bin", "--only", stdin=table(texts))
    got = list(csv.reader(io.StringIO(stored.out)))[1:]
    assert len(got) == len(said) == len(texts)
    assert len({label for label, _ in got}) == 4
    for (label, chance), (theirs, printed) in zip(got, said, strict=True):
        # its logistic function has 512 steps, so that with ns two labels may be equally likely
        assert f"__label__{label}" == theirs or "ns" in options
        # printed with 1e-5 more, with hs at each node
        assert float(chance) == pytest.approx(float(printed) - 1e-5, abs=3e-5)


@needs_program
@pytest.mark.slow
def test_several_labels_and_another_prefix(fresh: Run, tmp_path: Path) -> None:
    done = fresh(
        "train-fasttext", SAMPLES / "tags_en.csv", "-o", "m", *SMALL, "--label-column", "labels",
        "--label-separator", ";", "--label-prefix", "@", "--epochs", 20, "--json", "-q",
    )  # fmt: skip
    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert report["metrics"]["micro_f1"] > 0.3 and 0 <= report["threshold"] <= 1
    config = json.loads(fresh("models", "show", "m", "--json").out)["config"]
    assert config["fasttext"]["arguments"]["loss"] == 4
    assert (config["label_prefix"], config["label_separator"]) == ("@", ";")
    assert config["threshold"] == report["threshold"]
    assert fresh("models", "export", "m", "m.bin", "--to", "fasttext").code == 0
    texts = sample_texts(100)
    stored = fresh("predict", "-m", "m", "--only", "--threshold", 0.5, stdin=table(texts))
    got = [row[0] for row in csv.reader(io.StringIO(stored.out))][1:]
    said = run("predict", tmp_path / "m.bin", "-", -1, 0.5, data="".join(t + "\n" for t in texts))
    theirs = [{w.removeprefix("@") for w in line.split()} for line in said.split("\n")[:-1]]
    assert [set(names.split(";")) - {""} for names in got] == theirs
    # the prefix is not in the file: it is known where it is said
    assert fresh("models", "import", "./m.bin", "again", "--label-prefix", "@").code == 0
    shown = [json.loads(fresh("models", "show", m, "--json").out)["labels"] for m in ("m", "again")]
    assert shown[0] == shown[1]


@pytest.mark.slow
def test_lines_of_the_program_with_another_prefix(fresh: Run, tmp_path: Path) -> None:
    with TRAIN.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    lines = tmp_path / "rows.txt"
    lines.write_text("".join(f"#{r['label']} {' '.join(r['text'].split())}\n" for r in rows))
    plain = tmp_path / "plain.csv"
    with plain.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "label"])
        writer.writerows([" ".join(r["text"].split()), r["label"]] for r in rows)
    as_lines = ["--format", "fasttext", "--label-prefix", "#"]
    assert fresh("train-fasttext", lines, "-o", "a", "-q", *SMALL, *as_lines).code == 0
    assert fresh("train-fasttext", plain, "-o", "b", "-q", *SMALL, "--label-prefix", "#").code == 0
    files = [tmp_path / "store" / m / "1" / "model.safetensors" for m in "ab"]
    assert files[0].read_bytes() == files[1].read_bytes()
    answers = [
        fresh("predict", "-m", "a", "--only", lines, *as_lines),
        fresh("predict", "-m", "b", "--only", plain),
    ]
    assert answers[0].code == 0 and answers[0] == answers[1]
    scores = [fresh("eval", "-m", "a", lines, "--json", *as_lines),
              fresh("eval", "-m", "a", plain, "--json")]  # fmt: skip
    assert scores[0].code == 0 and scores[0] == scores[1]
    assert fresh("eval", "-m", "a", lines, "--format", "fasttext").code == 65
    assert fresh("eval", "-m", "a", lines, "--label-prefix", "a b").code == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--strip-urls"], ["--strip-urls"]),
        (["--lowercase"], ["--lowercase"]),
        (["--segmenter", "char"], ["--segmenter"]),
        (["--unicode-form", "NFC"], ["--unicode-form"]),
        (["--cost", "2"], ["--cost"]),
        (["--loss", "squared-hinge"], ["--loss squared-hinge"]),
        (["--loss", "adaptive"], ["--loss adaptive"]),
        (["--continue-from", "x"], ["--continue-from"]),
        (["--dim", "0"], ["--dim 0"]),
        (["--buckets", str(2**31)], ["--buckets"]),
        (["--label-separator", ";", "--loss", "softmax"], ["--label-separator", "--loss"]),
    ],
)
def test_options_that_the_format_cannot_keep(
    fresh: Run, options: list[str], words: list[str]
) -> None:
    done = fresh("train-fasttext", TRAIN, "-o", "m", "--fasttext-compatible", *options)
    assert (done.code, done.out) == (2, "")
    first = done.err.splitlines()[0]
    assert first.startswith("error: ") and "--fasttext-compatible" in first
    assert all(word in first for word in words)


def test_options_that_say_what_is_so_anyway(fresh: Run) -> None:
    line = ["train-fasttext", TRAIN, "-o", "m", "--fasttext-compatible", "--dry-run", "--json"]
    done = fresh(*line, "--keep-case", "--unicode-form", "none")
    assert done.code == 0, done.err
    plan = json.loads(done.out)
    assert plan["model_bytes"] > 4 * 100 * 2_000_000 > 4 * plan["parameters"]
    small = json.loads(fresh(*line, "--word-ngrams", 1).out)
    assert small["model_bytes"] < 10**6  # without n-grams there are no buckets


@pytest.mark.slow
def test_gates_and_versions_as_with_any_model(fresh: Run) -> None:
    line = ["train-fasttext", TRAIN, "-o", "m", *SMALL, "--dev-fraction", 0.2, "--epochs", 10]
    assert fresh(*line, "--publish-if", "macro_f1>=0.3", "--publish-if", "better").code == 0
    done = fresh(*line, "--publish-if", "better")
    assert done.code == 1 and "which the version in use reaches" in done.err
    assert fresh(*line, "--publish-if", "better", "--if-changed").code == 1
    assert fresh("train-fasttext", TRAIN, "-o", "m", "-q", "--keep", 1).code == 0
    done = fresh("train-fasttext", TRAIN, "-o", "m", "--continue-from", "m@2")
    assert done.code in (65, 66)


@pytest.mark.slow
def test_a_run_that_was_stopped_ends_in_the_same_bytes(fresh: Run, tmp_path: Path) -> None:
    line = ["train-fasttext", TRAIN, *SMALL, "--epochs", 300, "--dev-fraction", 0.2, "--save-every",
            0]  # fmt: skip
    assert fresh(*line, "-o", "whole", "-q").code == 0
    store = tmp_path / "store"
    process = subprocess.Popen(
        [PROGRAM, *map(str, line), "-o", "m"], env=environment(store), stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 30
    while not list(store.glob("m/.state/*.state")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = fresh(*line, "-o", "m", "--resume")
    assert done.code == 0 and "resuming after step" in done.err
    files = [store / name / "1" / "model.safetensors" for name in ("whole", "m")]
    assert files[0].read_bytes() == files[1].read_bytes()
