"""Scaled dot-product attention (Vaswani et al. 2017, §3.2.1), by the kernel that is fastest here.

Shapes: B sequences, T positions, D hidden size, H heads of D / H numbers.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from nlpcli.models.dropout import dropout, kept

LONGEST_PRODUCT = 512
"""Positions up to which T x T weights of a batch are worth holding. Up to there plain products are
three times as fast on a CPU as torch's fused kernel, forward and backward: figures in LOG.md."""


def attend(qkv: Tensor, heads: int, mask: Tensor | None, p_drop: float) -> Tensor:
    """softmax(QK^T / sqrt(D / H)) V of all heads, [B, T, D].

    ``qkv`` [B, T, 3 D]; ``mask`` bool [B, 1, 1, T], True where a position may be looked at, at
    least one in each row; ``p_drop``: share of the weights that are dropped.
    """
    if qkv.device.type == "cpu" and qkv.shape[1] <= LONGEST_PRODUCT:
        found: Tensor = _Products.apply(qkv, heads, mask, p_drop)  # type: ignore[no-untyped-call]
        return found
    batch, time, width = qkv.shape
    parts = qkv.view(batch, time, 3, heads, width // 3 // heads)
    query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
    mixed = functional.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, dropout_p=p_drop
    )
    return mixed.transpose(1, 2).reshape(batch, time, width // 3)


class _Products(torch.autograd.Function):
    """Products of all heads of all sequences at once, with weights held for the way back."""

    @staticmethod
    def forward(ctx: Any, qkv: Tensor, heads: int, mask: Tensor | None, p_drop: float) -> Tensor:
        batch, time, width = qkv.shape
        size = width // 3 // heads
        parts = qkv.view(batch, time, 3, heads, size).permute(2, 0, 3, 1, 4)
        parts = parts.reshape(3, batch * heads, time, size)
        query, key, value = parts
        scores = qkv.new_empty(batch * heads, time, time)
        torch.baddbmm(scores, query, key.transpose(1, 2), beta=0, alpha=size**-0.5, out=scores)
        if mask is not None:
            scores.view(batch, heads, time, time).masked_fill_(~mask, -torch.inf)
        weights = _softmax(scores)
        stays, ctx.scale, used = None, 1.0, weights
        if p_drop:
            stays, ctx.scale = kept(weights.shape, p_drop)
            used = torch.mul(weights, stays).mul_(ctx.scale)
        ctx.save_for_backward(parts, weights, used, stays)
        return torch.bmm(used, value).view(batch, heads, time, size).transpose(1, 2).reshape(
            batch, time, heads * size
        )  # fmt: skip

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None, None, None]:
        parts, weights, used, stays = ctx.saved_tensors
        query, key, value = parts
        batch, time, hidden = upstream[0].shape
        size = query.shape[2]
        heads, scale = hidden // size, size**-0.5
        given = upstream[0].view(batch, time, heads, size).transpose(1, 2)
        given = given.reshape(batch * heads, time, size)
        moved = torch.empty_like(parts)
        torch.bmm(used.transpose(1, 2), given, out=moved[2])
        d_weights = torch.bmm(given, value.transpose(1, 2))
        if stays is not None:
            d_weights = d_weights.mul_(stays).mul_(ctx.scale)
        # of a softmax: weights * (d - sum(weights * d)); masked places have weight 0
        scores = torch._softmax_backward_data(d_weights, weights, -1, weights.dtype)
        torch.baddbmm(moved[0], scores, key, beta=0, alpha=scale, out=moved[0])
        torch.baddbmm(moved[1], scores.transpose(1, 2), query, beta=0, alpha=scale, out=moved[1])
        moved = moved.view(3, batch, heads, time, size).permute(1, 3, 0, 2, 4)
        return moved.reshape(batch, time, 3 * hidden), None, None, None


def _softmax(scores: Tensor) -> Tensor:
    """Over the last axis, by way of float32: torch's kernel for bfloat16 takes twice the time
    where rows are no multiple of 32 long."""
    precision = torch.promote_types(scores.dtype, torch.float32)
    return torch.softmax(scores, dim=-1, dtype=precision).to(scores.dtype)


def attend_first(
    query: Tensor, key_value: Tensor, heads: int, mask: Tensor | None, p_drop: float
) -> Tensor:
    """As ``attend``, of one position of each row: ``query`` [B, D], ``key_value`` [B, T, 2 D] ->
    [B, D]."""
    batch, time, width = key_value.shape
    size = width // 2 // heads
    key, value = key_value.view(batch, time, 2, heads, size).permute(2, 0, 3, 1, 4).unbind(0)
    scores = query.view(batch, heads, 1, size) @ key.transpose(2, 3) * size**-0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    weights = dropout(_softmax(scores), p_drop)
    return (weights @ value).view(batch, width // 2)
