"""SQuAD's JSON (Rajpurkar et al. 2016; of version 2, Rajpurkar et al. 2018): a row a question.

A file is one document, ``{"data": [{"paragraphs": [{"context", "qas": [{"id", "question",
"answers": [{"text", "answer_start"}]}]}]}]}``. ``answers`` becomes a cell of JSON: a list, empty
where the context has no answer (``is_impossible``); where the file says nothing the cell is empty.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from nlpcli.data.lines import BadRow
from nlpcli.errors import DataError, shown
from nlpcli.text.strict_json import parse_text

SQUAD = "squad"
ID, QUESTION, CONTEXT, ANSWERS = "id", "question", "context", "answers"
_WRONG_IN_TEXT = re.compile("[\0\ud800-\udfff]")
_SHAPE = "wanted SQuAD's data, paragraphs, qas"


class SquadParser:
    """Rows of questions. ``line`` is the number of the question, from 1, or of what should have
    been one; ``last_line`` that of the file's last line."""

    def __init__(self, lines: Iterator[str], name: str) -> None:
        self.header = [ID, QUESTION, CONTEXT, ANSWERS]
        self.line = self.last_line = 0
        text = "".join(self._counted(lines))
        if not text.strip():
            raise DataError(f"{name}: empty: no questions")
        try:
            # bytes that are no UTF-8 are told by whoever gave the lines, not here
            document = parse_text(text, name)
        except DataError as error:
            own_lines = self.last_line > 1 and "Extra data" in error.message
            hint = "an object a line? --format jsonl" if own_lines else None
            raise DataError(error.message, hint=hint) from None
        if not isinstance(document.get("data"), list):
            raise DataError(f"{name}: no list data, {_SHAPE}")
        self._items = _items(document["data"])

    def _counted(self, lines: Iterator[str]) -> Iterator[str]:
        for line in lines:
            self.last_line += 1
            yield line

    def next_row(self) -> list[str] | None:
        """The next question. Raises BadRow for what is none."""
        found = next(self._items, None)
        if found is None:
            return None
        self.line += 1
        if isinstance(found, BadRow):
            raise found
        return found


def _items(articles: list[Any]) -> Iterator[list[str] | BadRow]:
    """Questions, and what stands where one should."""
    for i, article in enumerate(articles):
        at = f"data[{i}]"
        paragraphs = article.get("paragraphs") if isinstance(article, dict) else None
        if not isinstance(paragraphs, list):
            yield BadRow(f"no list paragraphs, {_SHAPE}", [], where=at)
            continue
        for j, paragraph in enumerate(paragraphs):
            yield from _of_paragraph(paragraph, f"{at}.paragraphs[{j}]")


def _of_paragraph(paragraph: Any, at: str) -> Iterator[list[str] | BadRow]:
    questions = paragraph.get("qas") if isinstance(paragraph, dict) else None
    if not isinstance(questions, list):
        yield BadRow(f"no list qas, {_SHAPE}", [], where=at)
        return
    context = paragraph.get(CONTEXT)
    if not isinstance(context, str):
        yield BadRow(f"context {_seen(context)}, wanted text", [], where=at)
        return
    for k, question in enumerate(questions):
        try:
            yield _row(question, context, f"{at}.qas[{k}]")
        except BadRow as bad:
            yield bad


def _row(given: Any, context: str, at: str) -> list[str]:
    """The cells of a question. Raises BadRow."""
    if not isinstance(given, dict):
        raise BadRow(f"{_seen(given)}, wanted an object", [], where=at)
    name = given.get(ID)
    name = str(name) if type(name) is int else name
    if not isinstance(name, str) or not name:
        raise BadRow(f"id {_seen(name)}, wanted text", [], where=at)
    where = f"question {shown(name)}"
    text, answers = given.get(QUESTION), given.get(ANSWERS)
    impossible = given.get("is_impossible", False)
    if not isinstance(text, str):
        raise BadRow(f"question {_seen(text)}, wanted text", [name], where=where)
    if type(impossible) is not bool:
        seen = _seen(impossible)
        raise BadRow(f"is_impossible {seen}, wanted true or false", [name, text], where=where)
    if impossible and answers:
        raise BadRow("is_impossible, and there are answers", [name, text], where=where)
    cell = "[]" if impossible else ""
    if answers is not None and not impossible:
        cell = json.dumps(answers, ensure_ascii=False)
    cells = [name, text, context, cell]
    wrong = _WRONG_IN_TEXT.search("".join(cells))
    if wrong:
        raise BadRow(f"\\u{ord(wrong.group()):04x} is not text", [], where=where)
    return cells


def _seen(value: Any) -> str:
    return "missing" if value is None else shown(json.dumps(value), 40)


class AnswerWriter:
    """Writes answers as SQuAD's script reads them: one object, the text of each question's ``id``.

    ``id_at`` and ``answer_at``: which cell of a row, and which column behind it. Raises DataError
    for an id that comes twice.
    """

    def __init__(self, stream: BinaryIO, id_at: int, answer_at: int = 0) -> None:
        self._stream, self._id_at, self._answer_at = stream, id_at, answer_at
        self._seen: set[str] = set()

    def write_header(self) -> None:
        """There is none."""

    def write(self, rows: list[list[str]], columns: list[list[str]]) -> None:
        """The answers to rows."""
        for row, answer in zip(rows, columns[self._answer_at], strict=True):
            name = row[self._id_at]
            if name in self._seen:
                raise DataError(f"output: the id {shown(name)} comes twice, an object has it once",
                                hint="--output-format csv")  # fmt: skip
            key, text = (json.dumps(value, ensure_ascii=False) for value in (name, answer))
            before = "," if self._seen else "{"
            self._stream.write(f"{before}\n{key}: {text}".encode())
            self._seen.add(name)

    def end(self) -> None:
        """Closes the object."""
        self._stream.write(b"\n}\n" if self._seen else b"{}\n")
