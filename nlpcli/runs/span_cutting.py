"""Texts with spans -> rows of pieces that an encoder reads, and where its words are in them."""

from __future__ import annotations

import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from nlpcli.data.source import Source
from nlpcli.data.spanned import Span, Spanned, chosen
from nlpcli.errors import DataError, shown
from nlpcli.text.wordpiece import WordPieceTokenizer

if TYPE_CHECKING:
    from nlpcli.batching.framing import Specials
    from nlpcli.batching.span_rows import KnownSpans, SpanRows
    from nlpcli.data.rows import Reject

Place = tuple[int, int]
Text = tuple[str, ...] | str
"""Words, or a text that the tokenizer cuts into words."""


@dataclass(frozen=True)
class CutTexts:
    """``rows`` of all words; ``places``: of each text where its words begin and end, in code
    points of a text, or by their own numbers where it was given as words."""

    rows: SpanRows
    places: list[list[Place]]


@dataclass(frozen=True)
class SpanCutter:
    """Texts, or lists of words, -> rows for an encoder; ``longest`` positions of a row, spans of
    ``max_span`` words at most.

    A text's words are those of the tokenizer: what stands between blanks, a sign of punctuation, a
    Chinese character.
    """

    tokenizer: WordPieceTokenizer
    longest: int
    max_span: int

    @property
    def specials(self) -> Specials:
        """What rows are framed with."""
        from nlpcli.batching.framing import Specials

        words = self.tokenizer
        return Specials(words.cls, words.sep, words.pad, self.longest)

    def cut(self, texts: Sequence[Text]) -> CutTexts:
        """One row a text, more of a long one, none of one without words."""
        from nlpcli.batching.span_rows import SpanRows
        from nlpcli.batching.word_rows import pieced, word_rows

        places = self.places(texts)
        sentences = [
            [text[a:b] for a, b in own] if isinstance(text, str) else list(text)
            for text, own in zip(texts, places, strict=True)
        ]
        counts = np.fromiter(map(len, sentences), np.int64, len(sentences))
        found = self.tokenizer.encode_tokens(sentences)
        words = word_rows(pieced(found, counts, self.tokenizer.unk), self.specials)
        return CutTexts(SpanRows.of(words, self.max_span), places)

    def places(self, texts: Sequence[Text]) -> list[list[Place]]:
        """Where the words of each text are."""
        plain = [text for text in texts if isinstance(text, str)]
        cut = iter(text_words(self.tokenizer, plain))
        return [
            next(cut) if isinstance(text, str) else [(i, i + 1) for i in range(len(text))]
            for text in texts
        ]


def text_words(tokenizer: WordPieceTokenizer, texts: Sequence[str]) -> list[list[Place]]:
    """Where the words of each text begin and end, marks that the tokenizer drops included."""
    found = tokenizer.encode_words(texts)
    owner = np.repeat(np.arange(len(texts)), np.diff(found.indptr))
    is_first = np.ones(len(owner), bool)
    is_first[1:] = (found.words[1:] != found.words[:-1]) | (owner[1:] != owner[:-1])
    firsts = np.flatnonzero(is_first)
    lasts = np.append(firsts[1:], len(owner)) - 1
    begins, ends = found.spans[firsts, 0].tolist(), found.spans[lasts[: len(firsts)], 1].tolist()
    bounds = np.concatenate([[0], np.cumsum(np.bincount(owner[firsts], minlength=len(texts)))])
    return [
        [(a, _with_marks(text, b)) for a, b in zip(begins[i:j], ends[i:j], strict=True)]
        for text, i, j in zip(texts, bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)
    ]


def _with_marks(text: str, end: int) -> int:
    while end < len(text) and unicodedata.combining(text[end]):
        end += 1
    return end


def texts_of(rows: Spanned) -> list[Text]:
    """What there is to cut."""
    pairs = zip(rows.texts, rows.words, strict=True)
    return [text if words is None else tuple(words) for text, words in pairs]


def in_words(span: Span, places: Sequence[Place], text: Text) -> Span:
    """The same span in words; blanks around it do not count.

    Raises ValueError where it cuts a word, or has none.
    """
    start, end, label = span
    begin = bisect_right([b for _, b in places], start)
    behind = bisect_left([a for a, _ in places], end)
    if begin >= behind:
        raise ValueError("holds no word")
    for a, b in (places[begin], places[behind - 1]):
        if a < start or b > end:
            raise ValueError(f"cuts the word {shown(str(text[a:b]), 40)}, which is {a} to {b}")
    return begin, behind, label


