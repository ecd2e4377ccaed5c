"""Conditions on metrics: ``macro_f1>=0.8``, for --fail-under and --publish-if."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from nlpcli.errors import UsageError, nearest

_FORM = re.compile(r"\s*([\w.]+)\s*(>=|=|>|<=|<)\s*([0-9.eE+-]+)\s*")


@dataclass(frozen=True)
class Condition:
    """A metric, a comparison (``>=``, ``>``, ``<=``, ``<``) and a limit."""

    metric: str
    sign: str
    limit: float

    def __str__(self) -> str:
        return f"{self.metric}{self.sign}{self.limit!r}"

    def failure(self, value: float | None) -> str | None:
        """None when the value meets the condition, else why it does not."""
        if value is None:
            return f"{self.metric} is undefined, wanted {self.sign} {self.limit:g}"
        met = {
            ">=": value >= self.limit,
            ">": value > self.limit,
            "<=": value <= self.limit,
            "<": value < self.limit,
        }[self.sign]
        if met:
            return None
        words = {">=": "at least", ">": "more than", "<=": "at most", "<": "less than"}
        return f"{self.metric} is {value:.6g}, wanted {words[self.sign]} {self.limit:g}"


LESS_IS_BETTER = frozenset({
    "log_loss", "brier", "ece", "ece_adaptive", "ece_uncalibrated", "aurc", "hamming_loss",
    "out_of_scope_fpr95", "mse", "rmse", "mae", "perplexity", "perplexity_without_unknown",
    "bits_per_character", "unknown_share", "zero_probability_share",
})  # fmt: skip
"""A test asks of every other metric of a document whether more of it is better."""


def less_is_better(metric: str) -> bool:
    """Whether it is to be small; of a model of several tasks it has its task in front."""
    return metric.rpartition(".")[2] in LESS_IS_BETTER


def parse_condition(text: str, option: str) -> Condition:
    """``=`` means at least. Raises UsageError, also where that would let the worst pass."""
    match = _FORM.fullmatch(text)
    if match and match[2] == "=" and less_is_better(match[1]):
        raise UsageError(
            f"{option} {text!r}: = means at least, and less {match[1]} is better",
            hint=f"{option} '{match[1]}<={match[3]}'",
        )
    try:
        if match:
            sign = ">=" if match[2] == "=" else match[2]
            return Condition(match[1], sign, float(match[3]))
    except ValueError:
        pass
    raise UsageError(f"{option} {text!r}: wanted METRIC>=NUMBER", hint=f"{option} 'macro_f1>=0.8'")


def check_metric(name: str, names: Iterable[str], option: str) -> None:
    """Raises UsageError, with the nearest name, for a metric that is not there."""
    there = sorted(names)
    if name not in there:
        near = nearest(name, there)
        raise UsageError(
            f"{option}: no metric {name}; there: {', '.join(there)}",
            hint=f"did you mean {near}?" if near else None,
        )


def metric_names(multi_label: bool) -> list[str]:
    """The metrics that a classifier's dev part gives."""
    import numpy as np

    from nlpcli.evaluation.metrics import evaluate_single
    from nlpcli.evaluation.multilabel import evaluate_multilabel

    even = np.full((2, 2), 0.5)
    if multi_label:
        document = evaluate_multilabel(
            np.eye(2, dtype=bool), even, 0.5, ["a", "b"], resamples=0, seed=1
        )
    else:
        document = evaluate_single(
            np.array([0, 1]), np.array([0, 1]), even, ["a", "b"], resamples=0, seed=1
        )
    return [k for k, v in document.items() if isinstance(v, dict) and "value" in v]
