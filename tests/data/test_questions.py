"""Questions with their answers out of SQuAD's JSON and out of columns."""

from __future__ import annotations

import gzip
import io
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.data.questions import Questions, read_questions, split_questions
from nlpcli.data.rows import RowFormat, open_rows
from nlpcli.data.split import holdout_groups
from nlpcli.data.squad import AnswerWriter
from nlpcli.errors import DataError

CONTEXT = "The 𝄞 lamp runs for twelve hours. 灯 is a lamp."
CMRC = Path(os.environ.get("NLPCLI_DATA", "nowhere"), "qa_cmrc2018", "dev.json.gz")


def question(name: str = "q1", *answers: tuple[str, int], **more: Any) -> dict[str, Any]:
    given_ = [{"text": text, "answer_start": start} for text, start in answers]
    return {"id": name, "question": "How long?", "answers": given_, **more}


def document(*questions: Any, context: Any = CONTEXT) -> dict[str, Any]:
    return {"version": "1.1", "data": [{"paragraphs": [{"context": context, "qas": questions}]}]}


def saved(folder: Path, content: Any, name: str = "q.json") -> str:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return str(folder / name)


def test_squad_by_code_points(tmp_path: Path) -> None:
    start = CONTEXT.index("twelve")
    content = document(
        question("a", ("twelve hours", start), ("twelve", start)),
        question("b", is_impossible=True), question("c", ("灯", 34)), {"id": 7, "question": "?"},
    )  # fmt: skip
    path = saved(tmp_path, content, "q.json.gz")
    with pytest.raises(DataError, match="question 7: no answers, wanted a list"):
        read_questions(path, RowFormat())
    found = read_questions(path, RowFormat(on_error="skip"))
    assert found.ids == ["a", "b", "c"] and found.n_skipped == 1 and found.n_rows == 4
    assert found.labels == [("twelve hours", "twelve"), (), ("灯",)]
    assert found.starts == [(start, start), (), (34,)] and found.n_unanswerable == 1
    assert len({id(context) for context in found.contexts}) == 1  # not once a question
    rows = open_rows(path, RowFormat())
    cells = [row for batch in rows.batches() for row in batch.rows]
    assert rows.header == ["id", "question", "context", "answers"]
    assert [row[0] for row in cells] == ["a", "b", "c", "7"]
    assert [row[3] for row in cells[1:]] == ["[]", '[{"text": "灯", "answer_start": 34}]', ""]


@pytest.mark.parametrize(
    ("text", "start", "said"),
    [
        ("twelve", 21, "answer_start 21: the context has 'welve ' there, wanted 'twelve'"),
        ("twelve", -1, "answer_start -1: the context has 46 characters, wanted 'twelve'"),
        ("twelve", 46, "answer_start 46: the context has 46 characters, wanted 'twelve'"),
        (" ", 3, "an answer is blank, wanted text"),
        ("lamp", "6", 'answer_start "6", wanted a whole number'),
        ("lamp", 6.0, "answer_start 6.0, wanted a whole number"),
        ("lamp", True, "answer_start true, wanted a whole number"),
        ("lamp", None, "answer_start missing, wanted a whole number"),
        (3, 6, "an answer without text"),
    ],
)
def test_answers_that_do_not_stand_there(tmp_path: Path, text: Any, start: Any, said: str) -> None:
    path = saved(tmp_path, document(question("x", (text, start)), question("y", ("lamp", 6))))
    with pytest.raises(DataError) as caught:
        read_questions(path, RowFormat())
    assert caught.value.message == f"{path} question x: {said}"
    rejected: list[tuple[int, str]] = []

    def reject(line: int, why: str, row: str) -> None:
        rejected.append((line, why))

    found = read_questions(path, RowFormat(on_error="skip"), on_reject=reject)
    assert found.ids == ["y"] and found.n_skipped == 1
    assert rejected == [(1, f"question x: {said}")]