def spans_in_words(
    rows: Spanned, texts: Sequence[Text], places: Sequence[Sequence[Place]]
) -> tuple[list[list[Span]], int]:
    """Spans of each row in words, and how many words do not make up: these get numbers below 0,
    which nothing can find."""
    found, n_bad = [], 0
    for spans, text, own in zip(rows.spans, texts, places, strict=True):
        placed = []
        for span in spans:
            try:
                placed.append(in_words(span, own, text))
            except ValueError:
                placed.append((-1 - span[0], -1 - span[1], span[2]))
                n_bad += 1
        found.append(placed)
    return found, n_bad


def made_of_words(
    rows: Spanned, cutter: SpanCutter, path: str, on_reject: Reject | None
) -> Spanned:
    """The rows whose spans words make up; others go to ``on_reject``.

    Without it, and where none is left, raises DataError, which names line, span and word.
    """
    kept = []
    texts = texts_of(rows)
    for row, (text, own) in enumerate(zip(texts, cutter.places(texts), strict=True)):
        try:
            for number, span in enumerate(rows.spans[row]):
                _expect_words(number, span, own, text)
        except ValueError as error:
            if on_reject is None:
                raise DataError(
                    f"{Source.name_of(path)} line {rows.lines[row]}: {error}",
                    hint="--on-error skip drops such rows",
                ) from None
            on_reject(rows.lines[row], str(error), rows.texts[row])
            continue
        kept.append(row)
    if not kept:
        raise DataError(f"{Source.name_of(path)}: no rows with spans that words make up")
    if len(kept) == len(rows.texts):
        return rows
    return replace(chosen(rows, kept), n_skipped=rows.n_skipped + len(rows.texts) - len(kept))


def _expect_words(number: int, span: Span, places: Sequence[Place], text: Text) -> None:
    try:
        in_words(span, places, text)
    except ValueError as error:
        start, end, _ = span
        raise ValueError(f"span {number}, {start} to {end}, {error}") from None


@dataclass(frozen=True)
class Lost:
    """Spans that are not learnt: longer than may be or not within a row, or there already with
    another label; and relations of such spans or across rows."""

    long: int
    twice: int
    relations: int


def known_of(
    rows: Spanned, spans: Sequence[Sequence[Span]], cut: SpanRows, labels: Sequence[str],
    relations: Sequence[str],
) -> tuple[KnownSpans, Lost]:  # fmt: skip
    """What is to be learnt about the rows, spans in words."""
    from nlpcli.batching.span_rows import known_spans

    number = {name: n for n, name in enumerate(labels, 1)}
    kind = {name: n for n, name in enumerate(relations, 1)}
    offsets = cut.words.indptr[:-1].tolist()
    flat = [
        (at + a, at + b, number[label])
        for at, own in zip(offsets, spans, strict=True)
        for a, b, label in own
    ]
    begin, behind, label = np.array(flat, np.int64).reshape(-1, 3).T
    words = cut.words.words
    row = np.searchsorted(words, begin, side="right") - 1
    fits = (behind - begin <= cut.longest) & (behind <= cut.ends[row])
    place = np.where(fits, np.cumsum(fits) - 1, -1)
    starts = np.cumsum([0, *map(len, spans)])[:-1].tolist()
    pairs = [
        (start + head, start + tail, kind[name])
        for start, own in zip(starts, rows.relations, strict=True)
        for head, tail, name in own
    ]
    head, tail, relation = np.array(pairs, np.int64).reshape(-1, 3).T
    learnt = fits[head] & fits[tail] & (row[head] == row[tail])
    known = known_spans(
        cut.key(begin, behind)[fits], label[fits], place[head][learnt], place[tail][learnt],
        relation[learnt],
    )  # fmt: skip
    distinct = len(set(zip(begin.tolist(), behind.tolist(), label.tolist(), strict=True)))
    twice = distinct - len({(a, b) for a, b, _ in flat})
    return known, Lost(int((~fits).sum()), twice, int((~learnt).sum()))


def overlapping(spans: Iterable[Sequence[Span]]) -> bool:
    """Whether two spans of a row share a word."""
    for own in spans:
        ordered = sorted({span[:2] for span in own})
        if any(a[1] > b[0] for a, b in pairwise(ordered)):
            return True
    return False
