"""What several models, or files of predictions, made of the same rows -> which is better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nlpcli.data.predictions import Predictions
from nlpcli.errors import DataError, UsageError, shown
from nlpcli.evaluation.compare import Outcome, compare
from nlpcli.runs.predictions import label_sets

Labels = Sequence[tuple[str, ...]]
SETS = "subset_accuracy"
"""Of rows with any number of labels."""


@dataclass(frozen=True)
class Answered:
    """The truth and the answers of B rows, as ids of the different ``cells``; a cell is the labels
    of a row. ``metric``: what the share of right rows is called; ``counts`` as in ``Outcome``."""

    cells: list[tuple[str, ...]]
    true: npt.NDArray[np.int64]
    guess: npt.NDArray[np.int64]
    metric: str = "accuracy"
    counts: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)


def answered(truth: Labels, guess: Labels, *, several: bool = False) -> Answered:
    """From the labels of each row, in one order where a row may have any number of them."""
    known: dict[tuple[str, ...], int] = {}
    true, found = (
        np.array([known.setdefault(row, len(known)) for row in rows], dtype=np.int64)
        for rows in (truth, guess)
    )
    return Answered(list(known), true, found, SETS if several else "accuracy")


def answered_right(
    truth: Labels,
    right: Sequence[bool],
    *,
    metric: str,
    counts: dict[str, npt.NDArray[np.float64]],
) -> Answered:
    """From whether each row is right; ``truth`` tells whether models saw the same rows."""
    known: dict[tuple[str, ...], int] = {}
    true = np.array([known.setdefault(row, len(known)) for row in truth], dtype=np.int64)
    cells = [*known, ("wrong",)]
    return Answered(cells, true, np.where(right, true, len(cells) - 1), metric, counts)


def answered_before(found: Predictions, separator: str | None) -> Answered:
    """From a file of predictions."""
    both: list[list[tuple[str, ...]]] = [
        [tuple(sorted(labels)) for labels in label_sets(cells, separator)]
        if separator else [(cell,) for cell in cells]
        for cells in (found.truths, found.answers)
    ]  # fmt: skip
    whole = found.true, found.predicted + len(found.truths)
    return Answered(both[0] + both[1], whole[0], whole[1], SETS if separator else "accuracy")


def outcomes_of(models: Sequence[tuple[str, Answered]]) -> list[Outcome]:
    """Rows of all models in the same ids; models with their names.

    Raises DataError where they did not answer the same rows, UsageError where they are measured by
    different things.
    """
    first_name, first = models[0]
    known = {cell: i for i, cell in enumerate(sorted({c for _, m in models for c in m.cells}))}
    found: list[Outcome] = []
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
        ids = np.array([known[cell] for cell in model.cells], dtype=np.int64)
        truth, guess = ids[model.true], ids[model.guess]
        different = np.flatnonzero(truth != found[0].truth) if found else truth[:0]
        if len(different):
            at = int(different[0])
            mine, theirs = (";".join(m.cells[m.true[at]]) for m in (model, first))
            raise DataError(
                f"{name} row {at + 1}: label {shown(mine)}, {first_name} has {shown(theirs)}; "
                "wanted the same rows in the same order"
            )
        scores = {model.metric: (truth == guess).astype(np.float64)}
        found.append(Outcome(scores, truth, guess, model.counts))
    if first.metric != "accuracy":  # right or wrong as a whole; no classes to average over
        return [Outcome(outcome.scores, counts=outcome.counts) for outcome in found]
    return found


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
    metric = pairs[0]["metric"]
    values = [document[metric]["value"] for document in documents]
    best = int(np.argmax(values))
    models = [{"model": n, **document} for n, document in zip(names, documents, strict=True)]
    return {
        "n": documents[0]["n"], "metric": metric, "models": models, "comparisons": pairs,
        "best": names[best], "cheapest_as_good": _cheapest(models, metric, best),
        "assumptions": "p: exact McNemar (by randomization where rows are not right or wrong, and "
        "of macro F1), p_holm for all pairs; better or worse where it is at most 0.05; more_rows: "
        "for 80 % power, if the difference is what was seen and further rows are like these",
    }  # fmt: skip


def _cheapest(models: list[dict[str, Any]], metric: str, best: int) -> str | None:
    """Of the models within the 95 % interval of the best, the one with the least time for a row;
    None where no time was taken."""
    low = models[best][metric]["low"]
    timed = [
        model for model in models
        if (model.get("cost") or {}).get("latency_p50_ms") is not None
        and low is not None and model[metric]["value"] >= low
    ]  # fmt: skip
    if not timed:
        return None
    return str(min(timed, key=lambda model: model["cost"]["latency_p50_ms"])["model"])


def verdict(pair: dict[str, Any]) -> str:
    """A pair in words."""
    first, second, metric = pair["first"], pair["second"], pair["metric"]
    if pair["verdict"] == "same answers":
        return f"{second} and {first} are right on the same rows"
    if pair["verdict"] in ("better", "worse"):
        return f"{second} is {pair['verdict']} than {first} ({metric})"
    more = pair["more_rows"]
    if more is None:
        return f"cannot tell {second} from {first}: no difference in {metric} was seen"
    return f"cannot tell {second} from {first}: about {_rounded(more):,} more rows would settle it"


def _rounded(rows: int) -> int:
    """To two digits: it is an estimate."""
    return int(float(f"{rows:.2g}"))
