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
from nlpcli.formats.word_vectors import VectorFile

TEXTS = st.text(st.characters(codec="utf-8"), min_size=1).filter(
    lambda word: word.encode().split() == [word.encode()]
)
NUMBERS = st.floats(width=32, allow_nan=False, allow_infinity=False)


def written(words: list[str], table: np.ndarray, *, binary: bool, block: int = 3) -> bytes:
    stream = io.BytesIO()
    parts = (
        ([word.encode() for word in words[i : i + block]], table[i : i + block])
        for i in range(0, len(words), block)
    )
    write_vectors(VectorBlocks(len(words), table.shape[1], parts), stream, binary=binary)
    return stream.getvalue()


def test_the_bytes_of_word2vec() -> None:
    table = np.array([[0.1, -2], [1e-9, 0]], dtype=np.float32)
    text = written(["a", "é"], table, binary=False)
    assert text == "2 2\na 0.100000001 -2\né 9.99999972e-10 0\n".encode()
    rows = table.tobytes()
    assert written(["a", "é"], table, binary=True) == (
        b"2 2\na " + rows[:8] + b"\n\xc3\xa9 " + rows[8:] + b"\n"
    )


@given(st.data(), st.integers(1, 5), st.booleans())
def test_what_is_written_is_read_to_the_bit(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, dim: int, binary: bool
) -> None:
    words = data.draw(st.lists(TEXTS, min_size=1, max_size=8, unique=True))
    table = data.draw(arrays.arrays(np.float32, (len(words), dim), elements=NUMBERS))
    path = tmp_path_factory.mktemp("v") / "vectors"
    path.write_bytes(written(words, table, binary=binary))
    file = VectorFile(str(path))
    assume(not binary or file.form == "word2vec-binary")  # four letters may be a number of 32 bits
    found = file.read()
    assert found.words == words
    np.testing.assert_array_equal(found.vectors, table)


@pytest.mark.parametrize("word", ["", " ", "new york", "a\n", "\tb"])
@pytest.mark.parametrize("binary", [True, False])
def test_words_that_would_not_be_read_as_one_are_refused(word: str, binary: bool) -> None:
    with pytest.raises(DataError, match="is empty or has blanks"):
        written([word], np.zeros((1, 2), np.float32), binary=binary)


@pytest.mark.parametrize("binary", [True, False])
def test_gensim_reads_and_writes_the_same(tmp_path: Path, binary: bool) -> None:
    models = pytest.importorskip("gensim.models", reason="gensim is not installed")
    table = np.random.default_rng(0).normal(size=(50, 7)).astype(np.float32)
    words = [f"word{i}é" for i in range(50)]
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.write_bytes(written(words, table, binary=binary))
    vectors = models.KeyedVectors.load_word2vec_format(str(ours), binary=binary)
    assert vectors.index_to_key == words
    np.testing.assert_array_equal(vectors.vectors, table)
    vectors.save_word2vec_format(str(theirs), binary=binary)
    found = VectorFile(str(theirs)).read()
    assert found.words == words
    np.testing.assert_array_equal(found.vectors, table)
