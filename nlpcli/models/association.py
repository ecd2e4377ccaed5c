"""Counts of words in contexts, weighted: how much more often than chance they go together.

#(w, c) are the entries of a matrix of words by contexts, which may be words or documents.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse

from nlpcli.batching.block_matrix import Block, BlockMatrix

F64 = npt.NDArray[np.float64]


def tfidf(counts: BlockMatrix) -> BlockMatrix:
    """ln(1 + #(w, c)) · (log2(C / C_w) + 1), where C_w of all C contexts know the word.

    Source: Dumais 1991, Improving the retrieval of information from external sources: the local
    weight Log and the global one Idf. Works in place.
    """
    known = np.maximum(counts.filled_columns(), 1)
    idf = (np.log2(counts.shape[1] / known) + 1).astype(np.float32)
    for block in counts.blocks:
        values = block.values.data
        np.log1p(values, out=values)
        values *= idf[block.rows][block.row_numbers()]
    return counts


def positive_pmi(counts: BlockMatrix, *, shift: float = 1.0, smoothing: float = 1.0) -> BlockMatrix:
    """max(0, PMI(w, c) - ln k), where PMI(w, c) = ln (p(w, c) / (p(w) p(c))), with k ``shift``.

    p(c) is in proportion to #(c)^α with α ``smoothing``. Sources: Church & Hanks 1990; Levy &
    Goldberg 2014, Neural Word Embedding as Implicit Matrix Factorization, section 4 (shift); Levy
    et al. 2015, Improving Distributional Similarity, section 3.2 (smoothing). Entries that come to
    nothing are dropped; the blocks of ``counts`` are used up, one after the other.
    """
    of_words = _log(counts.row_sums())
    of_contexts = counts.column_sums()
    # p(w, c) / p(w) needs no total
    smoothed = np.power(of_contexts, smoothing)
    of_contexts = _log(smoothed / smoothed.sum())
    blocks = []
    while counts.blocks:
        block = counts.blocks.pop(0)
        rows, columns = block.row_numbers(), block.values.indices
        values = block.values.data
        np.log(values, out=values)
        values -= of_words[block.rows].astype(np.float32)[rows]
        values -= (of_contexts[block.columns] + np.log(shift)).astype(np.float32)[columns]
        positive = values > 0
        ends = np.concatenate(([0], np.cumsum(positive)))[block.values.indptr]
        kept = (values[positive], columns[positive], ends.astype(columns.dtype))
        blocks.append(Block(block.row, block.column, sparse.csr_matrix(kept, block.values.shape)))
    return BlockMatrix(counts.shape, blocks)


def _log(sums: F64) -> F64:
    """Of sums, of which those of nothing are never looked at."""
    return np.log(np.maximum(sums, 1e-300))
