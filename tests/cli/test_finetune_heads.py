"""finetune with other heads, for two labels and for numbers, and what is made of its models."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from .conftest import SAMPLES, Run, run_program
from .test_eval_report import data as page_data

RATINGS = str(SAMPLES / "ratings_en.csv")
STARS = ["--label-column", "stars"]
QUICK = ["--epochs", "1", "--threads", "1", "--precision", "fp32", "--lr", "1e-3"]
NUMBERS = ["finetune", RATINGS, "--from", "./encoder", "--task", "regression", *STARS, *QUICK]
TWO = "text,label\n" + "".join(
    f"{word} {n},{label}\n" for n in range(20) for word, label in (("late", "no"), ("fine", "yes"))
)


@pytest.fixture(scope="module")
def tuned(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with ``stars`` and, of two labels, ``plain`` and ``mlp``; do not write."""
    store = tmp_path_factory.mktemp("heads") / "store"
    shutil.copytree(encoder, store.parent / "encoder")
    (store.parent / "two.csv").write_text(TWO)
    two = ["finetune", "two.csv", "--from", "./encoder", *QUICK, "--dev", "two.csv"]
    for name, *line in (
        ("stars", *NUMBERS, "--dev-fraction", "0.25", "--pooling", "cls"),
        ("plain", *two, "--binary-sigmoid", "--pooling", "cls"),
        ("mlp", *two, "--binary-sigmoid", "--head", "mlp", "--pooling", "mean"),
    ):
        done = run_program(store, *line, "-o", name, "--json")
        assert done.code == 0, done.err
        (store.parent / f"{name}.json").write_text(done.out)
    return store


@pytest.fixture
def program(tuned: Path) -> Run:
    return lambda *arguments, **more: run_program(tuned, *arguments, **more)


@pytest.fixture
def place(encoder: Path, tmp_path: Path) -> Run:
    """Over an empty store, beside the encoder."""
    shutil.copytree(encoder, tmp_path / "encoder")
    return lambda *arguments, **more: run_program(tmp_path / "store", *arguments, **more)


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_numbers(program: Run, tuned: Path) -> None:
    report = json.loads((tuned.parent / "stars.json").read_text(), parse_constant=pytest.fail)
    assert (report["rows"], report["dev_rows"], report["best_epoch"]) == (30, 10, 1)
    assert sorted(report["metrics"]) == ["mae", "mse", "pearson", "rmse", "spearman"]
    done = program("predict", "-m", "stars", RATINGS)
    assert (done.code, done.err) == (0, "")
    rows = table(done.out)
    assert list(rows[0]) == ["text", "stars", "predicted_score"] and len(rows) == 40
    scores = [float(row["predicted_score"]) for row in rows]
    assert 2 < sum(scores) / 40 < 4.2  # the mean is learnt before anything else
    lines = program("predict", "-m", "stars", RATINGS, "--only", "--output-format", "jsonl")
    assert json.loads(lines.out.splitlines()[3]) == {"predicted_score": scores[3]}
    blank = table(program("predict", "-m", "stars", stdin="text\n\n , \n").out)
    assert all(float(row["predicted_score"]) for row in blank)

    explained = program("predict", "-m", "stars", RATINGS, "--explain", "2", "--precision", "fp32")
    for row in table(explained.out):
        (word, most), (_, less) = json.loads(row["predicted_explanation"])
        assert word in row["text"] and abs(most) >= abs(less)
    done = program("predict", "-m", "stars", "--explain", "1", stdin="text\n\n")
    assert table(done.out)[0]["predicted_explanation"] == "[]"

    done = program("eval", "-m", "stars", RATINGS, *STARS, "--json", "--resamples", "20")
    document = json.loads(done.out, parse_constant=pytest.fail)
    errors = [abs(float(row["stars"]) - x) for row, x in zip(rows, scores, strict=True)]
    assert document["n"] == 40
    assert document["mae"]["value"] == pytest.approx(sum(errors) / 40, rel=1e-4)
    assert document["mae"]["low"] < document["mae"]["value"] < document["mae"]["high"]
    line = ["eval", "-m", "stars", RATINGS, *STARS, "--resamples", "20"]
    shown = program(*line, "--fail-under", "rmse<=100").out
    assert "40 rows" in shown and "pearson" in shown and "spearman" in shown
    assert program(*line, "--fail-under", "pearson>=1.5").code == 1
    done = program(*line, "--fail-under", "macro_f1>=0.5")
    assert done.code == 2 and "no metric macro_f1; there: mae, mse, pearson" in done.err
    one = program("eval", "-", "-m", "stars", "--json", stdin="text,label\na,1\n")
    assert json.loads(one.out, parse_constant=pytest.fail)["pearson"]["value"] is None


