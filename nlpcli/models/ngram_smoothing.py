"""Counts of n-grams -> probabilities: what is taken from the seen goes to the unseen.

h is a context, h' the same without its first word, c a count, V the words that may follow: all but
<s>. Order 0 is uniform, 1 / V. Every method gives the probability of each n-gram that was seen, and
a weight of each context from which those of all others follow (see ngram_lm). Each label has a
model of its own, sums are over one label; discounts and weights are estimated over all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from nlpcli.batching.ngram_counts import CountLevel, NgramCounts

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

Smoothing = Literal["mle", "laplace", "backoff", "interpolated", "kneser-ney"]
SMOOTHINGS: tuple[Smoothing, ...] = ("mle", "laplace", "backoff", "interpolated", "kneser-ney")
CHAINED = ("backoff", "interpolated", "kneser-ney")
"""Those whose unseen n-grams go back to the order below."""
KATZ_LIMIT = 5
"""Counts above it are reliable (Katz 1987, section III)."""
FALLBACK = (0.5, 1.0, 1.5)
"""Discounts where the counts of counts give none."""
_NOTHING = 1e-9


@dataclass
class Estimates:
    """``probabilities`` of the entries of each order, from 1, float64 [E]; ``weights`` of contexts,
    from order 0 (one a label) to the order below the last, float64 [E].

    ``chained``: the probability of what was not seen is the weight times that of the order below;
    otherwise it is the weight itself, and ``unseen`` where not even the context was seen.
    ``details`` is for people, by order; ``notes`` are lines to tell.
    """

    probabilities: list[F64]
    weights: list[F64]
    chained: bool
    unseen: float
    details: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def estimate(counts: NgramCounts, smoothing: Smoothing, n_labels: int = 1) -> Estimates:
    """Probabilities by a method; interpolation needs ``counts`` with tokens held out."""
    from nlpcli.models.jelinek_mercer import interpolated

    methods: dict[Smoothing, Callable[[NgramCounts, int], Estimates]] = {
        "mle": maximum_likelihood,
        "laplace": laplace,
        "backoff": katz,
        "interpolated": interpolated,
        "kneser-ney": kneser_ney,
    }
    with np.errstate(divide="ignore", invalid="ignore"):
        return methods[smoothing](counts, n_labels)


def predicted(level: CountLevel) -> I64:
    """Counts without <s> itself, which nothing predicts; int64 [E]."""
    return np.where(level.opens, 0, level.counts) if level.n == 1 else level.counts


def by_context(level: CountLevel, values: npt.NDArray[Any], n_contexts: int) -> F64:
    """Sums of what the entries of each context have, float64 [n_contexts]."""
    return cast(F64, np.bincount(level.prefix, weights=values, minlength=n_contexts))


def sizes_below(levels: Sequence[CountLevel], n_labels: int) -> list[int]:
    """Contexts of each order."""
    return [n_labels, *(len(level) for level in levels[:-1])]


def maximum_likelihood(counts: NgramCounts, n_labels: int) -> Estimates:
    """P(w | h) = c(h w) / c(h); nothing is left for what was not seen."""
    found = Estimates([], [], False, 0.0)
    for level, size in zip(counts.levels, sizes_below(counts.levels, n_labels), strict=True):
        own = predicted(level)
        totals = by_context(level, own, size)
        found.probabilities.append(np.nan_to_num(own / totals[level.prefix]))
        found.weights.append(np.zeros(size))
    return found


def laplace(counts: NgramCounts, n_labels: int) -> Estimates:
    """P(w | h) = (c(h w) + 1) / (c(h) + V): one more of everything (Laplace's rule)."""
    n_words = counts.n_words - 1
    found = Estimates([], [], False, 1 / n_words)
    for level, size in zip(counts.levels, sizes_below(counts.levels, n_labels), strict=True):
        own = predicted(level)
        totals = by_context(level, own, size) + n_words
        added = (own + 1) / totals[level.prefix]
        found.probabilities.append(_without_bos(level, added))
        found.weights.append(1 / totals)
    return found


def _without_bos(level: CountLevel, probabilities: F64) -> F64:
    return np.where(level.opens, 0.0, probabilities) if level.n == 1 else probabilities


def kneser_ney(counts: NgramCounts, n_labels: int) -> Estimates:
    """Modified Kneser-Ney, interpolated (Chen & Goodman 1998, section 3).

    P(w | h) = (a(h w) - D(a)) / S(h) + γ(h) P(w | h'), with S(h) the sum of a(h w) over w, and
    γ(h) = (D1 N1(h) + D2 N2(h) + D3 N3+(h)) / S(h). a is the count in the highest order; below it
    is the number of different words before the n-gram, or the count where it begins with <s>.
    D_k = k - (k + 1) Y n_{k+1} / n_k with Y = n1 / (n1 + 2 n2), from the n_k n-grams of a = k.
    """
    levels = counts.levels
    found = Estimates([], [], True, 0.0)
    below: F64 = np.full(n_labels, 1 / (counts.n_words - 1))
    for at, level in enumerate(levels):
        adjusted = predicted(level)
        if at + 1 < len(levels):
            before = np.bincount(levels[at + 1].suffix, minlength=len(level))
            adjusted = np.where(level.opens, adjusted, before)
        discounts, note = modified_discounts(adjusted)
        if note:
            found.notes.append(f"order {level.n}: {note}")
        taken = np.array([0.0, *discounts])[np.minimum(adjusted, 3)]
        totals = by_context(level, adjusted, len(below))
        left = by_context(level, taken, len(below)) / totals
        left[totals == 0] = 1.0
        own = (adjusted - taken) / totals[level.prefix] + left[level.prefix] * below[level.suffix]
        below = _without_bos(level, own)
        found.probabilities.append(below)
        found.weights.append(left)
        found.details.append({"n": level.n, "discounts": list(discounts)})
    return found


def modified_discounts(adjusted: I64) -> tuple[tuple[float, float, float], str | None]:
    """D1, D2 and D3+ from how many n-grams have a count of 1 to 4, and a line where they are not
    defined and ``FALLBACK`` stands in."""
    n1, n2, n3, n4 = (int(n) for n in np.bincount(np.minimum(adjusted, 5), minlength=6)[1:5])
    if min(n1, n2, n3, n4) > 0:
        y = n1 / (n1 + 2 * n2)
        found = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
        if all(0 <= d <= k for k, d in enumerate(found, 1)):
            return found, None
    told = ", ".join(map(str, FALLBACK))
    return FALLBACK, f"counts of 1 to 4 are {n1}, {n2}, {n3}, {n4} times there: discounts {told}"


def katz(counts: NgramCounts, n_labels: int) -> Estimates:
    """Back-off with Good-Turing discounts (Katz 1987, section III; Chen & Goodman 1998, 2.5).

    P(w | h) = d_r r / c(h) for a count r, else α(h) P(w | h'); α makes the sum one. A context that
    nothing is taken from, because all its counts are high, counts one word more. Where every word
    was seen after it, nothing is left to share, and its probabilities are made to sum to one.
    """
    found = Estimates([], [], True, 0.0)
    below: F64 = np.full(n_labels, 1 / (counts.n_words - 1))
    for level in counts.levels:
        own = predicted(level)
        discounts, note = good_turing_discounts(own)
        if note:
            found.notes.append(f"order {level.n}: {note}")
        factors = np.array([1.0, *discounts, 1.0])[np.minimum(own, len(discounts) + 1)]
        totals = by_context(level, own, len(below))
        kept = np.nan_to_num(factors * own / totals[level.prefix])
        left = 1 - by_context(level, kept, len(below))
        stingy = left < _NOTHING
        kept *= np.where(stingy, totals / (totals + 1), 1.0)[level.prefix]
        left = np.where(stingy, 1 / (totals + 1), left)
        shares = np.where(own > 0, below[level.suffix], 0.0)
        room = 1 - by_context(level, shares, len(below))
        full = room < _NOTHING
        kept /= np.where(full, 1 - left, 1.0)[level.prefix]
        weights = np.where(full, 0.0, left / np.where(full, 1.0, room))
        weights[totals == 0] = 1.0
        below = np.nan_to_num(kept)
        found.probabilities.append(below)
        found.weights.append(weights)
        found.details.append({"n": level.n, "discounts": list(discounts)})
    return found


def good_turing_discounts(own: I64) -> tuple[tuple[float, ...], str | None]:
    """d_r of the counts r from 1 to ``KATZ_LIMIT``, or as far as they are defined, with a line.

    d_r = (r* / r - C) / (1 - C) with C = (k + 1) n_{k+1} / n_1 and r* = (r + 1) n_{r+1} / n_r.
    """
    n = np.bincount(np.minimum(own, KATZ_LIMIT + 2), minlength=KATZ_LIMIT + 3).astype(float)
    for limit in range(KATZ_LIMIT, 0, -1):
        if (n[1 : limit + 2] == 0).any():
            continue
        common = (limit + 1) * n[limit + 1] / n[1]
        ranks = np.arange(1, limit + 1)
        better = (ranks + 1) * n[2 : limit + 2] / n[1 : limit + 1] / ranks
        found = (better - common) / (1 - common) if common != 1 else np.array([np.nan])
        if ((found > 0) & (found <= 1)).all():
            note = None if limit == KATZ_LIMIT else f"counts up to {limit} alone are discounted"
            return tuple(found.tolist()), note
    return (), "counts of counts give no discounts: each context counts one word more"
