"""eval --calibrate, --conformal and --out-of-scope, predict --label-set."""

import csv
import io
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nlpcli.commands.eval_tables import calibrated_table, worse_after
from nlpcli.commands.label_sets import label_set_from
from nlpcli.errors import DataError, UsageError
from nlpcli.store.reference import read_reference
from nlpcli.store.store import Store

from .conftest import SAMPLES, Run, run_program

TEST, NEW = SAMPLES / "reviews_en_test.csv", SAMPLES / "new_messages.csv"
VECTORS = SAMPLES / "words_en.vec"


@pytest.fixture
def copied(models: Path, tmp_path: Path) -> Run:
    """Runs the program over a store of its own with the trained models."""
    shutil.copytree(models, tmp_path / "store")
    return lambda *arguments, **more: run_program(tmp_path / "store", *arguments, **more)


def answers(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("method", ["temperature", "isotonic"])
def test_a_new_version_with_the_same_labels(copied: Run, tmp_path: Path, method: str) -> None:
    before = answers(copied("predict", "-m", "reviews", TEST).out)
    done = copied("eval", "-m", "reviews", TEST, "--calibrate", method, "--json", "-q")
    assert (done.code, done.err) == (0, "")
    document = json.loads(done.out)
    assert document["path"] == f"{tmp_path}/store/reviews/2"
    assert (document["n"], document["method"], document["folds"]) == (80, method, 5)
    for part in ("before", "after"):
        assert set(document[part]) == {"ece", "ece_adaptive", "log_loss", "brier"}
    after = answers(copied("predict", "-m", "reviews", TEST, "--label-set", 0.9).out)
    assert [r["predicted_label"] for r in after] == [r["predicted_label"] for r in before]
    assert [r["predicted_probability"] for r in after] != [
        r["predicted_probability"] for r in before
    ]
    held = [row["label"] in row["predicted_set"].split(";") for row in after]
    assert 0.85 <= sum(held) / len(held) <= 1
    measured = json.loads(
        copied("eval", "-m", "reviews", TEST, "--conformal", 0.9, "--json", "--resamples", 10).out
    )
    assert measured["conformal_coverage"]["value"] == pytest.approx(sum(held) / len(held))
    sizes = [len(row["predicted_set"].split(";")) if row["predicted_set"] else 0 for row in after]
    assert measured["conformal"]["mean_set_size"] == pytest.approx(sum(sizes) / len(sizes))
    assert measured["conformal"]["rows"] == 80
    # drift is told from the probabilities of now
    calm = copied("predict", "-m", "reviews", TEST, "--drift", tmp_path / "d.json")
    assert (calm.code, calm.err) == (0, "")


def test_no_set_of_labels_that_could_not_be_told_apart() -> None:
    model: Any = SimpleNamespace(labels=["a", "b;c"], multi_label=False)
    with pytest.raises(UsageError, match=r"--label-set 0.9: the label b;c holds ;, which joins"):
        label_set_from(model, {"label_set": 0.9, "cascade": None})


def test_models_that_cannot_be_calibrated_are_told_as_such(tmp_path: Path) -> None:
    model: Any = SimpleNamespace(labels=["a", "b"], multi_label=False)
    store = Store(tmp_path / "store")
    for name, kind in (("lm", "ngram-lm"), ("tasks", "bert-multitask"), ("file", "fasttext-file")):
        with store.begin(name) as draft:
            draft.write("weights", b"")
            draft.publish(
                kind=kind, created_by="test", config={}, labels=["a", "b"], data={}, seed=1,
                metrics={},
            )  # fmt: skip
        options = {"label_set": 0.9, "cascade": None, "model": name, "store": tmp_path / "store"}
        with pytest.raises(UsageError, match=f"{name} has no place for .* wanted a classifier of"):
            label_set_from(model, options)
        with pytest.raises(DataError, match=f"kind {kind} keeps no statistics of rows, wanted a"):
            read_reference(store.open(name)[0])
    with pytest.raises(UsageError, match="has no place for scores"):
        label_set_from(model, {**options, "model": str(VECTORS)})


def test_into_another_place(nlpcli: Run, models: Path, tmp_path: Path) -> None:
    place = tmp_path / "calibrated"
    asked = ("--calibrate", "temperature", "-o", place)
    done = nlpcli("eval", "-m", models / "reviews" / "1", TEST, *asked)
    assert done.code == 0 and done.err.endswith("calibrating on these 80 rows brought nothing\n")
    assert done.out.startswith("temperature fitted to 80 rows")
    assert done.out.endswith(f"saved as {place}\n")
    assert [path.name for path in (models / "reviews").iterdir() if path.is_dir()] == ["1"]
    assert nlpcli("predict", "-m", place, NEW).code == 0
    assert nlpcli("eval", "-m", "reviews", TEST, *asked).code == 73


def test_labels_that_the_model_does_not_know(nlpcli: Run, tmp_path: Path) -> None:
    test = tmp_path / "test.csv"
    test.write_text(TEST.read_text().replace(",billing\n", ",pizza\n"))
    asked = ("--calibrate", "isotonic", "-o", tmp_path / "new", "--resamples", 10)
    done = nlpcli("eval", "-m", "reviews", test, *asked)
    assert done.code == 0 and done.err.startswith(
        "warning: 1 labels the model does not know: pizza; every answer to 20 of 80 rows is wrong\n"
    )
    assert "\nlog_loss      undefined undefined\n" in done.out


def test_too_few_rows_to_tell_drift_from(nlpcli: Run, tmp_path: Path) -> None:
    few = "".join(TEST.read_text().splitlines(keepends=True)[:41])
    new, asked = tmp_path / "new", ("--calibrate", "temperature", "--resamples", 10)
    done = nlpcli("eval", "-m", "reviews", "-", *asked, "-o", new, stdin=few)
    said = "warning: predict --drift will have nothing to go by: 40 rows, wanted 50 or more\n"
    assert done.code == 0 and said in done.err
    again = nlpcli("eval", "-m", new, "-", *asked, "-o", tmp_path / "newer", stdin=few)
    assert again.code == 0 and said not in again.err
    done = nlpcli("predict", "-m", new, NEW, "--drift", tmp_path / "d.json")
    assert done.code == 65 and "hint: train it again with 50 dev rows or more" in done.err


def measured(log_loss: float | None, brier: float) -> dict[str, Any]:
    values = {"log_loss": log_loss, "brier": brier}
    return {name: {"value": v, "low": None, "high": None} for name, v in values.items()}


def test_it_says_so_where_nothing_was_gained() -> None:
    document = {"n": 80, "method": "isotonic", "folds": 5, "path": "p", "before": measured(0.4, 9)}
    assert worse_after({**document, "after": measured(0.4, 10)}) == []
    assert worse_after({**document, "after": measured(0.5, 1)}) == [
        "log_loss 0.5000 on rows that a fit has not seen, 0.4000 before: calibrating on these 80 "
        "rows brought nothing"
    ]
    document |= {"before": measured(None, 0.2), "after": measured(None, 0.3)}
    assert worse_after(document)[0].startswith("brier 0.3000")
    assert "\nlog_loss      undefined undefined\n" in calibrated_table(document)


def test_decisions(nlpcli: Run, tmp_path: Path) -> None:
    asked = ("--conformal", 0.8, "--calibration-file", TEST, "--out-of-scope", NEW)
    done = nlpcli("eval", "-m", "reviews", TEST, *asked, "--json", "--resamples", 10)
    assert (done.code, done.err) == (0, "")
    document = json.loads(done.out)
    assert document["conformal_coverage"]["value"] == pytest.approx(65 / 80)  # ceil(81 * 0.8)
    assert set(document["conformal"]["per_label"]) == set(document["per_label"])
    curve = document["risk_coverage"]
    assert curve[-1]["coverage"] == 1
    assert curve[-1]["risk"] == pytest.approx(1 - document["accuracy"]["value"])
    assert 0 <= document["aurc"]["value"] <= curve[-1]["risk"]
    assert document["out_of_scope"]["rows"] == len(answers(NEW.read_text()))
    table = nlpcli("eval", "-m", "reviews", TEST, *asked, "--fail-under", "conformal_coverage=0.99")
    assert table.code == 1
    for text in ("label sets for 80.0% of the rows", "AUROC", "--abstain-below", "\naurc "):
        assert text in table.out


def test_a_threshold_finds_a_share_of_several_labels(nlpcli: Run) -> None:
    tags = SAMPLES / "tags_en.csv"
    line = ("-m", "tags", tags, "--label-column", "labels")
    asked = ("--conformal", 0.8, "--calibration-file", tags, "--resamples", 50)
    document = json.loads(nlpcli("eval", *line, *asked, "--json").out)
    threshold = document["conformal"]["from_probability"]
    assert 0 < threshold < 1 and document["conformal_coverage"]["value"] >= 0.8
    for limit, enough in ((threshold, True), (threshold + 5e-4, False)):
        rows = nlpcli("predict", *line[:3], "--threshold", limit).out
        found = []
        for row in csv.DictReader(io.StringIO(rows)):
            true = set(filter(None, row["labels"].split(";")))
            hits = true & set(filter(None, row["predicted_labels"].split(";")))
            found.append(len(hits) / len(true) if true else 1.0)
        # of n rows the promise allows a little less to be missed
        assert (sum(1 - f for f in found) + 1 <= 0.2 * (len(found) + 1)) == enough
        if enough:
            assert sum(found) / len(found) == pytest.approx(document["conformal_coverage"]["value"])
    table = nlpcli("eval", *line, *asked).out
    assert f"--threshold {threshold:g} for 80.0% of a row's labels, by {len(found)}" in table
    done = nlpcli("eval", *line, *asked[:1], 0.999, *asked[2:])
    assert done.code == 65 and "wanted 999 or more" in done.err


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["-m", "reviews", "--calibration-file", TEST], 2, "only with --conformal"),
        (["-m", "reviews", "-o", "x"], 2, "--output x: only with --calibrate"),
        (["-m", "reviews", "--conformal", 0.9], 2, "kept no scores of labelled rows"),
        (["-m", "reviews", "--conformal", 0.99, "--calibration-file", TEST], 65, "wanted 99"),
        (["-m", "reviews", "--calibrate", "temperature", "--slices"], 2, "not with --calibrate"),
        (["-m", "reviews", "-m", "tags", "--calibrate", "isotonic"], 2, "wanted one model"),
        (["-m", "./store/reviews/1", "--calibrate", "isotonic"], 2, "hint: --output NEW"),
        (["-m", VECTORS, "--calibrate", "isotonic", "-o", "x"], 2, "no place for a calibration"),
        (["-m", "tags", "--label-column", "label", "--conformal", 0.9], 2, "--calibration-file"),
        (["-m", "tags", "--label-column", "label", "--out-of-scope", NEW], 2, "any number of"),
        (["-m", VECTORS, "--out-of-scope", NEW], 2, "is word vectors"),
    ],
)
def test_what_cannot_be(nlpcli: Run, options: list[object], code: int, said: str) -> None:
    done = nlpcli("eval", TEST, *options, "--resamples", 10)
    assert (done.code, done.out) == (code, "")
    assert said in done.err


def test_sets_need_a_calibration(nlpcli: Run) -> None:
    done = nlpcli("predict", "-m", "reviews", NEW, "--label-set", 0.9)
    assert (done.code, done.out) == (2, "")
    assert "hint: eval -m MODEL DEV --calibrate temperature" in done.err
