"""What answers the rows of predict, by the kind of model, and which options it heeds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from nlpcli.commands import cascading, drifting
from nlpcli.commands.abstaining import abstain_from
from nlpcli.commands.asking import is_answerer
from nlpcli.commands.embedding import Vectors, refuse_options
from nlpcli.commands.label_sets import label_set_from
from nlpcli.commands.opening import check_asked, for_encoders, open_answerer
from nlpcli.commands.opening_tasks import refuse_task
from nlpcli.commands.regression import is_regressor, score_column
from nlpcli.commands.tagging import is_marker, mark_columns
from nlpcli.shell.console import Console

if TYPE_CHECKING:
    from nlpcli.runs.answer_columns import Answers
    from nlpcli.runs.encoder_regressor import ScoreColumn
    from nlpcli.runs.language_scoring import SentenceScores
    from nlpcli.runs.question_answerer import AnswerColumns
    from nlpcli.runs.span_model import SpanColumn
    from nlpcli.runs.token_tagger import TagColumn
    from nlpcli.store.classifier import Classifier

    Columns = (
        Answers | AnswerColumns | ScoreColumn | SentenceScores | SpanColumn | TagColumn | Vectors
    )

PREFIX = "predicted_"
EXPLAINED = 128
"""Rows that are written together where each is asked about many times."""
FOR_LABELS = {
    "top_k": None, "threshold": None, "probabilities": False, "abstain_below": 0.0,
    "abstain_error": None, "explain": 0, "cascade": None, "drift": None,
    "fail_on_drift": False, "select": None, "label_set": None,
}  # fmt: skip
"""Options that mean nothing without labels, as they are where they are not given."""


def answers_of(context: typer.Context, store: Path | None, console: Console) -> Columns:
    """What makes the columns. Raises UsageError for an option that the model has no use for."""
    options = context.params
    if options["embed"] or options["words"]:
        unused = {**FOR_LABELS, "text_b_column": None}
        refuse_options(options, unused, "not with vectors of an encoder")
        refuse_task(None, options["model"], context)
        return Vectors(options, store, console, PREFIX)
    opened = open_answerer(
        options["model"], store, console, options["task"], **for_encoders(options)
    )
    check_asked(opened, options["model"], context)
    if is_marker(opened):
        refuse_options(options, FOR_LABELS, "the model tags words or finds spans")
        return mark_columns(opened, options["prefix"])
    if is_answerer(opened):
        from nlpcli.runs.question_answerer import AnswerColumns

        heeded = ("top_k", "threshold")
        unused = {name: value for name, value in FOR_LABELS.items() if name not in heeded}
        refuse_options(options, unused, "the model answers questions")
        if options["threshold"] is not None:
            opened.be_silent_above(options["threshold"])
        prefix, top_k = options["prefix"], options["top_k"] or 1
        return AnswerColumns(opened, prefix, usual=prefix == PREFIX, top_k=top_k)
    if is_regressor(opened):
        return score_column(opened, options, FOR_LABELS)
    if not opened.labels:
        from nlpcli.runs.language_scoring import SentenceScores
        from nlpcli.store.language_model import LanguageModel

        assert isinstance(opened, LanguageModel)
        refuse_options(options, FOR_LABELS, "the model has no labels, it is a language model")
        prefix = options["prefix"]
        return SentenceScores(opened, "" if prefix == PREFIX else prefix)
    return _label_columns(opened, options, store, console)


def _label_columns(
    opened: Classifier, options: dict[str, Any], store: Path | None, console: Console
) -> Answers:
    from nlpcli.runs.answer_columns import Answers

    abstain_below = options["abstain_below"]
    if options["abstain_error"] is not None:
        abstain_below = max(abstain_below, abstain_from(opened, options["abstain_error"], console))
    given = {
        **{name: options[name] for name in ("prefix", "top_k", "threshold", "explain")},
        "all_probabilities": options["probabilities"], "abstain_below": abstain_below,
        "label_set": label_set_from(opened, options),
    }  # fmt: skip
    if options["cascade"] is None:
        monitor = drifting.monitor_for(options, opened, store, console)
        return Answers(opened, **given, monitor=monitor)
    from nlpcli.runs.cascade import CascadeAnswers

    return CascadeAnswers(cascading.open_cascade(opened, options, store, console), **given)
