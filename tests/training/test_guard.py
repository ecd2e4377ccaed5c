from __future__ import annotations

import json
import math

import pytest

from nlpcli.training.guard import PATIENCE, SPIKE, WINDOW, Guard, Verdict


def warmed(loss: float = 2.0, steps: int = WINDOW) -> Guard:
    guard = Guard()
    assert {guard.judge(loss, 1.0) for _ in range(steps)} == {Verdict.good}
    return guard


@pytest.mark.parametrize(
    ("loss", "norm"), [(math.nan, 1), (math.inf, 1), (1, math.nan), (1, math.inf)]
)
def test_what_is_not_finite_is_never_used(loss: float, norm: float) -> None:
    assert Guard().judge(loss, norm) is Verdict.skip
    assert warmed().judge(loss, norm) is Verdict.skip


def test_a_spike_is_left_out_once_there_is_something_to_compare_with() -> None:
    assert warmed(steps=WINDOW - 1).judge(100.0, 1.0) is Verdict.good
    assert warmed().judge(2.0 * SPIKE + 0.01, 1.0) is Verdict.skip
    assert warmed().judge(2.0 * SPIKE - 0.01, 1.0) is Verdict.good
    assert warmed().judge(2.0, 1e9) is Verdict.good  # gradients are clipped


def test_spikes_do_not_become_usual() -> None:
    guard = warmed()
    for _ in range(PATIENCE - 1):
        assert guard.judge(9.0, 1.0) is Verdict.skip
    assert guard.judge(2.0, 1.0) is Verdict.good
    assert guard.judge(9.0, 1.0) is Verdict.back


def test_many_bad_steps_go_back_and_begin_anew() -> None:
    guard = Guard()
    verdicts = [guard.judge(math.nan, 1.0) for _ in range(2 * PATIENCE)]
    assert verdicts == 2 * [*[Verdict.skip] * (PATIENCE - 1), Verdict.back]


def test_bad_steps_far_apart_are_no_reason_to_go_back() -> None:
    guard = warmed()
    for _ in range(3 * PATIENCE):
        assert guard.judge(math.nan, 1.0) is Verdict.skip
        for _ in range(WINDOW // (PATIENCE - 1)):
            assert guard.judge(2.0, 1.0) is Verdict.good


def test_it_goes_on_from_its_state() -> None:
    guard = warmed()
    guard.judge(math.nan, 1.0)
    other = Guard()
    other.load(json.loads(json.dumps(guard.state())))
    for loss in (2.0, 9.0, 2.2, math.nan, 9.0, 2.0, 9.0, 9.0):
        assert guard.judge(loss, 1.0) is other.judge(loss, 1.0)
    assert guard.state() == other.state()
