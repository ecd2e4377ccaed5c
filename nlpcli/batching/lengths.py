"""Pieces of texts -> batches of texts that are about as long, each of a bounded number of tokens.

Shapes: N texts, B of them in a batch, T positions of the longest, padding included.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nlpcli.text.wordpiece import Ragged

I64 = npt.NDArray[np.int64]

MULTIPLE = 8
"""T is a multiple of it, which products of matrices are made for."""
TOKENS_ON_CPU = 2048
TOKENS_ON_GPU = 16384


@dataclass(frozen=True)
class Frame:
    """What stands around the pieces of a text, and how many positions a model has for all."""

    cls: int
    sep: int
    pad: int
    longest: int

    @property
    def most_pieces(self) -> int:
        """Pieces of a text that are read; [CLS] and [SEP] take the other two positions."""
        return self.longest - 2


@dataclass(frozen=True)
class TextBatch:
    """``rows`` int64 [B]: which texts; ``ids`` int64 [B, T]; ``mask`` bool [B, T], True for what
    is no padding."""

    rows: I64
    ids: Tensor
    mask: Tensor


def framed_lengths(texts: Ragged, frame: Frame) -> tuple[I64, int]:
    """Positions of each text, [CLS] and [SEP] included, and how many texts are cut."""
    pieces = np.diff(texts.indptr)
    cut = int(np.count_nonzero(pieces > frame.most_pieces))
    lengths: I64 = np.minimum(pieces, frame.most_pieces) + 2
    return lengths, cut


def plan_batches(lengths: I64, *, tokens: int, multiple: int = MULTIPLE) -> list[I64]:
    """The rows of each batch, longest first; every row is in exactly one.

    A batch has at most ``tokens`` tokens after padding, or a single row. Rows are padded to the
    longest beside them, up to a multiple, and no row needs a quarter of that more than its own.
    """
    order = np.argsort(-lengths, kind="stable")
    padded = -(-lengths[order] // multiple) * multiple
    batches, first = [], 0
    while first < len(order):
        width = int(padded[first])
        end = min(len(order), first + max(1, tokens // width))
        # where rows get so much shorter, padding would cost more than one more batch
        least = width - width // 4
        end = first + int(np.searchsorted(-padded[first:end], -least, side="right"))
        batches.append(order[first:end])
        first = end
    return batches


def text_batches(texts: Ragged, lengths: I64, frame: Frame, *, tokens: int) -> Iterator[TextBatch]:
    """[CLS] pieces [SEP] of all texts in batches as planned; ``lengths`` of ``framed_lengths``.

    Of a text that is too long the first pieces are read. The order is the caller's to restore.
    """
    for rows in plan_batches(lengths, tokens=tokens):
        yield _batch(texts, rows, lengths[rows], frame)


def _batch(texts: Ragged, rows: I64, lengths: I64, frame: Frame) -> TextBatch:
    width = -(-int(lengths.max()) // MULTIPLE) * MULTIPLE
    # positions may end before the next multiple
    width = max(int(lengths.max()), min(width, frame.longest))
    place = np.arange(width)
    ids = np.full((len(rows), width), frame.pad, np.int64)
    ids[:, 0] = frame.cls
    inside = (place >= 1) & (place < lengths[:, None] - 1)
    at = texts.indptr[rows][:, None] + place - 1
    ids[inside] = texts.ids[at[inside]]
    ids[np.arange(len(rows)), lengths - 1] = frame.sep
    mask = place < lengths[:, None]
    return TextBatch(rows, torch.from_numpy(ids), torch.from_numpy(mask))
