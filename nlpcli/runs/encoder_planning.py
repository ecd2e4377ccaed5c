"""What training an encoder will need: refused before its weights are there, or shown by
--dry-run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nlpcli.errors import Unavailable
from nlpcli.runs.memory import free_memory

if TYPE_CHECKING:
    import torch

    from nlpcli.batching.span_rows import SpanRows
    from nlpcli.models.bert_config import BertConfig
    from nlpcli.models.span_config import SpanConfig

_PARAMETER_BYTES = 36
"""Of one in float32, at the worst moment: itself and two moments, and the copies of these that are
kept to go back to and that are being saved."""
_WIDTHS, _INNER = 12, 2
"""Numbers of a position that a layer holds for the way back, in hidden and in inner sizes."""
_LOGITS_BYTES = 1 << 27
_SPAN_LEARNT, _SPAN_ASKED, _SPAN_LOGITS = (6, 3), (3, 1), 4
"""How often a span's vector and, with attention, a number for each position of its row are held;
and its logits."""


def memory_needed(
    config: BertConfig, parameters: int, *, length: int, tokens: int, precision: torch.dtype
) -> int:
    """Bytes, about; ``tokens`` that are computed at once, in rows of ``length``."""
    held = _WIDTHS * config.hidden + _INNER * config.intermediate + 2 * config.heads * length
    low = 2 * precision.itemsize if precision.itemsize < 4 else 0  # weights and gradients
    activations = tokens * config.n_layers * held * precision.itemsize
    return parameters * (_PARAMETER_BYTES + low) + activations + _LOGITS_BYTES


def span_memory(
    config: SpanConfig, rows: SpanRows, device: torch.device, *, n_labels: int, batch_size: int,
    most_learnt: int | None, looks: bool,
) -> int:  # fmt: skip
    """Bytes, about, of the spans that are computed at once: learnt, ``most_learnt`` of a row, or
    if it ``looks`` at dev rows, which are taken to be as the others, all of them asked for."""
    from nlpcli.training.finetuning import MICRO_TOKENS
    from nlpcli.training.frozen_features import tokens_at_once

    lengths, counts = rows.words.rows.lengths, rows.counts
    learnt = counts if most_learnt is None else np.minimum(counts, most_learnt)
    at_once = np.minimum(batch_size, MICRO_TOKENS.get(device.type, MICRO_TOKENS["cpu"]) // lengths)
    each = [(learnt, at_once, _SPAN_LEARNT)]
    if looks:
        each.append((counts, tokens_at_once(device) // lengths, _SPAN_ASKED))
    most = 0
    for spans, n_rows, (sizes, positions) in each:
        numbers = np.full(len(lengths), sizes * config.size + _SPAN_LOGITS * (n_labels + 1))
        if config.head == "attention":
            numbers += positions * lengths
        most = max(most, int((spans * np.maximum(n_rows, 1) * numbers).max(initial=0)))
    return 4 * most


def check_memory(needed: int, parameters: int, device: torch.device, hint: str) -> None:
    """Raises Unavailable when training on a CPU needs more than there is."""
    free = free_memory()
    if device.type == "cpu" and free is not None and needed > free:
        raise Unavailable(
            f"{parameters:,} parameters need about {needed / 1e9:,.1f} GB more memory, "
            f"{free / 1e9:,.1f} GB are free",
            hint=hint,
        )


def shapes(config: BertConfig, device: torch.device, precision: torch.dtype) -> dict[str, Any]:
    """Of an encoder and what it is computed with, for a plan."""
    return {
        "vocabulary": config.vocab_size, "layers": config.n_layers, "hidden": config.hidden,
        "heads": config.heads, "intermediate": config.intermediate,
        "positions": config.max_positions, "device": str(device),
        "precision": str(precision).removeprefix("torch."),
    }  # fmt: skip
