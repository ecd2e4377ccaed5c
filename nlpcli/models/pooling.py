"""Hidden states of an encoder -> one vector for each text or each word.

Shapes: L layers, B texts, T positions, D hidden size, W words.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

POOLINGS = ("cls", "mean", "last4")
_LAST = 4


def upper_layers(states: Sequence[Tensor], pooling: str) -> Tensor:
    """The vectors that are pooled, [B, T, D] float32: of "last4" the mean of the last four layers,
    or of all where there are fewer, else those of the last.

    ``states``: [B, T, D] of the embeddings and of each of the L layers. Devlin et al. 2019, §5.3,
    take the sum of the last four, which has the same direction.
    """
    if pooling != "last4":
        return states[-1].float()
    last = states[1:][-_LAST:]
    return torch.stack([state.float() for state in last]).mean(dim=0)


def pool_texts(layer: Tensor, mask: Tensor, pooling: str) -> Tensor:
    """[B, D]: of "cls" the first position, else the mean over all that is no padding.

    [CLS] and [SEP] count, as in Sentence-BERT's mean (Reimers and Gurevych 2019, §3).
    ``mask`` bool [B, T].
    """
    if pooling == "cls":
        return layer[:, 0]
    kept = mask[:, :, None].to(layer.dtype)
    return (layer * kept).sum(dim=1) / kept.sum(dim=1)


def add_to_words(sums: Tensor, layer: Tensor, owners: Tensor) -> None:
    """Adds each position's vector to that of its word, in place.

    ``sums`` [W, D]; ``layer`` [B, T, D]; ``owners`` int64 [B, T]: the word, -1 for none.
    """
    kept = owners >= 0
    sums.index_add_(0, owners[kept], layer[kept])
