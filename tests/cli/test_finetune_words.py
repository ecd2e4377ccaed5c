"""finetune --task token, and what predict and eval make of its models."""

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
from safetensors.numpy import load

from nlpcli.formats.hf_folder import hf_files

from ..formats.bert_folder import TINY, TOKENIZER, random_weights, written
from .conftest import Run, run_program
from .test_eval_report import data as page_data

FAST = ["--lr", "0.01", "--batch-size", "8", "--precision", "fp32", "--threads", "1",
        "--dropout", "0", "--max-length", "12"]  # fmt: skip


def sentences(n: int, seed: int, *, first: str = "B") -> str:
    """CoNLL: cat begins a KIND, and the Chinese word, which stands only there, goes on."""
    drawn, lines = Random(seed), []
    for _ in range(n):
        inside = False
        for _ in range(drawn.randrange(1, 20)):
            word = drawn.choice(["a", "bs", "the", "cat", "中" if inside else "as"])
            tag = {"cat": "B-KIND" if inside else f"{first}-KIND", "中": "I-KIND"}.get(word, "O")
            inside = tag != "O"
            lines.append(f"{word} x {tag}\n")
        lines.append("\n")
    return "".join(lines)


def begin(folder: Path) -> Run:
    """Runs the program over an empty store, beside an encoder and sentences."""
    (folder / "store").mkdir()
    sizes = dataclasses.replace(TINY, n_layers=1, hidden=32, intermediate=64)
    weights = random_weights("BertModel", sizes)
    for name, array in weights.items():
        if name.endswith("LayerNorm.weight"):
            array[:] = 1  # as encoders begin: it then learns at once
    files = hf_files(sizes, weights, TOKENIZER, architecture="BertModel")
    written(folder / "encoder", files)
    (folder / "train.conll").write_text(sentences(70, 1))
    (folder / "dev.conll").write_text(sentences(20, 2))
    return lambda *arguments, **more: run_program(folder / "store", *arguments, **more)


