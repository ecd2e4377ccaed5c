"""A fastText model file as a text classifier: the program's answers, without the program."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nlpcli.errors import DataError
from nlpcli.formats.fasttext_bin import LOSSES, FastTextFile, read_fasttext
from nlpcli.formats.fasttext_dictionary import LABEL
from nlpcli.formats.fasttext_matrix import Matrix
from nlpcli.formats.fasttext_output import table_sigmoid, tree_probabilities
from nlpcli.formats.fasttext_text import FeatureCutter
from nlpcli.models.additive import softmax
from nlpcli.models.huffman import UNBUILT, HuffmanTree

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

_CHARACTERS = 1 << 18
"""Of texts that are cut together."""
_FLOATS = 1 << 16
"""Worked on at once: they stay in the cache."""
_AT_LEAST = 16
"""Texts that share the reading of the output matrix, however many labels there are."""
_FEW = 8
"""Bags, fewer than which are added one at a time."""


class FastTextClassifier:
    """Texts -> probabilities by a model file of the fastText program.

    A one-vs-all model is multi-label, as elsewhere here. ``prefix``: of its labels;
    ``threshold``: None for the program's usual 0.5; ``separator`` None: a semicolon.
    """

    def __init__(
        self,
        model: FastTextFile,
        where: str,
        *,
        prefix: str = LABEL.decode(),
        threshold: float | None = None,
        separator: str | None = None,
    ) -> None:
        """Raises DataError for word vectors, and for counts that no tree can be made of."""
        if not model.arguments.supervised:
            raise DataError(f"{where}: word vectors, wanted a classifier")
        self._loss = LOSSES[model.arguments.loss]
        self._input, self._output = model.input, model.output
        self._cutter = FeatureCutter(model.arguments, model.dictionary)
        self._tree: HuffmanTree | None = None
        if self._loss == "hs":
            counts = model.dictionary.counts[model.dictionary.n_words :].tolist()
            if sum(counts) >= UNBUILT:
                raise DataError(f"{where}: labels occur {sum(counts):,} times, which is no count")
            self._tree = HuffmanTree(counts)
        self.labels = model.dictionary.label_names(prefix.encode())
        self.multi_label = self._loss == "one-vs-all"
        self.separator = (separator or ";") if self.multi_label else None
        self.threshold = (0.5 if threshold is None else threshold) if self.multi_label else None

    def limit(self, asked: float | None) -> float:
        """The threshold in force: the one asked for, else the model's."""
        return next((t for t in (asked, self.threshold) if t is not None), 0.5)

    def probabilities(self, texts: Sequence[str]) -> F64:
        """Probability of each label, float64 [len(texts), len(labels)].

        Each text is one line of the program; see ``FeatureCutter.bags``. They are the model's
        own, without the 1e-5 that the program adds where it prints. A text without any feature
        has the answer of the vector of zeros, where the program prints nothing.
        """
        parts = [self._answer(block) for block in _blocks(texts)]
        return np.concatenate(parts) if parts else np.empty((0, len(self.labels)))

    def _answer(self, texts: Sequence[str]) -> F64:
        hidden = mean_rows(self._input, *self._cutter.bags(texts))
        room = max(_AT_LEAST, _FLOATS // len(self.labels))
        parts = [
            self._activate(products(hidden[at : at + room], self._output))
            for at in range(0, len(hidden), room)
        ]
        return np.concatenate(parts)

    def _activate(self, logits: F32) -> F64:
        if self._tree is not None:
            return tree_probabilities(self._tree, logits)
        if self._loss == "softmax":
            return softmax(logits.astype(np.float64))
        return table_sigmoid(logits)


def open_fasttext(path: Path) -> FastTextClassifier:
    """The classifier of a .bin or .ftz file. Raises InputMissing, DataError."""
    return FastTextClassifier(read_fasttext(path, classifier=True), str(path))


def mean_rows(table: Matrix, indptr: I64, ids: I64) -> F32:
    """Mean of each bag's rows, float32 [B, D]; of an empty bag zeros.

    Rows are added one by one in the order of ``ids`` and in float32, which are the program's bits:
    the k-th of all bags together, and what a few long bags have more bag by bag.
    """
    sizes = np.diff(indptr)
    order = np.argsort(-sizes, kind="stable")
    ascending, begins = sizes[order][::-1], indptr[:-1][order]
    sums = np.zeros((len(sizes), table.shape[1]), dtype=np.float32)
    k, n = 0, len(sizes)
    while True:
        n = len(sizes) - int(np.searchsorted(ascending, k, side="right"))
        if n < _FEW:
            break
        sums[:n] += table.rows(ids[begins[:n] + k])
        k += 1
    for i in range(n):
        begin = int(begins[i])
        sums[i] = _go_on(table, sums[i], ids[begin + k : begin + int(ascending[-1 - i])])
    sums *= (1.0 / np.maximum(ascending[::-1], 1)).astype(np.float32)[:, None]
    result = np.empty_like(sums)
    result[order] = sums
    return result


def _go_on(table: Matrix, total: F32, ids: I64) -> F32:
    """``total`` [D] and the rows of ``ids``, added one after the other."""
    room = max(1, _FLOATS // table.shape[1])
    for at in range(0, len(ids), room):
        rows = np.concatenate((total[None], table.rows(ids[at : at + room])))
        total = np.add.accumulate(rows, axis=0)[-1]  # a plain sum would add in pairs
    return total


def products(hidden: F32, output: Matrix) -> F32:
    """``hidden @ output.T`` float32 [B, K], added column by column, which are the program's bits.

    So a text's answer does not depend on the texts around it, as with a BLAS it would.
    """
    logits = np.zeros((len(hidden), output.shape[0]), dtype=np.float32)
    term = np.empty_like(logits)
    for j in range(output.shape[1]):
        np.multiply(hidden[:, j, None], output.column(j), out=term)
        logits += term
    norms = output.norms()
    if norms is not None:
        logits *= norms
    return logits


def _blocks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """The texts in runs of about ``_CHARACTERS``."""
    first = size = 0
    for i, text in enumerate(texts):
        size += len(text) + 1
        if size >= _CHARACTERS:
            yield texts[first : i + 1]
            first, size = i + 1, 0
    if first < len(texts):
        yield texts[first:]