def test_a_question_keeps_its_other_answers(tmp_path: Path) -> None:
    path = saved(tmp_path, document(question("x", ("lamp", 0), ("lamp", 6), ("hours", 0))))
    found = read_questions(path, RowFormat(on_error="skip"))
    assert found.labels == [("lamp",)] and found.starts == [(6,)] and found.n_skipped == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", ": empty: no questions"),
        (b'{"data": [', ": no JSON, truncated or damaged: Expecting value"),
        (b"[]", ": no JSON object"),
        (b'{"data": 1}', ": no list data, wanted SQuAD's data, paragraphs, qas"),
        (b'{"a": 1, "a": 2}', ": no JSON, truncated or damaged: duplicate key"),
        ({"data": [1]}, " data[0]: no list paragraphs"),
        ({"data": [{"paragraphs": [{}]}]}, " data[0].paragraphs[0]: no list qas"),
        (document(question(), context=None), "paragraphs[0]: context missing, wanted text"),
        (document(3), "paragraphs[0].qas[0]: 3, wanted an object"),
        (document({"question": "x"}), "qas[0]: id missing, wanted text"),
        (document({"id": "x", "question": 1}), " question x: question 1, wanted text"),
        (document(question("x", is_impossible=1)), " question x: is_impossible 1, wanted true"),
        (
            document(question("x", ("lamp", 6), is_impossible=True)),
            " question x: is_impossible, and there are answers",
        ),
        (document(question("x\ud800")), " question x\\ud800: \\ud800 is not text"),
        (b'{"data": [\n{"paragraphs": "\xff"}]}', " line 2 byte 17: invalid UTF-8 (0xff)"),
        (document(), ": no questions with a context and answers"),
    ],
)
def test_what_is_no_squad(tmp_path: Path, content: Any, said: str) -> None:
    path = saved(tmp_path, content)
    with pytest.raises(DataError) as caught:
        read_questions(path, RowFormat())
    assert caught.value.message.startswith(path) and said in caught.value.message


def test_json_lines_called_json(tmp_path: Path) -> None:
    path = saved(tmp_path, b'{"question": "a"}\n{"question": "b"}\n')
    with pytest.raises(DataError) as caught:
        read_questions(path, RowFormat())
    assert caught.value.hint == "an object a line? --format jsonl"


def test_columns(tmp_path: Path) -> None:
    path = saved(
        tmp_path,
        b"question,context,answer,answer_start\nwhat?,a lamp,lamp,2\nwho?,a lamp,,-1\n"
        b"when?,a lamp,,\n,a lamp,a,0\n", "q.csv",
    )  # fmt: skip
    found = read_questions(path, RowFormat())
    assert found.labels == [("lamp",), (), ()] and found.starts == [(2,), (), ()]
    assert found.n_blank == 1 and found.lines == [2, 3, 4]
    assert read_questions(path, RowFormat(), keep_blank=True).texts[-1] == ""
    renamed = saved(tmp_path, b"q,text,a\nwhat?,a lamp,lamp\n", "r.csv")
    names = {"question": "q", "answer": "a"}
    assert read_questions(renamed, RowFormat(), need_starts=False, **names).starts == [()]
    with pytest.raises(DataError, match="no column answer_start"):
        read_questions(renamed, RowFormat(), **names)
    bad = saved(tmp_path, b"question,context,answer,answer_start\nx,a b,b,z\n", "s.csv")
    with pytest.raises(DataError, match=r"s\.csv line 2: answer_start 'z', wanted a whole number"):
        read_questions(bad, RowFormat())


def test_answers_as_two_lists(tmp_path: Path) -> None:
    def line(answers: Any) -> bytes:
        return json.dumps({"context": "a lamp", "question": "?", "answers": answers}).encode()

    good = {"text": ["lamp", "a"], "answer_start": [2, 0]}
    found = read_questions(saved(tmp_path, line(good), "q.jsonl"), RowFormat())
    assert found.labels == [("lamp", "a")] and found.starts == [(2, 0)]
    for bad in ({"text": ["lamp"], "answer_start": []}, {"text": "lamp"}, "lamp", "3"):
        with pytest.raises(DataError, match=r"q\.jsonl line 1: answers"):
            read_questions(saved(tmp_path, line(bad), "q.jsonl"), RowFormat())


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(texts, texts.filter(bool), st.data()), min_size=1, max_size=4))
def test_what_is_written_is_read(tmp_path_factory: Any, parts: list[Any]) -> None:
    articles, wanted = [], []
    for number, (asked, context, data) in enumerate(parts):
        start = data.draw(st.integers(0, len(context) - 1))
        text = context[start : data.draw(st.integers(start + 1, len(context)))]
        asked_ = {"id": str(number), "question": asked,
                  "answers": [{"text": text, "answer_start": start}]}  # fmt: skip
        articles.append({"paragraphs": [{"context": context, "qas": [asked_]}]})
        if text.strip():
            wanted.append((asked, context, text, start))
    path = saved(tmp_path_factory.mktemp("q"), {"data": articles})
    if not wanted:
        return
    found = read_questions(path, RowFormat(on_error="skip"), keep_blank=True)
    starts = [each[0] for each in found.starts]
    labels = [each[0] for each in found.labels]
    assert list(zip(found.texts, found.contexts, labels, starts, strict=True)) == wanted


