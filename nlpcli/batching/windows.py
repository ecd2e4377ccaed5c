"""A corpus of word numbers -> sub-sampled chunks with their windows, and noise words.

Shapes: T words of the corpus, V different ones, W words of window on each side, N words of a
chunk that are kept. Every chunk has random numbers of its own, so that a run can go on from any.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

CHUNK = 1 << 20
"""Words of the corpus that are sub-sampled at once; a sentence ends with its chunk."""
_SLOTS = 1 << 22
_MOST_SLOTS = 1 << 26


class NoiseWords:
    """Draws words by their count to the ``power`` (Mikolov et al. 2013, section 2.2: 3/4).

    From a table of slots that each hold a word, as word2vec.c does: a share is right to half a
    slot, of which there are at least 32 for each word on average.
    """

    def __init__(self, counts: I64, power: float) -> None:
        self.shares: F64 = counts.astype(np.float64) ** power
        self.shares /= self.shares.sum()
        n_slots = _SLOTS
        while n_slots < min(32 * len(counts), _MOST_SLOTS):
            n_slots *= 2
        middles = (np.arange(n_slots) + 0.5) / n_slots
        found = np.searchsorted(np.cumsum(self.shares), middles)
        self._table = np.minimum(found, len(counts) - 1).astype(np.int32)

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> I32:
        """Word numbers int32 of this shape."""
        slots = generator.integers(0, len(self._table), shape, dtype=np.int32)
        drawn: I32 = self._table[slots]
        return drawn


@dataclass(frozen=True)
class Chunk:
    """``tokens`` int32 [W + N + W], with zeros before and after; ``reach`` int64 [N]: a row of
    ``reach_patterns``. ``n_read``: words of the corpus it stands for."""

    tokens: I32
    reach: I64
    n_read: int


def reach_patterns(window: int) -> F32:
    """A 1 for each neighbour, float32 [(W + 1)², 2 W + 1].

    Row ``b * (W + 1) + a`` is of a word with b neighbours before it and a after it; the place in
    the middle is its own and 0.
    """
    offsets = np.arange(-window, window + 1)
    reach = np.arange(window + 1)
    before = (offsets < 0) & (-offsets <= reach[:, None])
    after = (offsets > 0) & (offsets <= reach[:, None])
    found: F32 = (before[:, None] | after[None]).reshape(-1, 2 * window + 1).astype(np.float32)
    return found


class Windows:
    """Chunks of a corpus, for any epoch: frequent words dropped, windows drawn.

    ``ids`` int32 [T], ``starts`` int64 [S + 1] borders of sentences, which no window crosses;
    ``keep`` float32 [V]. Each word draws the reach of its window from 1 to ``window``, after words
    were dropped, as word2vec.c does. A chunk is filled to a multiple of ``multiple`` words with
    words that have no neighbours.
    """

    def __init__(
        self, ids: I32, starts: I64, keep: F32, window: int, *, multiple: int, seed: int,
        ranks: int = 1,
    ) -> None:  # fmt: skip
        """``ranks`` processes are to have equally many chunks, of equally many words."""
        self._ids, self._starts, self._keep = ids, starts, keep
        self._window, self._multiple, self._seed = window, multiple, seed
        self.n_words = len(ids)
        self.chunk_words = CHUNK
        if ranks > 1:
            each = -(-self.n_words // (CHUNK * ranks))
            self.chunk_words = -(-self.n_words // (each * ranks))

    def __len__(self) -> int:
        return -(-self.n_words // self.chunk_words)

    def generator(self, epoch: int, number: int, what: int) -> np.random.Generator:
        """The random numbers of one chunk for one purpose."""
        return np.random.default_rng([self._seed, epoch, number, what])

    def chunk(self, epoch: int, number: int) -> Chunk:
        """Chunk ``number`` of an epoch, both from 0; one behind the last is empty."""
        begin, end = (min(self.n_words, n * self.chunk_words) for n in (number, number + 1))
        generator, width = self.generator(epoch, number, 0), self._window
        tokens = np.asarray(self._ids[begin:end])
        kept = generator.random(len(tokens), dtype=np.float32) < self._keep[tokens]
        place, rest = self._places(kept, begin, end)
        tokens = tokens[kept]
        drawn = generator.integers(1, width + 1, len(tokens), dtype=np.int32)
        reach = np.minimum(drawn, place) * (width + 1) + np.minimum(drawn, rest)
        n_filled = -(-len(tokens) // self._multiple) * self._multiple
        filled = np.zeros(n_filled + 2 * width, np.int32)
        filled[width : width + len(tokens)] = tokens
        reaches = np.zeros(n_filled, np.int64)
        reaches[: len(reach)] = reach
        return Chunk(filled, reaches, end - begin)

    def _places(self, kept: npt.NDArray[np.bool_], begin: int, end: int) -> tuple[I32, I32]:
        """Of each kept word: how many words of its sentence come before and after it."""
        first, last = np.searchsorted(self._starts, [begin + 1, end])
        borders = np.concatenate([[0], self._starts[first:last] - begin, [end - begin]])
        before = np.zeros(len(kept) + 1, np.int32)
        np.cumsum(kept, out=before[1:])
        edges = before[borders]
        sizes = np.diff(edges)
        place = np.arange(int(edges[-1]), dtype=np.int32) - np.repeat(edges[:-1], sizes)
        return place, np.repeat(sizes, sizes) - 1 - place
