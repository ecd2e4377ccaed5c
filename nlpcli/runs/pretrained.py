"""--pretrained-vectors: rows of words that training begins with, and words that join by them."""

from __future__ import annotations

import hashlib
import os
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from nlpcli.errors import DataError, UsageError
from nlpcli.formats.fasttext_bin import is_fasttext
from nlpcli.formats.fasttext_dictionary import LABEL
from nlpcli.formats.fasttext_training import FastTextCutting, TrainingCutter
from nlpcli.formats.word_vectors import FORMS, Keep, VectorFile, VectorTable
from nlpcli.models.config import MOST_DIM
from nlpcli.runs.memory import free_memory
from nlpcli.runs.vector_files import read_word_vector_file
from nlpcli.store.word_vectors import WEIGHTS, WORDS, read_word_vectors
from nlpcli.text.features import single_words
from nlpcli.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from nlpcli.models.word_vectors import WordVectors
    from nlpcli.store.store import Store
    from nlpcli.text.config import TokenizerConfig

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]

LARGEST = 1e8
"""Of a number: sums of rows must stay within float32."""
_SEPARATORS = " \n\r\t\v\f\0"


@dataclass(frozen=True)
class Pretrained:
    """Words as they stand in cleaned texts, all different, and ``vectors`` float32 [N, D].

    ``hashes`` [N] are those of our own way of cutting, empty for fastText's; ``sha256``: of the
    file's content, which held ``n_read`` words.
    """

    words: list[str]
    hashes: U64
    vectors: F32
    sha256: str
    n_read: int

    def vocabulary(self, config: TokenizerConfig) -> Tokenizer:
        """A tokenizer that has seen no text and knows these words, in this order."""
        return Tokenizer(config, self.hashes, np.ones(len(self.hashes), np.float32), self.words)

    def rows(self, tokenizer: Tokenizer | TrainingCutter) -> I64:
        """The row of each word, int64 [N], among those that are trained."""
        if isinstance(tokenizer, TrainingCutter):
            return tokenizer.word_rows([word.encode() for word in self.words])
        return tokenizer.index.rows(self.hashes).astype(np.int64)


class VectorSource(Protocol):
    """Word vectors whose width is known and whose rows are still to be read."""

    @property
    def name(self) -> str:
        """What errors call them."""

    @property
    def dim(self) -> int:
        """Numbers a word."""

    @property
    def description(self) -> str:
        """What they are, for people."""

    def read(self, keep: Keep | None = None, *, room: int | None = None) -> VectorTable:
        """All words, or those to keep. Raises DataError; Unavailable without the memory."""


@dataclass(frozen=True)
class _OpenFile:
    file: VectorFile

    @property
    def name(self) -> str:
        return self.file.name

    @property
    def dim(self) -> int:
        return self.file.dim

    @property
    def description(self) -> str:
        return FORMS[self.file.form]

    def read(self, keep: Keep | None = None, *, room: int | None = None) -> VectorTable:
        return self.file.read(keep, room=room)


@dataclass(frozen=True)
class _WholeVectors:
    """Vectors that are in memory already: of a model, or of a fastText file."""

    name: str
    description: str
    vectors: WordVectors
    sha256: str

    @property
    def dim(self) -> int:
        return len(self.vectors.vectors[0])

    def read(self, keep: Keep | None = None, *, room: int | None = None) -> VectorTable:
        words, table = self.vectors.words, self.vectors.vectors
        if keep is None:
            return VectorTable(words, table, self.sha256, len(words))
        chosen = np.flatnonzero(keep(words))
        kept = [words[i] for i in chosen.tolist()]
        return VectorTable(kept, table[chosen], self.sha256, len(words))


