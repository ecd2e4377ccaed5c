"""Conditions on metrics."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpcli.commands.finetune_tasks import TASKS
from nlpcli.errors import UsageError
from nlpcli.evaluation.abstention import risk_document
from nlpcli.evaluation.answers import evaluate_answers
from nlpcli.evaluation.entities import evaluate_entities
from nlpcli.evaluation.metrics import evaluate_single
from nlpcli.evaluation.multilabel import evaluate_multilabel
from nlpcli.evaluation.out_of_scope import out_of_scope_metrics
from nlpcli.evaluation.perplexity import Scored, evaluate_perplexity
from nlpcli.evaluation.regression import evaluate_regression
from nlpcli.evaluation.spans import SpanSet, evaluate_spans
from nlpcli.runs.conditions import (
    LESS_IS_BETTER,
    Condition,
    check_metric,
    less_is_better,
    metric_names,
    parse_condition,
)
from nlpcli.runs.deciding import label_set_document
from nlpcli.runs.robustness import Robustness, measure_robustness

MORE_IS_BETTER = frozenset({
    "accuracy", "balanced_accuracy", "subset_accuracy", "sentence_accuracy", "row_accuracy",
    "top_3_accuracy", "top_5_accuracy", "perturbed_accuracy", "attack_accuracy", "mcc",
    "cohen_kappa", "roc_auc", "roc_auc_ovo", "macro_roc_auc", "average_precision",
    "macro_average_precision", "micro_average_precision", "label_ranking_average_precision",
    "out_of_scope_auroc", "conformal_coverage", "pearson", "spearman", "mean_score",
    *(f"{kind}{name}" for kind in ("", "has_answer_", "no_answer_")
      for name in ("exact_match", "f1")),
    *(f"{name}_at_{k}" for name in ("precision", "recall") for k in (1, 3, 5)),
    *(f"{kind}_{name}" for kind in ("macro", "micro", "weighted", "samples", "entity", "span",
      "identification", "relation", "relation_strict") for name in ("precision", "recall", "f1")),
})  # fmt: skip
"""All metrics but those of ``LESS_IS_BETTER``: a new one joins either."""
NUMBERS = st.floats(0, 1, allow_nan=False)


@pytest.mark.parametrize(
    ("text", "metric", "sign", "limit"),
    [
        ("macro_f1>=0.8", "macro_f1", ">=", 0.8),
        ("accuracy=1", "accuracy", ">=", 1.0),
        (" log_loss <= 3e-1 ", "log_loss", "<=", 0.3),
        ("ece<.05", "ece", "<", 0.05),
        ("accuracy > 0", "accuracy", ">", 0.0),
    ],
)
def test_it_is_read(text: str, metric: str, sign: str, limit: float) -> None:
    assert parse_condition(text, "--fail-under") == Condition(metric, sign, limit)


@pytest.mark.parametrize(
    "text", ["", "macro_f1", ">=1", "a>=b", "a==1", "a>=1e", "a>=1-2", "a b>1"]
)
def test_it_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"--publish-if .*wanted METRIC>=NUMBER"):
        parse_condition(text, "--publish-if")


def test_no_equals_sign_where_less_is_better() -> None:
    with pytest.raises(UsageError, match="less perplexity is better") as caught:
        parse_condition("perplexity = 200", "--fail-under")
    assert caught.value.hint == "--fail-under 'perplexity<=200'"
    assert parse_condition("perplexity>=2", "--fail-under").sign == ">="
    for metric in ("log_loss", "ece", "hamming_loss", "out_of_scope_fpr95", "task.brier"):
        with pytest.raises(UsageError, match=f"less {metric} is better"):
            parse_condition(f"{metric}=0.01", "--publish-if")


def documents() -> Iterator[dict[str, Any]]:
    """What eval says of every kind of model and file, of a row or two."""
    two, even = np.array([0, 1]), np.full((2, 2), 0.5)
    several = np.eye(2, dtype=bool)
    drawn: dict[str, Any] = {"resamples": 10, "seed": 1}
    yield evaluate_single(two, two, even, ["a", "b"], **drawn)
    yield evaluate_multilabel(several, even, 0.5, ["a", "b"], **drawn)
    yield evaluate_regression(np.array([1.0, 2.0]), np.array([1.0, 3.0]), **drawn)
    columns = {field.name: np.array([2, 1]) for field in fields(Scored)}
    yield evaluate_perplexity(Scored(**columns), **drawn)
    yield evaluate_entities([["B-x"]], [["O"]], **drawn)
    spans = [SpanSet(frozenset({(0, 1, "x")}))]
    yield evaluate_spans(spans, spans, relations=True, **drawn)
    yield evaluate_answers([["yes"], []], ["yes", "no"], **drawn)
    yield out_of_scope_metrics(np.array([0.9]), np.array([0.1]))[0]
    model: Any = SimpleNamespace(
        labels=["a", "b"], multi_label=False,
        probabilities=lambda texts: np.full((len(texts), 2), 0.5),
    )  # fmt: skip
    labels = [("a",), ("b",)]
    yield risk_document(even[0], two == 0, n_rows=2)
    yield label_set_document(model, even, two, 0.9, 0.5, 10)
    asked = Robustness(("case",), (0.5,), 2, 2, 10)
    yield measure_robustness(
        model, ["one", "two"], labels, even, asked, tell=lambda *_: None, **drawn
    ).document


def test_every_metric_has_a_direction() -> None:
    assert not LESS_IS_BETTER & MORE_IS_BETTER
    names = {"ece_uncalibrated"}  # which eval adds to a calibrated model's
    for document in documents():
        found = {k for k, v in document.items() if isinstance(v, dict) and "value" in v}
        assert found
        names |= found
    assert not names - LESS_IS_BETTER - MORE_IS_BETTER
    assert {"attack_accuracy", "zero_probability_share", "aurc", "rmse", "no_answer_f1"} <= names
    options = {"label_separator": None, "tasks": ["x"]}
    gates = {name for task in TASKS.values() for name in task.metrics(options)}
    assert not {name.rpartition(".")[2] for name in gates} - LESS_IS_BETTER - MORE_IS_BETTER
    assert less_is_better("x.log_loss") and not less_is_better("x.accuracy")


@given(NUMBERS, NUMBERS)
def test_it_says_whether_it_is_met(value: float, limit: float) -> None:
    met = {
        sign: Condition("m", sign, limit).failure(value) is None for sign in (">=", ">", "<=", "<")
    }
    assert met == {
        ">=": value >= limit,
        ">": value > limit,
        "<=": value <= limit,
        "<": value < limit,
    }


def test_undefined_is_not_met() -> None:
    assert Condition("m", "<", 1.0).failure(None) == "m is undefined, wanted < 1"
    assert Condition("m", ">=", 0.5).failure(0.25) == "m is 0.25, wanted at least 0.5"


@given(st.sampled_from([">=", ">", "<=", "<"]), NUMBERS)
def test_it_reads_what_it_writes(sign: str, limit: float) -> None:
    condition = Condition("macro_f1", sign, limit)
    assert parse_condition(str(condition), "--x") == condition


def test_a_metric_that_is_not_there_is_told_with_the_nearest() -> None:
    names = metric_names(multi_label=False)
    assert {"accuracy", "macro_f1"} <= set(names) and "micro_f1" in metric_names(multi_label=True)
    check_metric("macro_f1", names, "--publish-if")
    with pytest.raises(UsageError, match="no metric macrof1; there: accuracy, ") as refused:
        check_metric("macrof1", names, "--publish-if")
    assert refused.value.hint == "did you mean macro_f1?"
