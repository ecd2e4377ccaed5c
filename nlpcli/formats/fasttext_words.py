"""The word vectors of a fastText file, as its program prints and saves them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from nlpcli.errors import DataError, shown
from nlpcli.formats.fasttext_bin import MODELS, FastTextFile
from nlpcli.formats.fasttext_matrix import DenseMatrix
from nlpcli.formats.fasttext_text import FeatureCutter
from nlpcli.formats.word_vector_output import VectorBlocks
from nlpcli.models.word_vectors import SubwordVectors, WordVectors

F32 = npt.NDArray[np.float32]
_BLOCK = 1 << 12
"""Words worked on at once."""


def word_vectors(model: FastTextFile) -> VectorBlocks:
    """Of each word the mean of its row and its sub-words' (getWordVector in fasttext.cc)."""
    count = model.dictionary.n_words
    return VectorBlocks(count, model.arguments.dim, _blocks(model, count))


def unsupervised_vectors(model: FastTextFile, where: str) -> WordVectors:
    """A cbow or skipgram model as word vectors with sub-words.

    Raises DataError for a classifier, and for a word that is not UTF-8.
    """
    arguments, dictionary = model.arguments, model.dictionary
    if arguments.supervised or not isinstance(model.input, DenseMatrix):
        kind = MODELS[arguments.model]
        raise DataError(f"{where}: a {kind} or quantised model, wanted word vectors of fastText")
    blocks = list(word_vectors(model).blocks)
    words = [_decoded(word, where) for raw, _ in blocks for word in raw]
    vectors = np.concatenate([rows for _, rows in blocks])
    subwords, shortest = None, max(arguments.minn, 1)
    if shortest <= arguments.maxn and arguments.bucket:
        table = model.input.values[dictionary.n_words :]
        subwords = SubwordVectors(shortest, arguments.maxn, table)
    return WordVectors(words, vectors, dictionary.counts[: dictionary.n_words], subwords)


def _decoded(word: bytes, where: str) -> str:
    try:
        return word.decode()
    except UnicodeDecodeError:
        seen = shown(word.decode("utf-8", "backslashreplace"))
        raise DataError(f"{where}: the word {seen} is not UTF-8") from None


def _blocks(model: FastTextFile, count: int) -> Iterator[tuple[list[bytes], F32]]:
    cutter = FeatureCutter(model.arguments, model.dictionary)
    for first in range(0, count, _BLOCK):
        last = min(first + _BLOCK, count)
        words = [model.dictionary.entry(i) for i in range(first, last)]
        indptr, ids = cutter.word_bags(first, last)
        rows = model.input.rows(ids)
        sums = np.add.reduceat(rows, indptr[:-1], axis=0)
        sums /= np.diff(indptr)[:, None].astype(np.float32)
        yield words, sums
