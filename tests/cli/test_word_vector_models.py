"""Word vectors in the store: imported, exported, trained from; bad files refused in one line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from nlpcli.errors import DataError
from nlpcli.formats.word_vectors import VectorFile, VectorTable
from nlpcli.models.word_vectors import WordVectors
from nlpcli.runs.exchanging import import_file
from nlpcli.store.folder import ModelFolder
from nlpcli.store.store import Store
from nlpcli.store.word_vectors import read_word_vectors

from ..formats.written import Spec, features
from .conftest import SAMPLES, Run

VECTORS = SAMPLES / "words_en.vec"
TRAIN = SAMPLES / "reviews_en.csv"
EACH = pytest.mark.parametrize(
    "form",
    ["word2vec-binary", *(pytest.param(n, marks=pytest.mark.slow) for n in ("word2vec", "glove"))],
)


def stored(run: Run, file: Path, name: str = "words") -> WordVectors:
    done = run("models", "import", file, name)
    assert (done.code, done.err) == (0, "")
    folder = ModelFolder(Path(done.out.strip()))
    folder.verify()
    return read_word_vectors(folder)


def sample() -> VectorTable:
    return VectorFile(str(VECTORS)).read()


@EACH
def test_in_and_out_and_in_again(fresh: Run, tmp_path: Path, form: str) -> None:
    known = sample()
    first = stored(fresh, VECTORS)
    done = fresh("models", "export", "words", "out", "--to", form)
    assert (done.code, done.out, done.err) == (0, "out\n", "")
    again = stored(fresh, tmp_path / "out", "again")
    for found in (first, again):
        assert found.words == known.words
        np.testing.assert_array_equal(found.vectors, known.vectors)
    done = fresh("models", "export", VECTORS, "direct", "--to", form)
    assert done.code == 0
    assert (tmp_path / "direct").read_bytes() == (tmp_path / "out").read_bytes()


@EACH
def test_what_gensim_writes(fresh: Run, tmp_path: Path, form: str) -> None:
    models = pytest.importorskip("gensim.models", reason="gensim is not installed")
    known, file = sample(), tmp_path / "theirs"
    theirs = models.KeyedVectors(known.vectors.shape[1])
    theirs.add_vectors(known.words, known.vectors)
    theirs.save_word2vec_format(
        str(file), binary=form == "word2vec-binary", write_header=form != "glove"
    )
    found = stored(fresh, file)
    assert found.words == known.words
    np.testing.assert_array_equal(found.vectors, known.vectors)
    rows = fresh("neighbors", "-m", "words", "refund", "-k", 5).out.splitlines()[1:]
    near = theirs.most_similar("refund", topn=5)
    assert [row.split(",")[2] for row in rows] == [word for word, _ in near]
    for row, (_, cosine) in zip(rows, near, strict=True):
        assert float(row.split(",")[3]) == pytest.approx(cosine, abs=2e-6)
    rows = fresh("neighbors", "-m", "words", "--analogy", "day", "days", "week", "-k", 5).out
    wanted = theirs.most_similar(positive=["days", "week"], negative=["day"], topn=5)
    assert [row.split(",")[4] for row in rows.splitlines()[1:]] == [word for word, _ in wanted]


def test_what_the_store_tells_of_them(fresh: Run, tmp_path: Path) -> None:
    packed = tmp_path / "words.vec.gz"
    packed.write_bytes(gzip.compress(VECTORS.read_bytes()))
    stored(fresh, packed)
    document = json.loads(fresh("models", "show", "words", "--json").out)
    assert document["kind"] == "word-vectors"
    assert document["config"] == {
        "imported_from": "word2vec's text format",
        "vectors": {"n_words": 236, "dim": 24, "subwords": None},
    }
    assert document["data"]["imported_bytes"] == packed.stat().st_size
    assert "n_words: 236" in fresh("models", "show", "words").out
    assert "words@1  word-vectors" in fresh("models", "list").out
    assert fresh("models", "verify", "words").code == 0
    done = fresh("predict", "-m", "words", SAMPLES / "new_messages.csv")
    assert done.code == 65 and "kind word-vectors, wanted a classifier" in done.err
    done = fresh("models", "export", "words", "x.bin", "--to", "fasttext")
    assert done.code == 2 and "cannot hold a model of kind word-vectors" in done.err


@pytest.mark.parametrize("minn", [0, 2])
def test_fasttexts_own_word_vectors(fresh: Run, tmp_path: Path, minn: int) -> None:
    spec = Spec(
        [b"the", b"of", "größe".encode()], [], dim=4, model=2, loss=2, bucket=7, minn=minn,
        maxn=minn and 4,
    )  # fmt: skip
    file = tmp_path / "skipgram.bin"
    file.write_bytes(spec.to_bytes())
    found = stored(fresh, file)
    assert found.words == ["the", "of", "größe"]
    assert found.counts is not None and found.counts.tolist() == spec.counts
    words = [*found.words, "unknown"]
    vectors, known = found.lookup(words)
    assert known.tolist() == [True, True, True, bool(minn)]
    for word, vector in zip(words, vectors, strict=True):
        rows = features(spec, word)
        if rows:
            mean = np.mean([spec.input.row(row) for row in rows], axis=0)
            np.testing.assert_allclose(vector, mean, rtol=1e-5, atol=1e-6)
    done = fresh("neighbors", "-m", file, "unknown", "-k", 1)
    assert done.code == (0 if minn else 65)
    assert fresh("neighbors", "-m", "words", "unknown", "-k", 1).out == done.out


@pytest.mark.parametrize(
    "sources", [["words"], pytest.param(["words", VECTORS], marks=pytest.mark.slow)], ids=len
)
def test_training_begins_with_a_stored_model(
    fresh: Run, tmp_path: Path, sources: list[object]
) -> None:
    stored(fresh, VECTORS)
    weights = []
    for source in sources:
        done = fresh("train-fasttext", TRAIN, "-o", "m", "--pretrained-vectors", source)
        assert done.code == 0, done.err
        assert "24 numbers a word; 236 of 236 words can be used" in done.err
        weights.append((Path(done.out.strip()) / "model.safetensors").read_bytes())
    assert len(set(weights)) == 1
    done = fresh("train-fasttext", TRAIN, "-o", "m", "--pretrained-vectors", "m")
    assert done.code == 65 and "of kind fasttext, wanted word vectors" in done.err


HUGE = b"4000000000 4000000000\nthe 1 2\n"
BAD = {
    "count": (b"3 2\nthe 1.000 2\nof 3.00 4\n", "2 words, the header says 3"),
    "too many": (b"1 2\nthe 1 2\nof 3 4\n", "line 3: one word more than the 1 of the header"),
    "dimension": (b"2 2\nthe 1 2\nof 3\n", "line 3: 1 numbers, wanted 2"),
    "nan": (b"2 2\nthe 1 nan\nof 3 4\n", "line 2: number 2 is nan, wanted a finite one"),
    "infinite": (b"the 1 2\nof 1e39 4\n", "line 2: number 1 is inf"),
    "twice": (b"3 2\nthe 1 2\nof 3 4\nthe 5 6\n", "line 4: the same word as in line 2"),
    "undecodable": (b"2 2\nthe 1 2\n\xff\xfe 3 4\n", r"line 3: the word \xff\xfe is not UTF-8"),
    "huge": (HUGE, "line 1: 4,000,000,000 words of 4,000,000,000 numbers"),
    "huge binary": (
        b"4000000000 3\nthe " + bytes(12), "4,000,000,000 words of 3 numbers take 56,000,000,012"
    ),
    "too large": (b"2 1\nthe 1e31\nof 1\n", "tensor vectors holds a value that is not finite, or"),
    "no vectors": (b"hello\n", "no word vectors"),
    "empty": (b"", "no word vectors"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused(tmp_path: Path, name: str) -> None:
    data, reason = BAD[name]
    file = tmp_path / "bad.vec"
    file.write_bytes(data)
    with pytest.raises(DataError) as caught, Store(tmp_path / "store").begin("words") as draft:
        import_file(file, draft)
    assert reason in caught.value.message
    assert not (tmp_path / "store" / "words").exists()


@pytest.mark.parametrize(
    "name", ["nan", "huge", *(pytest.param(n, marks=pytest.mark.slow) for n in BAD)]
)
def test_bad_files_are_refused_in_one_line(fresh: Run, tmp_path: Path, name: str) -> None:
    data, reason = BAD[name]
    file = tmp_path / "bad.vec"
    file.write_bytes(data)
    done = fresh("models", "import", file, "words")
    assert (done.code, done.out) == (65, "")
    assert done.err.startswith("error: ") and len(done.err.splitlines()) == 1
    assert reason in done.err
    assert not (tmp_path / "store" / "words").exists()


@pytest.mark.slow
def test_bad_files_are_refused_wherever_they_are_read(fresh: Run, tmp_path: Path) -> None:
    file = tmp_path / "bad.vec"
    file.write_bytes(HUGE)
    lines = [
        ["neighbors", "-m", file, "the"],
        ["eval", "-m", file, SAMPLES / "word_pairs_en.tsv"],
        ["models", "export", file, "out", "--to", "word2vec"],
        ["train-fasttext", TRAIN, "-o", "m", "--pretrained-vectors", file],
    ]
    said = {fresh(*line).err for line in lines}
    assert len(said) == 1 and "4,000,000,000 words" in said.pop()
    assert not (tmp_path / "out").exists()
