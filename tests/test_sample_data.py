"""The files in sample_data/ are what the README and the help texts say they are."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import pytest

SAMPLES = Path(__file__).resolve().parent.parent / "sample_data"
ENGLISH = {"billing", "delivery", "quality", "support"}
CHINESE = {"账单", "物流", "质量", "客服"}
TAGS = {"price", "quality", "delivery", "service", "size", "design"}


def rows_of(name: str) -> list[dict[str, str]]:
    """All rows of a sample file; every row has exactly the header's columns."""
    with (SAMPLES / name).open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, strict=True))
    for row in rows:
        assert None not in row, f"{name}: a row with too many fields: {row}"
        assert None not in row.values(), f"{name}: a row with too few fields: {row}"
    return rows


@pytest.mark.parametrize(
    ("name", "count", "labels"),
    [
        ("reviews_en.csv", 260, ENGLISH),
        ("reviews_en_test.csv", 80, ENGLISH),
        ("messages_zh.csv", 220, CHINESE),
        ("messages_zh_test.csv", 70, CHINESE),
    ],
)
def test_labelled_files(name: str, count: int, labels: set[str]) -> None:
    rows = rows_of(name)
    assert list(rows[0]) == ["text", "label"]
    assert len(rows) == count
    counts = Counter(row["label"] for row in rows)
    assert set(counts) == labels
    assert min(counts.values()) >= 0.8 * count / len(labels), counts
    assert all(row["text"].strip() for row in rows)


@pytest.mark.parametrize("stem", ["reviews_en", "messages_zh"])
def test_no_text_occurs_twice_in_train_and_test(stem: str) -> None:
    texts = [row["text"] for part in ("", "_test") for row in rows_of(f"{stem}{part}.csv")]
    folded = Counter("".join(c for c in text.lower() if c.isalnum()) for text in texts)
    assert [text for text, times in folded.items() if times > 1] == []


def test_tags_are_multi_label() -> None:
    rows = rows_of("tags_en.csv")
    assert list(rows[0]) == ["text", "labels"]
    assert len(rows) == 150
    assert len({row["text"] for row in rows}) == len(rows)
    sets = [row["labels"].split(";") if row["labels"] else [] for row in rows]
    assert {tag for tags in sets for tag in tags} == TAGS
    assert all(len(set(tags)) == len(tags) for tags in sets)
    sizes = Counter(map(len, sets))
    assert sizes[0] >= 10
    assert sum(n for size, n in sizes.items() if size > 1) >= 40


def test_new_messages_have_a_quoted_comma_quote_and_newline_and_no_label() -> None:
    rows = rows_of("new_messages.csv")
    assert list(rows[0]) == ["id", "text"]
    assert [row["id"] for row in rows] == [str(n) for n in range(1, 13)]
    text = "".join(row["text"] for row in rows)
    assert all(mark in text for mark in ',"\n')


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.csv")), ids=lambda path: path.name)
def test_files_are_plain_utf8_with_unix_line_ends(path: Path) -> None:
    data = path.read_bytes()
    data.decode("utf-8")
    assert not data.startswith(b"\xef\xbb\xbf")
    assert b"\r" not in data
    assert data.endswith(b"\n")


def test_the_demo_uses_files_that_are_there() -> None:
    words = (SAMPLES / "demo.sh").read_text(encoding="utf-8").replace("'", " ").split()
    named = {word for word in words if word.startswith("sample_data/")}
    assert len(named) == 5
    assert all((SAMPLES.parent / name).is_file() for name in named), named


def test_senses_are_two_a_word_in_three_rows_each() -> None:
    rows = rows_of("senses.csv")
    assert list(rows[0]) == ["text", "sense"]
    senses = Counter(row["sense"] for row in rows)
    assert len(senses) == 12 and set(senses.values()) == {3}
    assert set(Counter(sense.split()[0] for sense in senses).values()) == {2}
    assert all(f"[[{row['sense'].split()[0]}]]" in row["text"] for row in rows)


def test_names_are_tagged_words() -> None:
    text = (SAMPLES / "names_en.conll").read_text(encoding="utf-8")
    sentences = [block.splitlines() for block in text.strip().split("\n\n")]
    assert len(sentences) == 24 == len({tuple(lines) for lines in sentences})
    tags = Counter(line.split(" ")[1] for lines in sentences for line in lines)
    kinds = ("PER", "LOC", "ORG")
    assert set(tags) == {"O", *(f"{letter}-{kind}" for letter in "BI" for kind in kinds)}
    assert all(line.count(" ") == 1 for lines in sentences for line in lines)


def test_ratings_are_numbers() -> None:
    rows = rows_of("ratings_en.csv")
    assert list(rows[0]) == ["text", "stars"]
    assert len({row["text"] for row in rows}) == len(rows) == 40
    stars = [float(row["stars"]) for row in rows]
    assert min(stars) == 1 and max(stars) == 5 and len(set(stars)) > 20


def test_questions_have_answers_that_stand_in_their_contexts() -> None:
    document = json.loads((SAMPLES / "questions_en.json").read_text(encoding="utf-8"))
    paragraphs = [part for article in document["data"] for part in article["paragraphs"]]
    asked = [(part["context"], question) for part in paragraphs for question in part["qas"]]
    assert len(asked) == 10 == len({question["id"] for _, question in asked})
    assert sum(question["is_impossible"] for _, question in asked) == 2
    for context, question in asked:
        assert bool(question["answers"]) != question["is_impossible"]
        for answer in question["answers"]:
            start = answer["answer_start"]
            assert context[start : start + len(answer["text"])] == answer["text"]
