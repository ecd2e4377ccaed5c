"""models export --to word2vec and word2vec-binary: the words of models with embeddings."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from nlpcli.formats.word_vectors import VectorFile, VectorTable
from nlpcli.text.hashing import word_hash

from ..formats.program import needs_program, quantise, run, train
from .conftest import SAMPLES, Run

FORMS = ("word2vec", "word2vec-binary")


def export(run: Run, tmp_path: Path, model: object, to: str) -> VectorTable:
    done = run("models", "export", model, "words", "--to", to, "--force")
    assert (done.code, done.out, done.err) == (0, "words\n", "")
    file = VectorFile(str(tmp_path / "words"))
    assert file.form == to
    return file.read()


@pytest.mark.parametrize("train", ["reviews_en.csv", "messages_zh.csv"])
def test_our_words_come_out_to_the_bit(fresh: Run, tmp_path: Path, train: str) -> None:
    done = fresh("train-fasttext", SAMPLES / train, "-o", "m", "--dim", 5, "-q")
    path = Path(done.out.strip())
    words = json.loads((path / "tokenizer.json").read_text(encoding="utf-8"))["words"]
    arrays = load_file(path / "model.safetensors")
    rows = {int(key): row for key, row in zip(arrays["hashes"], arrays["weight"], strict=True)}
    for form in FORMS:
        found = export(fresh, tmp_path, "m", form)
        assert found.words == words and len(words) > 100
        for word, vector in zip(found.words, found.vectors, strict=True):
            np.testing.assert_array_equal(vector, rows[word_hash(word)])


@pytest.mark.slow
def test_an_export_is_what_training_can_begin_with(fresh: Run, tmp_path: Path) -> None:
    rows = SAMPLES / "reviews_en.csv"
    fresh("train-fasttext", rows, "-o", "m", "--dim", 5, "-q")
    export(fresh, tmp_path, "m", "word2vec-binary")
    done = fresh("train-fasttext", rows, "-o", "n", "--pretrained-vectors", "words")
    assert done.code == 0, done.err
    counts = done.err.split("a word; ")[1].split(" words can be used")[0].split(" of ")
    assert counts[0] == counts[1]


@needs_program
@pytest.mark.parametrize("kind", ["supervised", "subwords", "skipgram", "quantised"])
def test_the_program_has_the_same_vectors(fresh: Run, tmp_path: Path, kind: str) -> None:
    options = ["-minn", 2, "-maxn", 4] if kind != "supervised" else []
    algorithm = "skipgram" if kind == "skipgram" else "supervised"
    if kind == "skipgram":  # diverges at the rate of the classifiers
        options += ["-lr", 0.02]
    file = train(tmp_path, *options, "-wordNgrams", 2, algorithm=algorithm)
    if kind == "quantised":
        file = quantise(tmp_path, "-qnorm", "-cutoff", 600)
    if kind != "skipgram":
        assert fresh("models", "import", file, "m").code == 0
    for form in FORMS:
        found = export(fresh, tmp_path, file, form)
        said = run("print-word-vectors", file, data="\n".join(found.words)).splitlines()
        assert [line.split()[0] for line in said] == found.words
        theirs = np.array([line.split()[1:] for line in said], dtype=np.float32)
        np.testing.assert_allclose(found.vectors, theirs, rtol=2e-4, atol=1e-6)
        if kind != "skipgram":
            again = export(fresh, tmp_path, "m", form)
            np.testing.assert_array_equal(found.vectors, again.vectors)


def test_what_has_no_vectors_says_so(fresh: Run, nlpcli: Run, tmp_path: Path) -> None:
    target = tmp_path / "out.vec"
    done = nlpcli("models", "export", "reviews", target, "--to", "word2vec")
    assert done.code == 2 and "no vectors of words: each has its logits directly" in done.err
    assert done.err.endswith("hint: train-fasttext --dim 100\n") and done.err.count("\n") == 2
    rows = SAMPLES / "reviews_en.csv"
    options = ("--dim", 9, "--model-size", "20K", "-q")
    assert fresh("train-fasttext", rows, "-o", "small", *options).code == 0
    done = fresh("models", "export", "small", target, "--to", "word2vec")
    assert done.code == 2 and "its words were not kept" in done.err
    assert not target.exists()
    target.write_bytes(b"old")
    done = fresh("models", "export", SAMPLES / "reviews_en.bin", target, "--to", "word2vec")
    assert done.code == 73 and target.read_bytes() == b"old"
    assert fresh("models", "export", "none", target, "--to", "word2vec", "--force").code == 66
