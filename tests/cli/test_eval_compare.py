"""eval of several models, and of predictions made elsewhere: the installed program."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from .conftest import SAMPLES, Run
from .test_contract import SCHEMAS, complaints
from .test_eval_report import data

TEST = SAMPLES / "reviews_en_test.csv"


def test_predictions_are_measured_as_their_model(nlpcli: Run) -> None:
    rows = nlpcli("predict", "-m", "reviews", TEST, "--probabilities").out
    document = json.loads(nlpcli("eval", "--predictions", "-", "--json", stdin=rows).out)
    wanted = json.loads(nlpcli("eval", "-m", "reviews", TEST, "--json").out)
    for name in ("accuracy", "macro_f1", "mcc", "per_label", "confusion", "top_3_accuracy"):
        assert document[name] == wanted[name], name
    for name in ("log_loss", "roc_auc", "ece", "aurc"):  # of six decimals
        assert document[name]["value"] == pytest.approx(wanted[name]["value"], abs=1e-4), name
    ends = [found["risk_coverage"][-1] for found in (document, wanted)]
    assert ends[0]["coverage"] == 1 and ends[0]["risk"] == pytest.approx(ends[1]["risk"])


def test_slices_and_texts_of_predictions(nlpcli: Run, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    rows = nlpcli("predict", "-m", "reviews", TEST).out
    line = ["--slice-by", "label", "--slice-rows", "5", "--json", "--report", page]
    done = nlpcli("eval", "--predictions", "-", *line, stdin=rows)
    assert done.code == 0, done.err
    mine = data(page)["rows"]
    wanted = nlpcli("eval", "-m", "reviews", TEST, *line).out
    assert json.loads(done.out)["slices"] == json.loads(wanted)["slices"]
    assert mine["text"] == data(page)["rows"]["text"] and mine["line"] == data(page)["rows"]["line"]
    done = nlpcli("eval", "--predictions", "-", "--slices", stdin="label,predicted_label\na,b\n")
    assert done.code == 65 and "no column text" in done.err
    done = nlpcli("eval", "--predictions", "-", "--slices", stdin="label,predicted_score\n1,2\n")
    assert done.code == 2 and "has predicted_score, wanted what is right or wrong" in done.err


def test_what_is_right_in_a_slice_is_said(fresh: Run, tmp_path: Path) -> None:
    rows = "tokens,tags,predicted_tags,side\n" + "Ann saw,B-PER O,B-PER O,a\n" * 3
    file = tmp_path / "tags.csv"
    file.write_text(rows + "Ann saw,B-PER O,O O,b\n" * 3)
    done = fresh("eval", "--predictions", file, "--slice-by", "side", "--slice-rows", 3)
    assert done.code == 0, done.err
    table = done.out[done.out.index("by side") :].splitlines()
    assert table[1] == "slice  sentence_accuracy  95 % interval       rows   errors"
    assert table[2].startswith("a                 1.0000  0.")
    file.write_text('tokens,tags,predicted_tags\n"","",""\n')
    done = fresh("eval", "--predictions", file)
    assert (done.code, done.out) == (65, "")
    assert done.err == f"error: {file}: no sentences to evaluate: 0, wanted at least 1\n"


def test_models_and_predictions_are_compared(nlpcli: Run, tmp_path: Path) -> None:
    file = tmp_path / "poor.csv"
    rows = TEST.read_text().splitlines()[1:]
    wrong = [f"{row.rsplit(',', 1)[1]},billing" for row in rows]
    file.write_text("\n".join(["label,predicted_label", *wrong]) + "\n")
    done = nlpcli(
        "eval", "-m", "reviews", TEST, "--predictions", file, "--json", "--require-better"
    )
    assert done.code == 1
    assert "--require-better" in done.err and "is worse than reviews" in done.err
    document = json.loads(done.out)
    schema = json.loads((SCHEMAS / "eval-compare.json").read_bytes())
    assert complaints(document, schema, schema["define"]) == []
    pair = document["comparisons"][0]
    assert (pair["verdict"], document["best"]) == ("worse", "reviews")
    assert document["cheapest_as_good"] == "reviews"
    cost = document["models"][0]["cost"]
    assert cost["startup_seconds"] > 0 and cost["peak_memory_bytes"] > 10e6
    assert 0 < cost["latency_p50_ms"] <= cost["latency_p99_ms"]
    assert cost["disk_bytes"] > 1000 and cost["rows_per_second"] > 0
    done = nlpcli("eval", "--predictions", file, "-m", "reviews", TEST, "--no-cost")
    assert done.code == 0 and "is worse than reviews (accuracy)\n  accuracy -0." in done.out
    assert "ms a row" not in done.out


def test_a_model_against_itself(nlpcli: Run) -> None:
    line = ("eval", "-m", "reviews", "-m", "reviews@1", TEST, "--no-cost")
    done = nlpcli(*line)
    assert (done.code, done.err) == (0, "")
    assert "reviews@1 and reviews are right on the same rows" in done.out
    assert nlpcli(*line, "--require-better", "-q").code == 1
    assert nlpcli(*line, "--fail-under", "accuracy=0.1", "-q").code == 0
    assert nlpcli(*line[:-2], "-", "--no-cost", stdin=TEST.read_bytes()).out == done.out


def test_several_labels_are_compared_by_micro_f1_too(nlpcli: Run, tmp_path: Path) -> None:
    file = tmp_path / "p.csv"
    tags = ["--label-column", "labels", "--label-separator", ";"]
    with (SAMPLES / "tags_en.csv").open(newline="") as stream:
        truth = [row["labels"] for row in csv.DictReader(stream)]
    first = [f"{labels},{labels.split(';')[0]}" for labels in truth]
    file.write_text("\n".join(["labels,predicted_labels", *first]) + "\n")
    done = nlpcli("eval", "-m", "tags", SAMPLES / "tags_en.csv", *tags, "--predictions", file,
                  "--no-cost", "--json")  # fmt: skip
    assert done.code == 0, done.err
    document = json.loads(done.out)
    gap = document["comparisons"][0]["difference"]
    each = [model["micro_f1"]["value"] for model in document["models"]]
    assert set(gap) == {"subset_accuracy", "micro_f1"} and each[0] != each[1]
    assert gap["micro_f1"]["value"] == pytest.approx(each[1] - each[0])


def test_refused(nlpcli: Run, tmp_path: Path) -> None:
    file = tmp_path / "p.csv"
    file.write_text("label,predicted_label\nbilling,billing\n")
    done = nlpcli("eval", "-m", "reviews", TEST, "--predictions", file, "--no-cost")
    assert done.code == 65 and "1 rows, reviews has 80; wanted the same rows" in done.err
    two = ["-m", "reviews", "-m", "reviews"]
    for line, said in (
        (["eval"], "missing option --model / -m, or --predictions"),
        (["eval", "-m", "reviews"], "missing argument TEST"),
        (["eval", "--predictions", file, TEST], "hold the truth themselves"),
        (["eval", "-m", "reviews", "-", "--predictions", "-"], "which can be read once"),
        (["eval", *two, TEST, "--out-of-scope", "-"], "which can be read once"),
        (["eval", "-m", "reviews", "-", "--out-of-scope", "-"], "which can be read once"),
        (["eval", "--predictions", file, "--require-better"], "wanted two or more"),
        (["eval", "-m", "reviews", TEST, "--predicted-column", "x"], "without --predictions"),
        (["eval", "-m", "reviews", "-m", "tags", TEST, "--no-cost"], "wanted models of one kind"),
        (
            ["eval", "-m", SAMPLES / "words_en.vec", "-m", "reviews", TEST],
            "reviews is a classifier, ",
        ),
        (["eval", "-m", "reviews", "-m", SAMPLES / "words_en.vec", TEST], "models of one kind"),
    ):
        done = nlpcli(*line)
        assert (done.code, done.out) == (2, ""), line
        assert said in done.err, line
    file.write_text("label,predicted_labels\nbilling,billing\n")
    done = nlpcli("eval", "--predictions", file)
    assert done.code == 65 and "did you mean predicted_labels?" in done.err


SLICED = {
    "tags": "tokens,tags,predicted_tags,side\n"
    + "a b,B-X O,B-X O,left\n" * 9 + " ,,,left\n" + "a b,B-X O,O O,right\n" * 9,
    "answer": "question,context,answer,predicted_answer,side\n"
    + "q,a b,a,a,left\n" * 9 + "q,a b,a,b,right\n" * 9,
    "spans": "text,spans,predicted_spans,side\n"
    + 'a b,"[{""start"": 0, ""end"": 1}]","[{""start"": 0, ""end"": 1}]",left\n' * 9
    + " ,[],[],left\n" + 'a b,"[{""start"": 0, ""end"": 1}]",[],right\n' * 9,
}  # fmt: skip


@pytest.mark.parametrize("kind", SLICED)
def test_slices_of_files_of_every_kind(nlpcli: Run, tmp_path: Path, kind: str) -> None:
    """By a column; rows without words are no rows, nor are their cells."""
    (tmp_path / "p.csv").write_text(SLICED[kind])
    line = ["eval", "--predictions", tmp_path / "p.csv", "--slice-by", "side", "--slice-rows", "5"]
    done = nlpcli(*line, "--json")
    assert (done.code, done.err) == (0, "")
    parts = json.loads(done.out)["slices"]["by"]["column side"]
    found = {part["name"]: (part["rows"], part["accuracy"]["value"]) for part in parts}
    assert found == {"left": (9, 1.0), "right": (9, 0.0)}
    wrong = nlpcli(*line[:-3], "sode")
    assert wrong.code == 65 and "sode" in wrong.err


def test_a_stray_tag_is_wrong_and_told_of(nlpcli: Run, tmp_path: Path) -> None:
    head, right = "tokens,tags,predicted_tags\n", "a b,B-X O,B-X O\n" * 9
    (tmp_path / "clean.csv").write_text(head + right + "a b,B-X O,O O\n")
    (tmp_path / "stray.csv").write_text(head + right + "a b,B-X O,NONE O\n")
    files = [word for name in ("clean", "stray") for word in ("--predictions", f"{name}.csv")]
    files = [str(tmp_path / word) if word.endswith("csv") else word for word in files]
    done = nlpcli("eval", *files, "--json")
    assert done.code == 0
    assert done.err == f"warning: {files[3]}: 1 tags of no scheme count as O: NONE\n"
    first, second = json.loads(done.out)["models"]
    assert first["entity_f1"] == second["entity_f1"] and first["entity_f1"]["value"] < 1
    assert second["tags_of_no_scheme"] == ["NONE"]
