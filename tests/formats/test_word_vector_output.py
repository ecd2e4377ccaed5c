"""Word vectors as they are written: they come back to the bit; gensim reads them, where it is."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from nlpcli.errors import DataError
from nlpcli.formats.word_vector_output import VectorBlocks, write_vectors
from nlpcli.formats.word_vectors import FORMS, Form, VectorFile

TEXTS = st.text(st.characters(codec="utf-8"), min_size=1).filter(
    lambda word: word.encode().split() == [word.encode()]
)
NUMBERS = st.floats(width=32, allow_nan=False, allow_infinity=False)


def written(words: list[str], table: np.ndarray, form: Form, block: int = 3) -> bytes:
    stream = io.BytesIO()
    parts = (
        ([word.encode() for word in words[i : i + block]], table[i : i + block])
        for i in range(0, len(words), block)
    )
    write_vectors(VectorBlocks(len(words), table.shape[1], parts), stream, form)
    return stream.getvalue()


def test_the_bytes_of_word2vec() -> None:
    table = np.array([[0.1, -2], [1e-9, 0]], dtype=np.float32)
    text = "a 0.100000001 -2\né 9.99999972e-10 0\n".encode()
    assert written(["a", "é"], table, "word2vec") == b"2 2\n" + text
    assert written(["a", "é"], table, "glove") == text
    rows = table.tobytes()
    assert written(["a", "é"], table, "word2vec-binary") == (
        b"2 2\na " + rows[:8] + b"\n\xc3\xa9 " + rows[8:] + b"\n"
    )


@given(st.data(), st.integers(1, 5), st.sampled_from(list(FORMS)))
def test_what_is_written_is_read_to_the_bit(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, dim: int, form: Form
) -> None:
    words = data.draw(st.lists(TEXTS, min_size=1, max_size=8, unique=True))
    table = data.draw(arrays.arrays(np.float32, (len(words), dim), elements=NUMBERS))
    path = tmp_path_factory.mktemp("v") / "vectors"
    path.write_bytes(written(words, table, form))
    # without a header a number as the word and one as its vector would be one
    assume(form != "glove" or dim > 1)
    file = VectorFile(str(path))
    assume(file.form == form or form != "word2vec-binary")  # four letters may be 32 bits
    assert file.form == form
    found = file.read()
    assert found.words == words
    np.testing.assert_array_equal(found.vectors, table)


@pytest.mark.parametrize("word", ["", " ", "new york", "a\n", "\tb"])
@pytest.mark.parametrize("form", list(FORMS))
def test_words_that_would_not_be_read_as_one_are_refused(word: str, form: Form) -> None:
    with pytest.raises(DataError, match="is empty or has blanks"):
        written([word], np.zeros((1, 2), np.float32), form)


@pytest.mark.parametrize("form", list(FORMS))
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # its open file
def test_gensim_reads_and_writes_the_same(tmp_path: Path, form: Form) -> None:
    models = pytest.importorskip("gensim.models", reason="gensim is not installed")
    table = np.random.default_rng(0).normal(size=(50, 7)).astype(np.float32)
    words = [f"word{i}é" for i in range(50)]
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    how = {"binary": form == "word2vec-binary"}
    bare = {"no_header": True} if form == "glove" else {}
    ours.write_bytes(written(words, table, form))
    vectors = models.KeyedVectors.load_word2vec_format(str(ours), **how, **bare)
    assert vectors.index_to_key == words
    np.testing.assert_array_equal(vectors.vectors, table)
    vectors.save_word2vec_format(str(theirs), **how, write_header=form != "glove")
    found = VectorFile(str(theirs)).read()
    assert found.words == words
    np.testing.assert_array_equal(found.vectors, table)
