"""Predictions made elsewhere that are no labels of texts: numbers, answers, spans, tags.

Rows are as ``predict`` writes them; the kind of answers is told by the name of their column.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from nlpcli.data.conll import TAGS, TOKENS
from nlpcli.data.labelled import MOST_NUMBER, number_of
from nlpcli.data.predictions import parsed_rows
from nlpcli.data.questions import ANSWER, QuestionColumns, given_answers
from nlpcli.data.rows import Reject, RowFormat, RowStream
from nlpcli.data.spanned import RELATIONS, SPANS, parse_relations, parse_spans, row_reader
from nlpcli.data.squad import ANSWERS, CONTEXT, QUESTION
from nlpcli.data.tagged import tag_column, tags_of_cell, words_of_cell
from nlpcli.errors import DataError, shown
from nlpcli.evaluation.spans import SpanSet, span_set
from nlpcli.runs.judging import (
    Drawing,
    Judged,
    Marked,
    Place,
    judge_numbers,
    judge_questions,
    judge_spans,
    judge_tags,
)
from nlpcli.text.tag_schemes import NONE, OUTSIDE, converted, detected, scheme_of, strangers

SCORE = "score"
KINDS = (SCORE, ANSWER, SPANS, TAGS)
PREFIX = "predicted_"
Row = TypeVar("Row")


@dataclass(frozen=True)
class Asked:
    """Columns as they were asked for, None: not; ``predicted`` has been found. ``slice_by``: those
    whose cells are kept."""

    predicted: str
    truth: str | None
    text: str | None
    text_b: str | None
    fmt: RowFormat
    drawing: Drawing
    on_reject: Reject | None
    slice_by: tuple[str, ...] = ()


def kind_of_column(name: str) -> str | None:
    """Which of KINDS a column of answers holds, by the end of its name; None: labels."""
    last = name.rpartition("_")[2]
    return last if last in KINDS else None


def predicted_column(header: Sequence[str], asked: str | None, usual: str) -> str:
    """The column of answers: the one asked for, else ``usual`` if it is there, else the first that
    ``predict`` would have written."""
    if asked is not None:
        return asked
    names = [usual, *(f"{PREFIX}{kind}" for kind in KINDS)]
    return next((name for name in names if name in header), usual)


def judge_file(rows: RowStream, asked: Asked) -> Judged:
    """What eval says of a file of predictions. Raises DataError, UsageError."""
    kinds: dict[str | None, Callable[[RowStream, Asked], Judged]] = {
        SCORE: _numbers, ANSWER: _questions, SPANS: _spans, TAGS: _tags,
    }  # fmt: skip
    return kinds[kind_of_column(asked.predicted)](rows, asked)


def _text_reader(rows: RowStream, asked: Asked, *usual: str) -> Callable[[list[str]], str]:
    """What makes a row's text for people: the columns asked for, or those of the usual names that
    are there; none is needed."""
    wanted = [name for name in (asked.text, asked.text_b) if name is not None]
    names = [*wanted, *(name for name in usual if name not in wanted and name in rows.header)]
    places = [rows.column(name) for name in names]
    return lambda row: "\n".join(row[place] for place in places)


@dataclass(frozen=True)
class _Line:
    """Where a row stood, and its cells of the columns to cut slices by."""

    number: int
    cells: list[str]


def _parsed(
    rows: RowStream, asked: Asked, parse: Callable[[list[str]], Row]
) -> tuple[list[Row], list[_Line]]:
    """As ``parsed_rows``."""
    places = [rows.column(name) for name in asked.slice_by]
    read = parsed_rows(
        rows, asked.fmt, lambda row: (parse(row), [row[place] for place in places]), asked.on_reject
    )
    lines = [_Line(at, cells) for at, (_, cells) in zip(read.lines, read.rows, strict=True)]
    return [row for row, _ in read.rows], lines


def _with_columns(judged: Judged, asked: Asked, lines: Sequence[_Line]) -> Judged:
    columns = {name: [line.cells[at] for line in lines] for at, name in enumerate(asked.slice_by)}
    return replace(judged, columns=columns)


def _place(texts: list[str], lines: Sequence[_Line]) -> Place:
    return Place(texts, [line.number for line in lines])


def _number(cell: str, what: str) -> float:
    value = number_of(cell)
    if value is None:
        raise ValueError(f"{what} {shown(cell) or 'blank'}, wanted a number up to {MOST_NUMBER:g}")
    return value


def _numbers(rows: RowStream, asked: Asked) -> Judged:
    at_truth, at_found = rows.column(asked.truth or "label"), rows.column(asked.predicted)
    text = _text_reader(rows, asked, *(["text"] if asked.text is None else []))

    def parse(row: list[str]) -> tuple[float, float, str]:
        return (
            _number(row[at_truth], "label"),
            _number(row[at_found], asked.predicted),
            text(row),
        )

    read, lines = _parsed(rows, asked, parse)
    truth, found = (np.array([row[i] for row in read], np.float64) for i in (0, 1))
    return judge_numbers(truth, found, _place([row[2] for row in read], lines), asked.drawing)


def _questions(rows: RowStream, asked: Asked) -> Judged:
    truth = asked.truth or (ANSWERS if ANSWERS in rows.header else ANSWER)
    # answer_start, where it is there, may be that of the prediction
    at = QuestionColumns(-1, -1, rows.column(truth), None, None, truth == ANSWERS)
    at_found = rows.column(asked.predicted)
    context = asked.text or CONTEXT
    at_context = rows.column(context) if asked.text or context in rows.header else None
    text = _text_reader(rows, asked, QUESTION, CONTEXT)

    def parse(row: list[str]) -> tuple[tuple[str, ...], str, str, str]:
        golds = tuple(answer for answer, _ in given_answers(row, at))
        about = " ".join(golds) if at_context is None else row[at_context]
        return golds, about, row[at_found], text(row)

    read, lines = _parsed(rows, asked, parse)
    golds, contexts, found, texts = (list(column) for column in zip(*read, strict=True))
    judged = judge_questions(golds, contexts, found, _place(texts, lines), asked.drawing)
    return _with_columns(judged, asked, lines)


def _spans(rows: RowStream, asked: Asked) -> Judged:
    read_truth = row_reader(rows, asked.text, asked.truth)
    at_found = rows.column(asked.predicted)
    name = asked.predicted.removesuffix(SPANS) + RELATIONS
    at_related = rows.column(name) if name in rows.header and RELATIONS in rows.header else None

    def parse(row: list[str]) -> tuple[Marked, SpanSet, SpanSet]:
        truth = read_truth(row)
        length, unit = len(truth.text), "characters"
        if truth.words is not None:
            length, unit = len(truth.words), "words"
        spans = parse_spans(row[at_found], length, unit, labelled=False)
        related = [] if at_related is None else parse_relations(row[at_related], len(spans))
        marked = Marked(truth.text, truth.words, truth.spans, spans)
        return marked, span_set(truth.spans, truth.relations), span_set(spans, related)

    pairs = zip(*_parsed(rows, asked, parse), strict=True)
    kept = [(*row, line) for row, line in pairs if row[0].text.strip()]
    if not kept:
        raise DataError(f"{rows.name}: no rows with a text and its spans")
    labels = [tuple(label for *_, label in row[0].truth) for row in kept]
    judged = judge_spans(
        labels, [row[1] for row in kept], [row[2] for row in kept],
        lambda: [row[0] for row in kept], [row[3].number for row in kept], asked.drawing,
        relations=at_related is not None,
    )  # fmt: skip
    return _with_columns(judged, asked, [row[3] for row in kept])


def _tags(rows: RowStream, asked: Asked) -> Judged:
    at_truth, at_found = tag_column(rows, asked.truth or TAGS), rows.column(asked.predicted)
    text = asked.text or (TOKENS if TOKENS in rows.header else "text")
    at_words = rows.column(text) if asked.text or text in rows.header else None

    def parse(row: list[str]) -> tuple[tuple[str, ...], list[str], list[str]]:
        true, found = (tags_of_cell(row[at]) for at in (at_truth, at_found))
        words = true if at_words is None else words_of_cell(row[at_words])[0]
        if not len(true) == len(found) == len(words):
            raise ValueError(
                f"{len(found):,} predicted tags, {len(true):,} tags, {len(words):,} tokens"
            )
        return tuple(true), found, words

    pairs = zip(*_parsed(rows, asked, parse), strict=True)
    kept = [(*row, line) for row, line in pairs if row[2]]
    labels, found = [row[0] for row in kept], [row[1] for row in kept]
    words = [row[2] for row in kept]
    scheme = NONE
    strange: set[str] = set()
    if scheme_of({tag for tags in labels for tag in tags}) != NONE:
        strange = strangers({tag for tags in found for tag in tags})
        found = [[OUTSIDE if tag in strange else tag for tag in tags] for tags in found]
        scheme = detected(found).scheme
    truth = [converted(tags, scheme) for tags in labels]
    lines = [row[3] for row in kept]
    place = _place([" ".join(own) for own in words], lines)
    judged = judge_tags(labels, truth, found, scheme, words, place, asked.drawing)
    if strange:
        judged.document["tags_of_no_scheme"] = sorted(strange)
    return _with_columns(judged, asked, lines)
