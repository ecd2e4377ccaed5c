"""What training an encoder will need: refused before its weights are there, or shown by
--dry-run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nlpcli.errors import Unavailable
from nlpcli.runs.memory import free_memory

if TYPE_CHECKING:
    import torch

    from nlpcli.models.bert_config import BertConfig

_PARAMETER_BYTES = 36
"""Of one in float32, at the worst moment: itself and two moments, and the copies of these that are
kept to go back to and that are being saved."""
_WIDTHS, _INNER = 12, 2
"""Numbers of a position that a layer holds for the way back, in hidden and in inner sizes."""
_LOGITS_BYTES = 1 << 27


def memory_needed(
    config: BertConfig, parameters: int, *, length: int, tokens: int, precision: torch.dtype
) -> int:
    """Bytes, about; ``tokens`` that are computed at once, in rows of ``length``."""
    held = _WIDTHS * config.hidden + _INNER * config.intermediate + 2 * config.heads * length
    low = 2 * precision.itemsize if precision.itemsize < 4 else 0  # weights and gradients
    activations = tokens * config.n_layers * held * precision.itemsize
    return parameters * (_PARAMETER_BYTES + low) + activations + _LOGITS_BYTES


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
