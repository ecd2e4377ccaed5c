"""How eval measures each kind of model, and which options mean something for it.

A kind costs an entry in ``KINDS``, with a function that measures.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nlpcli.commands import eval_tasks as tasks
from nlpcli.commands.asking import is_answerer
from nlpcli.commands.calibrating import decisions
from nlpcli.commands.eval_measured import Measured, Options, drawing, row_format
from nlpcli.commands.eval_tables import rows_table, slices_table
from nlpcli.commands.eval_tasks import asked_texts
from nlpcli.commands.opening import long_lines
from nlpcli.commands.regression import is_regressor
from nlpcli.commands.tagging import is_span_finder, is_tagger
from nlpcli.errors import UsageError
from nlpcli.shell.console import RejectFile

if TYPE_CHECKING:
    from nlpcli.data.labelled import Labelled

SOME_HEED: Options = {
    "threshold": None, "label_separator": None, "format": None, "vocab_limit": None,
    "robustness": False, "slices": False, "slice_by": (), "slice_rows": 20,
    "conformal": None, "out_of_scope": None,
}  # fmt: skip
"""Options that have no meaning for some kinds, as they are where they are not given."""


@dataclass(frozen=True)
class Kind:
    """``name``: as messages say it. ``fits``: whether a model that was opened is of this kind.
    ``heeds``: of ``SOME_HEED``. ``read``: (the model, options, where bad rows go) -> rows of the
    test. ``measure``: (the model, such rows, options, where bad rows of other files go) -> what
    eval says."""

    name: str
    fits: Callable[[Any], bool]
    heeds: frozenset[str]
    read: Callable[[Any, Options, RejectFile], Any]
    measure: Callable[[Any, Any, Options, RejectFile | None], Measured]


def _is_word_vectors(opened: Any) -> bool:
    from nlpcli.models.word_vectors import WordVectors

    return isinstance(opened, WordVectors)


def _is_language_model(opened: Any) -> bool:
    from nlpcli.store.language_model import LanguageModel

    return isinstance(opened, LanguageModel) and not opened.labels


def _read_rows(opened: Any, options: Options, reject: RejectFile) -> Labelled:
    from nlpcli.data.labelled import read_labelled

    separator = (options["label_separator"] or opened.separator) if opened.multi_label else None
    fmt = row_format(options, label_separator=separator, label_prefix=options["label_prefix"])
    columns = {name: options[name] for name in ("text_column", "text_b_column", "label_column")}
    return read_labelled(
        options["test"], fmt, **columns, label_separator=separator, keep_blank=True,
        other_columns=options["slice_by"] or (), on_reject=reject,
    )  # fmt: skip


def _classified(
    opened: Any, rows: Labelled, options: Options, reject: RejectFile | None
) -> Measured:
    from nlpcli.runs.comparing import answered
    from nlpcli.runs.scoring import ece_uncalibrated, given_labels, score

    begun = time.perf_counter()
    probabilities = opened.probabilities(rows.texts)
    seconds, told = time.perf_counter() - begun, long_lines(opened)
    again = drawing(options)
    document = score(opened, probabilities, rows.labels, threshold=options["threshold"], **again)
    before = ece_uncalibrated(opened, probabilities, rows.labels, **again)
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
    asked = asked_texts(rows.texts, seconds, lambda text: opened.probabilities([text]), options)
    return Measured(
        document, table, rows, probabilities, asked,
        answered([tuple(sorted(row)) for row in rows.labels], labels, several=opened.multi_label),
        told=told,
    )  # fmt: skip


SLICED = frozenset({"format", "slices", "slice_by", "slice_rows"})
"""What kinds heed whose answers are right or wrong."""

KINDS = (
    Kind(
        "word vectors", _is_word_vectors, frozenset({"vocab_limit"}), tasks.read_words, tasks.words
    ),
    Kind(
        "a language model", _is_language_model, frozenset({"format"}), tasks.read_language,
        tasks.language,
    ),
    Kind("a tagger of words", is_tagger, SLICED, tasks.read_tags, tasks.tags),
    Kind("a model of spans", is_span_finder, SLICED, tasks.read_spans, tasks.spans),
    Kind("a regression", is_regressor, frozenset({"format"}), tasks.read_numbers, tasks.numbers),
    Kind(
        "a model that answers questions", is_answerer, SLICED | {"threshold"}, tasks.read_asked,
        tasks.questions,
    ),
    Kind(
        "a classifier", lambda opened: True,
        SLICED | {"threshold", "label_separator", "robustness", "conformal", "out_of_scope"},
        _read_rows, _classified,
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
            wanted = " or ".join(k.name for k in KINDS if name in k.heeds)
            raise UsageError(f"--{flag}{given}: {model} is {kind.name}, wanted {wanted}")
