"""Pieces of texts, or of pairs of texts -> rows that an encoder reads, and batches of them.

Shapes: N rows, B of them in a batch, T positions of the longest, padding included.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from nlpcli.text.wordpiece import Ragged

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]

Cut = Literal["truncate-tail", "truncate-head", "head-tail"]
"""What a row keeps of a text that is too long: its head, its tail, or a quarter of the room for
the head and the rest for the tail (Sun et al. 2019, "How to fine-tune BERT", §5.3.1)."""
Long = Cut | Literal["window"]
"""Or all of it, as several rows: ``batching/text_windows.py``."""
MULTIPLE = 4
"""T is a multiple of it: products of odd sizes are slow, and padding of short rows is as dear."""


@dataclass(frozen=True)
class Specials:
    """Ids of [CLS], [SEP] and [PAD]; ``longest`` positions of a row."""

    cls: int
    sep: int
    pad: int
    longest: int


@dataclass(frozen=True)
class Windows:
    """Which rows are windows of which text: of text d those from ``indptr``[d] on, int64 [D + 1].
    ``shares`` float64 [N]: what a row counts for in its text, in all 1."""

    indptr: I64
    shares: F64

    @property
    def counts(self) -> I64:
        """Windows of each text, int64 [D]."""
        return np.diff(self.indptr)

    @property
    def texts(self) -> I64:
        """The text of each row, int64 [N]."""
        return np.repeat(np.arange(len(self.indptr) - 1), self.counts)

    def means(self, found: F64) -> F64:
        """What is said of texts, float64 [D, K], by what is said of their rows, [N, K]."""
        if not len(found):
            return found
        means: F64 = np.add.reduceat(found * self.shares[:, None], self.indptr[:-1], axis=0)
        return means


@dataclass(frozen=True)
class Rows:
    """[CLS] A [SEP], or [CLS] A [SEP] B [SEP]: ``ids`` int32 [sum of lengths], ``indptr`` int64
    [N + 1]; ``second`` int64 [N] where B begins in its row, its length where there is none.
    ``n_cut``: texts, or pairs, that lost pieces; ``cut`` bool, which. ``windows``: None where each
    text is one row."""

    ids: I32
    indptr: I64
    second: I64
    n_cut: int
    cut: npt.NDArray[np.bool_] | None = None
    windows: Windows | None = None

    @property
    def lengths(self) -> I64:
        """Positions of each row."""
        return np.diff(self.indptr)

    def __len__(self) -> int:
        return len(self.second)


@dataclass(frozen=True)
class Padded:
    """``ids`` and ``segments`` int64 [B, T], ``mask`` bool [B, T]: True for what is no padding."""

    ids: I64
    segments: I64
    mask: npt.NDArray[np.bool_]


def framed(first: Ragged, second: Ragged | None, specials: Specials, long: Cut) -> Rows:
    """Rows of texts, or of pairs; of a pair that is too long the longer text is cut first."""
    sizes = np.diff(first.indptr)
    if second is None:
        kept = np.minimum(sizes, specials.longest - 2)
        lengths, behind = kept + 2, None
        border = lengths
        cut = kept < sizes
    else:
        others = np.diff(second.indptr)
        kept, behind = shared_room(sizes, others, specials)
        border = kept + 2
        lengths = border + behind + 1
        cut = (kept < sizes) | (behind < others)
    indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    ids = np.full(int(indptr[-1]), specials.sep, np.int32)
    ids[indptr[:-1]] = specials.cls
    _put(ids, indptr[:-1] + 1, first, kept, long)
    if second is not None and behind is not None:
        _put(ids, indptr[:-1] + border, second, behind, long)
    return Rows(ids, indptr, border, int(cut.sum()), cut)


def shared_room(first: I64, second: I64, specials: Specials) -> tuple[I64, I64]:
    """How many pieces of each text of a pair a row has room for, of so many that they have; int64
    [N]. The longer text gives way, down to half of the room."""
    room = specials.longest - 3
    kept = np.minimum(first, np.maximum(room - second, -(-room // 2)))
    return kept, np.minimum(second, room - kept)


def _put(ids: I32, places: I64, texts: Ragged, kept: I64, long: Cut) -> None:
    """So many pieces of each text from its place on."""
    sizes = np.diff(texts.indptr)
    offset = np.arange(int(kept.sum())) - np.repeat(np.cumsum(kept) - kept, kept)
    head = {"truncate-tail": kept, "truncate-head": np.zeros_like(kept), "head-tail": kept // 4}
    skipped = np.repeat(sizes - kept, kept) * (offset >= np.repeat(head[long], kept))
    ids[np.repeat(places, kept) + offset] = texts.ids[
        np.repeat(texts.indptr[:-1], kept) + offset + skipped
    ]


def padded(rows: Rows, chosen: I64, specials: Specials) -> Padded:
    """The rows ``chosen`` int64 [B] as one batch."""
    lengths = rows.lengths[chosen]
    longest = int(lengths.max())
    width = max(longest, min(-(-longest // MULTIPLE) * MULTIPLE, specials.longest))
    place = np.arange(width)[None]
    mask = place < lengths[:, None]
    ids = np.full((len(chosen), width), specials.pad, np.int64)
    ids[mask] = rows.ids[(rows.indptr[chosen][:, None] + place)[mask]]
    segments = (mask & (place >= rows.second[chosen][:, None])).astype(np.int64)
    return Padded(ids, segments, mask)


def batches_of_one_width(lengths: I64, specials: Specials, tokens: int) -> list[I64]:
    """The rows of each batch, int64 [B], that ``padded`` pads to one width each alone; widest
    first, every row once, ``tokens`` of a batch at most or a single row."""
    widths = np.minimum(-(-lengths // MULTIPLE) * MULTIPLE, specials.longest)
    batches: list[I64] = []
    for width in np.unique(widths)[::-1].tolist():
        rows, size = np.flatnonzero(widths == width), max(1, tokens // width)
        batches += [rows[at : at + size] for at in range(0, len(rows), size)]
    return batches


WINDOW, WINDOWS = 32, 4
"""Batches among which rows are sorted by length, at most, and such windows of an epoch, at least:
the more a batch is of one length, the less is learnt from few rows (benchmarks/LOG.md)."""


def shuffled_batches(lengths: I64, size: int, seed: int, epoch: int) -> list[I64]:
    """The rows of each batch of an epoch, int64 [<= size], every row once.

    Rows are shuffled, sorted by length within windows, cut into batches, and these shuffled: rows
    of about one length stand together, and none comes always at the same time.
    """
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(len(lengths))
    batches, window = [], size * max(1, min(WINDOW, len(order) // (WINDOWS * size)))
    for at in range(0, len(order), window):
        part = order[at : at + window]
        part = part[np.argsort(lengths[part], kind="stable")]
        batches += [part[i : i + size] for i in range(0, len(part), size)]
    return [batches[i] for i in generator.permutation(len(batches))]
