"""models import and models export: the installed program, and fastText's own where it is there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ..formats.bert_folder import bert_files, written
from ..formats.program import made_up_lines, needs_program, quantise, train
from ..formats.written import Spec
from .conftest import SAMPLES, Run

FILE = SAMPLES / "reviews_en.bin"
NEW = SAMPLES / "new_messages.csv"
TEST = SAMPLES / "reviews_en_test.csv"


def test_a_file_becomes_a_model_like_any_other(fresh: Run, tmp_path: Path) -> None:
    store = tmp_path / "store"
    for version in (1, 2):
        done = fresh("models", "import", FILE, "mine")
        assert (done.code, done.out, done.err) == (0, f"{store}/mine/{version}\n", "")
    for options in ([], ["--top-k", "3"], ["--probabilities"]):
        answers = [fresh("predict", "-m", m, NEW, *options) for m in ("mine", FILE)]
        assert answers[0].code == 0 and answers[0] == answers[1]
    scores = [fresh("eval", "-m", m, TEST, "--json") for m in ("mine", FILE)]
    assert scores[0].code == 0 and scores[0] == scores[1]
    assert json.loads(fresh("models", "show", "mine", "--json").out)["kind"] == "fasttext-file"
    assert "mine@2  fasttext-file         4" in fresh("models", "list").out
    assert fresh("models", "verify", "mine").code == 0
    assert fresh("models", "rollback", "mine").out == f"{store}/mine/1\n"
    assert fresh("models", "pin", "mine@2").code == 0
    assert fresh("models", "prune", "mine", "--keep", 1).out == f"{store}/mine/1\n"
    assert fresh("predict", "-m", "mine", NEW, "--explain", 1).code == 2
    done = fresh("train-fasttext", TEST, "-o", "mine", "--continue-from", "mine")
    assert done.code == 65 and "of kind fasttext-file" in done.err


def test_the_file_comes_out_as_it_went_in(fresh: Run, tmp_path: Path) -> None:
    assert fresh("models", "import", FILE, "./at/path").code == 0
    done = fresh("models", "import", FILE, "./at/path")
    assert (done.code, done.err) == (
        73, f"error: {tmp_path}/at/path: exists already\nhint: --force\n"
    )  # fmt: skip
    assert fresh("models", "import", FILE, "./at/path", "--force").code == 0
    line = ["models", "export", "./at/path", "copy.bin", "--to", "fasttext"]
    done = fresh(*line)
    assert (done.code, done.out, done.err) == (0, "copy.bin\n", "")
    copy = tmp_path / "copy.bin"
    assert copy.read_bytes() == FILE.read_bytes()
    done = fresh(*line)
    assert (done.code, done.err) == (73, "error: copy.bin: exists already\nhint: --force\n")
    copy.write_bytes(b"")
    assert fresh(*line, "--force").code == 0
    assert copy.read_bytes() == FILE.read_bytes()
    assert [p.name for p in tmp_path.glob("*copy*")] == ["copy.bin"]


def test_what_cannot_be_is_said_in_one_line(fresh: Run, nlpcli: Run, tmp_path: Path) -> None:
    target = tmp_path / "out.bin"
    done = nlpcli("models", "export", "reviews", target, "--to", "fasttext")
    assert done.code == 2 and "cannot hold a model of kind fasttext" in done.err
    assert done.err.endswith("hint: train-fasttext --fasttext-compatible\n")
    done = fresh("models", "export", FILE, target, "--to", "onnx")
    assert (done.code, done.err) == (
        2,
        "error: --to onnx: wanted one of fasttext, word2vec, word2vec-binary, glove, arpa, "
        "huggingface\n",
    )
    done = fresh("models", "export", FILE, FILE, "--to", "fasttext", "--force")
    assert done.code == 2 and "the same file" in done.err
    assert fresh("models", "export", FILE, "no/folder/x.bin", "--to", "fasttext").code == 73
    assert fresh("models", "export", "none", target, "--to", "fasttext").code == 66
    assert fresh("models", "import", tmp_path / "none.bin", "x").code == 66
    assert fresh("models", "import", NEW, "x").code == 65
    assert fresh("models", "import", FILE, "x@3").code == 2
    assert fresh("models", "import", FILE, "x", "--label-prefix", " ").code == 2
    vectors = tmp_path / "vectors.bin"
    vectors.write_bytes(Spec([b"a"], [], model=1, loss=2).to_bytes())
    assert fresh("predict", "-m", vectors, NEW).code == 65
    assert not target.exists() and not (tmp_path / "store" / "x").exists()


@needs_program
@pytest.mark.parametrize(
    "loss",
    [
        "softmax", "qout",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("hs", "ns", "ova", "qnorm", "cutoff")),
    ],
)  # fmt: skip
def test_files_of_the_program(fresh: Run, tmp_path: Path, loss: str) -> None:
    ways = {
        "qnorm": ["-qnorm"],
        "qout": ["-qnorm", "-qout"],
        "cutoff": ["-qnorm", "-cutoff", 600, "-retrain"],
    }
    dense = loss not in ways
    file = train(
        tmp_path, "-minn", 2, "-maxn", 3, "-wordNgrams", 2, "-loss", loss if dense else "softmax"
    )
    if not dense:
        file = quantise(tmp_path, *ways[loss])
    assert fresh("models", "import", file, "m").code == 0
    assert fresh("models", "export", "m", "copy.bin", "--to", "fasttext").code == 0
    assert (tmp_path / "copy.bin").read_bytes() == file.read_bytes()
    rows = tmp_path / "rows.txt"
    lines = made_up_lines(60, 3, known=0.8)
    kept = [line.replace("\r", " ").replace("\v", " ").replace("\f", " ") for line in lines]
    rows.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
    answers = [fresh("predict", "-m", m, rows, "--only") for m in ("m", file)]
    assert answers[0].code == 0 and answers[0] == answers[1]


def test_models_are_no_streams(fresh: Run, tmp_path: Path) -> None:
    sample = SAMPLES / "reviews_en.bin"
    for arguments in (
        ("import", "-", "m"), ("import", sample, "-"), ("export", sample, "-", "--to", "fasttext"),
    ):  # fmt: skip
        done = fresh("models", *arguments)
        assert done.code == 2 and "not a stream" in done.err and not done.out


def test_a_bert_folder_goes_in_and_out(fresh: Run, tmp_path: Path) -> None:
    files = bert_files("BertForPreTraining")
    plain = written(tmp_path / "plain", files)
    store = tmp_path / "store"
    done = fresh("models", "import", "./plain", "bert")
    assert (done.code, done.out, done.err) == (0, f"{store}/bert/1\n", "")
    shown = json.loads(fresh("models", "show", "bert", "--json").out)
    about = shown["config"]["encoder"]
    assert shown["kind"] == "bert-encoder" and about["bert"]["n_layers"] == 2
    assert list(about["heads"]) == ["masked-lm", "next-sentence"]
    line = ["models", "export", "bert", "./out", "--to", "huggingface"]
    done = fresh(*line)
    assert (done.code, done.out, done.err) == (0, "out\n", "")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == files
    assert (fresh(*line).code, fresh(*line, "--force").code) == (73, 0)
    assert "parameters" in fresh("models", "show", "./plain").out
    assert fresh("models", "verify", "./plain").out == "plain: ok\n"
    done = fresh("predict", "-m", "bert", NEW)
    assert done.code == 65 and done.err.endswith("no labels\nhint: predict --embed mean\n")

    (plain / "model.safetensors").write_bytes(files["model.safetensors"][:-1])
    for command in (["verify", "./plain"], ["show", "./plain"], ["import", "./plain", "bert"]):
        done = fresh("models", *command)
        assert done.code == 65 and "model.safetensors: truncated" in done.err
        assert done.err.count("\n") == 1
    done = fresh("models", "import", store / "bert" / "1", "other")
    assert done.code == 2 and "a model already" in done.err
