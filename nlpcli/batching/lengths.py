"""Rows of pieces -> batches of rows that are about as long, each of a bounded number of tokens.

Shapes: N rows, B of them in a batch, T positions of the longest, padding included.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nlpcli.batching.framing import MULTIPLE, Rows, Specials, padded

I64 = npt.NDArray[np.int64]

TOKENS_ON_CPU = 2048
TOKENS_ON_GPU = 16384


@dataclass(frozen=True)
class LengthBatch:
    """``chosen`` int64 [B]: which rows; ``ids`` and ``segments`` int64 [B, T]; ``mask`` bool
    [B, T], True for what is no padding."""

    chosen: I64
    ids: Tensor
    segments: Tensor
    mask: Tensor


def plan_batches(lengths: I64, *, tokens: int, multiple: int = MULTIPLE) -> list[I64]:
    """The rows of each batch, longest first; every row is in exactly one.

    A batch has at most ``tokens`` tokens after padding, or a single row. Rows are padded to the
    longest beside them, up to a multiple; of that no row is more than a quarter, and a multiple,
    short.
    """
    order = np.argsort(-lengths, kind="stable")
    widths = -(-lengths[order] // multiple) * multiple
    batches, first = [], 0
    while first < len(order):
        width = int(widths[first])
        end = min(len(order), first + max(1, tokens // width))
        # where rows get so much shorter, padding would cost more than one more batch
        least = width - width // 4
        end = first + int(np.searchsorted(-widths[first:end], -least, side="right"))
        batches.append(order[first:end])
        first = end
    return batches


def length_batches(rows: Rows, specials: Specials, *, tokens: int) -> Iterator[LengthBatch]:
    """All rows in batches as planned. The order is the caller's to restore, by ``chosen``."""
    for chosen in plan_batches(rows.lengths, tokens=tokens):
        batch = padded(rows, chosen, specials)
        yield LengthBatch(
            chosen,
            torch.from_numpy(batch.ids),
            torch.from_numpy(batch.segments),
            torch.from_numpy(batch.mask),
        )
