"""Which words stand near which, and which in which text: sparse counts of a corpus.

T words of a corpus, V different ones, D documents. The corpus is gone through in chunks of whole
sentences; threads count for a share of the words each, so their number changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import sparse

from nlpcli.batching.block_matrix import Block, BlockMatrix, Csr
from nlpcli.batching.subsampling import SampleFormula, keep_probabilities
from nlpcli.data.id_files import sentence_chunks
from nlpcli.errors import Unavailable

CHUNK = 1 << 22
"""Words that are looked at together; a longer sentence is cut."""
SHARES = 8
"""Shares of the words that are counted apart."""
ENTRY_BYTES = 8

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
F32 = npt.NDArray[np.float32]
WindowWeights = Literal["linear", "harmonic", "flat"]
Progress = Callable[[int, int], None]
"""Words looked at, of how many."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """``size`` words on each side, of the words that sub-sampling has kept.

    A neighbour at distance o counts, of a window w: ``linear`` (w - o + 1)/w, what word2vec's
    windows of random size come to; ``harmonic`` 1/o, as GloVe; ``flat`` 1 (Levy et al. 2015,
    Improving Distributional Similarity, section 3.1).
    """

    size: int = 5
    weights: WindowWeights = "linear"
    sample: float | None = None
    formula: SampleFormula = "word2vec"

    def __post_init__(self) -> None:
        if not 1 <= self.size <= 1000:
            raise ValueError(f"window: {self.size}, not 1 to 1000")
        if self.weights not in ("linear", "harmonic", "flat"):
            raise ValueError(f"window weights: {self.weights}, not linear, harmonic or flat")
        if self.formula not in ("word2vec", "paper"):
            raise ValueError(f"sample formula: {self.formula}, not word2vec or paper")
        if self.sample is not None and not 0 <= self.sample < 1:
            raise ValueError(f"sample: {self.sample}, not from 0 to below 1")

    def weight(self, distance: int) -> float:
        """How much a neighbour counts."""
        if self.weights == "linear":
            return (self.size - distance + 1) / self.size
        return 1 / distance if self.weights == "harmonic" else 1.0


def word_context_counts(
    ids: I32,
    starts: I64,
    counts: I64,
    window: Window,
    *,
    seed: int,
    workers: int,
    room: int | None = None,
    progress: Progress | None = None,
) -> BlockMatrix:
    """How often each word stands near each other one, V × V, symmetric.

    ``ids`` int32 [T], ``starts`` int64 [S + 1] borders of sentences, ``counts`` int64 [V] by which
    words are sub-sampled ("dirty": before windows are laid; Levy et al. 2015, section 3.1).
    ``room``: bytes of memory there are. Raises Unavailable when the counts need more.
    """
    n_words = len(counts)
    keep = keep_probabilities(counts, window.sample, window.formula)
    edges = _edges(counts * keep)
    shares = [_Share(first, last, n_words) for first, last in pairwise(edges)]
    with ThreadPoolExecutor(workers) as pool:
        for number, (begin, end) in enumerate(sentence_chunks(starts, len(ids), CHUNK)):
            rng = np.random.default_rng([seed, number])
            chunk = _Chunk.kept(ids, starts, begin, end, keep, rng)
            list(pool.map(partial(_Share.add, chunk=chunk, window=window), shares))
            _check_room(sum(share.nnz for share in shares), room)
            if progress is not None:
                progress(end, len(ids))
        blocks = list(pool.map(_Share.block, shares))
    return BlockMatrix((n_words, n_words), blocks)


def term_document_counts(
    ids: I32,
    borders: I64,
    n_words: int,
    *,
    room: int | None = None,
    progress: Progress | None = None,
) -> BlockMatrix:
    """How often each word occurs in each document, V × D; ``borders`` int64 [D + 1]."""
    blocks = []
    n_entries, first = 0, 0
    for begin, end in sentence_chunks(borders, len(ids), CHUNK, whole=True):
        last = int(np.searchsorted(borders, end))
        inside = np.asarray(borders[first : last + 1]) - begin
        chunk = np.array(ids[begin:end])
        shape = (last - first, n_words)
        counted: Csr = sparse.csr_matrix((np.ones(len(chunk), np.float32), chunk, inside), shape)
        counted = counted.T.tocsr()
        counted.sum_duplicates()
        blocks.append(Block(0, first, counted))
        n_entries, first = n_entries + counted.nnz, last
        _check_room(n_entries, room)
        if progress is not None:
            progress(end, len(ids))
    return BlockMatrix((n_words, len(borders) - 1), blocks)


def _edges(mass: npt.NDArray[np.float32]) -> list[int]:
    """Borders of ranges of words that have about the same mass."""
    total = np.cumsum(mass, dtype=np.float64)
    wanted = np.linspace(0, total[-1], SHARES + 1)[1:-1]
    inner = np.searchsorted(total, wanted).tolist()
    return sorted({0, *inner, len(mass)})


@dataclass(frozen=True)
class _Chunk:
    """Words that were kept: ``ids`` [N]; how many stand ``before`` and ``after`` each in its
    sentence, and ``places``, ordered by word, from ``bounds`` [V + 1] on."""

    ids: I32
    before: I32
    after: I32
    places: I32
    bounds: I64

    @staticmethod
    def kept(
        ids: I32, starts: I64, begin: int, end: int, keep: F32, rng: np.random.Generator
    ) -> _Chunk:
        words = np.array(ids[begin:end])
        inner = starts[np.searchsorted(starts, begin) : np.searchsorted(starts, end)] - begin
        borders = np.unique(np.concatenate(([0], inner, [len(words)])))
        if keep.min() < 1:
            stays = rng.random(len(words), dtype=np.float32) < keep[words]
            borders = np.unique(np.concatenate(([0], np.cumsum(stays)))[borders])
            words = words[stays]
        sizes = np.diff(borders)
        at = np.arange(len(words), dtype=np.int32)
        before = at - np.repeat(borders[:-1], sizes).astype(np.int32)
        after = np.repeat(borders[1:], sizes).astype(np.int32) - at - np.int32(1)
        # turning a matrix of one entry a row around is a counting sort
        rows = np.arange(len(words) + 1, dtype=np.int32)
        shape = (len(words), len(keep))
        turned: Csr = sparse.csr_matrix((np.ones(len(words), np.int8), words, rows), shape).tocsc()
        return _Chunk(words, before, after, turned.indices, turned.indptr)


class _Share:
    """Counts for the words from ``first`` to ``last``."""

    def __init__(self, first: int, last: int, n_words: int) -> None:
        self._first, self._last = first, last
        self._shape = (last - first, n_words)
        nothing = np.empty(0, np.float32), np.empty(0, np.int32), np.zeros(last - first + 1, int)
        self._sum: Csr = sparse.csr_matrix(nothing, self._shape)
        self._waiting: list[Csr] = []

    @property
    def nnz(self) -> int:
        """Entries in memory."""
        return sum(int(part.nnz) for part in (self._sum, *self._waiting))

    def add(self, chunk: _Chunk, window: Window) -> None:
        """Counts the neighbours of its words in a chunk."""
        bounds = chunk.bounds[self._first : self._last + 1]
        places = chunk.places[bounds[0] : bounds[-1]]
        reach = np.arange(-window.size, window.size + 1, dtype=np.int32)
        reach = reach[reach != 0]
        inside = (reach >= -chunk.before[places][:, None]) & (reach <= chunk.after[places][:, None])
        columns = chunk.ids[(places[:, None] + reach)[inside]]
        weights = np.array([window.weight(abs(o)) for o in reach.tolist()], np.float32)
        values = np.broadcast_to(weights, inside.shape)[inside]
        ends = np.concatenate(([0], np.cumsum(inside.sum(axis=1))))
        near = sparse.csr_matrix((values, columns, ends), (len(places), self._shape[1]))
        # sums the rows of each word; a product does it without sorting
        rows = np.arange(len(places), dtype=np.int32)
        owners = (np.ones(len(places), np.float32), rows, bounds - bounds[0])
        counted: Csr = sparse.csr_matrix(owners, (self._shape[0], len(places))) @ near
        counted.sort_indices()
        self._waiting.append(counted)
        # adding is linear in both: each entry is added a few times only, however many chunks
        if 2 * sum(part.nnz for part in self._waiting) >= self._sum.nnz:
            self._merge()

    def _merge(self) -> None:
        while self._waiting:
            self._sum = self._sum + self._waiting.pop(0)

    def block(self) -> Block:
        """All that was counted."""
        self._merge()
        return Block(self._first, 0, self._sum)


def _check_room(n_entries: int, room: int | None) -> None:
    # the entries, as much again while they are put together
    needed = 2 * n_entries * ENTRY_BYTES
    if room is not None and needed > room:
        raise Unavailable(
            f"{n_entries:,} counts of word pairs need about {needed / 1e9:,.1f} GB of memory, "
            f"{room / 1e9:,.1f} GB are free",
            hint="a higher --min-count or a smaller --window",
        )
