"""What several models, or files of predictions, made of the same rows -> which is better."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nlpcli.data.predictions import Predictions
from nlpcli.errors import DataError, UsageError, shown
from nlpcli.evaluation.compare import Outcome, compare, outcome_estimate
from nlpcli.evaluation.paired import Sums, f1_sums, mean_sums, pearson_sums, spearman_sums
from nlpcli.runs.predictions import label_sets

Labels = Sequence[tuple[str, ...]]
F64 = npt.NDArray[np.float64]
SETS = "subset_accuracy"
"""Of rows with any number of labels."""


@dataclass(frozen=True)
class Answered:
    """The truth and the answers of B rows, as ids of the different ``cells``; a cell is the labels
    of a row. ``guess`` None: an answer is no cell, and not just right or wrong.

    ``metric`` decides: where there is a ``guess`` it is the share of right rows. ``scores``: other
    metrics that are means over rows, (B,); ``sums``: metrics of all rows together. ``numbers``: the
    truth and the answers where these are numbers, float64 (B,) each. ``worth``: how good each
    answer is, (B,), more is better. ``known``: rows that the model has an answer to, bool (B,).
    """

    cells: list[tuple[str, ...]]
    true: npt.NDArray[np.int64]
    guess: npt.NDArray[np.int64] | None
    metric: str = "accuracy"
    scores: dict[str, F64] = field(default_factory=dict)
    sums: dict[str, Sums] = field(default_factory=dict)
    numbers: tuple[F64, F64] | None = None
    worth: F64 | None = None
    known: npt.NDArray[np.bool_] | None = None

    def right(self) -> npt.NDArray[np.bool_]:
        """Whether each answer is the truth, where there is a ``guess``: bool (B,)."""
        numbers = {cell: i for i, cell in enumerate(dict.fromkeys(self.cells))}
        ids = np.array([numbers[cell] for cell in self.cells], dtype=np.int64)
        found: npt.NDArray[np.bool_] = ids[self.true] == ids[self.guess]
        return found


def answered(truth: Labels, guess: Labels, *, several: bool = False) -> Answered:
    """From the labels of each row, in one order where a row may have any number of them."""
    known: dict[tuple[str, ...], int] = {}
    true, found = (
        np.array([known.setdefault(row, len(known)) for row in rows], dtype=np.int64)
        for rows in (truth, guess)
    )
    return _of_labels(list(known), true, found, several)


def answered_right(
    truth: Labels, right: Sequence[bool] | npt.NDArray[np.bool_], *, metric: str, **more: Any
) -> Answered:
    """From whether each row is right; ``truth`` tells whether models saw the same rows; ``more``:
    of an ``Answered``."""
    cells, true = _numbered(truth)
    cells = [*cells, ("wrong",)]
    return Answered(cells, true, np.where(right, true, len(cells) - 1), metric, **more)


def answered_else(truth: Labels, *, metric: str, **more: Any) -> Answered:
    """Of answers that are not just right or wrong; as ``answered_right``."""
    return Answered(*_numbered(truth), None, metric, **more)


def _numbered(truth: Labels) -> tuple[list[tuple[str, ...]], npt.NDArray[np.int64]]:
    known: dict[tuple[str, ...], int] = {}
    true = np.array([known.setdefault(row, len(known)) for row in truth], dtype=np.int64)
    return list(known), true


def answered_before(found: Predictions, separator: str | None) -> Answered:
    """From a file of predictions."""
    both: list[list[tuple[str, ...]]] = [
        [tuple(sorted(labels)) for labels in label_sets(cells, separator)]
        if separator else [(cell,) for cell in cells]
        for cells in (found.truths, found.answers)
    ]  # fmt: skip
    whole = found.true, found.predicted + len(found.truths)
    return _of_labels(both[0] + both[1], *whole, separator is not None)


def _of_labels(
    cells: list[tuple[str, ...]],
    true: npt.NDArray[np.int64],
    guess: npt.NDArray[np.int64],
    several: bool,
) -> Answered:
    """Of labels of rows; of several also by micro F1, for hardly a row may be right as a whole."""
    if not several:
        return Answered(cells, true, guess)
    codes, each = np.unique(true * len(cells) + guess, return_inverse=True)
    pairs = ((set(cells[code // len(cells)]), set(cells[code % len(cells)])) for code in codes)
    counts = np.array([(len(a & b), len(a), len(b)) for a, b in pairs], np.float64).reshape(-1, 3)
    return Answered(cells, true, guess, SETS, sums={"micro_f1": f1_sums(counts[each.reshape(-1)])})


def outcomes_of(models: Sequence[tuple[str, Answered]]) -> list[Outcome]:
    """Rows of all models in the same ids, those that all have an answer to; models with their
    names.

    Raises DataError where they did not answer the same rows, UsageError where they are measured by
    different things.
    """
    first_name, first = models[0]
    known = {cell: i for i, cell in enumerate(sorted({c for _, m in models for c in m.cells}))}
    truth: npt.NDArray[np.int64] | None = None
    placed: list[npt.NDArray[np.int64]] = []
    for name, model in models:
        if model.metric != first.metric:
            raise UsageError(
                f"{name} is measured by {model.metric}, {first_name} by {first.metric}: wanted "
                "models of one kind"
            )
        if len(model.true) != len(first.true):
            raise DataError(
                f"{name}: {len(model.true):,} rows, {first_name} has {len(first.true):,}; wanted "
                "the same rows"
            )
        placed.append(np.array([known[cell] for cell in model.cells], dtype=np.int64))
        own = placed[-1][model.true]
        truth = own if truth is None else truth
        different = np.flatnonzero(own != truth)
        if len(different):
            at = int(different[0])
            mine, theirs = (";".join(m.cells[m.true[at]]) for m in (model, first))
            raise DataError(
                f"{name} row {at + 1}: label {shown(mine)}, {first_name} has {shown(theirs)}; "
                "wanted the same rows in the same order"
            )
    assert truth is not None
    rows = _known_to_all(models)
    pairs = zip(models, placed, strict=True)
    outcomes = [_outcome(model, ids, truth, rows) for (_, model), ids in pairs]
    silence = known.get(("",))  # what a file has where it abstains
    return _same_tokens([replace(outcome, silence=silence) for outcome in outcomes])


def _same_tokens(outcomes: list[Outcome]) -> list[Outcome]:
    """Without perplexities, unless all are of the same tokens: of words and of characters they do
    not compare."""
    name, first = "perplexity", outcomes[0].sums.get("perplexity")
    if first is None or all(
        name in o.sums and np.array_equal(o.sums[name].columns[:, 1], first.columns[:, 1])
        for o in outcomes
    ):
        return outcomes
    return [replace(o, sums={k: v for k, v in o.sums.items() if k != name}) for o in outcomes]


def _known_to_all(models: Sequence[tuple[str, Answered]]) -> npt.NDArray[np.int64] | None:
    """Numbers of the rows that all have an answer to; None for all. Raises DataError for none."""
    each = [model.known for _, model in models if model.known is not None]
    if not each:
        return None
    rows = np.flatnonzero(np.logical_and.reduce(each))
    if not len(rows):
        names = " and ".join(name for name, _ in models)
        raise DataError(f"{names}: no row whose words all of them know, wanted one at least")
    return rows


def _outcome(
    model: Answered,
    ids: npt.NDArray[np.int64],
    truth: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64] | None,
) -> Outcome:
    """Of one model; ``ids`` of its cells, ``rows`` None for all."""
    at = slice(None) if rows is None else rows
    sums = {name: replace(each, columns=each.columns[at]) for name, each in model.sums.items()}
    if model.numbers is not None:
        sums |= _number_sums(model.metric, *(numbers[at] for numbers in model.numbers))
    scores = {name: values[at] for name, values in model.scores.items()}
    worth = None if model.worth is None else model.worth[at]
    if model.metric == "spearman" and model.numbers is not None:
        worth = _rank_worth(*(numbers[at] for numbers in model.numbers))
    if model.guess is None:
        return Outcome(scores, sums=sums, decides=model.metric, worth=worth)
    guess = ids[model.guess][at]
    scores = {model.metric: (truth[at] == guess).astype(np.float64), **scores}
    if model.metric != "accuracy":  # right or wrong as a whole; no classes to average over
        return Outcome(scores, sums=sums, worth=worth)
    return Outcome(scores, truth[at], guess, sums, worth=worth)


def _number_sums(metric: str, truth: F64, found: F64) -> dict[str, Sums]:
    """Of numbers: correlations; errors too, unless the two are on different scales, which is where
    Spearman's correlation decides."""
    sums = {"pearson": pearson_sums(truth, found), "spearman": spearman_sums(truth, found)}
    if metric != "spearman":
        sums["mse"] = mean_sums((found - truth) ** 2, less=True)
    return sums


