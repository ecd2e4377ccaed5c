"""Opening what a command was given: a model of the store, or another program's file."""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from nlpcli.commands.asking import is_answerer
from nlpcli.commands.opening_tasks import (
    FOR_ENCODERS,
    one_task,
    plain_task,
    refuse_task,
    stored_task,
)
from nlpcli.errors import DataError, UsageError
from nlpcli.shell.console import Console
from nlpcli.shell.options import store_root

if TYPE_CHECKING:
    from nlpcli.models.word_vectors import WordVectors
    from nlpcli.runs.encoder_regressor import EncoderRegressor
    from nlpcli.runs.question_answerer import QuestionAnswerer
    from nlpcli.runs.span_model import SpanFinder
    from nlpcli.runs.token_tagger import TokenTagger
    from nlpcli.store.classifier import Classifier
    from nlpcli.store.encoder import OpenedEncoder
    from nlpcli.store.folder import ModelFolder
    from nlpcli.store.language_model import LanguageModel

FOR_SEVERAL = ("threshold", "label_separator")
"""Options that a classifier heeds which gives any number of labels."""


def open_model(model: str, store: Path | None, console: Console) -> ModelFolder:
    """The verified model meant; newer versions that do not verify are warned of.

    Raises InputMissing, DataError, UsageError as ``Store.open``.
    """
    from nlpcli.store.store import Store

    folder, warnings = Store(store_root(store)).open(model)
    for warning in warnings:
        console.warn(warning)
    return folder


def file_meant(model: str, store: Path | None) -> Path | None:
    """The file that is meant, not a folder; None when it is a model of the store.

    A name that the store has goes before a file of that name.
    """
    if not os.path.isfile(model):
        return None
    from nlpcli.store.store import Store

    if not _is_path(model) and Store(store_root(store)).versions(model.partition("@")[0]):
        return None
    return Path(model)


def _is_path(model: str) -> bool:
    return "/" in model or model.startswith(".")


def fasttext_file(model: str, store: Path | None) -> Path | None:
    """The fastText file that is meant, by its content; None when it is a model of the store.

    Raises DataError for a path of a file that is no model.
    """
    path = file_meant(model, store)
    if path is None:
        return None
    from nlpcli.formats.fasttext_bin import MAGIC, is_fasttext

    if is_fasttext(path):
        return path
    if _is_path(model):
        raise DataError(
            f"{model}: neither a model folder nor a fastText file, which begins with {MAGIC}"
        )
    return None


def hf_folder_meant(model: str) -> Path | None:
    """The plain Hugging Face folder that is meant; None when it is a model of the store."""
    if not _is_path(model) or not os.path.isdir(model):
        return None
    from nlpcli.formats.hf_folder import is_hf_folder
    from nlpcli.store.folder import MANIFEST

    path = Path(model)
    return path if is_hf_folder(path) and not os.path.lexists(path / MANIFEST) else None


def of_another_program(model: str, store: Path | None) -> bool:
    """Whether a file is meant, or a folder, that is not of the store's form."""
    return hf_folder_meant(model) is not None or file_meant(model, store) is not None


def open_encoder(model: str, store: Path | None, console: Console) -> OpenedEncoder:
    """The encoder meant: a model of the store, a model folder or a plain Hugging Face folder.

    Raises InputMissing, UsageError, DataError, Unavailable without the memory.
    """
    from nlpcli.runs.memory import free_memory
    from nlpcli.store.encoder import open_encoder as opened
    from nlpcli.store.store import Store

    found = opened(model, Store(store_root(store)), room=free_memory())
    for warning in found.warnings:
        console.warn(warning)
    sizes = found.encoder.config
    console.detail(
        f"model {found.path}: {sizes.n_layers} layers of {sizes.hidden:,}, "
        f"{found.encoder.n_parameters:,} parameters"
    )
    return found


def open_word_vectors(model: str, store: Path | None, console: Console) -> tuple[WordVectors, Path]:
    """The word vectors meant, and where they lie: a model of the store, a folder, or a file as it
    is. Raises InputMissing, DataError, UsageError, Unavailable."""
    path = file_meant(model, store)
    if path is not None:
        from nlpcli.runs.vector_files import read_word_vector_file

        vectors = read_word_vector_file(path)[0]
    else:
        from nlpcli.store.word_vectors import read_word_vectors

        folder = open_model(model, store, console)
        path, vectors = folder.path, read_word_vectors(folder)
    _tell_vectors(path, vectors, console)
    return vectors, path


