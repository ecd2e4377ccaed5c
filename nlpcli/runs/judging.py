"""Answers of a model, or of a file, against the truth: what ``eval`` says, compares and shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nlpcli.evaluation.answers import answer_document, answer_scores, units_of
from nlpcli.evaluation.entities import evaluate_entities
from nlpcli.evaluation.regression import evaluate_regression
from nlpcli.evaluation.spans import SpanSet, evaluate_spans, span_counts
from nlpcli.runs.answered import (
    Sentences,
    numbers_answered,
    questions_answered,
    row_f1,
    sentences_right,
    spans_answered,
    tags_answered,
)
from nlpcli.runs.comparing import Answered, Labels
from nlpcli.runs.shown_rows import Shown, Span, marked_words, several
from nlpcli.text.tag_schemes import entities

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """The ``document`` of eval, what is compared, and the rows for people, made when asked for.
    ``right``: whether each row is, bool (B,), by the metric ``right_by``; None where that says
    nothing. ``columns``: cells of a file of predictions, by which slices are to be cut."""

    document: dict[str, Any]
    answered: Answered
    shown: Callable[[], Shown]
    right: npt.NDArray[np.bool_] | None = None
    right_by: str = ""
    columns: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """Where rows came from: ``texts`` for people, and the ``lines`` where they stood."""

    texts: list[str]
    lines: list[int] | None


@dataclass(frozen=True)
class Drawing:
    """Of the intervals."""

    resamples: int = 1000
    seed: int = 1

    def options(self) -> dict[str, int]:
        """As functions take them."""
        return {"resamples": self.resamples, "seed": self.seed}


def judge_questions(
    answers: Labels, contexts: Sequence[str], found: Sequence[str], place: Place, drawing: Drawing
) -> Judged:
    """Answers ``found`` to questions; ``answers``: those that are right, none where there is
    none. Raises DataError without questions."""
    units = units_of(contexts)
    scores = answer_scores(answers, found, units)
    has = np.array([bool(golds) for golds in answers])
    document = answer_document(scores, has, units=units, **drawing.options())
    right = scores[:, 0] > 0

    def shown() -> Shown:
        truth = [several(golds) for golds in answers]
        return Shown(
            place.texts, place.lines, truth, list(found), right, scores[:, 1], score_name="F1"
        )

    return Judged(document, questions_answered(answers, scores), shown, right, "exact_match")


def judge_numbers(truth: F64, found: F64, place: Place, drawing: Drawing) -> Judged:
    """Numbers; the page shows how far off each is. Raises DataError without rows."""
    document = evaluate_regression(truth, found, **drawing.options())

    def shown() -> Shown:
        cells = [[f"{number:.6g}" for number in each.tolist()] for each in (truth, found)]
        return Shown(
            place.texts, place.lines, cells[0], cells[1], None, np.abs(found - truth),
            score_name="off by", less=True,
        )  # fmt: skip

    return Judged(document, numbers_answered(truth, found), shown)


def judge_tags(
    labels: Labels, truth: Sentences, found: Sentences, scheme: str,
    words: Sequence[Sequence[str]], place: Place, drawing: Drawing,
) -> Judged:  # fmt: skip
    """Tags of ``words``; ``labels``: true ones as the file has them, ``truth`` in the scheme.
    Raises DataError without sentences."""
    document = {
        **evaluate_entities(truth, found, scheme=scheme, **drawing.options()), "scheme": scheme,
    }  # fmt: skip
    answered = tags_answered(labels, truth, found, scheme)
    right = sentences_right(truth, found)

    def shown() -> Shown:
        cells = [
            [
                marked_words("", own, entities(tags, scheme))
                for own, tags in zip(words, rows, strict=True)
            ]
            for rows in (truth, found)
        ]
        pairs = zip(truth, found, strict=True)
        share = np.array(
            [np.mean([x == y for x, y in zip(a, b, strict=True)]) if a else 1.0 for a, b in pairs]
        )
        return Shown(
            place.texts, place.lines, cells[0], cells[1], right, share, score_name="tags right"
        )

    return Judged(document, answered, shown, right, "sentence_accuracy")


@dataclass(frozen=True)
class Marked:
    """Spans of a row as the file counts them, of ``words`` or, where these are None, of characters
    of ``text``."""

    text: str
    words: Sequence[str] | None
    truth: Sequence[Span]
    found: Sequence[Span]


def judge_spans(
    labels: Labels, truth: Sequence[SpanSet], found: Sequence[SpanSet],
    marked: Callable[[], list[Marked]], lines: list[int] | None, drawing: Drawing, *,
    relations: bool,
) -> Judged:  # fmt: skip
    """Spans, and ``relations`` where there are some; ``labels``: those of the true spans.
    ``marked``: the rows for people. Raises DataError without rows."""
    document = evaluate_spans(truth, found, relations=relations, **drawing.options())
    right = np.array([a.spans == b.spans for a, b in zip(truth, found, strict=True)], np.bool_)

    def shown() -> Shown:
        rows = marked()
        cells = [
            [marked_words(row.text, row.words, spans) for row, spans in zip(rows, own, strict=True)]
            for own in ([row.truth for row in rows], [row.found for row in rows])
        ]
        texts = [row.text if row.words is None else " ".join(row.words) for row in rows]
        score = row_f1(span_counts(truth, found)["span_f1"])
        return Shown(texts, lines, cells[0], cells[1], right, score, score_name="F1")

    answered = spans_answered(labels, truth, found, relations=relations)
    return Judged(document, answered, shown, right, "row_accuracy")