def _rank_worth(truth: F64, found: F64) -> F64:
    """How good numbers are of which only the order counts: less how far each rank is off."""
    from scipy.stats import rankdata

    return np.asarray(-np.abs(rankdata(truth) - rankdata(found)), dtype=np.float64)


def of_common_rows(
    documents: Sequence[dict[str, Any]], outcomes: Sequence[Outcome], *, resamples: int, seed: int
) -> list[dict[str, Any]]:
    """Documents of models that did not answer all rows alike: their metrics, and ``n``, become
    those of the rows that all have an answer to."""
    return [
        {
            **document, "n": len(outcome.rows),
            **{
                name: outcome_estimate(outcome, name, resamples=resamples, seed=seed)
                for name in (*outcome.scores, *outcome.sums)
            },
        }
        for document, outcome in zip(documents, outcomes, strict=True)
    ]  # fmt: skip


def comparison(
    names: Sequence[str],
    documents: Sequence[dict[str, Any]],
    outcomes: Sequence[Outcome],
    *,
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    """The document of ``eval`` with several models: each one's metrics, every pair compared."""
    pairs = compare(outcomes, resamples=resamples, seed=seed)
    for pair in pairs:
        pair["first"], pair["second"] = names[pair["first"]], names[pair["second"]]
        pair["says"] = verdict(pair)
    metric, less = pairs[0]["metric"], pairs[0]["less_is_better"]
    best = _best([document[metric]["value"] for document in documents], less)
    models = [{"model": n, **document} for n, document in zip(names, documents, strict=True)]
    return {
        "n": pairs[0]["n"], "metric": metric, "models": models, "comparisons": pairs,
        "best": names[best], "cheapest_as_good": _cheapest(models, metric, best, less),
        "assumptions": "p: exact McNemar (by randomization where rows are not right or wrong, and "
        "of macro F1), p_holm for all pairs; better or worse where it is at most 0.05; more_rows: "
        "for 80 % power, if the difference is what was seen and further rows are like these",
    }  # fmt: skip


def _best(values: Sequence[float | None], less: bool) -> int:
    """Which is best; what is not defined is worst."""
    worst = math.inf if less else -math.inf
    known = [worst if value is None else value for value in values]
    return int(np.argmin(known) if less else np.argmax(known))


def _cheapest(models: list[dict[str, Any]], metric: str, best: int, less: bool) -> str | None:
    """Of the models within the 95 % interval of the best, the one with the least time for a row;
    None where no time was taken."""
    about, sign = models[best][metric], -1 if less else 1
    limit = about["high" if less else "low"]
    limit = about["value"] if limit is None else limit
    timed = [
        model for model in models
        if (model.get("cost") or {}).get("latency_p50_ms") is not None
        and limit is not None and model[metric]["value"] is not None
        and sign * model[metric]["value"] >= sign * limit
    ]  # fmt: skip
    if not timed:
        return None
    return str(min(timed, key=lambda model: model["cost"]["latency_p50_ms"])["model"])


def verdict(pair: dict[str, Any]) -> str:
    """A pair in words."""
    first, second, metric = pair["first"], pair["second"], pair["metric"]
    if pair["verdict"] == "same answers":
        alike = "right on the same rows" if pair["right_or_wrong"] else "equally good on every row"
        return f"{second} and {first} are {alike}"
    if pair["verdict"] in ("better", "worse"):
        return f"{second} is {pair['verdict']} than {first} ({metric})"
    more = pair["more_rows"]
    if pair["difference"][metric]["value"] is None:
        return f"cannot tell {second} from {first}: {metric} is not defined"
    if pair["p_is_least"]:
        return (
            f"cannot tell {second} from {first}: p is the least that its random swaps can give, "
            "too large for so many pairs"
        )
    if more is None:
        return f"cannot tell {second} from {first}: no difference in {metric} was seen"
    return f"cannot tell {second} from {first}: about {_rounded(more):,} more rows would settle it"


def _rounded(rows: int) -> int:
    """To two digits: it is an estimate."""
    return int(float(f"{rows:.2g}"))
