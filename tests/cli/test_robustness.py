import csv
import json
from pathlib import Path

import pytest

from .conftest import SAMPLES, Run, run_program

TEST = SAMPLES / "reviews_en_test.csv"
VECTORS = SAMPLES / "words_en.vec"
ASKED = ("--robustness", "--strengths", "0.4,0.1", "--attack-rows", 10, "--resamples", 50)


def test_for_programs_and_for_people(nlpcli: Run) -> None:
    plain = json.loads(nlpcli("eval", "-m", "reviews", TEST, "--json", "--resamples", 50).out)
    done = nlpcli("eval", "-m", "reviews", TEST, *ASKED, "--json")
    document = json.loads(done.out)
    assert {name: document[name] for name in plain} == plain
    points = document["robustness"]["typos"]
    assert [point["strength"] for point in points] == [0, 0.1, 0.4]
    assert points[0]["accuracy"] == plain["accuracy"]
    assert points[2]["flipped"]["value"] > 0
    assert set(document["robustness_run"]["without_effect"]) == {"same-sound", "same-shape"}
    assert document["attack"]["rows"] == 10
    assert nlpcli("eval", "-m", "reviews", TEST, *ASKED, "--json").out == done.out
    table = nlpcli("eval", "-m", "reviews", TEST, *ASKED, "--fail-under", "attack_accuracy=1.1")
    assert table.code == 1 and "attack_accuracy" in table.err
    for text in ("typos  ", "perturbed_accuracy", "attack on 10 rows", "under attack"):
        assert text in table.out
    chosen = ("--perturbations", "order, case", "--attack-rows", 0)
    document = json.loads(nlpcli("eval", "-m", "reviews", TEST, *ASKED, *chosen, "--json").out)
    assert list(document["robustness"]) == ["case", "order"]
    assert "attack" not in document


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_rows_to_train_on(nlpcli: Run, models: Path, tmp_path: Path) -> None:
    hard = tmp_path / "hard.csv"
    tags = ("-m", "tags", SAMPLES / "tags_en.csv", "--label-column", "labels")
    done = nlpcli("eval", *tags, *ASKED, "--write-adversarial", hard, "-v")
    assert done.code == 0
    rows = read(hard)
    assert list(rows[0]) == ["text", "labels", "original", "kind"]
    assert f"{hard}: {len(rows):,} changed texts that go wrong" in done.err
    known = {row["text"]: row["labels"] for row in read(SAMPLES / "tags_en.csv")}
    for row in rows:
        assert set(row["labels"].split(";")) == set(known[row["original"]].split(";"))
    learnt = run_program(
        tmp_path / "store", "train-fasttext", hard, "-o", "more", "--label-column", "labels",
        "--label-separator", ";", "--epochs", 1, "-q",
    )  # fmt: skip
    assert (learnt.code, learnt.err) == (0, "")


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--robustness", "--strengths", "0.1,2"], 2, "--strengths 2: wanted shares of the words"),
        (["--robustness", "--strengths", "a"], 2, "--strengths a: wanted shares of the words"),
        (["--robustness", "--perturbations", "typo"], 2, "hint: --perturbations typos"),
        (["--attack-rows", 5], 2, "--attack-rows 5: only with --robustness"),
        (["--write-adversarial", "x.csv"], 2, "--write-adversarial x.csv: only with --robustness"),
        (["--robustness", "--write-adversarial", "none/x.csv"], 73, "none/x.csv: No such file"),
        (["--robustness", "--write-adversarial", TEST], 2, "the same file as TEST"),
    ],
)
def test_what_cannot_be(nlpcli: Run, options: list[object], code: int, said: str) -> None:
    before = TEST.read_bytes()
    done = nlpcli("eval", "-m", "reviews", TEST, *options)
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert TEST.read_bytes() == before


def test_only_of_classifiers(nlpcli: Run) -> None:
    done = nlpcli("eval", "-m", VECTORS, SAMPLES / "word_pairs_en.tsv", "--robustness")
    assert (done.code, done.out) == (2, "")
    assert done.err == f"error: --robustness: {VECTORS} is word vectors, wanted a classifier\n"