@pytest.fixture
def place(tmp_path: Path) -> Run:
    """With nothing trained."""
    return begin(tmp_path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """With a tagger ``t``."""
    run = begin(tmp_path_factory.mktemp("trained"))
    done = run("finetune", "train.conll", "--from", "./encoder", "-o", "t", "--epochs", "1", *FAST)
    assert done.code == 0, done.err
    return run


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("crf", [[], ["--crf"]])
def test_from_conll_to_tags(place: Run, tmp_path: Path, crf: list[str]) -> None:
    line = ["finetune", "train.conll", "--from", "./encoder", "-o", "tagger", "--dev",
            "dev.conll", "--epochs", "3", *FAST, *crf, "--json"]  # fmt: skip
    planned = json.loads(place(*line, "--dry-run").out)
    done = place(*line)
    assert done.code == 0, done.err
    assert "--task token, by the input's columns" in done.err and "tags: BIO" in done.err
    assert "\nsentences of more than 12 pieces, read in parts" in done.err
    assert "dev part: sentences of more than 12 pieces, read in parts" in done.err
    report = json.loads(done.out)
    assert report["metrics"]["entity_f1"] > 0.9 and report["rows"] == 70
    folder = tmp_path / "store" / "tagger" / "1"
    assert (folder / "crf.safetensors").exists() == bool(crf)
    files = [load(path.read_bytes()) for path in folder.glob("*.safetensors")]
    assert planned["parameters"] == sum(array.size for file in files for array in file.values())
    config = json.loads((folder / "config.json").read_text())
    assert config["id2label"] == {"0": "B-KIND", "1": "I-KIND", "2": "O"}
    exported = place("models", "export", "tagger", "./plain", "--to", "huggingface")
    assert exported.code == 0 and ("the CRF head is left out" in exported.err) == bool(crf)

    document = json.loads(place("eval", "-m", "tagger", "dev.conll", "--json").out)
    assert document["n"] == 20 and document["unknown_labels"] == []
    for name, value in report["metrics"].items():
        assert document[name]["value"] == pytest.approx(value), name
        low, high = document[name]["low"], document[name]["high"]
        assert value == 1 if low is None else low <= value <= high
    shown = place("eval", "-m", "tagger", "dev.conll", "--fail-under", "entity_f1=0.5")
    assert shown.code == 0 and "KIND" in shown.out and "words" in shown.out
    assert place("eval", "-m", "tagger", "dev.conll", "--fail-under", "entity_f1=1.1").code == 1

    rows = table(place("predict", "-m", "tagger", "dev.conll").out)
    assert len(rows) == 20 and list(rows[0])[-1] == "predicted_tags"
    for row in rows:
        assert len(row["predicted_tags"].split()) == len(row["tokens"].split())
    conll = place("predict", "-m", "tagger", "dev.conll", "--output-format", "conll").out
    given = (tmp_path / "dev.conll").read_text().splitlines()
    tags = iter(tag for row in rows for tag in row["predicted_tags"].split())
    assert conll.splitlines() == [line and f"{line} {next(tags)}" for line in given]


def test_lists_texts_and_blank_rows(trained: Run) -> None:
    text = 'id,text\n1,a cat\n2,\n3,"[""a cat"", ""b""]"\n4,the  cats \n'
    rows = table(trained("predict", "-m", "t", "-", stdin=text).out)
    cells = [row["predicted_tags"] for row in rows]
    assert len(cells[0].split()) == 2 == len(cells[3].split())
    assert cells[1] == "" and len(json.loads(cells[2])) == 2
    only = trained("predict", "-m", "t", "-", "--only", "--prefix", "my_", stdin=text).out
    assert only.splitlines()[0] == "my_tags" and len(only.splitlines()) == 5


def test_words_that_are_too_long_are_told_of(trained: Run, tmp_path: Path) -> None:
    rows = "".join("the O\n" + "a" + "s" * 30 + " B-KIND\n\n" for _ in range(2))
    (tmp_path / "long.conll").write_text(rows)
    told = (
        "sentences of more than 12 pieces, read in parts: 2 of 2\n"
        "words of more than 12 pieces, cut: 2\n"
    )
    for line in (["predict", "-m", "t"], ["eval", "-m", "t", "--resamples", "10"]):
        done = trained(*line, tmp_path / "long.conll")
        assert (done.code, done.err) == (0, told)


def test_what_is_not_there_is_told_before_anything_is_written(trained: Run) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    done = trained("predict", "-m", "t", "--device", "cuda", stdin="text\na cat\n")
    assert (done.code, done.out) == (69, "") and "cuda" in done.err


def test_the_folder_of_another_program_answers_as_ours(trained: Run) -> None:
    place = trained("models", "show", "t", "--json")
    folder = Path(json.loads(place.out)["path"])
    plain = folder.parent.parent.parent / "plain"
    files = {name: (folder / name).read_bytes() for name in
             ("config.json", "model.safetensors", "tokenizer.json")}  # fmt: skip
    written(plain, files)
    text = "text\na cat the cat 中 bs\n"
    ours = trained("predict", "-m", "t", "-", stdin=text)
    theirs = trained("predict", "-m", "./plain", "-", stdin=text)
    assert (theirs.out, theirs.code) == (ours.out, 0), theirs.err
    document = trained("eval", "-m", "./plain", "dev.conll", "--json")
    assert json.loads(document.out)["scheme"] == "BIO"


def test_taggers_are_compared(trained: Run) -> None:
    done = trained("eval", "-m", "t", "-m", "t@1", "dev.conll", "--json", "--no-cost")
    assert done.code == 0 and all("read in parts" in line for line in done.err.splitlines())
    document = json.loads(done.out)
    pair = document["comparisons"][0]
    assert (pair["metric"], pair["verdict"]) == ("entity_f1", "same answers")
    assert pair["difference"]["entity_f1"] == {"value": 0.0, "low": 0.0, "high": 0.0, "p": 1.0}


def test_tags_are_read_from_files(trained: Run, tmp_path: Path) -> None:
    page, file = tmp_path / "report.html", tmp_path / "p.csv"
    file.write_text(trained("predict", "-m", "t", "dev.conll").out)
    done = trained("eval", "-m", "t", "dev.conll", "--predictions", file, "--json", "--no-cost",
                   "--report", page)  # fmt: skip
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert document["comparisons"][0]["verdict"] == "same answers"
    first, second = document["models"]
    assert {**second, "model": "t", "unknown_labels": []} == first
    found = page_data(page)
    assert found["models"][0] == {**found["models"][1], "name": "t"}
    assert any("KIND: cat" in label for label in found["labels"])
    sliced = trained("eval", "-m", "t", "dev.conll", "--slices", "--slice-rows", "4")
    assert sliced.code == 0 and "by length" in sliced.out
    file.write_text("tokens,tags,predicted_tags\na b,O O,O\n")
    done = trained("eval", "--predictions", file)
    assert done.code == 65 and "line 2: 1 predicted tags, 2 tags, 2 tokens" in done.err


@pytest.mark.slow
def test_what_a_tagger_costs(trained: Run) -> None:
    done = trained("eval", "-m", "t", "dev.conll", "--json", "--measure-cost")
    assert done.code == 0 and len(done.err.splitlines()) == 1 and "read in parts" in done.err
    cost = json.loads(done.out)["cost"]
    assert cost["startup_seconds"] > 0 and cost["disk_bytes"] > 1000


def test_a_version_in_use_that_tags_no_words(place: Run, tmp_path: Path) -> None:
    assert place("models", "import", "./encoder", "t").code == 0
    done = place("finetune", "train.conll", "--from", "./encoder", "-o", "t", "--epochs", "1",
                 "--publish-if", "better", *FAST)  # fmt: skip
    assert done.code == 0 and "--publish-if better: " in done.err, done.err


def test_another_scheme_is_learnt_as_asked(place: Run, tmp_path: Path) -> None:
    (tmp_path / "iob1.conll").write_text(sentences(30, 3, first="I"))
    done = place("finetune", "iob1.conll", "--from", "./encoder", "-o", "t", "--epochs", "1",
                 "--tag-scheme", "BIOES", *FAST)  # fmt: skip
    assert "tags: IOB1, learnt as BIOES" in done.err
    document = json.loads(place("eval", "-m", "t", "iob1.conll", "--json").out)
    assert document["scheme"] == "BIOES" and document["unknown_labels"] == []


def test_tags_of_dev_that_nothing_could_answer(place: Run, tmp_path: Path) -> None:
    (tmp_path / "new.conll").write_text("a x O\n\ncat x B-OTHER\n")
    done = place("finetune", "train.conll", "--from", "./encoder", "-o", "t", "--dev", "new.conll",
                 *FAST)  # fmt: skip
    assert done.code == 65
    assert "new.conll line 3: a tag that no training sentence has: B-OTHER" in done.err


def test_parts_of_speech(place: Run, tmp_path: Path) -> None:
    (tmp_path / "pos.conll").write_text("a DT\nthe NN\n中 VB\n\n" * 20)
    done = place("finetune", "pos.conll", "--from", "./encoder", "-o", "t", "--epochs", "4",
                 "--label-pieces", "all", "--word-decoding", "mean", *FAST)  # fmt: skip
    assert done.code == 0 and "none of entities" in done.err, done.err
    document = json.loads(place("eval", "-m", "t", "pos.conll", "--json").out)
    assert document["accuracy"]["value"] == 1.0 == document["per_label"]["NN"]["f1"]


@pytest.mark.slow
def test_the_same_bytes_again_and_after_a_rival(place: Run, tmp_path: Path) -> None:
    command: list[Any] = ["finetune", "train.conll", "--from", "./encoder", "--crf", "--epochs",
                          "1", *FAST]  # fmt: skip
    for name in ("one", "two"):
        assert place(*command, "-o", name).code == 0
    for file in ("model.safetensors", "crf.safetensors"):
        one, two = ((tmp_path / "store" / n / "1" / file).read_bytes() for n in ("one", "two"))
        assert one == two
    again = place(*command, "-o", "one", "--publish-if", "better")
    assert again.code == 1 and "entity_f1 is" in again.err
    assert place(*command, "-o", "two", "--if-changed").code == 0


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--label-separator", ";"], 2, "--label-separator has no meaning for --task token"),
        (["--class-weight", "balanced"], 2, "--class-weight has no meaning for --task token"),
        (["--task", "sequence", "--crf"], 2, "--crf has no meaning for --task sequence"),
        (["--task", "pair"], 2, "which column is the second text?"),
        (["--crf", "--label-pieces", "all"], 2, "--label-pieces has no meaning with --crf"),
        (["--crf", "--focal", "2"], 2, "--focal has no meaning with --crf"),
        (["--label-column", "7"], 65, "train.conll: column 7, there are 3"),
        (["--label-column", "2"], 65, "at least 2 tags are needed, seen: x"),
        (["--label-column", "2", "--tag-scheme", "BIO"], 2, "the tags follow no such scheme"),
        (["--publish-if", "micro_f1>0"], 2, "no metric micro_f1"),
    ],
)
def test_what_cannot_be(place: Run, options: list[str], code: int, said: str) -> None:
    done = place("finetune", "train.conll", "--from", "./encoder", "-o", "t", *FAST, *options)
    assert done.code == code and said in done.err, done.err


def test_bad_sentences(trained: Run) -> None:
    for text, said in {
        "a O\nb\n": "<stdin> line 2: 1 column, the first line has 2",
        "a O\n\na NN\n": "<stdin> line 3: 'NN' is no tag of BIO",
    }.items():
        done = trained("eval", "-m", "t", "-", "--format", "conll", stdin=text)
        assert done.code == 65 and said in done.err, done.err
    done = trained("predict", "-m", "t", "-", "--top-k", "2", stdin="text\na\n")
    assert done.code == 2 and "--top-k" in done.err
    done = trained("predict", "-m", "t", "-", "--output-format", "conll", stdin="text\na\n")
    assert done.code == 2 and "--output-format conll" in done.err