def model_place(model: str, store: Path | None) -> Path:
    """Where the model that is meant lies, a folder or a file. Raises as ``open_model``."""
    from nlpcli.store.store import Store

    path = hf_folder_meant(model) or file_meant(model, store)
    return path or Store(store_root(store)).open(model)[0].path


def open_measurable(
    model: str, store: Path | None, console: Console, task: str | None = None, **asked: Any
) -> (
    Classifier | WordVectors | LanguageModel | TokenTagger | SpanFinder | QuestionAnswerer
    | EncoderRegressor
):  # fmt: skip
    """Whatever ``eval`` can measure; ``asked`` as ``open_answering`` has it, ``task`` of a model of
    several. Raises InputMissing, DataError, UsageError, Unavailable."""
    plain = _plain(model, console, asked)
    if plain is not None:
        return plain
    if hf_folder_meant(model) is not None:
        return open_classifier(model, store, console, **asked)
    path = file_meant(model, store)
    if path is None:
        from nlpcli.store.word_vectors import KIND, read_word_vectors

        folder = open_model(model, store, console)
        if folder.manifest.kind != KIND:
            return _stored_answerer(folder, console, asked, task)
        vectors = read_word_vectors(folder)
        _tell_vectors(folder.path, vectors, console)
        return vectors
    from nlpcli.formats.fasttext_bin import is_classifier, is_fasttext

    if is_fasttext(path) and is_classifier(path):
        return open_classifier(model, store, console)
    return open_word_vectors(model, store, console)[0]


def open_answerer(
    model: str, store: Path | None, console: Console, task: str | None = None, **asked: Any
) -> Classifier | LanguageModel | TokenTagger | SpanFinder | QuestionAnswerer | EncoderRegressor:
    """Whatever ``predict`` can ask; ``asked`` and ``task`` as of ``open_measurable``. Raises
    InputMissing, DataError, UsageError, Unavailable."""
    plain = _plain(model, console, asked)
    if plain is not None:
        return plain
    if fasttext_file(model, store) is not None or hf_folder_meant(model) is not None:
        return open_classifier(model, store, console, **asked)
    return _stored_answerer(open_model(model, store, console), console, asked, task)


def _plain(
    model: str, console: Console, asked: dict[str, Any]
) -> TokenTagger | QuestionAnswerer | EncoderRegressor | None:
    """A plain Hugging Face folder that answers with something else than labels of texts."""
    path = hf_folder_meant(model)
    return None if path is None else plain_task(path, console, asked)


def _stored_answerer(
    folder: ModelFolder, console: Console, asked: dict[str, Any], task: str | None
) -> Classifier | LanguageModel | TokenTagger | SpanFinder | QuestionAnswerer | EncoderRegressor:
    """A model for a task, a classifier, or a language model that has no labels."""
    if folder.manifest.kind == "bert-multitask":
        return _told(folder.path, one_task(folder, task, asked), console)
    found = stored_task(folder, console, asked)
    if found is not None:
        return found
    if folder.manifest.kind != "ngram-lm" or folder.manifest.labels:
        return _stored_classifier(folder, console, asked)
    from nlpcli.store.language_model import read_language_model

    language = read_language_model(folder)
    console.detail(
        f"model {folder.path}: order {language.model.order}, {language.model.n_words:,} words"
    )
    return language


def _tell_vectors(path: Path, vectors: WordVectors, console: Console) -> None:
    words, dim = vectors.vectors.shape
    console.detail(f"model {path}: {words:,} words of {dim:,} numbers")


def open_classifier(model: str, store: Path | None, console: Console, **asked: Any) -> Classifier:
    """The classifier meant: a model of the store, a model folder, or as they are a fastText file
    or a Hugging Face folder. ``asked`` as ``open_answering`` has it.

    Raises InputMissing, DataError, UsageError, Unavailable.
    """
    plain = hf_folder_meant(model)
    if plain is not None:
        from nlpcli.runs.answering import open_plain_answering

        return _told(plain, open_plain_answering(plain, **asked), console)
    path = fasttext_file(model, store)
    if path is None:
        return _stored_classifier(open_model(model, store, console), console, asked)
    from nlpcli.formats.fasttext_model import open_fasttext

    return _told(path, open_fasttext(path), console)


