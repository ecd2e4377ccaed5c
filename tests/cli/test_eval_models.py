import json
from pathlib import Path

import numpy as np
import pytest

from .conftest import SAMPLES, Run

TEST = SAMPLES / "reviews_en_test.csv"


def test_eval_for_people_and_for_programs(nlpcli: Run) -> None:
    table = nlpcli("eval", "-m", "reviews", TEST)
    assert table.code == 0
    assert table.out.startswith("80 rows")
    assert "macro_f1" in table.out
    document = json.loads(nlpcli("eval", "-m", "reviews", TEST, "--json").out)
    assert document["n"] == 80
    for name in (
        "accuracy", "macro_precision", "macro_recall", "macro_f1", "micro_f1", "weighted_f1",
        "mcc", "log_loss", "ece",
    ):  # fmt: skip
        assert document[name]["low"] <= document[name]["high"], name
    assert np.array(document["confusion"]["matrix"]).sum() == 80
    assert set(document["per_label"]) == {"billing", "delivery", "quality", "support"}


def test_eval_agrees_with_predict_and_scikit_learn(nlpcli: Run) -> None:
    import csv
    import io

    from sklearn.metrics import accuracy_score, f1_score

    rows = list(
        csv.DictReader(io.StringIO(nlpcli("predict", "-m", "reviews", TEST).out, newline=""))
    )
    true, predicted = [r["label"] for r in rows], [r["predicted_label"] for r in rows]
    document = json.loads(nlpcli("eval", "-m", "reviews", TEST, "--json").out)
    assert document["accuracy"]["value"] == pytest.approx(accuracy_score(true, predicted), abs=1e-9)
    macro = f1_score(true, predicted, average="macro")
    assert document["macro_f1"]["value"] == pytest.approx(macro, abs=1e-9)


def test_multi_label_eval(nlpcli: Run) -> None:
    document = json.loads(
        nlpcli(
            "eval", "-m", "tags", SAMPLES / "tags_en.csv", "--label-column", "labels", "--json"
        ).out
    )
    for name in ("micro_f1", "macro_f1", "subset_accuracy", "precision_at_1", "recall_at_3"):
        assert 0 <= document[name]["value"] <= 1, name


def test_gates_and_unknown_labels(nlpcli: Run, tmp_path: Path) -> None:
    assert nlpcli("eval", "-m", "reviews", TEST, "--fail-under", "accuracy=0.1").code == 0
    done = nlpcli("eval", "-m", "reviews", TEST, "--fail-under", "accuracy=1.1")
    assert done.code == 1
    assert "wanted at least 1.1" in done.err
    done = nlpcli("eval", "-m", "reviews", TEST, "--fail-under", "acuracy=1")
    assert (done.code, "did you mean accuracy?" in done.err) == (2, True)
    assert nlpcli("eval", "-m", "reviews", TEST, "--fail-under", "much").code == 2
    path = tmp_path / "x.csv"
    path.write_text("text,label\nrefund me,billing\nwhat,new one\n")
    done = nlpcli("eval", "-m", "reviews", path, "--json")
    assert done.code == 0
    assert "labels the model does not know: new one" in done.err
    document = json.loads(done.out)
    assert document["unknown_labels"] == ["new one"]
    assert document["log_loss"] == {"value": None, "low": None, "high": None}
    path.write_text("text,label\n")
    assert nlpcli("eval", "-m", "reviews", path).code == 65


def test_labels_cannot_write_to_the_terminal(nlpcli: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text('text,label\nrefund me,billing\nwhat,"a\nb"\nwhy,c\x1b[31m\n')
    done = nlpcli("eval", "-m", "reviews", path)  # which looks for escape codes itself
    assert done.code == 0
    assert "labels the model does not know: a\\nb, c\\x1b[31m\n" in done.err
    labels = [line.split()[0] for line in done.out.splitlines()[-3:]]
    assert labels == ["a\\nb", "billing", "c\\x1b[31m"]


def test_models(nlpcli: Run, fresh: Run) -> None:
    listing = nlpcli("models", "list")
    assert "reviews@1" in listing.out
    assert {e["name"] for e in json.loads(nlpcli("models", "list", "--json").out)} == {
        "reviews",
        "tags",
    }
    assert "labels: billing, delivery" in nlpcli("models", "show", "reviews").out
    assert json.loads(nlpcli("models", "show", "tags", "--json").out)["config"]["one_vs_all"]
    assert nlpcli("models", "verify").out.count(": ok") == 2
    assert nlpcli("models", "show", "nothing").code == 66
    assert fresh("models", "list").code == 0


def test_prune_and_verify_find_damage(fresh: Run, tmp_path: Path) -> None:
    for _ in range(3):
        fresh("train-fasttext", SAMPLES / "reviews_en.csv", "-o", "m", "-q", "--epochs", 1)
    store = tmp_path / "store" / "m"
    assert fresh("models", "prune", "m", "--keep", 2).out == f"{store}/1\n"
    (store / "3" / "tokenizer.json").write_text("{}")
    done = fresh("models", "verify")
    assert done.code == 65
    assert f"{store}/3: broken" in done.out
    done = fresh("predict", "-m", "m", stdin="text\nhi\n")
    assert done.code == 0
    assert "warning: m@3 is skipped" in done.err


def test_help_and_version(nlpcli: Run) -> None:
    done = nlpcli("--version")
    assert done.out.splitlines()[0].startswith("nlpcli ")
    for command in ([], ["train-fasttext"], ["predict"], ["eval"], ["models"], ["models", "list"]):
        long, short = nlpcli(*command, "--help"), nlpcli(*command, "-h")
        assert (long.code, long.err, long.out) == (0, "", short.out)
        assert "Usage:" in long.out
        assert max(map(len, long.out.splitlines())) <= 80
    for variable in ("GITHUB_ACTIONS", "FORCE_COLOR", "PY_COLORS"):
        assert nlpcli("--help", **{variable: "1"}).code == 0


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["predcit"], "predict"),
        (["predict", "--modle", "x"], "--model"),
        (["--verison"], "--version"),
        ([], ""),
    ],
)
def test_usage_errors(nlpcli: Run, arguments: list[str], hint: str) -> None:
    done = nlpcli(*arguments)
    assert (done.code, done.out) == (2, "")
    assert hint in done.err
