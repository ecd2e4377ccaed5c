"""Which of two models is better on the same rows, and how sure that is.

McNemar (1947) in its exact form for rows that are right or wrong; the paired bootstrap (Efron &
Tibshirani 1993, chapter 16) for intervals of differences, all models on the same resamples; for
macro F1, and what ``paired.py`` has, the randomization test of Yeh, "More accurate tests for the
statistical significance of result differences" (2000), which swaps both models' answers row by row;
Holm (1979) over pairs; the rows that would settle it by Connor, "Sample size for testing
differences in proportions for the paired-sample design" (1987).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlpcli.evaluation.bootstrap import (
    Counts,
    Estimate,
    Floats,
    IntArray,
    affordable,
    count_blocks,
    estimate,
    generator,
    resampled_sums,
    row_groups,
)
from nlpcli.evaluation.metrics import (
    Cells,
    LabelCounts,
    averaged_scores,
    count_labels,
    position_of,
)
from nlpcli.evaluation.paired import (
    ALPHA,
    MOST_GROUPS,
    Sums,
    fewest_swaps,
    mean_sums,
    row_spread,
    sum_difference,
    swaps_drawn,
)

POWER = 0.8
_STREAM = 80


@dataclass(frozen=True)
class Outcome:
    """What a model made of the B rows of a test.

    scores: (B,) each by the metric of which they are the row's part, more is better. truth, guess:
    (B,) label ids, where a row has one label; ids mean the same for all models that are compared.
    sums: metrics of all rows together. decides: the metric by which a model is better, by default
    the first of ``scores``. worth: (B,) how good the answer to each row is, more is better, where
    that is none of ``scores``. silence: the label id that stands for no answer, which is no label.
    """

    scores: dict[str, Floats]
    truth: IntArray | None = None
    guess: IntArray | None = None
    sums: dict[str, Sums] = field(default_factory=dict)
    decides: str | None = None
    worth: Floats | None = None
    silence: int | None = None

    @property
    def metric(self) -> str:
        """Which decides."""
        return self.decides or next(iter(self.scores))

    @property
    def rows(self) -> Floats:
        """How good the answers are, (B,)."""
        return next(iter(self.scores.values())) if self.worth is None else self.worth


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided exact p of so many rows that only one of two models has right; 1 without any."""
    total = only_first + only_second
    if not total:
        return 1.0
    from scipy.special import bdtr

    return float(min(1.0, 2.0 * bdtr(min(only_first, only_second), total, 0.5)))


def holm(values: Sequence[float]) -> list[float]:
    """p values such that all at most ALPHA hold together."""
    order = sorted(range(len(values)), key=lambda i: values[i])
    out, largest = [1.0] * len(values), 0.0
    for rank, at in enumerate(order):
        largest = max(largest, min(1.0, (len(values) - rank) * values[at]))
        out[at] = largest
    return out


def rows_needed(difference: float, spread: float, alpha: float = ALPHA) -> int | None:
    """Rows for a test at ``alpha`` to find such a mean difference with POWER; None for none.

    spread: the standard deviation of a row's difference where its mean is 0, sqrt of the share of
    rows that only one model has right.
    """
    if not difference or not spread:
        return None
    normal = NormalDist()
    chance, power = normal.inv_cdf(1 - alpha / 2), normal.inv_cdf(POWER)
    apart = math.sqrt(max(spread**2 - difference**2, 0.0))
    return math.ceil(((chance * spread + power * apart) / difference) ** 2)


def score_difference(
    first: Floats, second: Floats, resamples: int, seed: int, swaps: int | None = None
) -> tuple[Estimate, float]:
    """Mean of ``second - first``, both (B,), with its interval, and the p of its being 0.

    McNemar's where scores are 0 and 1, else a sign test by randomization: under the hypothesis a
    row's difference is as likely as its opposite; by ``swaps`` signs a row, by default as many as
    resamples.
    """
    gap = np.asarray(second, dtype=np.float64) - first
    order, starts = row_groups(len(gap), MOST_GROUPS, generator(seed, _STREAM))
    grouped = np.stack([gap, np.ones(len(gap))], axis=1)
    grouped = np.add.reduceat(grouped if order is None else grouped[order], starts, axis=0)
    drawn = resampled_sums(
        grouped, affordable(resamples, len(grouped)), generator(seed, _STREAM + 1)
    )
    found = estimate(float(gap.mean()), drawn[:, 0] / drawn[:, 1])
    if bool(np.isin(first, (0, 1)).all() and np.isin(second, (0, 1)).all()):
        return found, mcnemar(int((gap < 0).sum()), int((gap > 0).sum()))
    rng, sums = generator(seed, _STREAM + 2), grouped[:, 0]
    swaps = swaps_drawn(resamples if swaps is None else swaps, len(gap))
    signs = (rng.integers(0, 2, len(sums)) * 2.0 - 1.0 for _ in range(swaps))
    extreme = sum(abs(float(sign @ sums)) >= abs(float(sums.sum())) - 1e-12 for sign in signs)
    return found, (1 + extreme) / (1 + swaps) if sums.any() else 1.0


