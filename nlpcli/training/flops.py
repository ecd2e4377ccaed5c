"""How much arithmetic the rows of a fine-tuning take."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nlpcli.models.bert_config import BertConfig
from nlpcli.training.finetuning_config import FinetuneConfig


def flops_per_row(
    sizes: BertConfig, config: FinetuneConfig, lengths: npt.NDArray[np.int64],
    *, reads_first: bool = False,
) -> float:  # fmt: skip
    """FLOPs of the products that an average row needs in a step, without padding, table and head
    (as Kaplan et al. 2020, table 1, count them).

    A layer that learns goes forward once and back twice as dear; a frozen one only forward. With
    ``fgm`` rows go twice through layers that learn, and the first gradient goes on through the
    frozen ones, down to the words. ``reads_first``: of the last layer only the first position is
    computed, and keys and values of all.
    """
    width = sizes.hidden
    tokens = float(lengths.mean()) if len(lengths) else 0.0
    squares = float((lengths.astype(np.float64) ** 2).mean()) if len(lengths) else 0.0
    layer = tokens * (4 * width * width + 2 * width * sizes.intermediate) + 2 * width * squares
    last = layer
    if reads_first:
        last = 2 * tokens * (width * width + width) + 2 * width * (width + sizes.intermediate)
    frozen = max(0, config.frozen_layers(sizes.n_layers))
    learning, still = (12.0, 6.0) if config.fgm else (6.0, 2.0)
    moving = sizes.n_layers - frozen
    if not moving:
        return still * (layer * (frozen - 1) + last)
    return learning * (layer * (moving - 1) + last) + still * layer * frozen
