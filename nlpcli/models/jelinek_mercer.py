"""Jelinek-Mercer interpolation, its weights by EM on tokens held out (Jelinek & Mercer 1980).

P(w | h) = λ(h) c(h w) / c(h) + (1 - λ(h)) P(w | h'). A weight is shared by the contexts of one
order whose counts have the same number of binary digits: the bucketing of Bahl, Jelinek & Mercer
1983.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nlpcli.batching.ngram_counts import BOS, CountLevel, NgramCounts
from nlpcli.models.ngram_smoothing import Estimates, by_context, predicted, sizes_below

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

BUCKETS = 24
"""By order; the last one holds all larger counts."""
MOST_HELD_OUT = 500_000
"""Tokens that weights are estimated on, about."""
MOST_STEPS = 100
ENOUGH = 1e-4
"""No weight moves by more in a step: it has converged."""
_PRIOR = 0.5
"""Observations of either kind added to each weight, so that none is 0 or 1."""


def held_out_tokens(tokens: npt.NDArray[np.int32], sizes: I64) -> I64:
    """The tokens that weights are estimated on, without <s>: of every tenth sentence, of fewer
    where that would be more than ``MOST_HELD_OUT``; none of a single sentence. int64 [H]."""
    stride = max(10, -(-len(tokens) // MOST_HELD_OUT))
    chosen = np.zeros(len(sizes), bool)
    chosen[min(stride, len(sizes)) // 2 :: stride] = len(sizes) > 1
    return np.flatnonzero(np.repeat(chosen, sizes) & (tokens != BOS))


def interpolated(counts: NgramCounts, n_labels: int) -> Estimates:
    """Weights are estimated with the held-out tokens taken out of the counts, and then used with
    all counts."""
    found = Estimates([], [], True, 0.0)
    uniform = 1 / (counts.n_words - 1)
    weights, steps = weights_by_em(_observed(counts, n_labels), uniform)
    if not counts.held_entries.shape[1]:
        found.notes.append("no sentence could be held out: every weight is 0.5")
    below: F64 = np.full(n_labels, uniform)
    for at, level in enumerate(counts.levels):
        own = predicted(level)
        totals = by_context(level, own, len(below))
        mine = np.where(totals > 0, weights[at, buckets(totals)], 0.0)
        likely = np.nan_to_num(own / totals[level.prefix])
        of_entry = mine[level.prefix]
        probabilities = of_entry * likely + (1 - of_entry) * below[level.suffix]
        if level.n == 1:
            probabilities[level.opens] = 0.0
        below = probabilities
        found.probabilities.append(probabilities)
        found.weights.append(1 - mine)
        used = np.unique(buckets(totals[totals > 0]))
        found.details.append(
            {"n": level.n, "weights": {str(b): float(weights[at, b]) for b in used.tolist()}}
        )
    for detail in found.details:
        detail["em_steps"] = steps
    return found


def buckets(totals: F64) -> I64:
    """Binary digits of counts of contexts."""
    digits = np.frexp(np.maximum(totals, 0))[1].astype(np.int64)
    return np.clip(digits, 0, BUCKETS - 1)


@dataclass(frozen=True)
class Observed:
    """Of held-out tokens, by order: ``likely`` float64 [order, H] c(h w) / c(h) in the rest,
    ``bucket`` int64 [order, H] of the context, -1 where it was not seen there."""

    likely: F64
    bucket: I64


def _observed(counts: NgramCounts, n_labels: int) -> Observed:
    held = counts.held_entries
    likely, bucket = np.zeros(held.shape), np.full(held.shape, -1, np.int64)
    sizes = sizes_below(counts.levels, n_labels)
    for row, (level, size) in enumerate(zip(counts.levels, sizes, strict=True)):
        likely[row], bucket[row] = _one_order(level, held[row], size)
    return Observed(likely, bucket)


def _one_order(level: CountLevel, held: npt.NDArray[np.int32], size: int) -> tuple[F64, I64]:
    there = held >= 0
    entries = held[there]
    rest = predicted(level) - np.bincount(entries, minlength=len(level))
    if level.n == 1:
        rest[level.opens] = 0
    totals = by_context(level, rest, size)
    own, of_context = rest[entries], totals[level.prefix[entries]]
    seen = of_context > 0
    likely, bucket = np.zeros(len(held)), np.full(len(held), -1, np.int64)
    at = np.flatnonzero(there)[seen]
    likely[at] = own[seen] / of_context[seen]
    bucket[at] = buckets(of_context[seen])
    return likely, bucket


def weights_by_em(observed: Observed, uniform: float) -> tuple[F64, int]:
    """λ of each order and bucket, float64 [order, BUCKETS], and how many steps it took.

    E: how probable it is that a token came from each order, from the highest down; M: the share of
    tokens that stopped at an order among those that came as far (Dempster, Laird & Rubin 1977).
    """
    n_orders, n_tokens = observed.likely.shape
    weights = np.full((n_orders, BUCKETS), 0.5)
    if not n_tokens:
        return weights, 0
    step = 0
    for step in range(1, MOST_STEPS + 1):  # noqa: B007  how many it took
        mixed = np.empty((n_orders + 1, n_tokens))
        mixed[0] = uniform
        own = np.zeros((n_orders, n_tokens))
        for k in range(n_orders):
            bucket = observed.bucket[k]
            own[k] = np.where(bucket >= 0, weights[k, bucket], 0.0)
            mixed[k + 1] = own[k] * observed.likely[k] + (1 - own[k]) * mixed[k]
        arrived, new = np.ones(n_tokens), np.empty_like(weights)
        for k in range(n_orders - 1, -1, -1):
            bucket = observed.bucket[k]
            stays = own[k] * observed.likely[k] / mixed[k + 1]
            seen = bucket >= 0
            stopped, came = (
                np.bincount(bucket[seen], weights=values[seen], minlength=BUCKETS)
                for values in (arrived * stays, arrived)
            )
            new[k] = (stopped + _PRIOR) / (came + 2 * _PRIOR)
            arrived = arrived * (1 - stays)
        moved = float(np.abs(new - weights).max())
        weights = new
        if moved < ENOUGH:
            break
    return weights, step
