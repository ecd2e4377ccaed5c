"""How eval reads the rows for models whose answers are no labels of texts, and measures these."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from nlpcli.commands.asking import answer_table, question_columns
from nlpcli.commands.eval_measured import Asked, Measured, Options, drawing, judged, row_format
from nlpcli.commands.eval_tables import language_table, rows_table, word_table
from nlpcli.commands.opening import long_lines
from nlpcli.commands.regression import number_table
from nlpcli.commands.tagging import span_columns, word_columns
from nlpcli.shell.console import RejectFile

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nlpcli.data.labelled import Labelled
    from nlpcli.data.questions import Questions
    from nlpcli.data.spanned import Spanned
    from nlpcli.data.word_questions import Analogies, WordPairs


Reject = RejectFile | None


def read_words(_: Any, options: Options, reject: RejectFile) -> Analogies | WordPairs:
    """Analogies or pairs of words. Raises InputMissing, DataError, as all here."""
    from nlpcli.data.word_questions import read_word_questions

    return read_word_questions(
        options["test"], on_error=options["on_error"], max_field=options["max_field"] << 20,
        on_reject=reject,
    )  # fmt: skip


def words(opened: Any, rows: Analogies | WordPairs, options: Options, _: Reject = None) -> Measured:
    """Of word vectors."""
    from nlpcli.runs.answered import words_answered
    from nlpcli.runs.word_scoring import score_words

    document, each = score_words(opened, rows, limit=options["vocab_limit"], **drawing(options))
    answered = words_answered(document["task"], each)
    return Measured(document, word_table(document), answered=answered)


def read_language(_: Any, options: Options, reject: RejectFile) -> tuple[Iterable[list[str]], str]:
    """Texts, in memory where several models are asked about them, and their file's name."""
    from nlpcli.runs.language_scoring import read_texts

    fmt = row_format(options, otherwise="text", label_prefix=options["label_prefix"])
    texts, name = read_texts(
        options["test"], fmt, text_column=options["text_column"], on_reject=reject
    )
    again = _several(options) or options["measure_cost"]
    return list(texts) if again else texts, name


def _several(options: Options) -> bool:
    """Whether there is something to compare with."""
    return len(options["model"]) + len(options["predictions"] or ()) > 1


def language(
    opened: Any, rows: tuple[Iterable[list[str]], str], options: Options, _: Reject = None
) -> Measured:
    """Of a language model."""
    from nlpcli.runs.answered import language_answered
    from nlpcli.runs.language_scoring import SentenceScores, perplexity_of, scored_texts

    texts, name = rows
    begun = time.perf_counter()
    scored = scored_texts(opened, texts)
    seconds = time.perf_counter() - begun
    document = perplexity_of(scored, name, **drawing(options))
    table = language_table(document)
    if not isinstance(texts, list):
        return Measured(document, table)
    every = [text for some in texts for text in some]
    score = SentenceScores(opened)
    asked = Asked(
        seconds, lambda row: score([every[row]]), ["text"], lambda row: [every[row]], [],
        len(every),
    )  # fmt: skip
    if not _several(options):
        return Measured(document, table, asked=asked)
    return Measured(document, table, asked=asked, answered=language_answered(scored))


def read_tags(_: Any, options: Options, reject: RejectFile) -> Labelled:
    """Sentences with tags."""
    from nlpcli.data.conll import TAGS
    from nlpcli.data.tagged import read_tagged

    names = word_columns(options["text_column"], options["label_column"])
    return read_tagged(
        options["test"], row_format(options), tokens=names["tokens"], tags=names["tags"] or TAGS,
        other_columns=options["slice_by"] or (), on_reject=reject,
    )  # fmt: skip


def tags(opened: Any, rows: Labelled, options: Options, _: Reject = None) -> Measured:
    """Of a tagger of words."""
    from nlpcli.data.tagged import cell_of_words, parted_words
    from nlpcli.runs.token_tagger import judged_tags

    sentences = [parted_words(text) for text in rows.texts]
    begun = time.perf_counter()
    found = opened.tags(sentences)
    seconds, told = time.perf_counter() - begun, long_lines(opened)
    asked = Asked(
        seconds, lambda row: opened.tags([sentences[row]]), ["tokens"],
        lambda row: [cell_of_words(sentences[row], True)], ["--text-column", "tokens"],
        len(sentences),
    )  # fmt: skip
    judgement = judged_tags(opened, rows, found, options["test"], **drawing(options))
    return judged(judgement, rows_table, rows, options, asked=asked, told=told)


