"""The word vectors of a fastText file, as its program prints and saves them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from nlpcli.formats.fasttext_bin import FastTextFile
from nlpcli.formats.fasttext_text import FeatureCutter
from nlpcli.formats.word_vector_output import VectorBlocks

F32 = npt.NDArray[np.float32]
_BLOCK = 1 << 12
"""Words worked on at once."""


def word_vectors(model: FastTextFile) -> VectorBlocks:
    """Of each word the mean of its row and its sub-words' (getWordVector in fasttext.cc)."""
    count = model.dictionary.n_words
    return VectorBlocks(count, model.arguments.dim, _blocks(model, count))


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
