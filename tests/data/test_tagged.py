"""Sentences of words with their tags, from files of every kind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.data.rows import RowFormat
from nlpcli.data.tagged import (
    cell_of_words,
    joined_words,
    parted_words,
    read_tagged,
    tags_of_cell,
    words_of_cell,
)
from nlpcli.errors import DataError, UsageError

WORDS = st.lists(st.text(st.characters(exclude_characters="\x1f"), min_size=1), min_size=1)


@settings(deadline=None)
@given(WORDS)
def test_words_go_through_texts_and_lists(words: list[str]) -> None:
    assert parted_words(joined_words(words)) == words
    assert words_of_cell(cell_of_words(words, True)) == (words, True)


def test_cells() -> None:
    assert words_of_cell(" a  b\t") == (["a", "b"], False)
    assert words_of_cell('["a b", ""]') == (["a b", ""], True)
    assert words_of_cell("[]") == ([], True)
    assert words_of_cell('["a"]', lists=False) == (['["a"]'], False)
    for text in ("[1]", '["a"', "[ 'a' ]", '[ " a " ]', "[0 3]", "[", "[]x", "[1] a"):
        assert words_of_cell(text) == (text.split(), False)
    for text, seen in (
        ('["a", 1]', "element 2 is 1"), ('["a", null]', "element 2 is null"),
        ('[5, "a"]', "element 1 is 5"), ("[1, 2]", "element 1 is 1"),
        ('["a", ["b"]]', r'element 2 is \["b"\]'),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=f"{seen}, wanted text"):
            words_of_cell(text)
    with pytest.raises(ValueError, match="as Python shows it"):
        words_of_cell("['a', 'b']")


def test_cells_of_tags() -> None:
    assert tags_of_cell("O  B-X") == ["O", "B-X"] and tags_of_cell("") == []
    assert tags_of_cell("[0, 3, 0]") == ["0", "3", "0"] and tags_of_cell("[3]") == ["3"]
    assert tags_of_cell('["O", 3]') == ["O", "3"] and tags_of_cell("[]") == []
    assert tags_of_cell("[0]", lists=False) == ["[0]"] and tags_of_cell("[0", lists=False) == ["[0"]
    assert tags_of_cell("[ NN ]") == ["[", "NN", "]"] and tags_of_cell("[") == ["["]
    for text, seen in (
        ("[0, null]", "element 2 is null"), ("[true]", "element 1 is true"),
        ("[0.0, 3.0]", "element 1 is 0.0"),
        ("[0 3]", r"\[0 3\] is no list as JSON"), ("[ 0 13]", "is no list as JSON"),
        ("['O']", "as Python shows it"), ("['O' 'B-X']", "as Python shows it"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=seen):
            tags_of_cell(text)


TEXTS = {
    "x.conll": "EU 1 B-ORG\nsaid 2 O\n\nno 3 O\n",
    "x.csv": 'tags,tokens\nB-ORG O,EU said\n"[""O""]","[""no""]"\n,\n',
    "x.jsonl": json.dumps({"tokens": ["EU", "said"], "tags": ["B-ORG", "O"]})
    + '\n{"tokens": ["no"], "tags": ["O"]}\n{"tokens": [], "tags": []}\n',
}


@pytest.mark.parametrize("name", TEXTS)
def test_every_form_is_the_same(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(TEXTS[name])
    found = read_tagged(str(tmp_path / name), RowFormat())
    assert [parted_words(text) for text in found.texts] == [["EU", "said"], ["no"]]
    assert found.labels == [("B-ORG", "O"), ("O",)]
    assert found.n_blank == (name != "x.conll") and len(found.sha256) == 64


def test_an_empty_word_alone_is_a_blank_sentence(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"tokens": [""], "tags": ["O"]}\n{"tokens": ["", "a"], "tags": ["O", "X"]}\n')
    found = read_tagged(str(path), RowFormat())
    assert found.n_blank == 1 and found.labels == [("O", "X")]
    assert [parted_words(text) for text in found.texts] == [["", "a"]]
    kept = read_tagged(str(path), RowFormat(), keep_blank=True)
    assert kept.labels == [(), ("O", "X")] and parted_words(kept.texts[0]) == []


def test_another_column_by_number_or_name(tmp_path: Path) -> None:
    path = tmp_path / "x.conll"
    path.write_text(TEXTS["x.conll"])
    assert read_tagged(str(path), RowFormat(), tags="2").labels == [("1", "2"), ("3",)]
    with pytest.raises(DataError, match="column 4, there are 3"):
        read_tagged(str(path), RowFormat(), tags="4")
    with pytest.raises(UsageError, match="same column"):
        read_tagged(str(path), RowFormat(), tags="1")
    (tmp_path / "x.csv").write_text("text,ner\na b,O O\n")
    assert read_tagged(str(tmp_path / "x.csv"), RowFormat(), tags="ner").labels == [("O", "O")]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a b,O", "line 3: 1 tags, 2 tokens"),
        (",O", "line 3: 1 tags, 0 tokens"),
        ('"[""a""]","["" ""]"', "line 3: a tag is blank"),
        ("\"['a', 'b']\",O O", "line 3: a list as Python shows it"),
    ],
)
def test_bad_rows(tmp_path: Path, row: str, said: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(f"tokens,tags\nc,O\n{row}\n")
    with pytest.raises(DataError, match=said):
        read_tagged(str(path), RowFormat())
    rejected: list[tuple[int, str, str]] = []
    found = read_tagged(
        str(path), RowFormat(on_error="skip"), on_reject=lambda *seen: rejected.append(seen)
    )
    assert found.n_skipped == 1 and len(found.texts) == 1
    assert rejected[0][0] == 3
    assert rejected[0][1].startswith(said.removeprefix("line 3: "))
    path.write_text("tokens,tags\n,\n")
    with pytest.raises(DataError, match="no sentences"):
        read_tagged(str(path), RowFormat())