@dataclass(frozen=True)
class _Joint:
    """The distinct (truth, guess of each of M models) of the rows, sorted by truth; ids are
    positions among S labels. truth: (C,), guesses: (M, C), counts: (C,)."""

    truth: Counts
    guesses: NDArray[np.int64]
    counts: Counts
    labels: int
    silence: int | None


def _joint_cells(truth: IntArray, guesses: Sequence[IntArray], silence: int | None) -> _Joint:
    present = np.unique(np.concatenate([truth, *guesses]))
    columns = [np.searchsorted(present, ids) for ids in (truth, *guesses)]
    code = columns[0].astype(np.int64)
    for ids in columns[1:]:
        code = np.unique(code * len(present) + ids, return_inverse=True)[1].reshape(-1)
    _, first, counts = np.unique(code, return_index=True, return_counts=True)
    kept = np.stack([ids[first] for ids in columns])
    return _Joint(
        kept[0], kept[1:], counts.astype(np.int64), len(present), position_of(silence, present)
    )


def _summed(drawn: NDArray[Any], key: Counts, size: int) -> NDArray[Any]:
    """Columns added up by their key: (R, C), (C,) in [0, size) to (R, size)."""
    out = np.zeros((len(drawn), size), dtype=np.float64)
    if len(key):
        order = np.argsort(key, kind="stable")
        ranked = key[order]
        first = np.flatnonzero(np.diff(ranked, prepend=-1))
        out[:, ranked[first]] = np.add.reduceat(drawn[:, order], first, axis=1)
    return out


