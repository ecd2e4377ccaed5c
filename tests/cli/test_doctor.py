"""doctor, eval --slices and predict --select from the shell."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from .conftest import SAMPLES, Run

NEW, TEST = SAMPLES / "new_messages.csv", SAMPLES / "reviews_en_test.csv"
TRAIN = SAMPLES / "reviews_en.csv"
HEADER = "row,problem,score,label,suggested_label,other_row,detail,text"
LONG = "the quick brown fox jumps over the lazy dog near the old river bank"


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.fixture
def ill(tmp_path: Path) -> Path:
    """Rows with one of each problem that needs no model, and a test file beside them."""
    good = [f"text number {i} of them,{'ab'[i % 2]}" for i in range(12)]
    rows = ["text,label", *good, "same text,a", "Same  text,b", "twice,a", "twice,a", ",a", "x,",
            f"{LONG},a", f"{LONG.replace('lazy', 'sleepy')},b", "caf\ufffd,a",
            f"{'long ' * 300},b"]  # fmt: skip
    (tmp_path / "test.csv").write_text(f"text,label\nTWICE,b\n{LONG.replace('old', 'new')},a\n")
    path = tmp_path / "ill.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def test_every_problem_is_found(fresh: Run, ill: Path) -> None:
    checks = ["conflict", "near-conflict", "leak", "near-leak", "duplicate", "blank", "unlabelled",
              "damaged", "long"]  # fmt: skip
    asked = [word for check in checks for word in ("--check", check)]
    done = fresh("doctor", ill, "--test", ill.parent / "test.csv", *asked)
    assert done.code == 0, done.err
    assert done.out.splitlines()[0] == HEADER
    found = [(row["row"], row["problem"], row["other_row"]) for row in table(done.out)]
    assert found == [
        ("13", "conflict", "14"), ("14", "conflict", "13"),
        ("19", "near-conflict", "20"), ("20", "near-conflict", "19"),
        ("15", "leak", "1"), ("16", "leak", "1"), ("19", "near-leak", "2"),
        ("16", "duplicate", "15"), ("17", "blank", ""), ("18", "unlabelled", ""),
        ("21", "damaged", ""), ("22", "long", ""),
    ]  # fmt: skip
    assert "of 2 test rows 1 are in TRAIN, 1 nearly" in done.err
    assert "leak: 2 rows" in done.err
    failed = fresh("doctor", ill, "--check", "blank", "--fail-on", "blank", "-q")
    assert (failed.code, len(failed.out.splitlines())) == (1, 2)
    assert failed.err == "error: --fail-on blank: 1 rows\n"
    document = json.loads(fresh("doctor", ill, "--check", "blank", "--json", "-q").out)
    assert document["problems"] == {"blank": 1}
    assert [f["row"] for f in document["findings"]] == [17]


def test_labels_are_judged_and_both_outputs_are_written(fresh: Run, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    rows = [f"{'red apple' if i % 2 else 'blue boat'} {i % 7},{'ab'[i % 2]}" for i in range(60)]
    rows[10] = "blue boat blue boat,b"
    path.write_text("\n".join(["text,label", *rows]) + "\n")
    out = tmp_path / "out.csv"
    judged = ["--check", "label", "--check", "doubtful", "--folds", 3]
    done = fresh("doctor", path, *judged, "-o", out, "--json", "-q")
    assert (done.code, done.err) == (0, "")
    document = json.loads(done.out)
    assert document["cross_validation"]["folds"] == 3
    found = table(out.read_text())
    assert [(row["row"], row["label"], row["suggested_label"]) for row in found] == [
        ("11", "b", "a")
    ]
    assert float(found[0]["score"]) == document["findings"][0]["score"] > 0.5
    again = fresh("doctor", path, *judged, "-q").out
    assert again == out.read_text()
    hard = fresh("doctor", TRAIN, *judged, "-q").out
    problems = [row["problem"] for row in table(hard)]
    assert problems == sorted(problems, reverse=True) and set(problems) == {"label", "doubtful"}
    few = fresh("doctor", TRAIN, *judged, "--top", 3, "-q").out
    assert few.splitlines() == hard.splitlines()[:4]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--check", "leak"], "--check leak needs rows to compare with"),
        (["--check", "blank", "--top", "3"], "--top: --check does not ask for labels"),
        (["--fail-on", "leak"], "--fail-on leak needs rows to compare with"),
        (["--fail-on", "near-leak"], "--fail-on near-leak needs rows to compare with"),
        (["--check", "blank", "--fail-on", "long"], "--fail-on long: not among what --check"),
        (["--label-separator", ";", "--fail-on", "unlabelled"], "--fail-on unlabelled: with --la"),
        (["--min-n", "3", "--max-n", "2"], "--min-n 3 is more than --max-n 2"),
    ],
)
def test_what_does_not_go_together(fresh: Run, words: list[str], message: str) -> None:
    done = fresh("doctor", TEST, *words)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"error: {message}")


def test_one_label_and_rows_of_several(fresh: Run, tmp_path: Path) -> None:
    path = tmp_path / "one.csv"
    path.write_text("text,label\nsome,a\nother,a\n")
    done = fresh("doctor", path)
    assert (done.code, done.out) == (0, f"{HEADER}\n")
    assert "warning: labels are not judged: at least 2 needed, seen: a" in done.err
    done = fresh("doctor", SAMPLES / "tags_en.csv", "--label-column", "labels",
                 "--label-separator", ";", "-q")  # fmt: skip
    assert done.code == 0
    assert {row["problem"] for row in table(done.out)} <= {"label", "doubtful"}


def test_what_was_not_looked_for_is_not_said_to_be_absent(fresh: Run, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    for rows, why in (("some,a\nother,a\n", "at least 2 needed"), ("x,a\ny,b\n", "in two folds")):
        path.write_text(f"text,label\n{rows}")
        done = fresh("doctor", path, "--json", "--fail-on", "label", "--fail-on", "blank")
        assert done.code == 1 and why in done.err
        assert done.err.endswith("error: --fail-on label: labels could not be judged\n")
        document = json.loads(done.out)
        assert not {"label", "doubtful", "leak", "near-leak"} & set(document["problems"])
        assert document["problems"]["unlabelled"] == 0 and document["cross_validation"] is None
    found = json.loads(
        fresh("doctor", path, "--test", path, "--check", "blank", "--json", "-q").out
    )
    assert (found["problems"], found["test"]["in_train"]) == ({"blank": 0}, 2)
    for test in ([], ["--test", path]):
        empty = tmp_path / "empty.csv"
        empty.write_text("text,label\n")
        done = fresh(
            "doctor", *([path, "--test", empty] if test else [empty]), "--fail-on", "blank"
        )
        assert (done.code, done.out, done.err) == (65, "", f"error: {empty}: no rows\n")


def test_select_writes_some_rows_best_first(nlpcli: Run) -> None:
    every = nlpcli("predict", "-m", "reviews", NEW, "--top-k", 2).out
    done = nlpcli("predict", "-m", "reviews", NEW, "--top-k", 2, "--select", 4)
    assert (done.code, done.err) == (0, "")
    found = table(done.out)
    assert len(found) == 4 and done.out.splitlines()[0] == every.splitlines()[0]
    answered = {row["id"]: row for row in table(every)}
    assert all(answered[row["id"]] == row for row in found)
    margins = {
        name: float(row["predicted_probability"]) - float(row["predicted_probability_2"])
        for name, row in answered.items()
    }
    assert margins[found[0]["id"]] == min(margins.values())
    assert nlpcli("predict", "-m", "reviews", NEW, "--select", 99, "--only").code == 0
    assert len(table(nlpcli("predict", "-m", "tags", NEW, "--select", 3).out)) == 3


def test_slices_of_eval(nlpcli: Run) -> None:
    done = nlpcli("eval", "-m", "reviews", TEST, "--slices", "--slice-by", "label", "--json")
    found = json.loads(done.out)["slices"]
    assert [part["name"] for part in found["by"]["column label"]] == [
        "billing", "delivery", "quality", "support",
    ]  # fmt: skip
    assert sum(part["rows"] for part in found["by"]["length"]) == 80
    done = nlpcli("eval", "-m", "reviews", TEST, "--slice-by", "label", "--slice-rows", 5)
    assert "slices of 5 rows or more" in done.out and "\nby label\n" in done.out
    done = nlpcli("eval", "-m", "reviews", TEST, "--slice-by", "lable")
    assert (done.code, done.out) == (65, "")
    assert "did you mean label?" in done.err
    words = ["eval", "-m", SAMPLES / "words_en.vec", SAMPLES / "analogies_en.txt"]
    assert nlpcli(*words).code == 0
    for option in (["--slices"], ["--slice-by", "x"], ["--slice-rows", 9]):
        done = nlpcli(*words, *option)
        assert (done.code, f"error: {option[0]}" in done.err) == (2, True), done.err
