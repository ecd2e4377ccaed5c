"""Texts with spans and relations, from files of every kind; what is wrong is said in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.data.rows import RowFormat
from nlpcli.data.spanned import (
    Spanned,
    cell_of_objects,
    divided,
    parse_relations,
    parse_spans,
    read_spanned,
    words_of_row,
)
from nlpcli.errors import DataError, UsageError

SPANS = [{"start": 0, "end": 2, "label": "A"}, {"start": 1, "end": 2, "label": "größe"}]
RELATED = [{"head": 1, "tail": 0, "label": "r"}]


def saved(folder: Path, name: str, *rows: dict[str, Any] | str) -> str:
    path = folder / name
    path.write_text("".join(r if isinstance(r, str) else json.dumps(r) + "\n" for r in rows))
    return str(path)


@settings(deadline=None)
@given(st.data(), st.integers(1, 30))
def test_spans_and_relations_go_through_cells(data: st.DataObject, length: int) -> None:
    place = st.integers(0, length - 1).flatmap(
        lambda a: st.tuples(st.just(a), st.integers(a + 1, length), st.text(min_size=1))
    )
    spans = data.draw(st.lists(place.filter(lambda span: span[2].strip() != ""), max_size=5))
    cell = cell_of_objects([{"start": a, "end": b, "label": c, "score": 0.5} for a, b, c in spans])
    assert parse_spans(cell, length, "words") == spans
    pairs = [(i, j, "r") for i in range(len(spans)) for j in range(len(spans)) if i != j]
    cell = cell_of_objects([{"head": a, "tail": b, "label": c} for a, b, c in pairs])
    assert parse_relations(cell, len(spans)) == pairs


def test_texts_words_and_tags(tmp_path: Path) -> None:
    text = saved(tmp_path, "t.jsonl", {"text": "né x", "spans": SPANS, "relations": RELATED},
                 {"text": " "}, {"text": "b", "spans": []})  # fmt: skip
    found = read_spanned(text, RowFormat())
    assert found.texts == ["né x", "b"] and found.words == [None, None] and found.n_blank == 1
    assert found.spans == [[(0, 2, "A"), (1, 2, "größe")], []]
    assert found.relations == [[(1, 0, "r")], []] and found.has_relations
    assert found.labels == [("A", "größe"), ()] and found.lines == [1, 3]

    words = saved(tmp_path, "w.csv", 'spans,tokens\n"[{""start"":0,""end"":2,""label"":""A""}]",'
                  'né x\n,"[""a b""]"\n')  # fmt: skip
    found = read_spanned(words, RowFormat())
    assert found.words == [["né", "x"], ["a b"]] and found.spans == [[(0, 2, "A")], []]
    assert not found.has_relations

    conll = saved(tmp_path, "c.conll", "a B-X\nb I-X\n\nc O\n")
    found = read_spanned(conll, RowFormat())
    assert found.words == [["a", "b"], ["c"]] and found.spans == [[(0, 2, "X")], []]
    lists = saved(tmp_path, "l.jsonl", {"tokens": ["a", "b"], "ner_tags": ["S-X", "O"]})
    assert read_spanned(lists, RowFormat(), marks="ner_tags").spans == [[(0, 1, "X")]]
    given = saved(tmp_path, "g.jsonl", {"note": ["a", "b"], "spans": [{"start": 1, "end": 2}]})
    found = read_spanned(given, RowFormat(), text="note", labelled=False)
    assert found.words == [["a", "b"]] and found.spans == [[(1, 2, "")]]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"spans": [{"start": 0, "end": 9, "label": "A"}]},
         "span 0: 0 to 9, there are 4 characters"),
        ({"spans": [{"start": -1, "end": 2, "label": "A"}]}, "span 0: -1 to 2, there are 4"),
        ({"spans": [{"start": 2, "end": 2, "label": "A"}]},
         "span 0: start 2, end 2, wanted start below end"),
        ({"spans": [{"start": "0", "end": 2, "label": "A"}]},
         'span 0: start: wanted a whole number, seen "0"'),
        ({"spans": [{"start": True, "end": 2, "label": "A"}]}, "seen true"),
        ({"spans": [{"start": 0.0, "end": 2, "label": "A"}]}, "seen 0.0"),
        ({"spans": [{"end": 2, "label": "A"}]},
         "span 0: start: wanted a whole number, seen nothing"),
        ({"spans": [*SPANS, {"start": 0, "end": 1}]}, "span 2: label: wanted a text, seen nothing"),
        ({"spans": [{"start": 0, "end": 1, "label": 3}]}, "span 0: label: wanted a text, seen 3"),
        ({"spans": [1]}, "spans: wanted a list of objects as JSON, seen [1]"),
        ({"spans": "A"}, "spans: wanted a list of objects as JSON, seen A"),
        ({"relations": [{"head": 2, "tail": 0, "label": "r"}]},
         "relation 0: head 2, there are 2 spans, from 0"),
        ({"relations": [{"head": 1, "tail": 1, "label": "r"}]},
         "relation 0: head and tail are both span 1"),
        ({"relations": [{"head": 1, "tail": 0}]}, "relation 0: label: wanted a text"),
    ],
)  # fmt: skip
def test_a_bad_row(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    good = {"text": "né x", "spans": SPANS, "relations": RELATED}
    path = saved(tmp_path, "t.jsonl", good, {**good, **change})
    with pytest.raises(DataError) as caught:
        read_spanned(path, RowFormat())
    assert "line 2: " in caught.value.message and said in caught.value.message
    rejected: list[tuple[int, str, str]] = []
    found = read_spanned(
        path, RowFormat(on_error="skip"), on_reject=lambda *why: rejected.append(why)
    )
    assert len(found.texts) == 1 and found.n_skipped == 1
    assert rejected[0][0] == 2 and said in rejected[0][1]


def test_columns_that_are_not_there(tmp_path: Path) -> None:
    path = saved(tmp_path, "t.csv", "text,span\na,\n")
    with pytest.raises(DataError, match="no column spans") as caught:
        read_spanned(path, RowFormat())
    assert caught.value.hint == "did you mean span?"
    with pytest.raises(UsageError, match="the same column"):
        read_spanned(path, RowFormat(), text="span", marks="span")
    empty = saved(tmp_path, "e.csv", "text,spans\n")
    with pytest.raises(DataError, match="no rows with a text and its spans"):
        read_spanned(empty, RowFormat())
    bad = saved(tmp_path, "b.conll", "a B-X\nb NN\n")
    with pytest.raises(DataError, match="line 1: 'NN' is no tag"):
        read_spanned(bad, RowFormat())


def test_a_part_set_apart_has_all_of_its_rows(tmp_path: Path) -> None:
    rows = [{"tokens": [f"w{i}"], "spans": [{"start": 0, "end": 1, "label": f"L{i % 2}"}]}
            for i in range(20)]  # fmt: skip
    whole = read_spanned(saved(tmp_path, "t.jsonl", *rows), RowFormat())
    kept, held = divided(whole, 0.2, 1)
    assert isinstance(held, Spanned) and len(held.texts) == 4
    assert sorted(kept.lines + held.lines) == whole.lines
    for part in (kept, held):
        for line, words, spans in zip(part.lines, part.words, part.spans, strict=True):
            assert words == rows[line - 1]["tokens"] and spans[0][2] == f"L{(line - 1) % 2}"
    assert divided(whole, 0.0, 1) == (whole, None)


def test_no_label_is_set_apart_alone(tmp_path: Path) -> None:
    common = {"start": 0, "end": 1, "label": "A"}
    rows = [{"tokens": ["a", "b"], "spans": [common], "relations": []} for _ in range(8)]
    rows[3]["spans"] = [common, {"start": 1, "end": 2, "label": "RARE"}]
    rows[5] |= {"spans": [common, {**common, "end": 2}], "relations": RELATED}
    whole = read_spanned(saved(tmp_path, "t.jsonl", *rows), RowFormat())
    sizes = set()
    for seed in range(20):
        kept, held = divided(whole, 0.5, seed)
        assert held is not None and not {4, 6} & set(held.lines)
        assert sorted(kept.lines + held.lines) == whole.lines and kept.lines == sorted(kept.lines)
        sizes.add(len(held.lines))
    assert sizes == {2, 3, 4}


def test_a_text_that_is_a_list_of_other_things_is_a_text() -> None:
    assert words_of_row('["a", 1]', are_words=False) is None
    assert words_of_row('["a", "b"]', are_words=False) == ["a", "b"]
    with pytest.raises(ValueError, match="element 2 is 1"):
        words_of_row('["a", 1]', are_words=True)