def test_numbers_are_compared_and_read_from_files(program: Run, tmp_path: Path) -> None:
    page, file = tmp_path / "report.html", tmp_path / "p.csv"
    own = program("predict", "-m", "stars", RATINGS).out
    rows = table(own)
    near = [f"{row['stars']},{float(row['stars']) + (i % 3 - 1) / 8}" for i, row in enumerate(rows)]
    file.write_text("\n".join(["stars,predicted_score", *near]) + "\n")
    done = program("eval", "-m", "stars", RATINGS, *STARS, "--predictions", file, "--no-cost",
                   "--json", "--report", page, "--require-better")  # fmt: skip
    assert done.code == 0, done.err
    document = json.loads(done.out, parse_constant=pytest.fail)
    [pair] = document["comparisons"]
    assert (pair["metric"], pair["verdict"], pair["n"]) == ("pearson", "better", 40)
    gap = pair["difference"]
    assert gap["mse"]["high"] < 0 < gap["spearman"]["low"] and gap["pearson"]["p"] < 0.01
    assert pair["only_second"] > 30 and document["best"] == str(file)
    found = page_data(page)
    assert not found["judged"] and found["score"] == ["off by", True]
    assert found["models"][0]["right"] is None and len(found["models"][1]["score"]) == 40
    assert max(found["models"][1]["score"]) == 0.125 and found["rows"]["text"][0]

    before = program("eval", "--predictions", "-", *STARS, "--json", stdin=own)
    assert before.code == 0, before.err
    wanted = json.loads(program("eval", "-m", "stars", RATINGS, *STARS, "--json").out)
    for name, nearness in (("pearson", 0.01), ("spearman", 0.01), ("mae", 1e-5)):
        near_value = pytest.approx(wanted[name]["value"], abs=nearness)  # the scores are close
        assert json.loads(before.out)[name]["value"] == near_value, name
    shown = program("eval", "-m", "stars", "-m", "stars@1", RATINGS, *STARS, "--no-cost")
    assert "equally good on every row" in shown.out and "mse +0.0000" in shown.out
    file.write_text("label,my_score\n1,2\n3,many\n")
    done = program("eval", "--predictions", file, "--predicted-column", "my_score")
    assert done.code == 65 and "line 3: my_score many, wanted a number up to 1e+15" in done.err
    done = program("eval", "--predictions", file, "--predicted-column", "my_score",
                   "--on-error", "skip", "--json")  # fmt: skip
    assert json.loads(done.out)["pearson"]["value"] is None


def test_one_logit_is_two_labels_to_others(program: Run, tuned: Path) -> None:
    folder = tuned / "plain" / "1"
    config = json.loads((folder / "config.json").read_text())
    assert config["architectures"] == ["BertForSequenceClassification"]
    assert config["id2label"] == {"0": "no", "1": "yes"}
    done = program("predict", "-m", "plain", "--probabilities", stdin="text\nlate 1\nfine 1\n")
    for row in table(done.out):
        both = [float(row[f"predicted_probability:{name}"]) for name in ("no", "yes")]
        assert sum(both) == pytest.approx(1, abs=2e-6)
    run = json.loads((folder / "manifest.json").read_text())["config"]["run"]
    assert (run["head"], run["pooling"], run["binary_sigmoid"]) == ("linear", "cls", True)


