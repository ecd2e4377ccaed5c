"""How eval measures each kind of model, and which options mean something for it.

A kind costs an entry in ``KINDS``, with a function that measures.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nlpcli.commands.asking import answer_table, is_answerer, question_columns
from nlpcli.commands.calibrating import decisions
from nlpcli.commands.eval_tables import language_table, rows_table, slices_table, word_table
from nlpcli.commands.regression import is_regressor, number_table
from nlpcli.commands.tagging import is_span_finder, is_tagger, span_columns, word_columns
from nlpcli.errors import UsageError
from nlpcli.shell.console import RejectFile

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from nlpcli.data.labelled import Labelled
    from nlpcli.data.rows import RowFormat
    from nlpcli.runs.comparing import Answered

Options = dict[str, Any]

SOME_HEED: Options = {
    "threshold": None, "label_separator": None, "format": None, "vocab_limit": None,
    "robustness": False, "slices": False, "slice_by": (), "slice_rows": 20,
    "conformal": None, "out_of_scope": None,
}  # fmt: skip
"""Options that have no meaning for some kinds, as they are where they are not given."""


@dataclass(frozen=True)
class Asked:
    """``seconds`` that all rows took; how to ask for one, by its number; and how a fresh
    ``predict`` is asked: the names of columns, the cells of a row, and options."""

    seconds: float
    one: Callable[[int], object]
    header: list[str]
    cells: Callable[[int], list[str]]
    arguments: list[str]


@dataclass(frozen=True)
class Measured:
    """What eval says of a model: the ``document`` of --json, and the ``table`` for people.

    Of a classifier also the ``rows`` of the test and their ``probabilities`` [B, K]; of what can be
    compared how it is asked, and its answers.
    """

    document: dict[str, Any]
    table: str
    rows: Labelled | None = None
    probabilities: npt.NDArray[np.float64] | None = None
    asked: Asked | None = None
    answered: Answered | None = None


@dataclass(frozen=True)
class Kind:
    """``name``: as messages say it. ``fits``: whether a model that was opened is of this kind.
    ``heeds``: of ``SOME_HEED``. ``measure``: (the model, options, where bad rows go) -> what eval
    says. ``again``: (another model, rows that were read, options) -> the same, where such models
    can be compared."""

    name: str
    fits: Callable[[Any], bool]
    heeds: frozenset[str]
    measure: Callable[[Any, Options, RejectFile], Measured]
    again: Callable[[Any, Labelled, Options], Measured] | None = None


def row_format(options: Options, **more: Any) -> RowFormat:
    """How the input's rows are read."""
    from nlpcli.data.rows import RowFormat

    return RowFormat(
        format=options["format"], header=options["header"], on_error=options["on_error"],
        max_field=options["max_field"] << 20, **more,
    )  # fmt: skip


def _is_word_vectors(opened: Any) -> bool:
    from nlpcli.models.word_vectors import WordVectors

    return isinstance(opened, WordVectors)


def _word_vectors(opened: Any, options: Options, reject: RejectFile) -> Measured:
    from nlpcli.runs.word_scoring import score_words

    document = score_words(
        opened, options["test"], limit=options["vocab_limit"], resamples=options["resamples"],
        seed=options["seed"], on_error=options["on_error"], max_field=options["max_field"] << 20,
        on_reject=reject,
    )  # fmt: skip
    return Measured(document, word_table(document))


def _is_language_model(opened: Any) -> bool:
    from nlpcli.store.language_model import LanguageModel

    return isinstance(opened, LanguageModel) and not opened.labels


def _language_model(opened: Any, options: Options, reject: RejectFile) -> Measured:
    from nlpcli.runs.language_scoring import score_language

    fmt = row_format(options, otherwise="text", label_prefix=options["label_prefix"])
    document = score_language(
        opened, options["test"], fmt, text_column=options["text_column"],
        resamples=options["resamples"], seed=options["seed"], on_reject=reject,
    )  # fmt: skip
    return Measured(document, language_table(document))


def _tagger(opened: Any, options: Options, reject: RejectFile) -> Measured:
    from nlpcli.runs.token_tagger import read_sentences

    names = word_columns(options["text_column"], options["label_column"])
    rows = read_sentences(options["test"], row_format(options), **names, on_reject=reject)
    return _tagged(opened, rows, options)


def _tagged(opened: Any, rows: Labelled, options: Options) -> Measured:
    """What a tagger makes of sentences that were read."""
    from nlpcli.data.tagged import cell_of_words, parted_words
    from nlpcli.runs.token_tagger import score_tags, tags_answered

    sentences = [parted_words(text) for text in rows.texts]
    opened.tags([["."]])  # it is loaded when it is first asked
    begun = time.perf_counter()
    found = opened.tags(sentences)
    seconds = time.perf_counter() - begun
    document = score_tags(
        opened, rows, found, options["test"], resamples=options["resamples"], seed=options["seed"]
    )
    asked = Asked(
        seconds, lambda row: opened.tags([sentences[row]]), ["tokens"],
        lambda row: [cell_of_words(sentences[row], True)], ["--text-column", "tokens"],
    )  # fmt: skip
    answers = tags_answered(opened, rows, found, options["test"])
    return Measured(document, rows_table(document), rows, None, asked, answers)


