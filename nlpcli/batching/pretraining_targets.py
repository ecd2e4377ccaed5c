"""Rows for pre-training -> tensors of what the model sees and of what it is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nlpcli.batching.pretraining_rows import PretrainingBatch

OBJECTIVES = ("mlm", "nsp", "sbo")
"""Masked pieces, the next sentence, pieces of a span from its borders."""


@dataclass(frozen=True)
class Targets:
    """What is to be said about a batch of sequences [B, T], positions counted through all rows.

    ``masked`` int64 [M] and ``pieces`` int64 [M] that stood there. ``is_next`` int64 [B], 0 when
    the second segment follows the first, 1 when not, as in BERT's files. Of spans: positions
    ``left`` and ``right`` of their borders, ``place`` from 0 within the span, and ``span_pieces``,
    the piece there, int64 [S] each.
    """

    masked: Tensor
    pieces: Tensor
    is_next: Tensor | None = None
    left: Tensor | None = None
    right: Tensor | None = None
    place: Tensor | None = None
    span_pieces: Tensor | None = None


def as_tensors(
    batches: list[PretrainingBatch], device: torch.device
) -> tuple[Tensor, Tensor | None, Targets]:
    """Batches as one: ids as the model sees them, segments, and what is asked for."""

    def to(array: npt.NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(device, non_blocking=True)

    true = np.concatenate([batch.ids for batch in batches])
    seen = np.concatenate([batch.masked.ids for batch in batches])
    chosen = np.concatenate([batch.masked.chosen for batch in batches]).reshape(-1)
    flat = true.reshape(-1)
    masked = np.flatnonzero(chosen)
    segments = is_next = None
    if batches[0].segments is not None:
        segments = to(np.concatenate([b.segments for b in batches if b.segments is not None]))
        is_next = to(np.concatenate([b.is_next for b in batches if b.is_next is not None]))
    spans = _spans(batches, true.shape[1])
    left = right = place = span_pieces = None
    if spans is not None:
        left, right, place = (to(array) for array in spans[:3])
        span_pieces = to(flat[spans[3]])
    targets = Targets(to(masked), to(flat[masked]), is_next, left, right, place, span_pieces)
    return to(seen), segments, targets


def _spans(batches: list[PretrainingBatch], width: int) -> tuple[npt.NDArray[np.int64], ...] | None:
    """Of each position in a span: its borders, its place from 0 and itself, int64 [S] each."""
    offsets = np.cumsum([0, *(len(batch.ids) for batch in batches)])[:-1]
    row = np.concatenate([b.masked.row + at for b, at in zip(batches, offsets, strict=True)])
    if not len(row):
        return None
    first = np.concatenate([b.masked.first for b in batches]) + row * width
    last = np.concatenate([b.masked.last for b in batches]) + row * width
    sizes = last - first + 1
    place = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    left, right = np.repeat(first - 1, sizes), np.repeat(last + 1, sizes)
    return left, right, place, left + 1 + place


def count(targets: Targets, name: str) -> int:
    """What an objective asks for."""
    found: dict[str, Tensor | None] = {
        "mlm": targets.pieces, "nsp": targets.is_next, "sbo": targets.span_pieces,
    }  # fmt: skip
    part = found[name]
    return 0 if part is None else len(part)
