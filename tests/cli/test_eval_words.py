"""eval of word vectors: the installed program."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from .conftest import SAMPLES, Run

VECTORS, PAIRS = SAMPLES / "words_en.vec", SAMPLES / "word_pairs_en.tsv"
ANALOGIES = SAMPLES / "analogies_en.txt"
INTERVAL = {"value", "low", "high"}


def test_pairs(fresh: Run) -> None:
    done = fresh("eval", "-m", VECTORS, PAIRS, "--json")
    assert (done.code, done.err) == (0, "")
    document = json.loads(done.out)
    assert (document["task"], document["n"], document["pairs"]) == ("similarity", 31, 32)
    assert document["unknown_words"] == ["broken"]
    assert set(document["spearman"]) == set(document["pearson"]) == INTERVAL
    assert fresh("eval", "-m", VECTORS, "-", "--json", stdin=PAIRS.read_bytes()) == done
    limited = json.loads(fresh("eval", "-m", VECTORS, PAIRS, "--json", "--vocab-limit", 1).out)
    assert (limited["n"], limited["out_of_vocabulary"]) == (0, 32)
    assert limited["spearman"] == dict.fromkeys(INTERVAL)
    table = fresh("eval", "-m", VECTORS, PAIRS).out
    assert table.startswith("31 of 32 pairs, 1 with words out of vocabulary (236 words)")
    assert f"spearman         {document['spearman']['value']:7.4f}" in table


def test_analogies(fresh: Run) -> None:
    document = json.loads(fresh("eval", "-m", VECTORS, ANALOGIES, "--json").out)
    assert (document["task"], document["n"], document["questions"]) == ("analogies", 50, 50)
    assert list(document["per_section"]) == ["plural", "gram-past"]
    assert set(document["per_section"]["plural"]["accuracy"]) == INTERVAL
    table = fresh("eval", "-m", VECTORS, ANALOGIES).out
    assert "\nsection    accuracy  correct        n  out of vocabulary\nplural " in table
    done = fresh("eval", "-m", VECTORS, ANALOGIES, "--fail-under", "accuracy=0.9", "-q")
    assert done.code == 1 and "accuracy is" in done.err
    done = fresh("eval", "-m", VECTORS, ANALOGIES, "--fail-under", "acuracy=0.9")
    assert done.code == 2 and done.err.endswith("hint: did you mean accuracy?\n")


def test_vectors_are_compared_on_what_all_know(fresh: Run, tmp_path: Path) -> None:
    head, *lines = VECTORS.read_text().splitlines()
    cells = [line.split(" ", 1) for line in lines]
    moved = [f"{word} {cells[i - 1][1]}" for i, (word, _) in enumerate(cells)]
    poor = tmp_path / "poor.vec"
    kept = [line for line in moved if not line.startswith("refund ")]
    poor.write_text("\n".join([f"{len(kept)} {head.split()[1]}", *kept]) + "\n")
    documents = []
    for file in (PAIRS, ANALOGIES):
        done = fresh("eval", "-m", VECTORS, "-m", poor, file, "--json")
        assert (done.code, done.err) == (0, "")
        documents.append(json.loads(done.out))
        [pair], models = documents[-1]["comparisons"], documents[-1]["models"]
        assert {pair["n"]} == {model["n"] for model in models}  # metrics too are of these rows
        first, second = (model[pair["metric"]]["value"] for model in models)
        assert pair["difference"][pair["metric"]]["value"] == pytest.approx(second - first)
    pairs, analogies = (document["comparisons"][0] for document in documents)
    assert (pairs["metric"], pairs["right_or_wrong"]) == ("spearman", False)
    assert pairs["difference"]["spearman"]["low"] < pairs["difference"]["spearman"]["high"]
    assert (analogies["metric"], analogies["n"]) == ("accuracy", 50)
    right = [model["accuracy"]["value"] for model in documents[1]["models"]]
    gap = analogies["difference"]["accuracy"]["value"]
    assert gap == pytest.approx(right[1] - right[0]) and gap != 0
    assert "spearman " in fresh("eval", "-m", VECTORS, "-m", poor, PAIRS).out
    poor.write_text("1 2\nxyzzy 0.5 1\n")
    done = fresh("eval", "-m", VECTORS, "-m", poor, PAIRS)
    assert done.code == 65 and "no row whose words all of them know" in done.err


def test_what_one_knows_more_of_does_not_count(fresh: Run, tmp_path: Path) -> None:
    """The second has the order of all common pairs, and a wild one of the others."""
    angles = {f"a{i}": 0.0 for i in range(9)} | {f"b{i}": 0.1 * (i + 1) for i in range(9)}
    others = {"x": 1.5, "y": 0.01, "z": 1.4}

    def written(name: str, held: dict[str, float]) -> Path:
        lines = [f"{word} {math.cos(a):.6f} {math.sin(a):.6f}" for word, a in held.items()]
        (tmp_path / name).write_text("\n".join([f"{len(lines)} 2", *lines]) + "\n")
        return tmp_path / name

    few = written("few.vec", {**angles, "b2": 0.45})
    more = written("more.vec", {**angles, **others})
    pairs = [f"a{i}\tb{i}\t{9 - i}" for i in range(9)]
    pairs += ["x\ty\t10", "y\tz\t9.5", "x\tz\t0"]
    (tmp_path / "pairs.tsv").write_text("\n".join(pairs) + "\n")
    done = fresh("eval", "-m", few, "-m", more, tmp_path / "pairs.tsv", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["best"] == str(more) and found["n"] == 9
    assert found["models"][1]["spearman"]["value"] == pytest.approx(1.0)
    assert (found["comparisons"][0]["only_first"], found["comparisons"][0]["only_second"]) == (0, 2)


def test_bad_files_and_options(fresh: Run, nlpcli: Run, tmp_path: Path) -> None:
    file = tmp_path / "pairs.tsv"
    file.write_text("late\tslow\t3\nlate\trefund\n")
    done = fresh("eval", "-m", VECTORS, file)
    assert (done.code, done.out) == (65, "")
    assert done.err == (
        f"error: {file} line 2: 2 columns, wanted two words and a score\n"
        "hint: --on-error skip drops such rows\n"
    )
    done = fresh("eval", "-m", VECTORS, file, "--on-error", "skip", "--rejects", "bad.csv")
    assert (done.code, done.err) == (0, "warning: 1 bad rows skipped\n")
    assert (tmp_path / "bad.csv").read_text().splitlines()[1].startswith("2,")
    assert fresh("eval", "-m", VECTORS, tmp_path / "none").code == 66
    done = fresh("eval", "-m", VECTORS, file, "--threshold", 0.5)
    assert (done.code, done.out) == (2, "") and "words_en.vec is word vectors" in done.err
    done = nlpcli("eval", "-m", "reviews", SAMPLES / "reviews_en_test.csv", "--vocab-limit", 9)
    assert (done.code, done.err) == (2, "error: --vocab-limit 9: reviews is a classifier, wanted "
                                     "word vectors\n")  # fmt: skip