def made(contexts: list[str]) -> Questions:
    n = len(contexts)
    return Questions(
        [f"q{i}" for i in range(n)], [("a",)] * n, None, list(range(n)), "", n, 0, 0, 0,
        contexts=contexts, starts=[(0,)] * n, ids=[str(i) for i in range(n)],
    )  # fmt: skip


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from("abcdef"), min_size=1), st.floats(0, 0.9), st.integers(0, 9))
def test_questions_about_a_context_stay_together(
    contexts: list[str], fraction: float, seed: int
) -> None:
    train, dev, _ = split_questions(made(contexts), fraction, seed)
    held = [] if dev is None else dev.contexts
    assert not set(train.contexts) & set(held) and train.contexts
    assert sorted(train.contexts + held) == sorted(contexts)
    assert bool(held) == (fraction > 0 and len(set(contexts)) > 1)
    for rows in (train, dev):
        for q, c in zip(rows.texts, rows.contexts, strict=True) if rows else ():
            assert contexts[int(q[1:])] == c


def test_what_has_an_answer_and_what_has_none_are_both_learnt() -> None:
    contexts = list("aabbccddee")
    rows = made(contexts)
    for answered in (True, False):  # of context c alone, the others are the other way
        labels = [("a",) if (c == "c") == answered else () for c in contexts]
        held_out = set()
        for seed in range(30):
            train, dev, _ = split_questions(replace(rows, labels=labels), 0.4, seed)
            assert dev is not None and train.contexts.count("c") == 2
            held_out |= set(dev.contexts)
            assert sorted(train.contexts + dev.contexts) == contexts
        assert held_out == set("abde")


def test_about_so_many_are_held_out() -> None:
    kept, held = holdout_groups([str(i // 5) for i in range(500)], 0.1, 3)
    assert len(held) == 50 and len(kept) == 450
    assert (holdout_groups([str(i // 5) for i in range(500)], 0.1, 3)[1] == held).all()


def test_answers_by_id() -> None:
    out = io.BytesIO()
    writer = AnswerWriter(out, 1)
    writer.write_header()
    writer.write([["x", "a"], ["x", "b\n"]], [["灯", ""], ["0", "-1"]])
    with pytest.raises(DataError, match="the id a comes twice"):
        writer.write([["x", "a"]], [["?"], ["0"]])
    writer.end()
    assert json.loads(out.getvalue()) == {"a": "灯", "b\n": ""}
    empty = io.BytesIO()
    AnswerWriter(empty, 0).end()
    assert json.loads(empty.getvalue()) == {}


@pytest.mark.skipif(not CMRC.exists(), reason="NLPCLI_DATA names no folder with qa_cmrc2018")
def test_two_hundred_answers_of_cmrc_do_not_match() -> None:
    rejected: list[str] = []
    found = read_questions(
        str(CMRC), RowFormat(on_error="skip"), on_reject=lambda line, why, row: rejected.append(why)
    )
    assert len(rejected) == found.n_skipped == 200 and len(found.texts) == 3216
    for context, answers, starts in zip(found.contexts, found.labels, found.starts, strict=True):
        for text, start in zip(answers, starts, strict=True):
            assert context[start : start + len(text)] == text
    with pytest.raises(DataError, match=r"question DEV_\S+: answer_start -1"):
        read_questions(str(CMRC), RowFormat())
