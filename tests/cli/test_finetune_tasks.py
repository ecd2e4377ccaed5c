"""finetune of several tasks over one encoder, and what is made of its models."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from .conftest import Run, run_program, stop_and_resume

QUICK = ["--epochs", "1", "--threads", "1", "--precision", "fp32", "--lr", "1e-3"]
WORDS = {"late": "delivery", "card": "billing", "soft": "quality"}
FILES = {
    "topics": "text,label\n" + "".join(
        f"it is {word} {n},{label}\n" for n in range(12) for word, label in WORDS.items()
    ),
    "themes": "text,label\n" + "".join(
        f"so {a} and {b} {n},{a};{b}\n" if n % 3 else f"nothing {n},\n"
        for n, (a, b) in enumerate([("late", "card"), ("card", "soft")] * 9)
    ),
    "same": "text,second,label\n" + "".join(
        f"it is {a},it was {b} {n},{'yes' if a == b else 'no'}\n"
        for n in range(2) for a in WORDS for b in WORDS
    ),
}  # fmt: skip
TRAIN = [word for name in FILES for word in ("--train", f"{name}={name}.csv")]
LINE = ["finetune", *TRAIN, "--from", "./encoder", *QUICK, "--text-b-column", "second",
        "--label-separator", ";", "--dev", "same=same.csv", "--sampling", "sqrt"]  # fmt: skip
PAIR = ["--text-b-column", "second"]


def lay(place: Path, encoder: Path) -> None:
    shutil.copytree(encoder, place / "encoder")
    for name, rows in FILES.items():
        (place / f"{name}.csv").write_text(rows)


@pytest.fixture(scope="module")
def tuned(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with ``all``; do not write."""
    store = tmp_path_factory.mktemp("tasks") / "store"
    lay(store.parent, encoder)
    done = run_program(store, *LINE, "-o", "all", "--json")
    assert done.code == 0, done.err
    (store.parent / "all.json").write_text(done.out)
    (store.parent / "all.err").write_text(done.err)
    return store


@pytest.fixture
def program(tuned: Path) -> Run:
    return lambda *arguments, **more: run_program(tuned, *arguments, **more)


@pytest.fixture
def place(encoder: Path, tmp_path: Path) -> Run:
    """Over an empty store, beside the encoder and the files."""
    lay(tmp_path, encoder)
    return lambda *arguments, **more: run_program(tmp_path / "store", *arguments, **more)


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_what_is_said_of_each_task(program: Run, tuned: Path) -> None:
    told = (tuned.parent / "all.err").read_text()
    assert "topics: 33 texts, 3 labels\n" in told
    assert "themes: 17 texts, 3 labels, any number a row\n" in told
    assert "same: 18 pairs, 2 labels\n" in told
    assert "steps of an epoch: topics 2, themes 1, same 1\n" in told
    report = json.loads((tuned.parent / "all.json").read_text(), parse_constant=pytest.fail)
    tasks, metrics = report["tasks"], report["metrics"]
    assert [tasks[name]["dev_rows"] for name in FILES] == [3, 1, 18]
    scores = [
        tasks["topics"]["metrics"]["accuracy"], tasks["themes"]["metrics"]["micro_f1"],
        tasks["same"]["metrics"]["accuracy"],
    ]  # fmt: skip
    assert metrics["mean_score"] == pytest.approx(sum(scores) / 3)
    assert metrics["same.log_loss"] == tasks["same"]["metrics"]["log_loss"]
    shown = program("models", "show", "all").out
    assert "kind: bert-multitask" in shown and "file: task_heads.safetensors" in shown
    assert "labels: topics/billing, topics/delivery, topics/quality, themes/card" in shown
    assert "      labels: billing, delivery, quality\n" in shown
    assert "architecture: BertModel" in shown
    assert program("models", "verify", "all").code == 0
    assert "bert-multitask" in program("models", "list").out


def test_a_task_too_small_for_dev_rows_is_named(place: Run, tmp_path: Path) -> None:
    (tmp_path / "same.csv").write_text("text,label\n" + "so,yes\nsoft,no\n" * 2)
    done = place("finetune", *TRAIN, "--from", "./encoder", "-o", "m", "--dry-run",
                 "--label-separator", ";")  # fmt: skip
    assert done.code == 0, done.err
    told = "too few rows to hold some out: nothing of it is measured or calibrated"
    warned = [row for row in done.err.splitlines() if "too few rows" in row]
    assert warned == [f"warning: same: {told}"]


