"""Pseudo-perplexity of a masked language model (Salazar et al. 2020, "Masked language model
scoring", §2.2), from a sample of positions."""

from __future__ import annotations

import math

import numpy as np
import torch

from nlpcli.batching.pretraining_rows import PretrainingRows
from nlpcli.batching.pretraining_targets import Targets
from nlpcli.models.pretraining import PretrainingBert

POSITIONS = 1024
_ROWS = 32


@torch.no_grad()
def pseudo_perplexity(
    model: PretrainingBert, rows: PretrainingRows, mask: int, special: frozenset[int], seed: int
) -> float | None:
    """exp of the mean -ln P(piece | all others of its row), each piece masked alone.

    ``POSITIONS`` pieces of the rows are drawn; None where there are none.
    """
    model.eval()
    device = model.bert.words.device
    generator = np.random.default_rng([seed, len(rows)])
    batch = rows.batch(0, 0, min(len(rows), 256))
    row, place = np.nonzero(~np.isin(batch.ids, list(special)))
    if not len(row):
        return None
    drawn = generator.permutation(len(row))[:POSITIONS]
    losses = []
    for at in range(0, len(drawn), _ROWS):
        chosen = drawn[at : at + _ROWS]
        ids = torch.from_numpy(batch.ids[row[chosen]])
        places = torch.from_numpy(place[chosen])
        every = torch.arange(len(ids))
        pieces = ids[every, places]
        ids[every, places] = mask
        segments = None
        if batch.segments is not None:
            segments = torch.from_numpy(batch.segments[row[chosen]]).to(device)
        targets = Targets((every * ids.shape[1] + places).to(device), pieces.to(device))
        losses.append(model.scores(ids.to(device), segments, targets)["mlm"][0].double().cpu())
    return math.exp(float(torch.cat(losses).mean()))