def _open(path: str, models: Store) -> VectorSource:
    """A model of the store where it has that name, a folder, or else a file."""
    is_path = "/" in path or path.startswith(".")
    if os.path.isdir(path) if is_path else models.versions(path.partition("@")[0]):
        folder, _ = models.open(path)
        vectors = read_word_vectors(folder)
        parts = "".join(folder.manifest.files[name].sha256 for name in (WEIGHTS, WORDS))
        digest = hashlib.sha256(parts.encode()).hexdigest()
        return _WholeVectors(str(folder.path), "a model of word vectors", vectors, digest)
    if path != "-" and is_fasttext(Path(path)):
        vectors, kind = read_word_vector_file(Path(path))
        with open(path, "rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return _WholeVectors(path, kind, vectors, digest)
    return _OpenFile(VectorFile(path))


def open_vectors(
    options: dict[str, Any], models: Store
) -> tuple[VectorSource | None, dict[str, Any]]:
    """The vectors that are asked for, and the options with their ``dim``.

    Raises UsageError for options that do not go with it; InputMissing, DataError.
    """
    path = options["pretrained_vectors"]
    if path is None:
        return None, options
    if options["continue_from"] is not None:
        raise UsageError("--pretrained-vectors: --continue-from has vectors of its own")
    if options["loss"] == "squared-hinge":
        raise UsageError("--loss squared-hinge has no embeddings, --pretrained-vectors needs them")
    if path == options["train"] == "-":
        raise UsageError("--pretrained-vectors -: TRAIN is stdin as well")
    file, dim = _open(path, models), options["dim"]
    if dim not in (None, file.dim):
        raise UsageError(f"--dim {dim}: the vectors of {file.name} have {file.dim} numbers")
    if file.dim > MOST_DIM:
        raise DataError(f"{file.name}: {file.dim:,} numbers a word, wanted at most {MOST_DIM:,}")
    return file, {**options, "dim": file.dim}


def read_pretrained(file: VectorSource, cutting: TokenizerConfig | FastTextCutting) -> Pretrained:
    """The words that texts may hold when they are cut so, with their vectors.

    Of words that become the same in cleaning the first stays: such files begin with the most
    frequent. Raises DataError, also where no word is left; Unavailable without the memory.
    """
    ours = None if isinstance(cutting, FastTextCutting) else _OurWords(cutting)
    keep = _fasttext_words(cutting) if isinstance(cutting, FastTextCutting) else ours
    found = file.read(keep, room=free_memory())
    if not found.words:
        raise DataError(f"{file.name}: none of its {found.n_read:,} words can stand in a text")
    if max(found.vectors.max(), -found.vectors.min()) > LARGEST:
        raise DataError(f"{file.name}: a number beyond {LARGEST:g}, too large to train with")
    words, hashes = found.words, np.empty(0, dtype=np.uint64)
    if ours is not None:
        words, hashes = ours.words, np.array(ours.hashes, dtype=np.uint64)
    return Pretrained(words, hashes, found.vectors, found.sha256, found.n_read)


class _OurWords:
    """Chooses words that cleaning leaves one word each, the first of those that become alike."""

    def __init__(self, config: TokenizerConfig) -> None:
        self._config, self._seen = config, set[int]()
        self.words: list[str] = []
        self.hashes = array("Q")

    def __call__(self, words: list[str]) -> npt.NDArray[np.bool_]:
        chosen = np.zeros(len(words), dtype=bool)
        numbers, cleaned, hashes = single_words(self._config, words)
        triples = zip(numbers.tolist(), cleaned, hashes.tolist(), strict=True)
        for number, word, hashed in triples:
            if hashed not in self._seen:
                self._seen.add(hashed)
                self.words.append(word)
                self.hashes.append(hashed)
                chosen[number] = True
        return chosen


def _fasttext_words(cutting: FastTextCutting) -> Any:
    """Chooses words that the program could read from a text."""
    separators, marks = set(_SEPARATORS), (LABEL.decode(), cutting.label_prefix)

    def keep(words: list[str]) -> npt.NDArray[np.bool_]:
        good = (separators.isdisjoint(word) and not word.startswith(marks) for word in words)
        return np.fromiter(good, dtype=bool, count=len(words))

    return keep