def test_labels_that_look_alike_are_told_apart(place: Run, tmp_path: Path) -> None:
    rows = "text,label\n" + "so,caf\u00e9\nsoft,cafe\u0301\n" * 2
    (tmp_path / "same.csv").write_text(rows, encoding="utf-8")
    options = ["--from", "./encoder", "-o", "m", "--dry-run"]
    for name, files in (("", ["same.csv"]), ("same/", [*TRAIN, "--label-separator", ";"])):
        done = place("finetune", *files, *options)
        assert done.code == 0, done.err
        assert f"the labels {name}cafe\u0301 and {name}caf\u00e9 look alike" in done.err


def test_each_head_answers_as_a_classifier(program: Run, tuned: Path) -> None:
    done = program("predict", "-m", "all", "--task", "topics", "topics.csv", "--probabilities")
    assert (done.code, done.err) == (0, "")
    rows = table(done.out)
    assert len(rows) == 36 and {row["predicted_label"] for row in rows} <= set(WORDS.values())
    for row in rows:
        each = [float(row[f"predicted_probability:{label}"]) for label in WORDS.values()]
        assert sum(each) == pytest.approx(1, abs=3e-6)
    several = ["predict", "-m", "all", "--task", "themes", "themes.csv", "--threshold", "0"]
    first = table(program(*several).out)[0]
    assert sorted(first["predicted_labels"].split(";")) == ["card", "late", "soft"]
    done = program("predict", "-m", "all", "--task", "same", "same.csv", *PAIR, "--explain", "1")
    assert done.code == 0 and json.loads(table(done.out)[0]["predicted_explanation"])
    report = json.loads((tuned.parent / "all.json").read_text())["metrics"]
    line = ["eval", "-m", "all", "--task", "same", "same.csv", *PAIR, "--resamples", "10"]
    found = json.loads(program(*line, "--json", "--precision", "fp32").out)
    for name in ("accuracy", "macro_f1", "log_loss"):
        assert found[name]["value"] == pytest.approx(report[f"same.{name}"], abs=1e-5), name
    done = program("eval", "-m", "all", "--task", "themes", "themes.csv", "--resamples", "10")
    assert done.code == 0 and "micro_f1" in done.out