def test_a_head_in_a_file_of_its_own(program: Run, tuned: Path, tmp_path: Path) -> None:
    shown = program("models", "show", "mlp").out
    assert "head: mlp" in shown and "head_file: head.safetensors" in shown
    assert "labels: no, yes" in shown and "architecture: BertModel" in shown
    assert program("models", "verify", "mlp").code == 0
    report = json.loads((tuned.parent / "mlp.json").read_text())
    found = json.loads(program("eval", "-m", "mlp", "two.csv", "--json").out)
    for name in ("accuracy", "log_loss", "macro_f1"):
        assert found[name]["value"] == pytest.approx(report["metrics"][name], abs=1e-3), name
    done = program("models", "export", "mlp", tmp_path / "hf", "--to", "huggingface")
    assert done.code == 0 and "mlp: the classification head is left out" in done.err
    done = program("predict", "-m", f"{tmp_path}/hf", "two.csv")
    assert done.code == 65 and "an encoder, which gives vectors" in done.err
    done = program("finetune", "two.csv", "--from", "mlp", "-o", "./again", *QUICK, "--dry-run")
    assert done.code == 0, done.err


def test_other_programs_see_a_regression(program: Run, tmp_path: Path) -> None:
    done = program("models", "export", "stars", tmp_path / "hf", "--to", "huggingface")
    assert (done.code, done.err) == (0, "")
    config = json.loads((tmp_path / "hf" / "config.json").read_text())
    assert (config["problem_type"], config["id2label"]) == ("regression", {"0": "score"})
    wanted = program("predict", "-m", "stars", RATINGS, "--precision", "fp32").out
    assert program("models", "import", tmp_path / "hf", tmp_path / "again").code == 0
    for name in ("hf", "again"):
        done = program("predict", "-m", f"{tmp_path}/{name}", RATINGS, "--precision", "fp32")
        assert (done.code, done.out) == (0, wanted), done.err
        done = program("eval", "-m", f"{tmp_path}/{name}", RATINGS, *STARS, "--resamples", "10")
        assert done.code == 0 and "spearman" in done.out


def test_numbers_that_weigh_nothing(place: Run) -> None:
    rows = "text,stars,w\n" + "".join(f"fine {n},{n},0\n" for n in range(4))
    line = ["finetune", "-", "--from", "./encoder", "-o", "m", "--task", "regression", *STARS]
    done = place(*line, *QUICK, "--weight-column", "w", stdin=rows)
    assert done.code == 65 and "every training row weighs 0" in done.err


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        (["predict", "--threshold", "0.5"], 2, "--threshold: the model answers with a number"),
        (["predict", "--probabilities"], 2, "--probabilities: the model answers with a number"),
        (["predict", "--abstain-below", "0.5"], 2, "--abstain-below: the model answers"),
        (["predict", "--text-b-column", "stars"], 2, "--text-b-column stars: stars answers single"),
        (["eval", *STARS, "--threshold", "0.5"], 2, "--threshold 0.5: stars is a regression"),
        (
            ["eval", *STARS, "--label-separator", ";"],
            2,
            "--label-separator ;: stars is a regression",
        ),
        (["eval", *STARS, "--slices"], 2, "--slices: stars is a regression, wanted a tagger of"),
        (["eval", "--label-column", "text"], 65, "line 2: label The kettle"),
        (["eval", *STARS, "--fail-under", "rmse=0.5"], 2, "= means at least, and less rmse is"),
    ],
)
def test_what_wants_labels(program: Run, line: list[str], code: int, said: str) -> None:
    done = program(line[0], "-m", "stars", RATINGS, *line[1:])
    assert (done.code, done.out) == (code, "") and said in done.err, done.err
    assert len([row for row in done.err.splitlines() if row.startswith("error:")]) == 1


ROWS = {
    "equal": "text,stars\na,3\nb,3.0\n",
    "a word": "text,stars\na,3\nb,many\nc,1\n",
    "infinite": "text,stars\na,3\nb,inf\nc,1\n",
    "blank": "text,stars\na,3\nb,\nc,1\n",
    "dev": "text,stars\na,3\nb,5\nc,1\n",
}


