"""Training against the worst small change of a row's word vectors (Miyato et al. 2017,
"Adversarial training methods for semi-supervised text classification", §3).

Shapes: B rows, T positions, D hidden size.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor

from nlpcli.models.bert import Bert


@contextlib.contextmanager
def shifted(bert: Bert, ids: Tensor) -> Iterator[Tensor]:
    """A shift of the vectors of ``ids`` [B, T], which is 0 and gets a gradient; [B, T, D]."""
    words = bert.words
    shift = torch.zeros(
        (*ids.shape, words.shape[1]), dtype=words.dtype, device=words.device, requires_grad=True
    )
    bert.shift = shift
    try:
        yield shift
    finally:
        bert.shift = None


@torch.no_grad()
def turn_against(shift: Tensor, epsilon: float) -> None:
    """``shift`` becomes epsilon g / |g| of each row, where g is its gradient (equation 5): what
    raises the loss most, as far as that is linear. It gets no gradient any more.

    The norm is that of all positions of a row, so the change of a row does not depend on its
    company. Unlike in the paper the vectors are not normalised to unit variance: a norm stands
    behind them in the encoder. A row without a gradient stays as it is.
    """
    gradient = shift.grad
    shift.requires_grad_(False)
    if gradient is None:
        return
    gradient = gradient.float()
    size = gradient.flatten(1).norm(dim=1).clamp_min(torch.finfo(torch.float32).tiny)
    shift.copy_(epsilon * gradient / size[:, None, None])
    shift.grad = None
