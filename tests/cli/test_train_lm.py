"""train-lm and what its models are good for, through the program."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import SAMPLES, Run

TRAIN, TEST = SAMPLES / "reviews_en.csv", SAMPLES / "reviews_en_test.csv"
TEXT = "the cat sat\nthe dog sat\n\na cat ran\n"


@pytest.fixture
def lm(fresh: Run, tmp_path: Path) -> Run:
    """The program with a small model ``lm`` in its store."""
    (tmp_path / "text").write_text(TEXT)
    done = fresh("train-lm", tmp_path / "text", "-o", "lm", "-q", "--order", 2)
    assert (done.code, done.err) == (0, "")
    assert done.out == f"{tmp_path}/store/lm/1\n"
    return fresh


def test_predict_adds_what_a_pipe_can_filter_by(lm: Run) -> None:
    rows = "text,n\nthe cat ran,1\nxyzzy plugh,2\n,3\n"
    done = lm("predict", "-m", "lm", stdin=rows)
    assert (done.code, done.err) == (0, "")
    header, *lines = (line.split(",") for line in done.out.splitlines())
    assert header == ["text", "n", "log10_probability", "perplexity"]
    assert [line[1] for line in lines] == ["1", "2", "3"]
    likely, odd, _ = (float(line[3]) for line in lines)
    assert likely < odd
    assert 10 ** (-float(lines[0][2]) / 4) == pytest.approx(likely, rel=1e-4)
    done = lm("predict", "-m", "lm", "--prefix", "lm_", "--only", stdin=rows)
    assert done.out.startswith("lm_log10_probability,lm_perplexity\n")
    done = lm("predict", "-m", "lm", "--top-k", 2, stdin=rows)
    assert (done.code, done.out) == (2, "")
    assert done.err == "error: --top-k: the model has no labels, it is a language model\n"


def test_eval_and_samples(lm: Run, tmp_path: Path) -> None:
    done = lm("eval", "-m", "lm", tmp_path / "text", "--json")
    document = json.loads(done.out)
    assert (document["n"], document["sentences"], document["unknown_words"]) == (12, 3, 0)
    assert document["characters"] == len(TEXT.replace("\n\n", "\n"))
    same = lm("eval", "-m", "lm", "-", "--json", stdin=TEXT)
    assert same.out == done.out
    done = lm("eval", "-m", "lm", tmp_path / "text", "--fail-under", "perplexity<=1")
    assert done.code == 1
    assert done.out.startswith("12 tokens, ends of sentences too, of 3 sentences; 0 unknown words")
    first = lm("models", "show", "lm", "--generate", 3, "--seed", 7)
    assert (first.code, len(first.out.splitlines())) == (0, 3)
    assert lm("models", "show", "lm", "--generate", 3, "--seed", 7) == first


def test_keep_prunes_when_the_model_is_refused_too(lm: Run, tmp_path: Path) -> None:
    line = ["train-lm", tmp_path / "text", "-o", "lm", "--dev", tmp_path / "text", "--keep", 1]
    for left in (["lm@1", "lm@2"], ["lm@1", "lm@3"]):
        done = lm(*line, "--publish-if", "perplexity<=0.5")
        assert (done.code, done.out) == (1, "")
        assert "kept unpublished" in done.err.splitlines()[-1]
        versions = sorted(path.name for path in (tmp_path / "store" / "lm").glob("[0-9]"))
        assert [f"lm@{version}" for version in versions] == left


def test_a_dry_run_leaves_the_rejects_of_the_last_run(lm: Run, tmp_path: Path) -> None:
    rejects, rows = tmp_path / "rejects.csv", "text,label\na,x\nb,y\nbad\n"
    line = ["train-lm", "-", "-o", "c", "--label-column", "label", "--on-error", "skip"]
    line += ["--format", "csv", "--rejects", rejects]
    rejects.write_text("old")
    assert lm(*line, "--dry-run", stdin=rows).code == 0
    assert rejects.read_text() == "old"
    done = lm(*line, "-q", stdin=rows)
    assert (done.code, done.err) == (0, "")
    assert rejects.read_text() == 'line,reason,row\n4,"1 fields, the header has 2",bad\n'
    assert lm(*line, stdin=rows + '"').code == 65
    assert rejects.read_text() == 'line,reason,row\n4,"1 fields, the header has 2",bad\n'


def test_models_are_compared_by_bits(lm: Run, tmp_path: Path) -> None:
    models = ("one", "--order", 1), ("mle", "--smoothing", "mle"), ("c", "--level", "char")
    for name, *more in models:
        assert lm("train-lm", tmp_path / "text", "-o", name, "-q", *more).code == 0
    rows = TEXT * 12
    done = lm("eval", "-m", "one", "-m", "lm", "-", "--json", "--no-cost", stdin=rows)
    assert (done.code, done.err) == (0, "")
    document = json.loads(done.out)
    [pair] = document["comparisons"]
    assert (pair["metric"], pair["verdict"]) == ("bits_per_character", "better")
    assert document["best"] == "lm"
    assert document["n"] == 48 and document["models"][0]["n"] == 12 * 12  # rows, tokens
    each = [model["perplexity"]["value"] for model in document["models"]]
    gap = pair["difference"]["perplexity"]
    assert gap["value"] == pytest.approx(each[1] - each[0]) and gap["high"] < 0
    shown = lm("eval", "-m", "lm", "-m", "c", "-", "--no-cost", stdin=rows)
    assert shown.code == 0 and "\n  bits_per_character " in shown.out
    assert "\n  perplexity " not in shown.out  # words against characters
    done = lm("eval", "-m", "lm", "-m", "mle", "-", "--no-cost", stdin="the emu\n")
    assert done.code == 65 and "2 tokens have the probability 0" in done.err
    (tmp_path / "p.csv").write_text("label,predicted_label\na,b\n")
    done = lm("eval", "-m", "lm", "-", "--predictions", "p.csv", "--no-cost", stdin=rows)
    assert done.code == 2 and "p.csv is measured by accuracy, lm by bits_per_character" in done.err
    done = lm("eval", "-m", "lm", "-m", "one", "-", "--slices", stdin=rows)
    assert done.code == 2 and "--slices: lm is a language model, wanted a tagger" in done.err
    page = tmp_path / "report.html"
    assert lm("eval", "-m", "lm", "-", "--report", page, "-q", stdin=rows).code == 0
    assert "perplexity" in page.read_text()


@pytest.mark.slow
def test_what_a_perplexity_costs(lm: Run, tmp_path: Path) -> None:
    done = lm("eval", "-m", "lm", "-", "--json", "--measure-cost", stdin=TEXT)
    assert (done.code, done.err) == (0, "")
    cost = json.loads(done.out)["cost"]
    assert cost["startup_seconds"] > 0 and cost["rows_per_second"] > 0


def test_mle_rules_out_what_it_has_not_seen(fresh: Run, tmp_path: Path) -> None:
    (tmp_path / "text").write_text(TEXT)
    assert fresh("train-lm", tmp_path / "text", "-o", "m", "--smoothing", "mle").code == 0
    document = json.loads(fresh("eval", "-m", "m", "-", "--json", stdin="the emu sat\n").out)
    assert document["perplexity"] == {"value": None, "low": None, "high": None}
    assert document["zero_probability_share"]["value"] == 0.75
    done = fresh("predict", "-m", "m", "--output-format", "jsonl", stdin="text\nthe emu\n")
    assert json.loads(done.out) == {
        "text": "the emu",
        "log10_probability": None,
        "perplexity": None,
    }
    done = fresh("models", "export", "m", "m.arpa", "--to", "arpa")
    assert (done.code, done.out) == (2, "")
    assert "an ARPA file holds models that back off" in done.err


def test_arpa_out_and_in(lm: Run, tmp_path: Path) -> None:
    done = lm("models", "export", "lm", "lm.arpa", "--to", "arpa")
    assert (done.code, done.out) == (0, "lm.arpa\n")
    assert lm("models", "export", "lm", "lm.arpa", "--to", "arpa").code == 73
    assert lm("models", "import", "lm.arpa", "back").code == 0
    rows = "text\nthe cat ran\na dog\n"
    assert lm("predict", "-m", "back", stdin=rows).out == lm("predict", "-m", "lm", stdin=rows).out
    broken = (tmp_path / "lm.arpa").read_text().replace("ngram 1=", "ngram 1=9")
    (tmp_path / "broken.arpa").write_text(broken)
    done = lm("models", "import", "broken.arpa", "broken")
    assert (done.code, done.out) == (65, "")
    assert done.err.startswith("error: broken.arpa line ") and done.err.count("\n") == 1
    assert not (tmp_path / "store" / "broken").exists()


def test_one_model_a_label_is_a_classifier(fresh: Run, tmp_path: Path) -> None:
    line = ["train-lm", TRAIN, "-o", "bayes", "--label-column", "label", "--level", "char"]
    plan = fresh(*line, "--dry-run", "--json", "--dev", TEST)
    assert json.loads(plan.out)["labels"] == 4
    assert not (tmp_path / "store").exists()
    report = json.loads(fresh(*line, "-q", "--json", "--dev", TEST).out)
    assert report["metrics"]["accuracy"] > 0.4 and 0 < report["scale"] < 10
    document = json.loads(fresh("eval", "-m", "bayes", TEST, "--json").out)
    assert document["accuracy"]["value"] > 0.4
    done = fresh("predict", "-m", "bayes", TEST, "--top-k", 2, "--only")
    assert done.out.startswith(
        "predicted_label,predicted_probability,predicted_label_2,predicted_probability_2\n"
    )
    label = fresh("models", "show", "bayes", "--generate", 1, "--json").out
    assert set(json.loads(label)) == {"label", "text"}


def test_a_table_is_read_as_rows_by_its_ending(fresh: Run, tmp_path: Path) -> None:
    assert (
        json.loads(fresh("train-lm", TRAIN, "-o", "m", "--dry-run", "--json").out)["sentences"]
        == len(TRAIN.read_text().splitlines()) - 1
    )
    (tmp_path / "rows.tsv").write_text("id\ttext\n1\tthe cat\n2\ta dog\n")
    done = fresh("train-lm", "rows.tsv", TRAIN, "-o", "m", "-v", "--json")
    assert json.loads(done.out)["sentences"] == len(TRAIN.read_text().splitlines()) + 1


def test_a_night_that_is_worse_is_not_served(fresh: Run, tmp_path: Path) -> None:
    (tmp_path / "night").write_text(TEXT)
    line = ["train-lm", "night", "-o", "lm", "--dev", "dev", "--publish-if", "better", "-q"]
    done = fresh(*line)
    assert (done.code, done.err) == (66, "error: dev: No such file or directory\n")
    (tmp_path / "dev").write_text("the cat sat\n\na dog\n")
    assert fresh(*line).out == f"{tmp_path}/store/lm/1\n"
    same = fresh(*line, "--if-changed", "--json")
    document = json.loads(same.out)
    assert (same.code, document["unchanged"], document["published"]) == (0, True, True)
    assert document["metrics"]["perplexity"] > 1
    done = fresh(*line, "--order", 1, "--publish-if", "perplexity<=1e6")
    assert (done.code, done.out) == (1, "")
    assert "which the version in use reaches; kept unpublished: " in done.err
    assert done.err.endswith("/store/lm/2\n")
    done = fresh("train-lm", "night", "-o", "lm", "--publish-if", "better")
    assert (done.code, done.err.splitlines()[1]) == (2, "hint: --dev FILE")


@pytest.mark.parametrize(
    ("arguments", "data", "code", "told"),
    [
        (["--order", "7"], "a\n", 2, "--order 7: wanted a whole number from 1 to 6"),
        (["--level", "char", "--segmenter", "blank"], "a\n", 2, "no meaning with --level char"),
        (["-"], "a\n", 2, "-: stdin can be read once, and is given twice"),
        ([], "\n\n", 65, "<stdin>: no words"),
        ([], b"a\n\xff\n", 65, "<stdin> line 2 byte 1: invalid UTF-8 (0xff)"),
        (["--label-column", "label"], "text,label\na,x\nb,\n", 65, "the label is blank"),
        (["--label-column", "label"], "text,label\na,x\n", 65, "1 label, wanted 2 or more"),
        (["--segmenter", "blank"], "a <s> b\n", 65, "the texts have the word <s>"),
    ],
)
def test_bad_input(
    fresh: Run, tmp_path: Path, arguments: list[str], data: str | bytes, code: int, told: str
) -> None:
    done = fresh("train-lm", "-", "-o", "m", *arguments, stdin=data)
    assert (done.code, done.out) == (code, "")
    assert told in done.err
    assert not (tmp_path / "store" / "m").exists()


def test_no_torch(tmp_path: Path) -> None:
    (tmp_path / "t").write_text(TEXT)
    code = (
        "import sys\nfrom nlpcli.__main__ import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "assert 'torch' not in sys.modules and 'scipy' not in sys.modules"
    )
    for line in (
        ["train-lm", "t", "-o", "./m"],
        ["eval", "-m", "./m", "t", "--resamples", "10"],
        ["predict", "-m", "./m", "--format", "text", "t"],
    ):
        done = subprocess.run(
            [sys.executable, "-c", code, *line], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
