"""Files of word vectors: each format, packed or not, and every way in which one can be wrong."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from nlpcli.errors import DataError, InputMissing, NlpcliError, Unavailable
from nlpcli.formats import word_vectors
from nlpcli.formats.word_vectors import VectorFile, VectorTable

from .program import needs_program, run

GOOD = b"2 3\nthe 0.5 -1e-2 +3\ncaf\xc3\xa9 1 2. .25\n"


def put(tmp_path: Path, data: bytes) -> str:
    path = tmp_path / "vectors"
    path.write_bytes(data)
    return str(path)


def read(tmp_path: Path, data: bytes) -> VectorTable:
    return VectorFile(put(tmp_path, data)).read()


def binary(*rows: tuple[bytes, list[float]], end: bytes = b"\n", count: int | None = None) -> bytes:
    width = len(rows[0][1])
    records = (word + b" " + struct.pack(f"<{width}f", *row) + end for word, row in rows)
    return b"%d %d\n" % (len(rows) if count is None else count, width) + b"".join(records)


@pytest.mark.parametrize("data", [
    GOOD,
    GOOD.replace(b"\n", b" \n"),
    GOOD.replace(b"\n", b"\r\n"),
    GOOD.replace(b" ", b"\t").replace(b"\t-", b"  -"),
    GOOD[:-1],
    GOOD + b"\n",
    b"\xef\xbb\xbf" + GOOD,
    GOOD.partition(b"\n")[2],
    binary((b"the", [0.5, -0.01, 3]), (b"caf\xc3\xa9", [1, 2, 0.25])),
    binary((b"the", [0.5, -0.01, 3]), (b"caf\xc3\xa9", [1, 2, 0.25]), end=b""),
])  # fmt: skip
@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_every_format_by_its_content(
    tmp_path: Path, data: bytes, pack: Callable[[bytes], bytes]
) -> None:
    found = read(tmp_path, pack(data))
    assert found.words == ["the", "café"]
    expected = np.array([[0.5, -0.01, 3], [1, 2, 0.25]], dtype=np.float32)
    np.testing.assert_array_equal(found.vectors, expected)
    assert found.vectors.dtype == np.float32
    assert found.sha256 == read(tmp_path, data).sha256


def test_what_is_known_before_reading(tmp_path: Path) -> None:
    file = VectorFile(put(tmp_path, GOOD))
    assert (file.form, file.count, file.dim) == ("word2vec", 2, 3)
    file = VectorFile(put(tmp_path, GOOD.partition(b"\n")[2]))
    assert (file.form, file.count, file.dim) == ("glove", None, 3)
    file = VectorFile(put(tmp_path, binary((b"a", [1.0]), (b"b", [2.0]))))
    assert (file.form, file.count, file.dim) == ("word2vec-binary", 2, 1)


def test_words_with_blanks(tmp_path: Path) -> None:
    data = b". . . 0.1 0.2\nat mail@x.org 1 2\n1/2 3 4\n2 5 6\n"
    found = read(tmp_path, data)
    assert found.words == [". . .", "at mail@x.org", "1/2", "2"]
    np.testing.assert_array_equal(found.vectors[1:], [[1, 2], [3, 4], [5, 6]])


def test_only_some_words_are_kept(tmp_path: Path) -> None:
    for data in (GOOD, binary((b"the", [1, 2, 3]), (b"caf\xc3\xa9", [1, 2, 0.25]))):
        file = VectorFile(put(tmp_path, data))
        found = file.read(lambda words: np.array([word != "the" for word in words]))
        assert (found.words, found.n_read) == (["café"], 2)
        np.testing.assert_array_equal(found.vectors, [[1, 2, 0.25]])


WRONG = [
    (b"", "line 1: no word vectors"),
    (b"text,label\ngood,1\n", "line 1: no word vectors"),
    (b"4000000000 300\na 1 2\n", "line 1: 4,000,000,000 words of 300 numbers take"),
    (b"4000000000 300\na " + bytes(1200), "line 1: 4,000,000,000 words of 300 numbers take"),
    (gzip.compress(b"4000000000 2\na 1 2\n", mtime=0), "1 words, the header says 4,000,000,000"),
    (b"2 4000000000\na 1 2\n", "line 1: 2 words of 4,000,000,000 numbers, wanted"),
    (b"-2 2\na 1 2\n", "line 1: -2 words of 2 numbers, wanted 1"),
    (b"0 2\n", "line 1: 0 words"),
    (b"2 0\na\nb\n", "line 1: 2 words of 0 numbers"),
    (b"3 2\na 1 2\nb 3.25 4.25\n", "2 words, the header says 3"),
    (b"1 2\na 1 2\nb 3 4\n", "line 3: one word more than the 1 of the header"),
    (b"2 2\na 1 2\nb 3 4 5\n", "line 3: 3 numbers, wanted 2"),
    (b"2 2\na 1 2\nb 300\n", "line 3: 1 numbers, wanted 2"),
    (b"2 2\na 1 2\n\nb 3 4\n", "line 3: 0 numbers, wanted 2"),
    (b"2 2\na 1 2\n 3 4\n   \n", "line 3: 1 numbers, wanted 2"),
    (b"a 1 2\nb 3\n", "line 2: 1 numbers, wanted 2"),
    (b"2 2\na 1 2\nb 3 x4\n", "line 3: x4 is no number"),
    (b"2 2\na 1 2\nb 3 1_0\n", "line 3: 1_0 is no number"),
    (b"2 2\na 1 2\nb 3 1.2.3\n", "line 3: 1.2.3 is no number"),
    (b"2 2\na 1 2\nb 3 0x1\n", "line 3: 0x1 is no number"),
    (b"2 2\na 1 2\nb nan 4\n", "line 3: number 1 is nan"),
    (b"2 2\na 1 2\nb 3 -inf\n", "line 3: number 2 is -inf"),
    (b"2 2\na 1 2\nb 3 1e39\n", "line 3: number 2 is inf"),
    (b"3 2\na 1 2\nb 1 2\na 3 4\n", "line 4: the same word as in line 2"),
    (b"2 2\na 1 2\ncaf\xe9 3 4\n", "line 3: the word caf\\xe9 is not UTF-8"),
    (struct.pack("<2i", 793712314, 12) + bytes(60), "a fastText model, wanted its vectors"),
    (binary((b"a", [1, 2]), (b"a", [3, 4])), "word 2: the same word as in word 1"),
    (binary((b"a", [1, 2]), (b"b", [3, np.nan])), "word 2: number 2 is nan"),
    (binary((b"a", [1, 2]), (b"\xff", [3, 4])), "word 2: the word \\xff is not UTF-8"),
    (binary((b"a", [1, 2]), (b"b", [3, 4]), count=1), "more than the 1 words"),
    (binary((b"a", [1, 2]), (b"bc", [3, 4]), end=b"")[:-1], "word 2: the file ends before"),
    (binary((b"a", [1, 2]), (b"b", [3, 4]), count=3), "line 1: 3 words of 2 numbers take"),
    (gzip.compress(binary((b"a", [1, 2]), count=3), mtime=0), "1 words, the header says 3"),
    (binary((b"", [1, 2]), (b"b", [3, 4])), "word 1: no word"),
]  # fmt: skip


@pytest.mark.parametrize("data, message", WRONG)
def test_what_is_wrong_is_named(tmp_path: Path, data: bytes, message: str) -> None:
    path = put(tmp_path, data)
    with pytest.raises(DataError) as error:
        VectorFile(path).read()
    assert message in error.value.message
    assert error.value.message.startswith(path)
    assert "\n" not in error.value.message


def test_lines_and_words_without_end(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 2: more than 1,048,576 bytes"):
        read(tmp_path, b"9 2\n" + b"a" * 3_000_000)
    with pytest.raises(DataError, match=r"word 2: more than 1,048,576 bytes"):
        read(tmp_path, binary((b"a", [1, 2]), count=9) + b"a" * 3_000_000)


def test_no_file_and_no_memory(tmp_path: Path) -> None:
    with pytest.raises(InputMissing):
        VectorFile(str(tmp_path / "none"))
    with pytest.raises(Unavailable, match=r"need 0\.0 GB of memory"):
        VectorFile(put(tmp_path, GOOD)).read(room=20)


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters=" \n\r\t\v\f"), min_size=1)
NUMBERS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(st.data(), st.integers(1, 5), st.booleans(), st.integers(1, 40))
def test_rows_come_back_wherever_blocks_end(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, dim: int, as_text: bool,
    block: int,
) -> None:  # fmt: skip
    words = data.draw(st.lists(TEXTS, min_size=1, max_size=8, unique=True))
    table = data.draw(arrays.arrays(np.float32, (len(words), dim), elements=NUMBERS))
    if as_text:
        rows = [" ".join([w, *map(repr, r)]) for w, r in zip(words, table.tolist(), strict=True)]
        content = "\n".join([f"{len(words)} {dim}", *rows]).encode()
    else:
        content = binary(*zip(map(str.encode, words), table.tolist(), strict=True))
    path = tmp_path_factory.mktemp("v") / "vectors"
    path.write_bytes(content)
    file = VectorFile(str(path))
    assert file.form == "word2vec" or not as_text
    assume(as_text or file.form == "word2vec-binary")  # four letters may be a number of 32 bits
    held, file._head = file._head[file._begin :], b""
    file._begin = 0
    file._blocks = (held[i : i + block] for i in range(0, len(held), block))
    found = file.read()
    assert found.words == words
    np.testing.assert_array_equal(found.vectors, table)


@given(st.binary(max_size=200), st.sampled_from([b"", b"1 1\n", b"2 2\na ", b"a 1\n"]))
def test_any_bytes_are_vectors_or_refused(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, begin: bytes
) -> None:
    path = tmp_path_factory.mktemp("v") / "vectors"
    path.write_bytes(begin + noise)
    try:
        found = VectorFile(str(path)).read()
    except NlpcliError:
        return
    assert found.vectors.shape == (len(found.words), found.vectors.shape[1])
    assert np.isfinite(found.vectors).all()
    assert len(set(found.words)) == len(found.words) > 0


def test_memory_grows_with_what_was_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    add = word_vectors._Table.add

    def watched(self: word_vectors._Table, rows: word_vectors.F32) -> None:
        add(self, rows)
        sizes.append(len(self._values))

    monkeypatch.setattr(word_vectors._Table, "add", watched)
    with pytest.raises(DataError):
        read(tmp_path, gzip.compress(b"4000000000 2\na 1 2\nb 3 4\n"))
    assert max(sizes) <= 1024


@needs_program
def test_vectors_of_the_fasttext_program(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("one two three four five six\n" * 50, encoding="utf-8")
    run(
        "skipgram",
        "-input",
        text,
        "-output",
        tmp_path / "v",
        "-dim",
        7,
        "-minCount",
        1,
        "-bucket",
        1000,
    )
    found = VectorFile(str(tmp_path / "v.vec")).read()
    assert {"one", "two", "</s>"} <= set(found.words)
    said = run("print-word-vectors", tmp_path / "v.bin", data="two").split()
    row = found.vectors[found.words.index("two")]
    np.testing.assert_allclose(row, np.array(said[1:], dtype=np.float32))