def _cells_of(joint: _Joint, model: int) -> tuple[Cells, Counts]:
    """One model's own cells, and which of them each joint cell belongs to, (C,)."""
    code = joint.truth * joint.labels + joint.guesses[model]
    own, inverse = np.unique(code, return_inverse=True)
    inverse = inverse.reshape(-1).astype(np.int64)
    counts = np.bincount(inverse, weights=joint.counts).astype(np.int64)
    every = np.arange(joint.labels)
    cells = Cells(every, own // joint.labels, own % joint.labels, counts, joint.silence)
    return cells, inverse


def macro_f1_samples(
    truth: IntArray, guesses: Sequence[IntArray], resamples: int, seed: int,
    silence: int | None = None,
) -> tuple[Floats, Floats]:  # fmt: skip
    """Macro F1 of M models on the rows, (M,), and on the same resamples of them, (R, M)."""
    joint = _joint_cells(truth, guesses, silence)
    cells = [_cells_of(joint, model) for model in range(len(guesses))]

    def scores(drawn: Counts) -> Floats:
        each = [
            averaged_scores(count_labels(own, _summed(drawn, inverse, len(own.counts))))
            for own, inverse in cells
        ]
        return np.stack([found["macro_f1"] for found in each], axis=1)

    cost = min(len(truth), 12 * len(joint.counts)) + len(guesses) * joint.labels
    blocks = count_blocks(joint.counts, affordable(resamples, cost), generator(seed, _STREAM + 3))
    drawn = [scores(block) for block in blocks]
    return scores(joint.counts[None, :])[0], np.concatenate(drawn)


def macro_f1_swapped(
    truth: IntArray, guesses: Sequence[IntArray], swaps: int, seed: int,
    silence: int | None = None,
) -> float:  # fmt: skip
    """p of two models' difference in macro F1, when each row's answers are swapped by a coin."""
    joint = _joint_cells(truth, guesses, silence)
    cells = [_cells_of(joint, model)[0] for model in (0, 1)]
    start = [count_labels(own, own.counts[None, :]) for own in cells]
    seen = abs(_difference(start[0], start[1])[0])
    apart = joint.guesses[0] != joint.guesses[1]
    if not apart.any():
        return 1.0
    first, second, true = joint.guesses[0][apart], joint.guesses[1][apart], joint.truth[apart]
    counts, rng = joint.counts[apart], generator(seed, _STREAM + 4)
    swaps = affordable(swaps, 12 * len(counts) + 4 * joint.labels)
    step, extreme = max(1, 2_000_000 // max(len(counts), joint.labels)), 0
    for begin in range(0, swaps, step):
        moved = rng.binomial(counts, 0.5, size=(min(step, swaps - begin), len(counts)))
        guess = _summed(moved, second, joint.labels) - _summed(moved, first, joint.labels)
        right = [
            _summed(moved[:, answer == true], true[answer == true], joint.labels)
            for answer in (first, second)
        ]
        hits = right[1] - right[0]
        pair = [
            replace(
                part,
                hits=part.hits + sign * hits,
                truth=part.truth + 0 * hits,
                guess=part.guess + sign * guess,
            )
            for part, sign in zip(start, (1, -1), strict=True)
        ]
        extreme += int((np.abs(_difference(pair[0], pair[1])) >= seen - 1e-12).sum())
    return (1 + extreme) / (1 + swaps)


def _difference(first: LabelCounts, second: LabelCounts) -> Floats:
    """Macro F1 of the second less that of the first, (R,)."""
    out: Floats = averaged_scores(second)["macro_f1"] - averaged_scores(first)["macro_f1"]
    return out


def outcome_estimate(outcome: Outcome, name: str, *, resamples: int, seed: int) -> Estimate:
    """One of its metrics, with its interval."""
    metric = outcome.sums.get(name)
    if metric is None:
        metric = mean_sums(outcome.scores[name])
    value, rows = metric.whole(), len(metric.columns)
    if metric.samples is not None:
        return estimate(value, metric.samples(resamples, seed))
    order, starts = row_groups(rows, MOST_GROUPS, generator(seed, _STREAM))
    columns = metric.columns if order is None else metric.columns[order]
    grouped = np.add.reduceat(columns, starts, axis=0)
    drawn = resampled_sums(grouped, affordable(resamples, len(grouped)), generator(seed, _STREAM))
    return estimate(value, metric.value(drawn), share_of=rows if name in outcome.scores else None)


def compare(
    outcomes: Sequence[Outcome], *, resamples: int = 1000, seed: int = 1
) -> list[dict[str, Any]]:
    """Every pair of M models that answered the same rows, in order; the second against the first.

    Each: ``first``, ``second`` (positions), ``metric`` that decides, ``difference`` of each metric
    with interval and p, ``p_holm``, ``verdict`` of the second (better, worse, cannot tell, same
    answers), ``more_rows`` that would settle it (None where nothing seen says so). p by swaps is
    of enough of them for all pairs, however few the resamples; ``p_is_least`` where it is the
    least that they can give.
    """
    pairs = [(i, j) for i in range(len(outcomes)) for j in range(i + 1, len(outcomes))]
    macro = None
    truth, guesses = outcomes[0].truth, [o.guess for o in outcomes if o.guess is not None]
    if truth is not None and len(guesses) == len(outcomes):
        macro = macro_f1_samples(truth, guesses, resamples, seed, outcomes[0].silence)
    found = []
    for i, j in pairs:
        entry = _pair(outcomes[i], outcomes[j], resamples, seed, len(pairs))
        if macro is not None and truth is not None:
            value, drawn = macro
            gap = estimate(float(value[j] - value[i]), drawn[:, j] - drawn[:, i])
            p = macro_f1_swapped(
                truth, [guesses[i], guesses[j]], max(resamples, fewest_swaps(1)), seed,
                outcomes[0].silence,
            )  # fmt: skip
            entry["difference"]["macro_f1"] = {**gap, "p": p}
        found.append({"first": i, "second": j, **entry})
    for entry, p in zip(found, holm([entry["p"] for entry in found]), strict=True):
        entry["p_holm"] = p
        _decide(entry, len(found))
    return found


def _pair(first: Outcome, second: Outcome, resamples: int, seed: int, pairs: int) -> dict[str, Any]:
    by = first.metric
    difference: dict[str, Any] = {}
    for name in (*first.scores, *(name for name in first.sums if name in second.sums)):
        swaps = max(resamples, fewest_swaps(pairs if name == by else 1))
        if name in first.scores:
            both = first.scores[name], second.scores[name]
            gap, p = score_difference(*both, resamples, seed, swaps)
        else:
            gap, p = sum_difference(first.sums[name], second.sums[name], resamples, seed, swaps)
        difference[name] = {**gap, "p": p}
    gaps, p = second.rows - first.rows, difference[by]["p"]
    exact = by in first.scores and np.isin([first.scores[by], second.scores[by]], (0, 1)).all()
    least = 1 / (1 + swaps_drawn(max(resamples, fewest_swaps(pairs)), len(gaps)))
    spread, less = float(np.sqrt((gaps**2).mean())), False
    if by in first.sums:
        spread, less = row_spread(first.sums[by], second.sums[by]), first.sums[by].less
    elif first.worth is not None:
        spread = float(np.sqrt(((second.scores[by] - first.scores[by]) ** 2).mean()))
    return {
        "metric": by, "less_is_better": less, "difference": difference,
        "p": p, "p_is_least": bool(not exact and p <= least), "n": len(gaps),
        "only_first": int((gaps < 0).sum()), "only_second": int((gaps > 0).sum()),
        "right_or_wrong": bool(np.isin([first.rows, second.rows], (0, 1)).all()),
        "spread": spread,
    }  # fmt: skip


def _decide(entry: dict[str, Any], pairs: int) -> None:
    """Adds the verdict and the rows that it lacks."""
    gap, spread = entry["difference"][entry["metric"]]["value"], entry.pop("spread")
    entry["more_rows"] = None
    if not entry["only_first"] + entry["only_second"]:
        entry["verdict"] = "same answers"
    elif entry["p_holm"] <= ALPHA and gap:
        entry["verdict"] = "better" if (gap > 0) != entry["less_is_better"] else "worse"
    else:
        entry["verdict"] = "cannot tell"
        if gap is None or not math.isfinite(spread) or entry["p_is_least"]:
            return  # more swaps would tell, not more rows
        needed = rows_needed(gap, spread, ALPHA / pairs)
        if needed is not None:
            entry["more_rows"] = max(1, needed - entry["n"])
