"""train-fasttext --pretrained-vectors: words begin at another program's vectors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from nlpcli.text.hashing import word_hash

from ..formats.program import needs_program, run
from .conftest import SAMPLES, Run

TRAIN = SAMPLES / "reviews_en.csv"
DIM = 6
# two of them in the training texts, one of these in two spellings; one no text can hold as a word
WORDS = ["the", "Late", "late", "zebra", "new_york", "Okapi"]


@pytest.fixture
def vectors(tmp_path: Path) -> Path:
    """A .vec file whose word number i has the vector i + 0.1, i + 0.2, …"""
    rows = (" ".join([word, *(f"{i}.{j + 1}" for j in range(DIM))]) for i, word in enumerate(WORDS))
    path = tmp_path / "words.vec"
    path.write_text("\n".join([f"{len(WORDS)} {DIM}", *rows, ""]), encoding="utf-8")
    return path


def vector(number: int) -> np.ndarray:
    return np.array([float(f"{number}.{j + 1}") for j in range(DIM)], dtype=np.float32)


def train(run: Run, vectors: Path, *options: object) -> dict:
    done = run(
        "train-fasttext", TRAIN, "-o", "m", "--pretrained-vectors", vectors, "--json", "-q",
        *options,
    )  # fmt: skip
    assert (done.code, done.err) == (0, ""), done
    return json.loads(done.out)


def row(path: str, word: str) -> np.ndarray | None:
    """The embedding of a word in a model of ours."""
    arrays = load_file(f"{path}/model.safetensors")
    at = np.flatnonzero(arrays["hashes"] == np.uint64(word_hash(word)))
    return arrays["weight"][at[0]] if len(at) else None


@pytest.mark.parametrize(
    "loss",
    [
        "auto", "hs",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("softmax", "one-vs-all", "ns", "adaptive")
        ),
    ],
)  # fmt: skip
def test_words_without_a_text_keep_their_vectors(fresh: Run, vectors: Path, loss: str) -> None:
    path = train(fresh, vectors, "--loss", loss)["path"]
    manifest = json.loads(Path(path, "manifest.json").read_text(encoding="utf-8"))
    assert manifest["config"]["dim"] == DIM
    assert manifest["config"]["loss"] == ("softmax" if loss == "auto" else loss)
    words = json.loads(Path(path, "tokenizer.json").read_text(encoding="utf-8"))["words"]
    assert words[:4] == ["the", "late", "zebra", "okapi"]
    np.testing.assert_array_equal(row(path, "zebra"), vector(3))
    np.testing.assert_array_equal(row(path, "okapi"), vector(5))
    assert row(path, "york") is None
    # in cleaning Late and late become one word, which begins where the first of them is
    late = row(path, "late")
    assert late is not None
    assert np.linalg.norm(late - vector(1)) < np.linalg.norm(late - vector(2))
    assert fresh("predict", "-m", "m", stdin="text\nzebra\nokapi okapi\n").code == 0


def test_keeping_case_tells_the_spellings_apart(fresh: Run, vectors: Path) -> None:
    path = train(fresh, vectors, "--keep-case")["path"]
    np.testing.assert_array_equal(row(path, "Okapi"), vector(5))
    assert row(path, "okapi") is None


def test_several_labels_and_a_limited_size(fresh: Run, vectors: Path) -> None:
    done = fresh(
        "train-fasttext", SAMPLES / "tags_en.csv", "-o", "t", "--label-column", "labels",
        "--label-separator", ";", "--pretrained-vectors", vectors, "--model-size", "20K",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "word2vec's text format, 6 numbers a word; 4 of 6 words can be used" in done.err


@needs_program
def test_the_program_finds_the_vectors_in_an_export(
    fresh: Run, vectors: Path, tmp_path: Path
) -> None:
    options = ["--fasttext-compatible", "--buckets", "1000", "--min-count", "5"]
    train(fresh, vectors, *options)
    assert fresh("models", "export", "m", "m.bin", "--to", "fasttext").code == 0
    said = run("print-word-vectors", tmp_path / "m.bin", data="zebra\nnew_york\nOkapi\nnone\n")
    rows = {line.split()[0]: np.array(line.split()[1:], dtype=float) for line in said.splitlines()}
    for word in ("zebra", "new_york", "Okapi"):
        np.testing.assert_allclose(rows[word], vector(WORDS.index(word)), rtol=1e-4)
    assert not rows["none"].any()
    done = fresh("predict", "-m", "m", "--only", "--probabilities", stdin="text\nzebra late\n")
    theirs = run("predict-prob", tmp_path / "m.bin", "-", data="zebra late\n").split()
    assert done.out.splitlines()[1].split(",")[0] == theirs[0].removeprefix("__label__")


@pytest.mark.slow
def test_the_content_of_the_file_belongs_to_the_record(
    fresh: Run, vectors: Path, tmp_path: Path
) -> None:
    options = ("--if-changed", "--threads", "1")
    first = train(fresh, vectors, *options)
    assert train(fresh, vectors, *options)["unchanged"] is True
    vectors.rename(tmp_path / "other.vec")
    assert train(fresh, tmp_path / "other.vec", *options)["unchanged"] is True
    text = (tmp_path / "other.vec").read_text(encoding="utf-8")
    vectors.write_text(text.replace("5.1", "5.15"), encoding="utf-8")
    again = train(fresh, vectors, *options)
    assert again["path"] != first["path"]
    digest = json.loads(Path(again["path"], "manifest.json").read_text(encoding="utf-8"))
    assert len(digest["config"]["run"]["pretrained_vectors"]) == 64


@pytest.mark.slow
def test_the_same_bytes_every_time(fresh: Run, vectors: Path) -> None:
    options = ("--threads", "1", "--dev-fraction", "0.2")
    paths = [Path(train(fresh, vectors, *options)["path"]) for _ in range(2)]
    one, other = (path.joinpath("model.safetensors").read_bytes() for path in paths)
    assert one == other


@pytest.mark.slow
def test_a_dry_run_counts_the_words(fresh: Run, vectors: Path) -> None:
    common = ("train-fasttext", TRAIN, "-o", "m", "--dry-run", "--json", "-q")
    plain = json.loads(fresh(*common, "--dim", DIM).out)
    plan = json.loads(fresh(*common, "--pretrained-vectors", vectors).out)
    assert plan["features"] == plain["features"] + 2


def test_what_does_not_go_together(fresh: Run, vectors: Path, tmp_path: Path) -> None:
    def refused(*options: object) -> tuple[int, str]:
        done = fresh(
            "train-fasttext", TRAIN, "-o", "m", "--pretrained-vectors", vectors, *options
        )  # fmt: skip
        assert done.err.count("\n") <= 2
        return done.code, done.err

    code, said = refused("--dim", 7)
    assert code == 2 and "--dim 7: the vectors of" in said and "have 6 numbers" in said
    for options in (("--dim", 0), ("--dim", 7, "--fasttext-compatible")):
        assert refused(*options)[0] == 2
    assert refused("--dim", 6)[0] == 0
    code, said = refused("--continue-from", "m")
    assert code == 2 and "--continue-from" in said
    code, said = refused("--loss", "squared-hinge")
    assert code == 2 and "has no embeddings" in said
    vectors.write_text("9 6\nthe 1 2\n", encoding="utf-8")
    code, said = refused()
    assert code == 65 and "line 1: 9 words of 6 numbers" in said
    vectors.write_text("2 1\n, 1\nnew-york 2\n", encoding="utf-8")
    code, said = refused("--strip-punctuation")
    assert code == 65 and "none of its 2 words can stand in a text" in said
    vectors.unlink()
    assert refused()[0] == 66


@pytest.mark.slow
def test_glove_is_detected_and_said(fresh: Run, vectors: Path) -> None:
    vectors.write_text("zebra 1 2\nthe 3 4\n", encoding="utf-8")
    done = fresh("train-fasttext", TRAIN, "-o", "m", "--pretrained-vectors", vectors)
    assert done.code == 0
    assert "GloVe's text format, without a header, 2 numbers a word; 2 of 2" in done.err


@pytest.mark.slow
def test_vectors_from_stdin(fresh: Run, vectors: Path) -> None:
    done = fresh(
        "train-fasttext", TRAIN, "-o", "m", "--pretrained-vectors", "-",
        stdin=vectors.read_bytes(),
    )  # fmt: skip
    assert done.code == 0, done.err
    rows = TRAIN.read_bytes()
    both = fresh("train-fasttext", "-", "-o", "m", "--pretrained-vectors", "-", stdin=rows)
    assert both.code == 2


@pytest.mark.slow
def test_a_search_leaves_the_width_and_the_matching_of_words(fresh: Run, vectors: Path) -> None:
    done = fresh(
        "train-fasttext", TRAIN, "-o", "m", "--pretrained-vectors", vectors, "--autotune",
        "--minutes", "0.05", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert not {"--dim", "--keep-case"} & set(found["autotune"]["options"])
    np.testing.assert_array_equal(row(found["path"], "zebra"), vector(3))
