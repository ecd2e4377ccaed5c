"""Softmax over a whole vocabulary and its cross entropy, a slice of rows at a time.

The logits of all rows would be by far the largest tensor of a step. A slice's are made, turned into
their gradient and used up before those of the next (as in Wijmans et al. 2024, "Cut your losses in
large-vocabulary language models", with slices instead of blocks).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

SLICE_NUMBERS = 1 << 23
"""Logits at once: some 16 MB in half precision."""
_LEAST = 1e-30


class _VocabularyLoss(torch.autograd.Function):
    """Gradients are made with the loss, as logits are gone afterwards."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, table: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
        d_hidden, d_table = torch.empty_like(hidden), torch.zeros_like(table)
        d_bias = torch.zeros(len(bias), dtype=torch.float32, device=bias.device)
        loss = torch.zeros((), dtype=torch.float32, device=hidden.device)
        size = slice_rows(table)
        for at in range(0, len(hidden), size):
            rows, wanted = hidden[at : at + size], targets[at : at + size, None]
            shares = torch.softmax(torch.addmm(bias, rows, table.t()), dim=-1)
            found = shares.gather(1, wanted)
            loss -= found.float().clamp_min(_LEAST).log_().sum()  # found is needed below
            shares.scatter_(1, wanted, found - 1)
            torch.mm(shares, table, out=d_hidden[at : at + size])
            d_table.addmm_(shares.t(), rows)
            d_bias += shares.sum(0, dtype=torch.float32)
        ctx.save_for_backward(d_hidden, d_table, d_bias.to(bias.dtype))
        return loss

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        d_hidden, d_table, d_bias = ctx.saved_tensors
        scale = upstream[0].to(d_hidden.dtype)
        return d_hidden.mul_(scale), d_table.mul_(scale), d_bias.mul_(scale), None


def slice_rows(table: Tensor) -> int:
    """Rows of logits that are held at once."""
    return max(16, SLICE_NUMBERS // len(table))


def vocabulary_loss(hidden: Tensor, table: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """The sum of -ln softmax(hidden · table^T + bias)[target] over R rows, a float32 scalar.

    ``hidden`` [R, D], ``table`` [V, D], ``bias`` [V], ``targets`` int64 [R]. Backward once.
    """
    loss: Tensor = _VocabularyLoss.apply(hidden, table, bias, targets)  # type: ignore[no-untyped-call]
    return loss


@torch.no_grad()
def vocabulary_scores(
    hidden: Tensor, table: Tensor, bias: Tensor, targets: Tensor
) -> tuple[Tensor, Tensor]:
    """-ln probability of each target, float32 [R], and whether it is the most likely, bool [R]."""
    losses, right = [], []
    size = slice_rows(table)
    for at in range(0, len(hidden), size):
        wanted = targets[at : at + size]
        logits = torch.addmm(bias, hidden[at : at + size], table.t()).float()
        found = logits.gather(1, wanted[:, None])[:, 0]
        losses.append(logits.logsumexp(dim=1) - found)
        right.append(logits.argmax(dim=1) == wanted)
    if not losses:
        return hidden.new_zeros(0, dtype=torch.float32), targets.new_zeros(0, dtype=torch.bool)
    return torch.cat(losses), torch.cat(right)
