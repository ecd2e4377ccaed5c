"""Other programs' model files into the store, and models of the store out again."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nlpcli.errors import CannotCreate, DataError, InputMissing, UsageError, shown
from nlpcli.formats.arpa import arpa_words, is_arpa, read_arpa, write_arpa
from nlpcli.formats.fasttext_bin import (
    FastTextFile,
    is_classifier,
    is_fasttext,
    read_fasttext,
    write_fasttext,
)
from nlpcli.formats.fasttext_dictionary import LABEL
from nlpcli.formats.fasttext_words import word_vectors
from nlpcli.formats.word_vector_output import VectorBlocks, write_vectors
from nlpcli.formats.word_vectors import Form
from nlpcli.runs import interrupts
from nlpcli.runs.vector_files import read_word_vector_file
from nlpcli.store import fasttext_folder
from nlpcli.store.atomic import AtomicFile
from nlpcli.store.word_vectors import KIND, read_word_vectors, write_word_vectors

if TYPE_CHECKING:
    from nlpcli.models.word_vectors import WordVectors
    from nlpcli.store.classifier import TextClassifier
    from nlpcli.store.draft import Draft
    from nlpcli.store.folder import ModelFolder

_BLOCK = 1 << 12
"""Words written at once."""


def import_file(source: Path, draft: Draft, prefix: str = LABEL.decode()) -> Path:
    """Publishes another program's file, known by its content, as the model ``draft`` becomes.

    A classifier of fastText's; a language model in an ARPA file; or word vectors: fastText's cbow
    and skipgram models, word2vec's text and binary, GloVe's text. Gives the path. Raises
    InputMissing, DataError, Unavailable without the memory, OutputFailed.
    """
    if is_fasttext(source) and is_classifier(source):
        return import_fasttext(source, draft, prefix)
    if is_arpa(str(source)) or ".arpa" in source.suffixes:
        return _import_arpa(source, draft)
    return _import_vectors(source, draft)


def _import_arpa(source: Path, draft: Draft) -> Path:
    """A language model; texts are cut at blanks and otherwise left as they are."""
    from nlpcli.store import language_model
    from nlpcli.text.config import TokenizerConfig
    from nlpcli.text.normalize import Cleaning
    from nlpcli.text.sentence_ids import SentenceCoder

    words, model = read_arpa(str(source))
    cleaning = Cleaning(unicode_form="none", lowercase=False)
    cutting = TokenizerConfig(cleaning=cleaning, segmenter="blank", word_ngrams=1)
    coder = SentenceCoder(words, cutting, "word", unk_is_word=False)
    language = language_model.LanguageModel(model, coder, language_model.ARPA)
    config = language_model.write_language_model(draft, language, {"imported_from": "ARPA"})
    return _publish(source, draft, language_model.KIND, config, [])


def export_arpa(folder: ModelFolder, target: Path, *, force: bool) -> None:
    """Writes a language model as an ARPA file, whole or not at all.

    Raises UsageError for a model that such a file cannot hold, CannotCreate for a file that is
    there unless ``force``, OutputFailed, DataError.
    """
    from nlpcli.store import language_model

    if folder.manifest.kind != language_model.KIND:
        kind = shown(folder.manifest.kind)
        raise UsageError(f"{folder.path}: an ARPA file cannot hold a model of kind {kind}")
    language = language_model.read_language_model(folder)
    words = arpa_words(language.coder.words, characters=language.coder.level == "char")
    check_free(target, force=force)
    with AtomicFile(target) as stream:
        write_arpa(language.model, words, stream)


def _import_vectors(source: Path, draft: Draft) -> Path:
    vectors, kind = read_word_vector_file(source)
    config = write_word_vectors(draft, vectors, {"imported_from": kind})
    return _publish(source, draft, KIND, config, [])


def import_fasttext(source: Path, draft: Draft, prefix: str = LABEL.decode()) -> Path:
    """Publishes a classifier of the fastText program as the model that ``draft`` becomes.

    ``prefix``: of its labels, which are shown without. Gives the path. Raises InputMissing,
    DataError for a file that is no classifier, OutputFailed.
    """
    model = read_fasttext(source, classifier=True)
    config = fasttext_folder.write_fasttext_folder(draft, model, prefix=prefix)
    labels = model.dictionary.label_names(prefix.encode())
    return _publish(source, draft, fasttext_folder.KIND, config, labels)


def _publish(
    source: Path, draft: Draft, kind: str, config: dict[str, Any], labels: list[str]
) -> Path:
    from nlpcli import __version__

    origin = {"imported_sha256": _sha256(source), "imported_bytes": os.stat(source).st_size}
    with interrupts.deferred():
        path = draft.publish(
            kind=kind,
            created_by=f"nlpcli {__version__}",
            config=config,
            labels=labels,
            # what it was trained on, such a file does not say
            data={"sha256": None, "rows": None, "dev_rows": None, **origin},
            seed=0,
            metrics={},
        )
        interrupts.complete()
    return path


def stored_fasttext(folder: ModelFolder) -> FastTextFile:
    """The model of a folder, as a file of the fastText program has it.

    Raises UsageError for a model that such a file cannot hold, DataError.
    """
    kind = folder.manifest.kind
    if kind != fasttext_folder.KIND:
        raise UsageError(
            f"{folder.path}: a fastText file cannot hold a model of kind {shown(kind)}: its way of "
            "cutting and weighting texts, or no bottleneck",
            hint="train-fasttext --fasttext-compatible",
        )
    return fasttext_folder.read_fasttext_folder(folder)


def export_fasttext(model: FastTextFile, target: Path, *, force: bool) -> None:
    """Writes a file that the fastText program reads, beside its place, then renamed into it.

    Raises CannotCreate for a file that is there unless ``force``, OutputFailed.
    """
    check_free(target, force=force)
    with AtomicFile(target) as stream:
        write_fasttext(model, stream)


def file_vectors(path: Path) -> VectorBlocks:
    """The words of a fastText file, classifier or not, or of a file of vectors.

    Raises InputMissing, DataError, Unavailable without the memory.
    """
    if is_fasttext(path):
        return word_vectors(read_fasttext(path, classifier=False))
    return _plain_blocks(read_word_vector_file(path)[0])


def stored_vectors(folder: ModelFolder) -> VectorBlocks:
    """The words of word vectors or of a classifier that has embeddings; of fastText's with
    their sub-words.

    Raises UsageError for a model that has none, DataError.
    """
    from nlpcli.store import classifier as classifiers

    if folder.manifest.kind == KIND:
        return _plain_blocks(read_word_vectors(folder))
    if folder.manifest.kind == fasttext_folder.KIND:
        return word_vectors(fasttext_folder.read_fasttext_folder(folder))
    if folder.manifest.kind != classifiers.KIND:
        kind = shown(folder.manifest.kind)
        raise UsageError(f"{folder.path}: a model of kind {kind} has no vectors of words")
    classifier = classifiers.read_classifier(folder)
    if classifier.scorer.output is None:
        raise UsageError(
            f"{folder.path}: no vectors of words: each has its logits directly",
            hint="train-fasttext --dim 100",
        )
    if classifier.compact is not None:
        raise UsageError(f"{folder.path}: its size was limited, and its words were not kept")
    return _our_vectors(classifier, str(folder.path))


def _plain_blocks(vectors: WordVectors) -> VectorBlocks:
    def blocks() -> Iterator[tuple[list[bytes], npt.NDArray[np.float32]]]:
        for first in range(0, len(vectors.words), _BLOCK):
            words = vectors.words[first : first + _BLOCK]
            yield [word.encode() for word in words], vectors.vectors[first : first + _BLOCK]

    return VectorBlocks(len(vectors.words), vectors.vectors.shape[1], blocks())


def _our_vectors(classifier: TextClassifier, where: str) -> VectorBlocks:
    from nlpcli.text.hashing import hash_words
    from nlpcli.text.normalize import BORDER

    tokenizer, table = classifier.tokenizer, classifier.scorer.weight

    def blocks() -> Iterator[tuple[list[bytes], npt.NDArray[np.float32]]]:
        for first in range(0, len(tokenizer.words), _BLOCK):
            words = tokenizer.words[first : first + _BLOCK]
            joined = BORDER.join(words) + BORDER
            rows = tokenizer.index.rows(hash_words(joined, tokenizer.config.segmenter).hashes)
            if len(rows) != len(words) or (rows < 0).any():
                raise DataError(f"{where}: the words of its tokenizer are not those of its rows")
            yield [word.encode("utf-8", "surrogatepass") for word in words], table[rows]

    return VectorBlocks(len(tokenizer.words), table.shape[1], blocks())


def export_vectors(vectors: VectorBlocks, target: Path, form: Form, *, force: bool) -> None:
    """Writes word2vec's text or binary file, or GloVe's text, whole or not at all.

    Raises CannotCreate for a file that is there unless ``force``, OutputFailed, DataError.
    """
    check_free(target, force=force)
    with AtomicFile(target) as stream:
        write_vectors(vectors, stream, form)


def check_free(target: Path, *, force: bool) -> None:
    """A model's file is replaced only when that is asked for. Raises CannotCreate."""
    if os.path.lexists(target) and not force:
        raise CannotCreate(f"{target}: exists already", hint="--force")


def _sha256(path: Path) -> str:
    try:
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise InputMissing(f"{path}: {error.strerror}") from None
