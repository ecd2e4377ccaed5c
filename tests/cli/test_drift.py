"""predict --drift: rows beside those the model was measured on."""

import csv
import io
import json
import subprocess
from pathlib import Path

import pytest

from .conftest import PROGRAM, SAMPLES, Run

TRAIN = SAMPLES / "reviews_en.csv"


@pytest.fixture
def watched(nlpcli: Run, tmp_path: Path) -> Path:
    model = tmp_path / "watched"
    done = nlpcli("train-fasttext", TRAIN, "-o", model, "--dev-fraction", "0.4", "-q")
    assert done.code == 0, done.err
    return model


def table(texts: list[str]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows([["text"], *([text] for text in texts)])
    return out.getvalue()


def test_strange_rows_are_answered_and_the_answer_is_no(
    nlpcli: Run, watched: Path, tmp_path: Path
) -> None:
    file = tmp_path / "drift.json"
    strange = table(["qwzx vbnm plok " * 30] * 80)
    wanted = nlpcli("predict", "-m", watched, stdin=strange)
    done = nlpcli("predict", "-m", watched, "--drift", file, stdin=strange)
    assert (done.code, done.out) == (0, wanted.out)
    assert done.err.startswith("warning: drift in 80 rows")
    document = json.loads(file.read_bytes())
    assert document["drifted"] and document["features"]["unknown_words"]["drifted"]
    failed = nlpcli("predict", "-m", watched, "--drift", file, "--fail-on-drift", stdin=strange)
    assert (failed.code, failed.out) == (1, wanted.out)
    assert json.loads(file.read_bytes()) == document


def test_the_rows_it_was_measured_on_are_no_drift(nlpcli: Run, tmp_path: Path) -> None:
    dev, file = SAMPLES / "reviews_en_test.csv", tmp_path / "drift.json"
    assert nlpcli("train-fasttext", TRAIN, "--dev", dev, "-o", tmp_path / "seen", "-q").code == 0
    done = nlpcli("predict", "-m", tmp_path / "seen", dev, "--drift", file, "--fail-on-drift")
    assert (done.code, done.err) == (0, "")
    document = json.loads(file.read_bytes())
    assert document["rows"] == document["reference_rows"] == 80
    assert all(part["psi"] == 0 for part in document["features"].values())


def test_rows_that_are_not_selected_count_too(nlpcli: Run, watched: Path, tmp_path: Path) -> None:
    file, dev = tmp_path / "drift.json", SAMPLES / "reviews_en_test.csv"
    assert nlpcli("predict", "-m", watched, dev, "--drift", file, "-q").code == 0
    every = json.loads(file.read_bytes())
    done = nlpcli("predict", "-m", watched, dev, "--drift", file, "--select", 3, "-q")
    assert done.code == 0 and len(done.out.splitlines()) == 4
    assert json.loads(file.read_bytes()) == every and every["rows"] == 80


def test_what_has_no_reference_says_so(nlpcli: Run, tmp_path: Path) -> None:
    done = nlpcli("predict", "-m", "reviews", "--fail-on-drift", stdin="text\na\n")
    assert (done.code, done.out) == (2, "")
    few = tmp_path / "few.csv"
    few.write_text("text,label\n" + "good film,a\nbad day,b\n" * 4)
    assert nlpcli("train-fasttext", few, "-o", tmp_path / "few", "-q").code == 0
    done = nlpcli(
        "predict", "-m", tmp_path / "few", "--drift", tmp_path / "x.json", stdin="text\na\n"
    )
    assert (done.code, done.out) == (65, "")
    assert "no statistics of the rows" in done.err
    assert not (tmp_path / "x.json").exists()


def test_a_file_that_cannot_be_made_is_told_before_any_work(
    nlpcli: Run, watched: Path, tmp_path: Path
) -> None:
    out, rows = tmp_path / "out.csv", "text\na\n"
    line = ("predict", "-m", watched, "-o", out, "--drift")
    done = nlpcli(*line, tmp_path / "none" / "d.json", stdin=rows)
    assert (done.code, done.out, out.exists()) == (73, "", False)
    file = tmp_path / "drift.json"
    file.write_text("old")
    done = nlpcli(*line, file, stdin="text\n\0\n")
    assert (done.code, out.exists(), file.read_text()) == (65, False, "old")
    if Path("/dev/full").exists():  # a full disk behind stdout is not one behind the other file
        model = f"{PROGRAM} predict -m {watched} --drift {file} {SAMPLES}/new_messages.csv"
        full = subprocess.run(f"{model} > /dev/full", shell=True, capture_output=True, text=True)
        assert (full.returncode, file.read_text()) == (74, "old")
        assert full.stderr == "error: output: No space left on device\n"


@pytest.mark.parametrize(
    "outputs",
    [
        ("predict", "-m", "reviews", "-", "-o", "x", "--drift", "./x"),
        ("predict", "-m", "reviews", "-", "-o", "x", "--rejects", "x"),
        ("doctor", "-", "-o", "x", "--rejects", "link"),
        ("eval", "-m", "reviews", "-", "--report", "x", "--rejects", "x"),
        ("train-fasttext", "-", "-o", "./x", "--rejects", "x"),
    ],
)
def test_two_outputs_are_not_one_file(
    nlpcli: Run, tmp_path: Path, outputs: tuple[str, ...]
) -> None:
    place = tmp_path / "x"
    (tmp_path / "link").symlink_to(place)
    places = {"x": place, "./x": f"{tmp_path}/./x", "link": tmp_path / "link"}
    done = nlpcli(*(places.get(word, word) for word in outputs), stdin="text,label\na,b\n")
    assert (done.code, done.out, done.err.count("\n"), place.exists()) == (2, "", 1, False)
    assert ": the same file as --" in done.err


def test_a_name_of_the_store_is_no_file(fresh: Run) -> None:
    line = ("train-fasttext", TRAIN, "-o", "x", "--rejects", "x", "--epochs", 1, "-q")
    assert fresh(*line).code == 0
    done = fresh("eval", "-m", "x", TRAIN, "--report", "-")
    assert (done.code, done.out) == (2, "")
    assert done.err == "error: --report -: wanted a file, not stdout\n"


def test_a_fine_tuned_encoder_keeps_a_reference_too(
    fresh: Run, encoder: Path, tmp_path: Path
) -> None:
    dev, file, model = SAMPLES / "reviews_en_test.csv", tmp_path / "drift.json", tmp_path / "tuned"
    line = ("finetune", TRAIN, "--dev", dev, "--from", encoder, "--epochs", "1", "-o", model, "-q")
    assert fresh(*line).code == 0
    done = fresh("predict", "-m", model, dev, "--drift", file, "--fail-on-drift")
    assert (done.code, done.err) == (0, "")
    document = json.loads(file.read_bytes())
    assert document["rows"] == document["reference_rows"] == 80
    assert all(part["psi"] == 0 for part in document["features"].values())
