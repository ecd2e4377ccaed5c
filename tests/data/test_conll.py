"""CoNLL files into rows of sentences and back."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.data.conll import DIVIDER, ConllWriter
from nlpcli.data.rows import RowFormat, open_rows
from nlpcli.errors import DataError

CONLL = RowFormat(format="conll")
WORD = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters=" \t\r\n\v\f\0"), min_size=1,
    max_size=6,
).filter(lambda word: word != DIVIDER and not word.startswith("\ufeff"))  # fmt: skip


def rows_of(
    path: Path, text: str, fmt: RowFormat = CONLL
) -> tuple[list[str], list[list[str]], list[int]]:
    path.write_bytes(text.encode())
    stream = open_rows(str(path), fmt)
    batches = list(stream.batches())
    rows = [row for batch in batches for row in batch.rows]
    return stream.header, rows, [line for batch in batches for line in batch.lines]


def test_sentences_columns_and_documents(tmp_path: Path) -> None:
    text = (
        "-DOCSTART- -X- -X- O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n\n\n"
        "-DOCSTART- -X- -X- O\n\nPeter\tNNP  B-NP B-PER\r\n"
    )
    assert rows_of(tmp_path / "a.conll", text, RowFormat()) == (
        ["tokens", "column_2", "column_3", "tags"],
        [["EU rejects", "NNP VBZ", "B-NP B-VP", "B-ORG O"], ["Peter", "NNP", "B-NP", "B-PER"]],
        [3, 9],
    )


@pytest.mark.parametrize(
    ("text", "header"),
    [("a\nb\n", ["tokens"]), ("a O\n", ["tokens", "tags"]), ("\n \na x O", None)],
)
def test_header_by_the_first_line(tmp_path: Path, text: str, header: list[str] | None) -> None:
    assert rows_of(tmp_path / "x", text)[0] == (header or ["tokens", "column_2", "tags"])


def test_blanks_beyond_ascii_are_words(tmp_path: Path) -> None:
    assert rows_of(tmp_path / "x", "\u3000 O\n\xa0x B-X\n")[1] == [["\u3000 \xa0x", "O B-X"]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a O\nb\nc O\n\nd O\n", "x line 2: 1 column, the first line has 2"),
        ("a O\n\nb O B-X\n", "x line 3: 3 columns, the first line has 2"),
        ("", "x: empty: no sentences"),
        ("\n\n-DOCSTART- O\n", "x: empty: no sentences"),
    ],
)
def test_what_cannot_be(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DataError) as caught:
        rows_of(tmp_path / "x", text)
    assert caught.value.message == f"{tmp_path}/{said}"


def test_a_bad_sentence_is_skipped_whole(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("a O\nb\nc O\n\nd O\n")
    rejected: list[tuple[int, str, str]] = []
    stream = open_rows(
        str(tmp_path / "x"), RowFormat(format="conll", on_error="skip"),
        lambda *seen: rejected.append(seen),
    )  # fmt: skip
    assert [row for batch in stream.batches() for row in batch.rows] == [["d", "O"]]
    assert rejected == [(1, "line 2 1 column, the first line has 2", "b")]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 4).flatmap(
        lambda n: st.lists(
            st.lists(st.lists(WORD, min_size=n, max_size=n), min_size=1, max_size=5),
            min_size=1, max_size=4,
        )
    )
)  # fmt: skip
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, sentences: list[list[list[str]]]
) -> None:
    rows = [[" ".join(column) for column in zip(*words, strict=True)] for words in sentences]
    stream = io.BytesIO()
    writer = ConllWriter(stream)
    writer.write_header()
    writer.write([row[:-1] for row in rows], [[row[-1] for row in rows]])
    path = tmp_path_factory.getbasetemp() / "written.conll"
    _, found, lines = rows_of(path, stream.getvalue().decode())
    assert found == rows
    assert lines[0] == 1 and lines == sorted(lines)


def test_sentences_of_other_lengths_are_not_written() -> None:
    with pytest.raises(ValueError, match="zip"):
        ConllWriter(io.BytesIO()).write([["a b"]], [["O"]])