@pytest.mark.parametrize(
    ("rows", "options", "code", "said"),
    [
        ("equal", [], 65, "at least 2 different numbers are needed, seen: 3\n"),
        ("a word", [], 65, "line 3: label many, wanted a number up to 1e+15\n"),
        ("infinite", [], 65, "line 3: label inf, wanted a number"),
        ("blank", [], 65, "line 3: the label is blank"),
        ("dev", ["--dev", "bad.csv"], 65, "bad.csv line 2: label x, wanted a number"),
        (None, ["--label-separator", ";"], 2, "--label-separator has no meaning for --task regr"),
        (None, ["--class-weight", "balanced"], 2, "--class-weight has no meaning for --task regr"),
        (None, ["--focal", "1"], 2, "--focal has no meaning for --task regression"),
        (None, ["--binary-sigmoid"], 2, "--binary-sigmoid has no meaning for --task regression"),
        (None, ["--publish-if", "accuracy>0.5"], 2, "no metric accuracy; there: mae, mse, pearson"),
        (None, ["--task", "token", "--head", "mlp"], 2, "--head has no meaning for --task token"),
        (None, ["--task", "sequence", "--binary-sigmoid", "--label-separator", ";"], 2,
         "--label-separator has no meaning with --binary-sigmoid"),
        (None, ["--task", "sequence", "--binary-sigmoid"], 65, "labels, --binary-sigmoid wants 2"),
        (None, ["--task", "sequence", "--pooling", "max"], 2, "--pooling"),
    ],
)  # fmt: skip
def test_what_cannot_be(
    place: Run, tmp_path: Path, rows: str | None, options: list[Any], code: int, said: str
) -> None:
    line = list(NUMBERS)
    if rows is not None:
        line[1] = "train.csv"
        (tmp_path / "train.csv").write_text(ROWS[rows])
        (tmp_path / "bad.csv").write_text("text,stars\na,x\n")
    done = place(*line, "-o", "m", *options)
    assert (done.code, done.out) == (code, "") and said in done.err, done.err
    assert len([row for row in done.err.splitlines() if row.startswith("error:")]) == 1
    assert not (tmp_path / "store" / "m" / "1").exists()


@pytest.mark.slow
def test_what_a_number_costs(program: Run) -> None:
    done = program("eval", "-m", "stars", RATINGS, *STARS, "--measure-cost", "--json")
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out)["cost"]["startup_seconds"] > 0


@pytest.mark.slow
def test_nights_of_numbers(place: Run, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(
        "a,b,stars\n"
        + "".join(f"{'late ' * n}good,fine,{n / 2}\n" for n in range(30))
        + "x,y,many\n"
    )
    line = ["finetune", "rows.csv", "--from", "./encoder", "-o", "m", "--task", "regression",
            *STARS, *QUICK, "--text-column", "a", "--text-b-column", "b", "--on-error", "skip",
            "--head", "mlp", "--pooling", "cls", "--dev-fraction", "0.3", "--json"]  # fmt: skip
    plan = json.loads(place(*line, "--dry-run").out)
    assert not (tmp_path / "store").exists()
    assert place(*line, "--publish-if", "pearson>1").code == 1
    done = place(*line, "--publish-if", "better")
    report = json.loads(done.out)
    assert done.code == 0 and report["rows"] + report["dev_rows"] == 30
    hidden = 32
    shown = json.loads(place("models", "show", "m", "--json").out)
    head = hidden * 256 + 256 + 256 + 1
    assert plan["parameters"] == shown["config"]["encoder"]["n_parameters"] + head
    assert shown["kind"] == "bert-regressor" and shown["config"]["run"]["task"] == "regression"
    assert shown["config"]["regressor"]["head_file"] == "head.safetensors"
    done = place(*line, "--publish-if", "better")
    assert done.code == 1 and "which the version in use reaches" in done.err
    assert place(*line).code == 0
    assert json.loads(place(*line, "--if-changed").out)["unchanged"] is True
    done = place("predict", "-m", "m", "rows.csv", "--text-column", "a", "--text-b-column", "b")
    assert done.code == 0 and len(table(done.out)) == 31


def test_labels_that_look_like_numbers(place: Run) -> None:
    line = ["finetune", RATINGS, "--from", "./encoder", "-o", "m", *STARS, "--dry-run"]
    done = place(*line)
    assert done.code == 0 and "all of them numbers such as 1.0" not in done.err
    assert "different labels, all of them numbers such as 1.1, are learnt as names" in done.err
    assert "--task regression" in done.err