def _span_finder(opened: Any, options: Options, reject: RejectFile) -> Measured:
    from nlpcli.runs.span_model import score_spans

    names = span_columns(options["text_column"], options["label_column"])
    document = score_spans(
        opened, options["test"], row_format(options), **names, resamples=options["resamples"],
        seed=options["seed"], on_reject=reject,
    )  # fmt: skip
    return Measured(document, rows_table(document))


def _answerer(opened: Any, options: Options, reject: RejectFile) -> Measured:
    from nlpcli.runs.question_answerer import score_questions

    document = score_questions(
        opened, options["test"], row_format(options), columns=question_columns(options),
        resamples=options["resamples"], seed=options["seed"], on_reject=reject,
    )  # fmt: skip
    return Measured(document, answer_table(document))


def _regressor(opened: Any, options: Options, reject: RejectFile) -> Measured:
    from nlpcli.runs.encoder_regressor import score_numbers

    fmt = row_format(options, label_prefix=options["label_prefix"])
    names = ("text_column", "text_b_column", "label_column", "resamples", "seed")
    given = {name: options[name] for name in names}
    document = score_numbers(opened, options["test"], fmt, **given, on_reject=reject)
    return Measured(document, number_table(document))


def _classifier(opened: Any, options: Options, reject: RejectFile) -> Measured:
    from nlpcli.data.labelled import read_labelled

    separator = (options["label_separator"] or opened.separator) if opened.multi_label else None
    fmt = row_format(options, label_separator=separator, label_prefix=options["label_prefix"])
    columns = {name: options[name] for name in ("text_column", "text_b_column", "label_column")}
    rows = read_labelled(
        options["test"], fmt, **columns, label_separator=separator, keep_blank=True,
        other_columns=options["slice_by"] or (), on_reject=reject,
    )  # fmt: skip
    return _classified(opened, rows, options, reject)


def _classified(
    opened: Any, rows: Labelled, options: Options, reject: RejectFile | None = None
) -> Measured:
    """What a classifier makes of rows that were read."""
    from nlpcli.data.pairs import parted
    from nlpcli.runs.comparing import answered
    from nlpcli.runs.scoring import ece_uncalibrated, given_labels, score

    begun = time.perf_counter()
    probabilities = opened.probabilities(rows.texts)
    seconds = time.perf_counter() - begun
    drawing = {"resamples": options["resamples"], "seed": options["seed"]}
    document = score(opened, probabilities, rows.labels, threshold=options["threshold"], **drawing)
    before = ece_uncalibrated(opened, probabilities, rows.labels, **drawing)
    if before is not None:
        document["ece_uncalibrated"] = before
    decided, lines = decisions(opened, rows, probabilities, options, reject)
    document |= decided
    table = rows_table(document) + lines
    if options["slices"] or options["slice_by"]:
        from nlpcli.runs.slicing import find_slices

        document["slices"] = find_slices(
            opened, probabilities, rows, threshold=options["threshold"],
            min_rows=options["slice_rows"],
        )  # fmt: skip
        table += slices_table(document["slices"])
    labels = given_labels(opened, probabilities, options["threshold"])
    pairs = options["text_b_column"] is not None
    asked = Asked(
        seconds, lambda row: opened.probabilities([rows.texts[row]]),
        ["text", "text_b"] if pairs else ["text"],
        lambda row: [half[0] for half in parted(rows.texts[row : row + 1])][: 2 if pairs else 1],
        ["--text-column", "text", *(["--text-b-column", "text_b"] if pairs else [])],
    )  # fmt: skip
    return Measured(
        document, table, rows, probabilities, asked,
        answered([tuple(sorted(row)) for row in rows.labels], labels, several=opened.multi_label),
    )  # fmt: skip


KINDS = (
    Kind("word vectors", _is_word_vectors, frozenset({"vocab_limit"}), _word_vectors),
    Kind("a language model", _is_language_model, frozenset({"format"}), _language_model),
    Kind("a tagger of words", is_tagger, frozenset({"format"}), _tagger, _tagged),
    Kind("a model of spans", is_span_finder, frozenset({"format"}), _span_finder),
    Kind("a regression", is_regressor, frozenset({"format"}), _regressor),
    Kind("a model that answers questions", is_answerer, frozenset({"format"}), _answerer),
    Kind(
        "a classifier", lambda opened: True,
        frozenset({
            "threshold", "label_separator", "format", "robustness", "slices", "slice_by",
            "slice_rows", "conformal", "out_of_scope",
        }),
        _classifier, _classified,
    ),
)  # fmt: skip
"""The first that fits is taken."""


def kind_of(opened: Any) -> Kind:
    """The kind of a model that was opened."""
    return next(kind for kind in KINDS if kind.fits(opened))


def check_heeded(kind: Kind, model: str, options: Options) -> None:
    """Raises UsageError for an option that the model's kind does not heed."""
    for name, value in SOME_HEED.items():
        # what may be repeated and is not given is an empty tuple
        if options[name] not in (value, ()) and name not in kind.heeds:
            flag = name.replace("_", "-")
            given = "" if options[name] is True else f" {options[name]}"
            raise UsageError(f"--{flag}{given}: {model} is {kind.name}")


def measure(opened: Any, model: str, options: Options, reject: RejectFile) -> Measured:
    """Measures a model, ``model`` being its name in messages. Raises UsageError for an option that
    its kind does not heed, InputMissing, DataError."""
    kind = kind_of(opened)
    check_heeded(kind, model, options)
    return kind.measure(opened, options, reject)
