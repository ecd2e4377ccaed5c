"""How eval measures each kind of model, and which options mean something for it.

A kind costs an entry in ``KINDS``, with a function that measures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nlpcli.commands.asking import answer_table, is_answerer, question_columns
from nlpcli.commands.eval_tables import language_table, rows_table, slices_table, word_table
from nlpcli.commands.tagging import is_span_finder, is_tagger, span_columns, word_columns
from nlpcli.errors import UsageError
from nlpcli.shell.console import RejectFile

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from nlpcli.data.labelled import Labelled
    from nlpcli.data.rows import RowFormat

Options = dict[str, Any]

SOME_HEED: Options = {
    "threshold": None, "label_separator": None, "format": None, "vocab_limit": None,
    "robustness": False, "slices": False, "slice_by": (), "slice_rows": 20,
}  # fmt: skip
"""Options that have no meaning for some kinds, as they are where they are not given."""


@dataclass(frozen=True)
class Measured:
    """What eval says of a model: the ``document`` of --json, and the ``table`` for people.

    Of a classifier also the ``rows`` of the test and their ``probabilities`` [B, K].
    """

    document: dict[str, Any]
    table: str
    rows: Labelled | None = None
    probabilities: npt.NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Kind:
    """``name``: as messages say it. ``fits``: whether a model that was opened is of this kind.
    ``heeds``: of ``SOME_HEED``. ``measure``: (the model, options, where bad rows go) -> what eval
    says."""

    name: str
    fits: Callable[[Any], bool]
    heeds: frozenset[str]
    measure: Callable[[Any, Options, RejectFile], Measured]


def _row_format(options: Options, **more: Any) -> RowFormat:
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

    fmt = _row_format(options, otherwise="text", label_prefix=options["label_prefix"])
    document = score_language(
        opened, options["test"], fmt, text_column=options["text_column"],
        resamples=options["resamples"], seed=options["seed"], on_reject=reject,
    )  # fmt: skip
    return Measured(document, language_table(document))


def _tagger(opened: Any, options: Options, reject: RejectFile) -> Measured:
    from nlpcli.runs.token_tagger import score_tags

    names = word_columns(options["text_column"], options["label_column"])
    document = score_tags(
        opened, options["test"], _row_format(options), **names, resamples=options["resamples"],
        seed=options["seed"], on_reject=reject,
    )  # fmt: skip
    return Measured(document, rows_table(document))


def _span_finder(opened: Any, options: Options, reject: RejectFile) -> Measured:
    from nlpcli.runs.span_model import score_spans

    names = span_columns(options["text_column"], options["label_column"])
    document = score_spans(
        opened, options["test"], _row_format(options), **names, resamples=options["resamples"],
        seed=options["seed"], on_reject=reject,
    )  # fmt: skip
    return Measured(document, rows_table(document))


def _answerer(opened: Any, options: Options, reject: RejectFile) -> Measured:
    from nlpcli.runs.question_answerer import score_questions

    document = score_questions(
        opened, options["test"], _row_format(options), columns=question_columns(options),
        resamples=options["resamples"], seed=options["seed"], on_reject=reject,
    )  # fmt: skip
    return Measured(document, answer_table(document))


def _classifier(opened: Any, options: Options, reject: RejectFile) -> Measured:
    from nlpcli.data.labelled import read_labelled
    from nlpcli.runs.scoring import ece_uncalibrated, score

    separator = (options["label_separator"] or opened.separator) if opened.multi_label else None
    fmt = _row_format(options, label_separator=separator, label_prefix=options["label_prefix"])
    columns = {name: options[name] for name in ("text_column", "text_b_column", "label_column")}
    rows = read_labelled(
        options["test"], fmt, **columns, label_separator=separator, keep_blank=True,
        other_columns=options["slice_by"] or (), on_reject=reject,
    )  # fmt: skip
    probabilities = opened.probabilities(rows.texts)
    drawing = {"resamples": options["resamples"], "seed": options["seed"]}
    document = score(opened, probabilities, rows.labels, threshold=options["threshold"], **drawing)
    before = ece_uncalibrated(opened, probabilities, rows.labels, **drawing)
    if before is not None:
        document["ece_uncalibrated"] = before
    table = rows_table(document)
    if options["slices"] or options["slice_by"]:
        from nlpcli.runs.slicing import find_slices

        document["slices"] = find_slices(
            opened, probabilities, rows, threshold=options["threshold"],
            min_rows=options["slice_rows"],
        )  # fmt: skip
        table += slices_table(document["slices"])
    return Measured(document, table, rows, probabilities)


KINDS = (
    Kind("word vectors", _is_word_vectors, frozenset({"vocab_limit"}), _word_vectors),
    Kind("a language model", _is_language_model, frozenset({"format"}), _language_model),
    Kind("a tagger of words", is_tagger, frozenset({"format"}), _tagger),
    Kind("a model of spans", is_span_finder, frozenset({"format"}), _span_finder),
    Kind("a model that answers questions", is_answerer, frozenset({"format"}), _answerer),
    Kind(
        "a classifier", lambda opened: True,
        frozenset({
            "threshold", "label_separator", "format", "robustness", "slices", "slice_by",
            "slice_rows",
        }),
        _classifier,
    ),
)  # fmt: skip
"""The first that fits is taken."""


def kind_of(opened: Any) -> Kind:
    """The kind of a model that was opened."""
    return next(kind for kind in KINDS if kind.fits(opened))


def measure(opened: Any, model: str, options: Options, reject: RejectFile) -> Measured:
    """Measures a model, ``model`` being its name in messages. Raises UsageError for an option that
    its kind does not heed, InputMissing, DataError."""
    kind = kind_of(opened)
    for name, value in SOME_HEED.items():
        if options[name] != value and name not in kind.heeds:
            flag = name.replace("_", "-")
            given = "" if options[name] is True else f" {options[name]}"
            raise UsageError(f"--{flag}{given}: {model} is {kind.name}")
    return kind.measure(opened, options, reject)
