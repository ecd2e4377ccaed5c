"""Conditions on metrics."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpcli.errors import UsageError
from nlpcli.runs.conditions import Condition, check_metric, metric_names, parse_condition

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
