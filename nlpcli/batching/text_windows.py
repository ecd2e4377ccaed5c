"""Texts that are too long -> several rows, windows that overlap; every piece is in one of them.

Shapes: D texts or pairs, N rows; a text that fits is one row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nlpcli.batching.framing import Rows, Specials, Windows, framed, shared_room
from nlpcli.batching.word_rows import ranges
from nlpcli.text.wordpiece import Ragged

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]


def windowed(first: Ragged, second: Ragged | None, specials: Specials, overlap: int) -> Rows:
    """Rows of texts, or of pairs, of which the longer text is read in windows beside the other.

    Windows that follow one another share ``overlap`` pieces, at most half of a window; the last
    one is shorter, but longer than what it shares. A row counts for as many pieces as its window
    has. Of a pair whose texts are both longer than half of a row, the shorter one is cut.
    """
    sizes = np.diff(first.indptr)
    others = np.zeros_like(sizes) if second is None else np.diff(second.indptr)
    of_first = sizes >= others
    longer = np.maximum(sizes, others)
    width = _widths(sizes, others, of_first, specials, pairs=second is not None)
    shared = np.minimum(overlap, width // 2)
    step = np.maximum(width - shared, 1)
    counts = np.where((longer <= width) | (width < 1), 1, -(-(longer - shared) // step))
    indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    text = np.repeat(np.arange(len(counts)), counts)
    begin = (np.arange(len(text)) - indptr[text]) * step[text]
    # a text of one window is left whole: ``framed`` cuts what there is to cut
    length = np.where(counts[text] > 1, np.minimum(width[text], longer[text] - begin), longer[text])
    rows = framed(
        _parts(first, text, begin, np.where(of_first[text], length, sizes[text]), of_first[text]),
        None if second is None else _parts(
            second, text, begin, np.where(of_first[text], others[text], length), ~of_first[text]
        ),
        specials, "truncate-tail",
    )  # fmt: skip
    assert rows.cut is not None
    cut = np.bincount(text, weights=rows.cut, minlength=len(counts)) > 0
    weight = np.maximum(length, 1).astype(np.float64)
    shares = weight / np.bincount(text, weights=weight, minlength=len(counts))[text]
    return Rows(
        rows.ids, rows.indptr, rows.second, int(cut.sum()), cut,
        Windows(indptr, shares) if len(text) > len(counts) else None,
    )  # fmt: skip


def _widths(
    sizes: I64, others: I64, of_first: npt.NDArray[np.bool_], specials: Specials, *, pairs: bool
) -> I64:
    """Pieces of a window of each text, int64 [D]."""
    if not pairs:
        return np.full_like(sizes, specials.longest - 2)
    room = specials.longest - 3
    kept, _ = shared_room(sizes, others, specials)
    alone = np.maximum(room - others, -(-room // 2))
    return np.where(of_first, alone, room - kept)


def _parts(
    texts: Ragged, text: I64, begin: I64, length: I64, moves: npt.NDArray[np.bool_]
) -> Ragged:
    """So many pieces of the texts numbered ``text``, from ``begin`` on where that ``moves``."""
    first = texts.indptr[text] + np.where(moves, begin, 0)
    indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(length)])
    return Ragged(texts.ids[ranges(first, length)], indptr)


def of_rows(
    rows: Rows, targets: npt.NDArray[Any], weights: F32 | None
) -> tuple[npt.NDArray[Any], F32 | None]:
    """What texts are to be learnt to say, [D, ...], and their weights, as those of their rows.

    A row weighs as much of its text as it counts for, so that a text counts alike in how many
    windows it may be read; 1 on average.
    """
    if rows.windows is None:
        return targets, weights
    text = rows.windows.texts
    found = rows.windows.shares * (len(text) / len(rows.windows.counts))
    if weights is not None:
        found = found * weights[text]
    return targets[text], found.astype(np.float32)