def read_spans(opened: Any, options: Options, reject: RejectFile) -> Spanned:
    """Texts, or words, with spans; these need labels where the model gives some."""
    from nlpcli.data.spanned import read_spanned

    return read_spanned(
        options["test"], row_format(options),
        **span_columns(options["text_column"], options["label_column"]),
        labelled=not opened.stored.spanning.identify, other_columns=options["slice_by"] or (),
        on_reject=reject,
    )  # fmt: skip


def spans(opened: Any, rows: Spanned, options: Options, _: Reject = None) -> Measured:
    """Of a model of spans."""
    from nlpcli.data.tagged import cell_of_words
    from nlpcli.runs.span_cutting import texts_of
    from nlpcli.runs.span_model import judged_spans

    texts = texts_of(rows)
    begun = time.perf_counter()
    found = opened.find(texts)
    seconds, told = time.perf_counter() - begun, long_lines(opened)

    def cell(row: int) -> list[str]:
        text = texts[row]
        return [text if isinstance(text, str) else cell_of_words(text, True)]

    asked = Asked(
        seconds, lambda row: opened.find([texts[row]]), ["text"], cell, [],
        len(texts),
    )  # fmt: skip
    judgement = judged_spans(opened, rows, found, **drawing(options))
    return judged(judgement, rows_table, rows, options, asked=asked, told=told)


def read_asked(_: Any, options: Options, reject: RejectFile) -> Questions:
    """Questions with contexts and answers."""
    from nlpcli.data.questions import read_questions

    columns: dict[str, Any] = question_columns(options)
    return read_questions(
        options["test"], row_format(options), need_starts=False, keep_blank=True,
        other_columns=options["slice_by"] or (), on_reject=reject, **columns,
    )  # fmt: skip


def questions(opened: Any, rows: Questions, options: Options, _: Reject = None) -> Measured:
    """Of a model that answers questions."""
    from nlpcli.runs.question_answerer import judged_questions

    if options["threshold"] is not None:
        opened.be_silent_above(options["threshold"])
    pairs = list(zip(rows.texts, rows.contexts, strict=True))
    begun = time.perf_counter()
    found = [answers[0].text for answers in opened.answers(pairs)]
    seconds, told = time.perf_counter() - begun, long_lines(opened)
    asked = Asked(
        seconds, lambda row: opened.answers([pairs[row]]),
        ["question", "context"], lambda row: list(pairs[row]), [], len(pairs),
    )  # fmt: skip
    judgement = judged_questions(rows, found, **drawing(options))
    return judged(judgement, answer_table, rows, options, asked=asked, told=told)


def read_numbers(_: Any, options: Options, reject: RejectFile) -> Labelled:
    """Texts, or pairs, with numbers."""
    from nlpcli.data.labelled import read_labelled

    names = ("text_column", "text_b_column", "label_column")
    return read_labelled(
        options["test"], row_format(options, label_prefix=options["label_prefix"]),
        **{name: options[name] for name in names}, keep_blank=True, numbers=True, on_reject=reject,
    )  # fmt: skip


def numbers(opened: Any, rows: Labelled, options: Options, _: Reject = None) -> Measured:
    """Of a regression."""
    from nlpcli.runs.encoder_regressor import judged_numbers

    begun = time.perf_counter()
    found = opened.scores(rows.texts)
    seconds, told = time.perf_counter() - begun, long_lines(opened)
    asked = asked_texts(rows.texts, seconds, lambda text: opened.scores([text]), options)
    judgement = judged_numbers(rows, found, **drawing(options))
    return judged(judgement, number_table, rows, options, asked=asked, told=told)


def asked_texts(texts: list[str], seconds: float, one: Any, options: Options) -> Asked:
    """How a model of texts, or of pairs, is asked; ``one``: about a text."""
    from nlpcli.data.pairs import parted

    pairs = options["text_b_column"] is not None
    return Asked(
        seconds, lambda row: one(texts[row]), ["text", "text_b"] if pairs else ["text"],
        lambda row: [half[0] for half in parted(texts[row : row + 1])][: 2 if pairs else 1],
        ["--text-column", "text", *(["--text-b-column", "text_b"] if pairs else [])], len(texts),
    )  # fmt: skip