def _stored_classifier(folder: ModelFolder, console: Console, asked: dict[str, Any]) -> Classifier:
    from nlpcli.runs.answering import open_answering

    return _told(folder.path, open_answering(folder, **asked), console)


def for_encoders(options: dict[str, Any]) -> dict[str, Any]:
    """Of a command's options those that ``open_answering`` takes."""
    pair = options["text_b_column"] is not None
    return {"pair": pair, **{name: options[name] for name in FOR_ENCODERS}}


def check_asked(opened: object, model: str, context: typer.Context) -> None:
    """Raises UsageError where texts are given for pairs or the other way round, and for what was
    typed and only an encoder heeds, or a model of several labels. ``model``: its name in messages.
    """
    refuse_task(opened, model, context)
    _check_threshold(opened, model, context.params.get("threshold"))
    if is_answerer(opened):
        return
    other = context.params["text_b_column"]
    pair = getattr(opened, "pair", None)
    if pair and other is None:
        raise UsageError(f"--text-b-column is missing: {model} answers pairs of texts",
                         hint="--text-column text_a --text-b-column text_b")  # fmt: skip
    if not pair and other is not None:
        raise UsageError(f"--text-b-column {other}: {model} answers single texts")
    unused = dict.fromkeys(FOR_ENCODERS if pair is None else (), "is no encoder")
    if getattr(opened, "labels", None) and getattr(opened, "multi_label", None) is False:
        unused |= dict.fromkeys(FOR_SEVERAL, "gives one label a row")
    for name, why in unused.items():
        # variables may be meant for other commands
        if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE":
            raise UsageError(f"--{name.replace('_', '-')}: {model} {why}")


def _check_threshold(opened: object, model: str, threshold: float | None) -> None:
    """Of answers to questions it is a difference of scores."""
    if threshold is not None and not is_answerer(opened) and not 0 <= threshold <= 1:
        raise UsageError(f"--threshold {threshold:g}: {model} gives probabilities, wanted 0 to 1")


def _told(path: Path, classifier: Classifier, console: Console) -> Classifier:
    console.detail(f"model {path}: {len(classifier.labels):,} labels")
    return classifier


def tell_long(model: object, console: Console) -> None:
    """Texts that were longer than an encoder reads are told of, now that all are answered."""
    for line in long_lines(model):
        console.say(line)


def long_lines(model: object) -> tuple[str, ...]:
    """What is told of texts that were longer than an encoder reads, of all it was asked about."""
    found = getattr(model, "long_texts", None)
    return () if found is None else tuple(found.lines())


def refuse_same_file(
    inputs: Mapping[str, str | None],
    outputs: Mapping[str, str | Path | None],
    *,
    model: str | None = None,
    to_stdout: Collection[str] = ("--output",),
) -> None:
    """Raises UsageError when an output is, perhaps by a link, a file that is read or another
    output, and for a - that is not one of ``to_stdout``. ``model``: what is trained; then no two
    inputs may be stdin."""
    files = {option: str(target) for option, target in outputs.items() if target is not None}
    if model is not None:
        files["--output"] = model
        piped = [what for what, source in inputs.items() if source == "-"]
        if len(piped) > 1:
            raise UsageError(f"{piped[1]} -: {piped[0]} is stdin as well")
    for option, target in files.items():
        if target == "-" and option not in to_stdout:
            raise UsageError(f"{option} -: wanted a file, not stdout")
        for what, source in inputs.items():
            if source is not None and "-" not in (source, target) and _same(source, target):
                raise UsageError(f"{option} {target}: the same file as {what}, which is read")
    if model is not None and not _is_path(model):
        del files["--output"]  # it lies in the store
    for one, other in itertools.combinations(files, 2):
        if _same(files[one], files[other], may_miss=True):
            raise UsageError(f"{other} {files[other]}: the same file as {one}")


def _same(one: str, other: str, *, may_miss: bool = False) -> bool:
    """Whether two paths are one file; ``may_miss``: perhaps one that is not there yet."""
    try:
        return os.path.samefile(one, other)
    except OSError:
        return may_miss and os.path.realpath(one) == os.path.realpath(other)
