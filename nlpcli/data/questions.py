"""Questions about contexts with their answers, in memory, for training and evaluation.

In files: SQuAD's JSON, or rows with the columns context, question and either ``answers`` (JSON, as
SQuAD has them, or as an object of two lists) or ``answer`` and ``answer_start``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nlpcli.data.labelled import Labelled
from nlpcli.data.rows import Reject, RowFormat, RowStream, open_rows
from nlpcli.data.split import holdout_groups, with_carriers
from nlpcli.data.squad import ANSWERS, CONTEXT, ID, QUESTION, SQUAD
from nlpcli.errors import DataError, shown

ANSWER, START = "answer", "answer_start"
NOWHERE = -1
"""Where an answer begins that there is not."""
Given = tuple[str, int | None]
"""The text of an answer and where it begins in the context, in code points; None: nobody says."""


@dataclass(frozen=True)
class Questions(Labelled):
    """``texts``: questions. ``labels``: the texts of the answers of each, none where the context
    has none. ``starts``: where they begin in the context, in code points; empty where the file
    does not say. ``ids`` as the file has them, else empty."""

    contexts: list[str] = field(default_factory=list)
    starts: list[tuple[int, ...]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)

    def chosen(self, at: list[int]) -> Questions:
        """Those with these numbers."""
        return replace(
            self, texts=[self.texts[i] for i in at], labels=[self.labels[i] for i in at],
            lines=[self.lines[i] for i in at], contexts=[self.contexts[i] for i in at],
            starts=[self.starts[i] for i in at], ids=[self.ids[i] for i in at],
        )  # fmt: skip

    @property
    def n_unanswerable(self) -> int:
        """Questions that their context does not answer."""
        return sum(not answers for answers in self.labels)


def split_questions(
    rows: Questions, fraction: float, seed: int
) -> tuple[Questions, Questions | None, str]:
    """Questions to learn, questions set apart (None when they are too few), and what is said of
    them. All questions about a context go the same way: else its text would be known. Among those
    to learn are some with and some without an answer, where the file has both."""
    found = holdout_groups(rows.contexts, fraction, seed)
    kept, held = with_carriers(*found, [(bool(each),) for each in rows.labels], rows.contexts)
    if not len(held):
        return rows, None, "none"
    said = f"{fraction:g} of the questions, by context"
    return rows.chosen(kept.tolist()), rows.chosen(held.tolist()), said


@dataclass(frozen=True)
class QuestionColumns:
    """Positions of columns; ``start`` None where answers are JSON, or nobody says where they
    begin; ``name`` None where rows have no id."""

    context: int
    question: int
    answer: int
    start: int | None
    name: int | None
    as_json: bool


def context_column(rows: RowStream, asked: str | None) -> int:
    """Position of the column of contexts: the one asked for, else ``context``, else ``text``."""
    if asked is None:
        asked = CONTEXT if CONTEXT in rows.header or "text" not in rows.header else "text"
    return rows.column(asked)


def question_columns(
    rows: RowStream, context: str | None, question: str, answer: str | None, *, need_starts: bool
) -> QuestionColumns:
    """Where the parts of a question are; ``context`` as ``context_column``; ``answer`` None:
    ``answers`` where that is a column, else ``answer``. Raises DataError."""
    if answer is None:
        answer = ANSWERS if ANSWERS in rows.header else ANSWER
    as_json = answer == ANSWERS
    has_start = not as_json and (need_starts or START in rows.header)
    return QuestionColumns(
        context_column(rows, context), rows.column(question), rows.column(answer),
        rows.column(START) if has_start else None,
        rows.column(ID) if rows.header.count(ID) == 1 else None, as_json,
    )  # fmt: skip


def read_questions(
    path: str,
    fmt: RowFormat,
    *,
    context: str | None = None,
    question: str = QUESTION,
    answer: str | None = None,
    need_starts: bool = True,
    keep_blank: bool = False,
    other_columns: Sequence[str] = (),
    on_reject: Reject | None = None,
) -> Questions:
    """Reads a whole file; a blank question or context is dropped and counted.

    An answer whose text does not stand where it should is a bad row by itself: where bad rows are
    skipped, a question keeps its other answers. ``need_starts``: whether offsets must be there.
    Raises InputMissing; DataError for a bad row (unless skipped) or when no row is left.
    """
    rows = open_rows(path, fmt, on_reject)
    at = question_columns(rows, context, question, answer, need_starts=need_starts)
    kept = _Kept(rows, at, fmt.on_error == "skip", keep_blank, on_reject)
    more = {name: rows.column(name) for name in other_columns}
    cells: dict[str, list[str]] = {name: [] for name in more}
    for batch in rows.batches():
        for row, line in zip(batch.rows, batch.lines, strict=True):
            before = len(kept.found.texts)
            kept.add(row, line)
            for name, place in more.items() if len(kept.found.texts) > before else ():
                cells[name].append(row[place])
    found = kept.found
    if not found.texts:
        raise DataError(f"{rows.name}: no questions with a context and answers")
    return replace(
        found, sha256=rows.sha256(), n_rows=kept.n_rows, n_blank=kept.n_blank,
        n_skipped=rows.skipped + kept.skipped, columns=cells,
    )  # fmt: skip


class _Kept:
    """Checks rows one by one and keeps the good ones."""

    def __init__(
        self, rows: RowStream, at: QuestionColumns, skip: bool, keep_blank: bool,
        on_reject: Reject | None,
    ) -> None:  # fmt: skip
        self._rows, self._at, self._skip = rows, at, skip
        self._keep_blank, self._on_reject = keep_blank, on_reject
        self.found = Questions([], [], None, [], "", 0, 0, 0, 0)
        self.n_rows = self.n_blank = self.skipped = 0
        self._contexts: dict[str, str] = {}

    def add(self, row: list[str], line: int) -> None:
        """Keeps a row. Raises DataError for a bad one unless such are skipped."""
        self.n_rows += 1
        at, found = self._at, self.found
        context, question = row[at.context], row[at.question]
        try:
            given = given_answers(row, at)
        except ValueError as error:
            self._refuse(str(error), row, line)
            return
        good = []
        for text, start in given:
            reason = _fault(context, text, start)
            if reason is None:
                good.append((text, start))
            else:
                self._refuse(reason, row, line)
        if given and not good:
            return
        if not self._keep_blank and not (context.strip() and question.strip()):
            self.n_blank += 1
            return
        found.texts.append(question)
        found.contexts.append(self._contexts.setdefault(context, context))
        found.labels.append(tuple(text for text, _ in good))
        found.starts.append(tuple(start for _, start in good if start is not None))
        found.ids.append("" if at.name is None else row[at.name])
        found.lines.append(line)

    def _refuse(self, reason: str, row: list[str], line: int) -> None:
        where = f"line {line}"
        if self._rows.format == SQUAD and self._at.name is not None:
            where = f"question {shown(row[self._at.name])}"
        if not self._skip:
            raise DataError(
                f"{self._rows.name} {where}: {reason}", hint="--on-error skip drops such answers"
            )
        self.skipped += 1
        if self._on_reject is not None:
            self._on_reject(line, f"{where}: {reason}", ",".join(row))


def _fault(context: str, text: str, start: int | None) -> str | None:
    """Why an answer cannot be, if so."""
    if not text.strip():
        return "an answer is blank, wanted text"
    if start is None:
        return None
    there = context[start : start + len(text)] if start >= 0 else ""
    if there == text:
        return None
    if start < 0 or start >= len(context):
        seen = f"the context has {len(context):,} characters"
    else:
        seen = f"the context has {shown(there, 40)!r} there"
    return f"answer_start {start}: {seen}, wanted {shown(text, 40)!r}"


def given_answers(row: list[str], at: QuestionColumns) -> list[Given]:
    """The answers of a row. Raises ValueError with the reason."""
    cell = row[at.answer]
    if at.as_json:
        return _parsed(cell)
    if at.start is None:
        return [(cell, None)] if cell.strip() else []
    number = row[at.start].strip()
    if not cell.strip() and number in ("", str(NOWHERE)):
        return []
    try:
        return [(cell, int(number))]
    except ValueError:
        raise ValueError(f"answer_start {shown(number, 20)!r}, wanted a whole number") from None


def _parsed(cell: str) -> list[Given]:
    """Answers in JSON: a list of objects, or an object of two lists."""
    if not cell.strip():
        raise ValueError("no answers, wanted a list, [] where the context has none")
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError):
        raise ValueError(f"answers {shown(cell, 40)!r}, wanted JSON") from None
    if isinstance(value, dict):
        lists: list[Any] = [value.get("text"), value.get(START)]
        if not all(isinstance(one, list) for one in lists) or len({*map(len, lists)}) > 1:
            raise ValueError("answers: wanted text and answer_start, two lists of one length")
        value = [{"text": text, START: start} for text, start in zip(*lists, strict=True)]
    if not isinstance(value, list):
        raise ValueError(f"answers {shown(cell, 40)!r}, wanted a list")
    return [_given(answer) for answer in value]


def _given(answer: Any) -> Given:
    if not isinstance(answer, dict) or not isinstance(answer.get("text"), str):
        raise ValueError("an answer without text")
    start = answer.get(START)
    if type(start) is not int:
        seen = "missing" if start is None else shown(json.dumps(start), 20)
        raise ValueError(f"answer_start {seen}, wanted a whole number")
    return answer["text"], start
