"""A fine-tuned encoder that finds spans in texts, and what predict and eval ask of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nlpcli.data.conll import TOKENS
from nlpcli.data.spanned import RELATIONS, SPANS, cell_of_objects, words_of_row
from nlpcli.data.tagged import CONLL, token_column
from nlpcli.evaluation.spans import SpanSet, evaluate_spans, span_set
from nlpcli.runs.judging import Drawing, Judged, Marked, judge_spans
from nlpcli.runs.long_texts import LongWords, places_of
from nlpcli.runs.span_cutting import CutTexts, Place, SpanCutter, Text, spans_in_words, texts_of
from nlpcli.store.span_model import StoredSpans
from nlpcli.text.wordpiece import WordPieceTokenizer

if TYPE_CHECKING:
    from nlpcli.data.rows import RowStream
    from nlpcli.data.spanned import Span, Spanned
    from nlpcli.models.span_heads import SpanModel
    from nlpcli.training.spans import FoundSpans

Found = list[tuple["TextSpans", list[Place]]]
"""Of texts what they have, and where their words are."""
IDENTIFIED = "entity"
"""The label of all spans where their own are set aside."""
_DIGITS = 6


@dataclass(frozen=True)
class TextSpans:
    """What is found in a text: ``spans`` in words by place, with ``scores``, probabilities;
    ``relations``: numbers of two of them and a label, with ``relation_scores``."""

    spans: list[Span]
    scores: list[float]
    relations: list[Span]
    relation_scores: list[float]

    def as_set(self) -> SpanSet:
        """To be measured."""
        return span_set(self.spans, self.relations)


def by_text(
    found: FoundSpans, cut: CutTexts, labels: Sequence[str], relations: Sequence[str]
) -> list[TextSpans]:
    """What is found in each of the texts."""
    import numpy as np

    indptr = cut.rows.words.indptr
    owner = np.searchsorted(indptr, found.begin, side="right") - 1
    texts = [TextSpans([], [], [], []) for _ in cut.places]
    first = np.searchsorted(owner, np.arange(len(texts))).tolist()
    begin, behind = (found.begin - indptr[owner]).tolist(), (found.behind - indptr[owner]).tolist()
    several = zip(
        owner.tolist(), begin, behind, found.label.tolist(), found.score.tolist(), strict=True
    )
    for text, a, b, label, score in several:
        texts[text].spans.append((a, b, labels[label]))
        texts[text].scores.append(math.exp(score))
    pairs = zip(
        owner[found.head].tolist(), found.head.tolist(), found.tail.tolist(),
        found.relation.tolist(), found.relation_score.tolist(), strict=True,
    )  # fmt: skip
    for text, head, tail, label, score in sorted(pairs):
        own = first[text]
        texts[text].relations.append((head - own, tail - own, relations[label]))
        texts[text].relation_scores.append(math.exp(score))
    return texts


class SpanFinder:
    """Texts -> spans, by a model that is loaded when the first text comes.

    ``long_texts``: what it was asked for that is longer than it reads.
    """

    def __init__(
        self, stored: StoredSpans, *, device: str = "auto", precision: str = "auto",
        threads: int | None = None,
    ) -> None:  # fmt: skip
        self.stored, self.labels = stored, stored.labels
        self.relations = stored.spanning.relations
        self._device, self._precision, self._threads = device, precision, threads
        words = WordPieceTokenizer.from_json(stored.encoder.tokenizer_json, "the model")
        self.cutter = SpanCutter(words, stored.spanning.max_length, stored.config.max_span)
        self.long_texts = LongWords(stored.spanning.max_length, "texts")
        self._model: SpanModel | None = None

    @property
    def pair(self) -> bool:
        """It reads no pairs of texts."""
        return False

    def on(
        self, *, device: str = "auto", precision: str = "auto", threads: int | None = None
    ) -> SpanFinder:
        """The same, computed elsewhere or otherwise."""
        return SpanFinder(self.stored, device=device, precision=precision, threads=threads)

    def find(self, texts: Sequence[Text]) -> Found:
        """What each text has, and where its words are; equal texts are answered once."""
        from nlpcli.training.spans import find_spans

        different, asked = places_of(texts)
        cut = self.cutter.cut(different)
        self.long_texts.count(cut.rows.words, asked)
        numbers = find_spans(
            self.ready(), cut.rows, self.cutter.specials, decoding=self.stored.spanning.decoding
        )
        each = by_text(numbers, cut, self.labels, self.relations)
        found = list(zip(each, cut.places, strict=True))
        return [found[at] for at in asked.tolist()]

    def ready(self) -> SpanModel:
        """Loads the model if that is yet to do. Raises UsageError, Unavailable."""
        if self._model is None:
            from nlpcli.models.span_heads import SpanModel
            from nlpcli.training.device import choose_device, set_threads
            from nlpcli.training.precision import prepared

            set_threads(self._threads)
            place, stored = choose_device(self._device), self.stored
            model = SpanModel(
                stored.encoder.config, stored.config, len(self.labels), len(self.relations), 0.0
            )
            model.load_all(stored.encoder.weights, stored.head)
            self._model = prepared(model, self._precision, place)
        return self._model


class SpanColumn:
    """Cells of texts or words -> cells of spans, and of relations where the model knows any: the
    columns that predict adds, lists of objects as JSON."""

    def __init__(self, finder: SpanFinder, prefix: str) -> None:
        self.model = finder
        self.columns, self.numeric = [f"{prefix}{SPANS}"], list[str]()
        if finder.relations:
            self.columns.append(f"{prefix}{RELATIONS}")
        self.json_columns = set(self.columns)
        self._are_words, self._lists = False, True

    def column(self, rows: RowStream, asked: str | None) -> int:
        """Where the texts or words are; of CoNLL files no cell is a list."""
        at = token_column(rows, asked)
        self._lists = rows.format != CONLL
        self._are_words = rows.format == CONLL or rows.header[at] == TOKENS
        return at

    def __call__(self, cells: list[str]) -> list[list[str]]:
        """The columns. A blank cell has no spans."""
        found = self.model.find([self._read(cell) for cell in cells])
        columns = [[cell_of_objects(_span_objects(*each)) for each in found]]
        if self.model.relations:
            columns.append([cell_of_objects(_relation_objects(each)) for each, _ in found])
        return columns

    def _read(self, cell: str) -> Text:
        try:
            words = words_of_row(cell, are_words=self._are_words, lists=self._lists)
        except ValueError:
            return tuple(cell.split())
        return cell if words is None else tuple(words)


def _span_objects(found: TextSpans, places: list[Place]) -> list[dict[str, Any]]:
    return [
        {"start": places[a][0], "end": places[b - 1][1], "label": label,
         "score": round(score, _DIGITS)}
        for (a, b, label), score in zip(found.spans, found.scores, strict=True)
    ]  # fmt: skip


def _relation_objects(found: TextSpans) -> list[dict[str, Any]]:
    return [
        {"head": head, "tail": tail, "label": label, "score": round(score, _DIGITS)}
        for (head, tail, label), score in zip(found.relations, found.relation_scores, strict=True)
    ]


def identified(spans: Sequence[Span]) -> list[Span]:
    """With one label for all."""
    return [(a, b, IDENTIFIED) for a, b, _ in spans]


def true_sets(
    rows: Spanned, texts: Sequence[Text], places: Sequence[Sequence[Place]], *, identify: bool
) -> tuple[list[SpanSet], int]:
    """What is to be found in each row, and how many spans the words cannot make up."""
    spans, n_bad = spans_in_words(rows, texts, places)
    if identify:
        spans = [identified(own) for own in spans]
    return [span_set(a, b) for a, b in zip(spans, rows.relations, strict=True)], n_bad


def score_rows(
    finder: SpanFinder, rows: Spanned, *, resamples: int, seed: int = 1
) -> tuple[dict[str, Any], int]:
    """The document of ``eval`` over rows, and how many spans the words cannot make up."""
    texts = texts_of(rows)
    found = finder.find(texts)
    identify = finder.stored.spanning.identify
    truth, n_bad = true_sets(rows, texts, [places for _, places in found], identify=identify)
    document = evaluate_spans(
        truth, [each.as_set() for each, _ in found], relations=bool(finder.relations),
        resamples=resamples, seed=seed,
    )  # fmt: skip
    return document, n_bad


def judged_spans(
    finder: SpanFinder, rows: Spanned, found: Found, *, resamples: int, seed: int
) -> Judged:
    """What eval says of what was ``found`` in rows."""
    texts, identify = texts_of(rows), finder.stored.spanning.identify
    truth, n_bad = true_sets(rows, texts, [places for _, places in found], identify=identify)

    def marked() -> list[Marked]:
        each = zip(rows.texts, rows.words, rows.spans, found, strict=True)
        return [Marked(text, words, spans, _placed(*own)) for text, words, spans, own in each]

    judged = judge_spans(
        rows.labels, truth, [each.as_set() for each, _ in found], marked, rows.lines,
        Drawing(resamples, seed), relations=bool(finder.relations),
    )  # fmt: skip
    unknown = {label for own in rows.labels for label in own} - set(finder.labels)
    document = {
        **judged.document, "decoding": finder.stored.spanning.decoding,
        "spans_across_words": n_bad, "unknown_labels": [] if identify else sorted(unknown),
    }  # fmt: skip
    return replace(judged, document=document)


def _placed(found: TextSpans, places: list[Place]) -> list[Span]:
    """As the file counts spans."""
    return [(places[a][0], places[b - 1][1], label) for a, b, label in found.spans]
