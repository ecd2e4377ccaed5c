"""Opening encoders with a head for words, spans, questions or numbers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from nlpcli.errors import UsageError, nearest, shown
from nlpcli.shell.console import Console

if TYPE_CHECKING:
    from nlpcli.runs.encoder_classifier import EncoderClassifier
    from nlpcli.runs.encoder_regressor import EncoderRegressor
    from nlpcli.runs.question_answerer import QuestionAnswerer
    from nlpcli.runs.span_model import SpanFinder
    from nlpcli.runs.token_tagger import TokenTagger
    from nlpcli.store.folder import ModelFolder

FOR_ENCODERS = ("device", "precision", "threads")
"""Options that only encoders heed."""


def plain_task(
    path: Path, console: Console, asked: dict[str, Any]
) -> TokenTagger | QuestionAnswerer | EncoderRegressor | None:
    """What a plain Hugging Face folder answers with, when it is no classifier's. Raises DataError,
    UsageError, Unavailable."""
    from nlpcli.runs.encoder_regressor import open_plain_regressor
    from nlpcli.runs.question_answerer import open_plain_answerer
    from nlpcli.runs.token_tagger import open_plain_tagger

    tagger = open_plain_tagger(path)
    if tagger is not None:
        return _told_tagger(path, tagger, console, asked)
    answerer = open_plain_answerer(path)
    if answerer is not None:
        return _told_answerer(path, answerer, console, asked)
    found = open_plain_regressor(path, **asked)
    if found is not None:
        console.detail(f"model {path}: a regression")
    return found


def stored_task(
    folder: ModelFolder, console: Console, asked: dict[str, Any]
) -> TokenTagger | SpanFinder | QuestionAnswerer | EncoderRegressor | None:
    """What a verified model answers with, when it is neither a classifier nor a language model.
    Raises as ``plain_task``."""
    kind = folder.manifest.kind
    answerer = _stored_questions(folder)
    if answerer is not None:
        return _told_answerer(folder.path, answerer, console, asked)
    if kind == "bert-tagger":
        from nlpcli.runs.token_tagger import TokenTagger
        from nlpcli.store.token_tagger import read_token_tagger

        tagger = TokenTagger(read_token_tagger(folder))
        return _told_tagger(folder.path, tagger, console, asked)
    if kind == "bert-spans":
        from nlpcli.runs.span_model import SpanFinder
        from nlpcli.store.span_model import read_span_model

        finder = SpanFinder(read_span_model(folder))
        console.detail(f"model {folder.path}: {len(finder.labels):,} labels of spans")
        finder = finder.on(**_place(asked))
        finder.ready()  # so that no header is written in vain
        return finder
    if kind not in ("bert-regressor", "bert-encoder"):
        return None
    from nlpcli.runs.encoder_regressor import open_regressor

    regressor = open_regressor(folder, **asked)
    if regressor is not None:
        console.detail(f"model {folder.path}: a regression")
    return regressor


def one_task(folder: ModelFolder, task: str | None, asked: dict[str, Any]) -> EncoderClassifier:
    """The classifier of one task of a model of several, ready to answer. Raises UsageError for a
    task that it has not, DataError, Unavailable."""
    from nlpcli.runs.encoder_classifier import EncoderClassifier
    from nlpcli.store.multitask import read_tasks

    stored = read_tasks(folder)
    names = sorted(stored.tasks)
    if task is None:
        raise UsageError(
            f"--task is missing: {folder.path} has the tasks {', '.join(names)}",
            hint=f"--task {names[0]}",
        )
    if task not in stored.tasks:
        near = nearest(task, names)
        raise UsageError(
            f"--task {shown(task)}: {folder.path} has the tasks {', '.join(names)}",
            hint=f"did you mean {near}?" if near else None,
        )
    found = EncoderClassifier(stored.classifier(task), **_place(asked))
    found.task = task
    found.ready()  # so that no header is written in vain
    return found


def refuse_task(opened: object, model: str, context: typer.Context) -> None:
    """Raises UsageError for --task that was typed, unless the model has several tasks or stands
    beside others. Variables may be meant for finetune."""
    task, models = context.params["task"], context.params["model"]
    typed = getattr(context.get_parameter_source("task"), "name", "") == "COMMANDLINE"
    alone = not isinstance(models, list) or len(models) == 1
    if typed and alone and getattr(opened, "task", None) is None:
        raise UsageError(f"--task {shown(task)}: {model} is no model of several tasks")


def _place(asked: dict[str, Any]) -> dict[str, Any]:
    return {name: asked[name] for name in FOR_ENCODERS if name in asked}


def _told_answerer(
    path: Path, answerer: QuestionAnswerer, console: Console, asked: dict[str, Any]
) -> QuestionAnswerer:
    console.detail(f"model {path}: answers questions")
    ready = answerer.on(**_place(asked))
    ready.ready()  # so that no header is written in vain
    return ready


def _told_tagger(
    path: Path, tagger: TokenTagger, console: Console, asked: dict[str, Any]
) -> TokenTagger:
    console.detail(f"model {path}: {len(tagger.labels):,} tags, {tagger.scheme}")
    ready = tagger.on(**_place(asked))
    ready.ready()  # so that no header is written in vain
    return ready


def _stored_questions(folder: ModelFolder) -> QuestionAnswerer | None:
    """What answers questions, of our making or imported; None for another kind of model."""
    kind, about = folder.manifest.kind, folder.manifest.config.get("encoder")
    architecture = about.get("architecture") if isinstance(about, dict) else None
    if kind not in ("bert-qa", "bert-encoder") or architecture != "BertForQuestionAnswering":
        return None
    from nlpcli.runs.question_answerer import QuestionAnswerer, plain_answerer
    from nlpcli.store.encoder import read_encoder
    from nlpcli.store.question_answerer import read_question_answerer

    if kind == "bert-qa":
        return QuestionAnswerer(read_question_answerer(folder))
    return plain_answerer(read_encoder(folder), str(folder.path))
