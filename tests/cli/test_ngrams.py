"""The command ``ngrams``: the worked examples of the method, options that do not fit, files."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from nlpcli.commands.ngram_options import _orders, rows_wanted
from nlpcli.errors import UsageError

from .conftest import SAMPLES, Run

TRAIN, TEST = SAMPLES / "reviews_en.csv", SAMPLES / "reviews_en_test.csv"
SENTENCE = "我来到达观数据参观"


def column(text: str, name: str = "ngram") -> list[str]:
    return [row[name] for row in csv.DictReader(io.StringIO(text, newline=""))]


def test_the_worked_examples_of_the_method(fresh: Run) -> None:
    done = fresh("ngrams", "--format", "text", "--level", "char", "--n", "2-3", stdin=SENTENCE)
    pairs = ["我来", "来到", "到达", "达观", "观数", "数据", "据参", "参观"]
    triples = ["我来到", "来到达", "到达观", "达观数", "观数据", "数据参", "据参观"]
    assert column(done.out) == [*sorted(pairs), *sorted(triples)]
    words = "我 来到 达观数据 参观"
    done = fresh(
        "ngrams",
        "--format",
        "text",
        "--segmenter",
        "blank",
        "--n",
        "2-3",
        "--joiner",
        "/",
        stdin=words,
    )
    assert set(column(done.out)) == {
        "我/来到", "来到/达观数据", "达观数据/参观", "我/来到/达观数据", "来到/达观数据/参观",
    }  # fmt: skip
    done = fresh("ngrams", "--format", "text", "--level", "subword", "--n", "3", stdin="matter")
    assert column(done.out) == sorted(["<ma", "mat", "att", "tte", "ter", "er>"])
    assert done.out.splitlines()[:2] == ["ngram,n,count,document_frequency", "<ma,3,1,1"]


def test_formats_of_output_agree(fresh: Run) -> None:
    line = [
        "ngrams",
        TRAIN,
        "--n",
        "1-2",
        "--top",
        "7",
        "--label-column",
        "label",
        "--select",
        "chi2",
        "--by-label",
    ]
    rows = list(csv.DictReader(io.StringIO(fresh(*line).out, newline="")))
    lines = [json.loads(text) for text in fresh(*line, "--output-format", "jsonl").out.splitlines()]
    assert [{k: str(v) for k, v in document.items()} for document in lines] == rows
    assert len(rows) == 7 * len({row["label"] for row in rows})


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--n", "0"], "--n 0: wanted numbers from 1 to 100"),
        (["--n", "3-2"], "--n 3-2: 3 is more than 2"),
        (["--collocations", "pmi", "--n", "3"], "--n 3: --collocations is of word pairs"),
        (["--collocations", "pmi", "--select", "chi2"], "--collocations and --select"),
        (["--collocations", "pmi", "--by-label"], "--collocations has no --by-label: pairs of all"),
        (["--collocations", "t", "--label-column", "label"], "--collocations has no --label-colum"),
        (["--sort", "score"], "--sort score: there is none"),
        (["--level", "char", "--segmenter", "blank"], "--segmenter blank has no meaning with"),
        (["--level", "char", "--strip-punctuation"], "--strip-punctuation has no meaning with"),
        (["-", "-"], "-: stdin can be read once, and is given twice"),
        (["--level", "char", "--save", "f.csv"], "--save: characters across words"),
        (["--save", "same.csv", "-o", "same.csv"], "--save same.csv: the same file as --output"),
        (["--memory", "1M"], "--memory 1M: wanted 100M or more"),
        (["--save", str(TRAIN)], f"--save {TRAIN}: the same file as INPUT"),
    ],
)  # fmt: skip
def test_options_that_do_not_fit(fresh: Run, options: list[str], error: str) -> None:
    done = fresh("ngrams", TRAIN, *options)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"error: {error}"), done.err


def test_numbers_as_they_are_typed() -> None:
    assert _orders(None, None) == (1, 1)
    assert _orders("1-3", None) == (1, 3)
    assert _orders(None, "pmi") == (2, 2)
    assert rows_wanted("20") == (20, None)
    assert rows_wanted("2.5%") == (None, 0.025)
    for wrong in ("", "x", "1-", "101", "-1", "1-2-3", "٣"):
        with pytest.raises(UsageError):
            _orders(wrong, None)
    for wrong in ("0", "0%", "101%", "1.5", "-1", "x"):
        with pytest.raises(UsageError):
            rows_wanted(wrong)


def test_chosen_features_train_a_model(fresh: Run, tmp_path: Path) -> None:
    chosen, page = tmp_path / "features.csv", tmp_path / "page.html"
    done = fresh(
        "ngrams", TRAIN, "--n", "1-2", "--select", "chi2", "--top", "10%", "--joiner", "/",
        "--save", chosen, "--plot", page, "-o", tmp_path / "scores.csv",
    )  # fmt: skip
    assert (done.code, done.out) == (0, "")
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    n_features = len(column(chosen.read_text(encoding="utf-8")))
    assert len(column((tmp_path / "scores.csv").read_text(encoding="utf-8"))) == n_features == 313
    line = ["train-fasttext", TRAIN, "-o", "few", "--features", chosen]
    done = fresh(*line, "--dev", TEST, "--publish-if", "accuracy>=0.5")
    assert done.code == 0, done.err
    assert f"{n_features:,} features" in done.err and "warning" not in done.err
    done = fresh(*line, "--word-ngrams", 1)
    assert (done.code, "of 313 n-grams are in no text" in done.err) == (0, True)
    done = fresh("train-fasttext", TRAIN, "-o", "few", "--features", page)
    assert (done.code, done.out) == (65, "")


def test_torch_is_not_imported() -> None:
    code = (
        "import sys\n"
        "from nlpcli.commands.app import build_command\n"
        "command = build_command()\n"
        f"for more in (['--select', 'chi2'], ['--buckets', '9'], ['--collocations', 'llr']):\n"
        f"    with command.make_context('nlpcli', ['ngrams', {str(TRAIN)!r}, *more]) as context:\n"
        "        command.invoke(context)\n"
        "assert not {'torch', 'sklearn', 'scipy'} & set(sys.modules), 'imported'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