def test_the_encoder_goes_on(program: Run, tmp_path: Path) -> None:
    done = program("models", "export", "all", tmp_path / "hf", "--to", "huggingface")
    assert done.code == 0 and "all: the multi-task head is left out" in done.err
    config = json.loads((tmp_path / "hf" / "config.json").read_text())
    assert config["architectures"] == ["BertModel"]
    done = program("finetune", "topics.csv", "--from", "all", "-o", "./more", *QUICK, "--dry-run")
    assert done.code == 0, done.err
    done = program("predict", "-m", "all", "topics.csv", "--embed", "mean", "--only")
    assert done.code == 0 and len(table(done.out)) == 36


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        (["predict", "-m", "all"], 2, "--task is missing: "),
        (["eval", "-m", "all"], 2, "has the tasks same, themes, topics\n"),
        (["predict", "-m", "all", "--task", "topic"], 2, "hint: did you mean topics?"),
        (["predict", "-m", "all", "--task", "same"], 2, "--text-b-column is missing: all answers"),
        (["predict", "-m", "all", "--task", "topics", *PAIR], 2, "all answers single texts"),
        (["predict", "-m", "all", "--embed", "mean", "--task", "topics"], 2, "--task topics: all"),
        (["predict", "-m", "./encoder", "--embed", "cls", "--task", "x"], 2, "is no model of sev"),
    ],
)
def test_which_task(program: Run, line: list[str], code: int, said: str) -> None:
    done = program(*line, "topics.csv")
    assert (done.code, done.out) == (code, "") and said in done.err, done.err
    assert len([row for row in done.err.splitlines() if row.startswith("error:")]) == 1


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ([], 2, "missing argument TRAIN: labelled rows, or --train NAME=FILE twice"),
        (["topics.csv", *TRAIN], 2, "TRAIN topics.csv and --train topics=topics.csv: give one"),
        (["--train", "topics.csv"], 2, "hint: --train topics=topics.csv"),
        (["--train", "topics="], 2, "--train topics=: wanted NAME=FILE"),
        (["--train", "a.b=topics.csv"], 2, "a task's name begins with a letter"),
        (["--train", "topics=topics.csv"], 2, "one task, wanted several"),
        ([*TRAIN, "--train", "same=topics.csv"], 2, "same=topics.csv: same is same.csv already"),
        ([*TRAIN, "--train", "more=-"], 2, "of several tasks none is read from stdin"),
        ([*TRAIN, "--dev", "topic=topics.csv"], 2, "hint: did you mean topics?"),
        ([*TRAIN, "--dev", "topics.csv"], 2, "--dev topics.csv: wanted NAME=FILE"),
        (["topics.csv", "--dev", "a.csv", "--dev", "b.csv"], 2, "--dev b.csv: there is one task"),
        ([*TRAIN, "--task", "pair"], 2, "--task pair has no meaning with --train"),
        (["topics.csv", "--sampling", "even"], 2, "--sampling has no meaning for --task sequence"),
        ([*TRAIN, "--sampling", "odd"], 2, "--sampling"),
        ([*TRAIN, "--binary-sigmoid"], 2, "--binary-sigmoid has no meaning with --train NAME=FILE"),
        ([*TRAIN, "--class-weight", "topics.csv"], 2, "of several tasks, wanted balanced"),
        ([*TRAIN, "--publish-if", "macro_f1>0.5"], 2, "no metric macro_f1; there: mean_score, s"),
        ([*TRAIN, "--train", "gone=gone.csv"], 66, "gone.csv"),
        ([*TRAIN], 65, "themes.csv line 2: the label is blank"),
        ([*TRAIN, "--label-separator", ";", "--dev", "topics=themes.csv"], 65, "no training row"),
        ([*TRAIN, "--label-separator", ";", "--dev", "topics=two.csv"], 65,
         "two.csv line 2: 2 labels, and each training row of topics has 1"),
        ([*TRAIN, "--text-b-column", "gone"], 65, "--text-b-column gone: no --train file has"),
        ([*TRAIN, *PAIR, "--label-separator", ";", "--label-column", "l"], 65,
         "topics.csv: no column l"),
        ([*TRAIN, "--rejects", "topics.csv"], 2, "the same file as --train topics, which is read"),
    ],
)  # fmt: skip
def test_what_cannot_be(place: Run, tmp_path: Path, line: list[Any], code: int, said: str) -> None:
    (tmp_path / "two.csv").write_text("text,label\na,billing;quality\n")
    if "themes.csv line 2" in said:
        (tmp_path / "themes.csv").write_text("text,label\na,\nb,x\nc,y\n")
    done = place("finetune", *line, "--from", "./encoder", "-o", "m", *QUICK)
    assert (done.code, done.out) == (code, "") and said in done.err, done.err
    assert len([row for row in done.err.splitlines() if row.startswith("error:")]) == 1
    assert not (tmp_path / "store" / "m" / "1").exists()


@pytest.mark.slow
def test_nights_of_tasks(place: Run, tmp_path: Path) -> None:
    line = [*LINE, "-o", "m", "--head", "mlp", "--pooling", "mean", "--json"]
    plan = json.loads(place(*line, "--dry-run").out)
    assert not (tmp_path / "store").exists()
    assert (plan["steps"], plan["tasks"], plan["labels"]) == (4, "topics, themes, same", 8)
    assert place(*line, "--publish-if", "topics.macro_f1>1").code == 1
    done = place(*line, "--publish-if", "better")
    assert done.code == 0 and "--publish-if better: no version" in done.err, done.err
    shown = json.loads(place("models", "show", "m", "--json").out)
    hidden = 32
    heads = 3 * (hidden * 256 + 256) + 8 * 256 + 8
    unused = hidden * (hidden + 1)  # the pooler, which is kept as it was
    assert plan["parameters"] == shown["config"]["encoder"]["n_parameters"] - unused + heads
    assert shown["config"]["run"]["sampling"] == "sqrt"
    assert [task["head"] for task in shown["config"]["multitask"]["tasks"].values()] == ["mlp"] * 3
    done = place(*line, "--publish-if", "better")
    assert done.code == 1 and "mean_score is " in done.err and "in use reaches" in done.err
    assert place(*line).code == 0
    assert json.loads(place(*line, "--if-changed").out)["unchanged"] is True
    again = place(*line, "--if-changed", "--sampling", "even")
    assert "unchanged" not in json.loads(again.out)


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on_to_the_same_bits(place: Run, tmp_path: Path) -> None:
    line = [*LINE, "--epochs", "60", "--patience", "59", "--batch-size", "4"]
    assert place(*line, "-o", "./whole").code == 0
    stop_and_resume(place, [*line], tmp_path)
    for file in ("model.safetensors", "task_heads.safetensors"):
        both = [(tmp_path / name / file).read_bytes() for name in ("whole", "again")]
        assert both[0] == both[1]
