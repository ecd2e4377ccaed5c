"""Files of analogies and of scored word pairs."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpcli.data.word_questions import Analogies, WordPairs, read_word_questions
from nlpcli.errors import DataError, InputMissing


def read(tmp_path: Path, text: str, **more: object) -> Analogies | WordPairs:
    path = tmp_path / "file"
    path.write_text(text, encoding="utf-8")
    return read_word_questions(str(path), **more)  # type: ignore[arg-type]


def test_sections_of_analogies(tmp_path: Path) -> None:
    found = read(tmp_path, ": one\na b c d\n\nE f  g\th\n: two words\n: one\ni j k l\n")
    assert found == Analogies(
        {"one": [("a", "b", "c", "d"), ("E", "f", "g", "h"), ("i", "j", "k", "l")], "two words": []}
    )


@pytest.mark.parametrize(
    ("text", "words", "score"),
    [
        ("love\tsex\t6.77\n", ("love", "sex"), 6.77),
        ("Word 1,Word 2,Human (mean)\nlove,sex,6.77\n", ("love", "sex"), 6.77),
        ("sun sunlight 50.000000\r\n", ("sun", "sunlight"), 50.0),
        ("# a comment\nsun  sunlight   50\n", ("sun", "sunlight"), 50.0),
        ("word1\tword2\tPOS\tSimLex999\tconc(w1)\nold\tnew\tA\t1.58\t2.72\n", ("old", "new"), 1.58),
        ("squishing\tsquirt\t5.88\t8\t7\t3\n", ("squishing", "squirt"), 5.88),
        ("new york\tParis\t-3e-1\n", ("new york", "Paris"), -0.3),
        ("1984\t7\t2\n", ("1984", "7"), 2.0),
    ],
)
def test_the_forms_of_pairs(
    tmp_path: Path, text: str, words: tuple[str, str], score: float
) -> None:
    assert read(tmp_path, text) == WordPairs([words], [score])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no lines"),
        ("\n# x\n\n", "no lines"),
        (": none\n", "no analogies"),
        ("word1,word2,score\n", "no analogies and no pairs"),
        (": one\na b c\n", "line 2: 3 words, wanted four"),
        (": one\na b c d e\n", "line 2: 5 words, wanted four"),
        ("a\tb\n", "line 1: 2 columns, wanted two words and a score"),
        ("a b 1\nc d x\n", "line 2: no score after c and d"),
        ("a b 1\nc d nan\n", "line 2: no score after c and d"),
        ("a,b,1\n,d,1\n", "line 2: 3 columns, wanted two words"),
        ("a b 1\n\x00 d 1\n", "line 2 byte 1: a NUL"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        read(tmp_path, text)
    with pytest.raises(InputMissing):
        read_word_questions(str(tmp_path / "none"))


def test_bad_lines_can_be_skipped(tmp_path: Path) -> None:
    rejected: list[tuple[int, str, str]] = []
    text = "a b 1\nc d\ne f 2\n"
    found = read(tmp_path, text, on_error="skip", on_reject=lambda *row: rejected.append(row))
    assert found == WordPairs([("a", "b"), ("e", "f")], [1.0, 2.0])
    assert rejected == [(2, "2 columns, wanted two words and a score", "c d")]


WORD = st.text(st.characters(categories=("L",)), min_size=1, max_size=8)


@given(st.lists(st.tuples(WORD, WORD, st.floats(-1e9, 1e9)), min_size=1), st.sampled_from("\t, "))
def test_pairs_come_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, float]], mark: str
) -> None:
    text = "".join(f"{a}{mark}{b}{mark}{x!r}\n" for a, b, x in rows)
    found = read(tmp_path_factory.mktemp("w"), text)
    assert found == WordPairs([(a, b) for a, b, _ in rows], [x for _, _, x in rows])
