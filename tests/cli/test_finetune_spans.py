"""finetune --task span, and what predict and eval make of its models."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

from nlpcli.formats.hf_folder import hf_files

from ..formats.bert_folder import TINY, TOKENIZER, random_weights, written
from .conftest import SAMPLES, Run, run_program
from .test_eval_report import data as page_data

FAST = ["--lr", "0.01", "--batch-size", "8", "--precision", "fp32", "--threads", "1",
        "--dropout", "0", "--max-length", "16"]  # fmt: skip


def texts(n: int, seed: int) -> str:
    """JSON lines: from the to 中 is a PART, and cat an ANIMAL wherever it stands; a PART has the
    cat within it."""
    drawn, lines = Random(seed), []
    for _ in range(n):
        words = [drawn.choice(["a", "b", "bs", "cats"]) for _ in range(drawn.randrange(0, 4))]
        begin = len(words)
        words += ["the", drawn.choice(["a", "b"]), "cat", "中"]
        words += [drawn.choice(["a", "as", "cat"]) for _ in range(drawn.randrange(0, 3))]
        starts = [sum(len(w) + 1 for w in words[:i]) for i in range(len(words))]
        spans = [{"start": starts[begin], "end": starts[begin + 3] + 1, "label": "PART"}]
        spans += [{"start": starts[i], "end": starts[i] + 3, "label": "ANIMAL"}
                  for i, word in enumerate(words) if word == "cat"]  # fmt: skip
        related = [{"head": 0, "tail": 1, "label": "HAS"}]
        lines.append(json.dumps({"text": " ".join(words), "spans": spans, "relations": related}))
    return "".join(line + "\n" for line in lines)


def begin(folder: Path) -> Run:
    """Runs the program over an empty store, beside an encoder and rows."""
    (folder / "store").mkdir()
    sizes = dataclasses.replace(TINY, n_layers=1, hidden=32, intermediate=64)
    weights = random_weights("BertModel", sizes)
    for name, array in weights.items():
        if name.endswith("LayerNorm.weight"):
            array[:] = 1  # as encoders begin: it then learns at once
    files = hf_files(sizes, weights, TOKENIZER, architecture="BertModel")
    written(folder / "encoder", files)
    (folder / "train.jsonl").write_text(texts(64, 1))
    (folder / "dev.jsonl").write_text(texts(20, 2))
    return lambda *arguments, **more: run_program(folder / "store", *arguments, **more)


@pytest.fixture
def place(tmp_path: Path) -> Run:
    """With nothing trained."""
    return begin(tmp_path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path, dict[str, Any]]:
    """With a model ``m``, and what was said of it."""
    folder = tmp_path_factory.mktemp("trained")
    run = begin(folder)
    done = run("finetune", "train.jsonl", "--from", "./encoder", "-o", "m", "--dev", "dev.jsonl",
               "--epochs", "6", *FAST, "--json")  # fmt: skip
    assert done.code == 0, done.err
    assert "--task span, by the input's columns" in done.err
    assert "of 2 labels, nested" in done.err
    return run, folder, json.loads(done.out)


def test_nested_spans_and_relations_from_end_to_end(
    trained: tuple[Run, Path, dict[str, Any]],
) -> None:
    run, folder, report = trained
    metrics = report["metrics"]
    assert metrics["span_f1"] > 0.9 and metrics["relation_f1"] > 0.8
    shown = json.loads(run("models", "show", "m", "--json").out)
    assert shown["config"]["spans"]["file"] == "span_head.safetensors"
    assert shown["config"]["encoder"]["architecture"] == "BertModel"
    done = run("models", "export", "m", "./plain", "--to", "huggingface")
    assert done.code == 0 and "the span head is left out" in done.err
    document = json.loads(run("eval", "-m", "m", "dev.jsonl", "--json").out)
    assert document["n"] == 20 and document["unknown_labels"] == []
    assert document["decoding"] == "nested" and document["spans_across_words"] == 0
    for name, value in metrics.items():
        assert document[name]["value"] == pytest.approx(value), name
    table = run("eval", "-m", "m", "dev.jsonl", "--fail-under", "span_f1=0.5")
    assert table.code == 0 and "ANIMAL" in table.out and "relations;" in table.out

    out = run("predict", "-m", "m", "dev.jsonl", "--output-format", "jsonl").out
    rows = [json.loads(line) for line in out.splitlines()]
    text = rows[0]["text"]
    outer, inner = rows[0]["predicted_spans"][:2]
    assert text[outer["start"]] == "t" and text[outer["end"] - 1] == "中"
    assert text[inner["start"] : inner["end"]] == "cat" and 0.3 < inner["score"] <= 1
    assert rows[0]["predicted_relations"][0] | {"score": 0} == {
        "head": 0, "tail": 1, "label": "HAS", "score": 0,
    }  # fmt: skip
    # what was predicted can be read again, and is then what is found
    (folder / "again.jsonl").write_text(out)
    again = run("eval", "-m", "m", "again.jsonl", "--label-column", "predicted_spans", "--json")
    assert json.loads(again.out)["span_f1"]["value"] == 1


def test_words_blank_rows_and_other_columns(trained: tuple[Run, Path, dict[str, Any]]) -> None:
    run = trained[0]
    lists = 'id,tokens\n1,the a cat 中\n2,\n3,"[""the"", ""b"", ""cat"", ""中""]"\n'
    rows = list(csv.DictReader(io.StringIO(run("predict", "-m", "m", "-", stdin=lists).out)))
    found = [json.loads(row["predicted_spans"]) for row in rows]
    assert [(s["start"], s["end"]) for s in found[0]] == [(0, 4), (2, 3)] and found[1] == []
    assert [s["label"] for s in found[2]] == ["PART", "ANIMAL"]
    only = run("predict", "-m", "m", "--only", "--prefix", "my_", stdin="text\nthe a cat 中\n").out
    assert only.splitlines()[0] == "my_spans,my_relations" and len(only.splitlines()) == 2
    done = run("predict", "-m", "m", "--top-k", "2", stdin="text\na\n")
    assert done.code == 2 and "--top-k: the model tags words or finds spans" in done.err
    done = run("predict", "-m", "m", "--output-format", "conll", stdin="text\na\n")
    assert done.code == 2 and "--output-format conll" in done.err
    bad = '{"text": "the cat", "spans": [{"start": 0, "end": 9, "label": "X"}]}'
    done = run("eval", "-m", "m", "-", "--format", "jsonl", stdin=bad)
    assert done.code == 65 and "<stdin> line 1: span 0: 0 to 9, there are 7 characters" in done.err
    cut = '{"text": "cats cat", "spans": [{"start": 0, "end": 3, "label": "X"}]}'
    done = run("eval", "-m", "m", "-", "--format", "jsonl", "--json", stdin=cut)
    document = json.loads(done.out)
    assert document["spans_across_words"] == 1 and document["unknown_labels"] == ["X"]
    assert "1 labels the model does not know: X" in done.err


def test_spans_are_compared_and_read_from_files(
    trained: tuple[Run, Path, dict[str, Any]], tmp_path: Path
) -> None:
    run, _, _ = trained
    page, file = tmp_path / "report.html", tmp_path / "p.jsonl"
    out = run("predict", "-m", "m", "dev.jsonl", "--output-format", "jsonl").out
    file.write_text(out)
    own = json.loads(run("eval", "-m", "m", "dev.jsonl", "--json").out)
    done = run("eval", "--predictions", file, "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found == {name: own[name] for name in found}
    rows = [json.loads(line) for line in out.splitlines()]
    poor = [{**row, "predicted_spans": [], "predicted_relations": []} for row in rows]
    file.write_text("".join(json.dumps(row) + "\n" for row in poor))
    done = run("eval", "-m", "m", "dev.jsonl", "--predictions", file, "--no-cost", "--json",
               "--report", page, "--slices")  # fmt: skip
    assert done.code == 0, done.err
    document = json.loads(done.out)
    [pair] = document["comparisons"]
    assert (pair["metric"], pair["verdict"], pair["only_second"]) == ("span_f1", "worse", 0)
    gaps = pair["difference"]
    assert gaps["relation_f1"]["value"] == -own["relation_f1"]["value"]
    assert gaps["span_f1"]["p"] < 0.01
    assert document["models"][0]["slices"]["metric"] == "row_accuracy"
    seen = page_data(page)
    assert seen["labels"][seen["rows"]["true"][0]].startswith("PART: the ")
    assert {seen["labels"][i] for i in seen["models"][1]["guess"]} == {"(none)"}
    file.write_text('{"text": "a", "spans": [], "predicted_spans": [{"start": 0, "end": 3}]}\n')
    done = run("eval", "--predictions", file)
    assert done.code == 65 and "line 1: span 0: 0 to 3, there are 1 characters" in done.err


def test_a_label_of_dev_rows_alone_is_told_by_its_line(place: Run, tmp_path: Path) -> None:
    for name, label in (("rows", "A"), ("dev", "B")):
        spans = [{"start": 0, "end": 3, "label": label}]
        row = json.dumps({"text": "the cat", "spans": spans}) + "\n"
        (tmp_path / f"{name}.jsonl").write_text(row * 4)
    line = ["finetune", "rows.jsonl", "--from", "./encoder", "-o", "m", *FAST]
    done = place(*line, "--dev", "dev.jsonl")
    assert done.code == 65 and "error: dev.jsonl line 1" in done.err, done.err


def test_words_that_are_too_long_are_told_of(trained: tuple[Run, Path, dict[str, Any]]) -> None:
    spans = [{"start": 0, "end": 3, "label": "ANIMAL"}]
    rows = json.dumps({"text": f"the a{'s' * 40}", "spans": spans}) + "\n"
    for command in ("predict", "eval"):
        done = trained[0](command, "-m", "m", "-", "--format", "jsonl", stdin=rows)
        assert done.code == 0 and done.err == (
            "texts of more than 16 pieces, read in parts: 1 of 1\n"
            "words of more than 16 pieces, cut: 1\n"
        )


def test_what_is_not_there_is_told_before_anything_is_written(
    trained: tuple[Run, Path, dict[str, Any]],
) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    done = trained[0]("predict", "-m", "m", "--device", "cuda", stdin="text\na cat\n")
    assert (done.code, done.out) == (69, "") and "cuda" in done.err


@pytest.mark.slow
def test_what_spans_cost(trained: tuple[Run, Path, dict[str, Any]]) -> None:
    done = trained[0]("eval", "-m", "m", "-m", "m@1", "dev.jsonl", "--json")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert all(model["cost"]["startup_seconds"] > 0 for model in document["models"])
    assert document["cheapest_as_good"] in ("m", "m@1")


@pytest.mark.slow
def test_tags_identification_and_the_same_bytes(place: Run, tmp_path: Path) -> None:
    lines = []
    for n in range(24):
        lines += ["a O", "the B-X", "中 I-X", *["b O"] * (n % 3), "cat B-Y", ""]
    (tmp_path / "train.conll").write_text("\n".join(lines) + "\n")
    command = ["finetune", "train.conll", "--task", "span", "--from", "./encoder", "--identify",
               "--span-head", "attention", "--negatives", "5", "--epochs", "3", *FAST]  # fmt: skip
    done = place(*command, "-o", "one")
    assert done.code == 0 and "of 1 label, flat" in done.err, done.err
    assert "nothing to do" in place(*command, "-o", "one", "--if-changed").err
    document = json.loads(place("eval", "-m", "one", "train.conll", "--json").out)
    assert list(document["per_label"]) == ["entity"] and document["span_f1"]["value"] > 0.9
    assert document["span_f1"] == document["identification_f1"] and not document["unknown_labels"]
    again = place(*command, "-o", "one", "--publish-if", "better")
    assert again.code == 1 and "span_f1 is" in again.err
    for file in ("model.safetensors", "span_head.safetensors"):
        one, two = ((tmp_path / "store" / "one" / n / file).read_bytes() for n in "12")
        assert one == two
    plan = json.loads(place(*command, "-o", "two", "--dry-run", "--json").out)
    assert plan["rows"] == 22 and plan["labels"] == 1


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--crf"], 2, "--crf has no meaning for --task span"),
        (["--task", "sequence", "--identify"], 2, "--identify has no meaning for --task sequence"),
        (["--max-span", "0"], 2, "--max-span"),
        (["--negatives", "-1"], 2, "--negatives"),
        (["--negatives", "0", "--dry-run"], 0, "--task span"),
        (["--label-column", "span"], 65, "no column span;"),
        (["--publish-if", "entity_f1>0"], 2, "no metric entity_f1"),
        (["--dev", "bad.jsonl"], 65, "line 1: a label that no training span has: NEW"),
    ],
)
def test_what_cannot_be(
    place: Run, tmp_path: Path, options: list[str], code: int, said: str
) -> None:
    (tmp_path / "bad.jsonl").write_text(
        '{"text": "the cat", "spans": [{"start": 4, "end": 7, "label": "NEW"}]}\n'
    )
    done = place("finetune", "train.jsonl", "--from", "./encoder", "-o", "m", *FAST, *options)
    assert done.code == code and said in done.err, done.err


def test_spans_that_cut_words_or_are_too_long(place: Run, tmp_path: Path) -> None:
    rows = [json.dumps({"text": "the cats", "spans": [{"start": 4, "end": 7, "label": "X"}]})]
    rows += [json.dumps({"text": "the cat a", "spans": [{"start": 0, "end": 9, "label": "X"}]})] * 4
    (tmp_path / "cut.jsonl").write_text("\n".join(rows) + "\n")
    command = ["finetune", "cut.jsonl", "--from", "./encoder", "-o", "m", "--epochs", "1",
               "--dev-fraction", "0", *FAST]  # fmt: skip
    done = place(*command)
    assert done.code == 65
    assert "cut.jsonl line 1: span 0, 4 to 7, cuts the word cats, which is 4 to 8" in done.err
    done = place(*command, "--on-error", "skip", "--rejects", "bad.csv", "--max-span", "2")
    assert done.code == 0, done.err
    assert "spans of more than 2 words, or not read at once, not learnt: 4" in done.err
    assert "cuts the word cats" in (tmp_path / "bad.csv").read_text()


def test_the_sample_is_what_it_says() -> None:
    lines = (SAMPLES / "spans_en.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    cut = [[row["text"][s["start"] : s["end"]] for s in row["spans"]] for row in rows]
    assert cut[1] == ["The Leeds warehouse", "Leeds", "the wrong lamp"]
    assert {s["label"] for row in rows for s in row["spans"]} == {"PRODUCT", "PLACE", "SITE"}
    assert all(words.strip() == words for own in cut for words in own)
