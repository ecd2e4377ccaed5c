"""Batches of several tasks: what share each has, and that no row is favoured."""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpcli.batching.epoch_plans import POWERS, RowPlan, TaskPlan, joined, quotas
from nlpcli.batching.framing import Specials, framed, padded, shuffled_batches
from nlpcli.text.wordpiece import Ragged

I64 = npt.NDArray[np.int64]
SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=4)


def lengths(sizes: list[int]) -> list[I64]:
    rng = np.random.default_rng(1)
    return [rng.integers(3, 17, size) for size in sizes]


def tasks_of(batch: I64, sizes: list[int]) -> set[int]:
    return set(np.searchsorted(np.cumsum(sizes), batch, side="right").tolist())


def test_shares_of_steps() -> None:
    counts = [100, 25, 4]
    assert quotas(counts, "proportional") == counts
    assert quotas(counts, "even") == [43, 43, 43]
    by_root = quotas(counts, "sqrt")
    assert by_root == [round(129 * root / 17) for root in (10, 5, 2)]
    assert sum(by_root) in (128, 129, 130)
    assert quotas([1000, 1], "proportional") == [1000, 1]
    assert min(quotas([100_000, 1, 1], "sqrt")) >= 1


@given(SIZES, st.integers(1, 9), st.sampled_from(sorted(POWERS)), st.integers(0, 3))
def test_a_batch_is_of_one_task(sizes: list[int], size: int, sampling: str, epoch: int) -> None:
    plan = TaskPlan(lengths(sizes), size, 7, sampling)
    batches = plan.batches(epoch)
    assert len(batches) == plan.steps == sum(plan.quotas)
    found: Counter[int] = Counter()
    for batch in batches:
        (task,) = tasks_of(batch, sizes)
        found[task] += 1
        assert 0 < len(batch) <= size and len(set(batch.tolist())) == len(batch)
    assert [found[task] for task in range(len(sizes))] == plan.quotas
    again = TaskPlan(lengths(sizes), size, 7, sampling).batches(epoch)
    assert all(np.array_equal(a, b) for a, b in zip(batches, again, strict=True))


@given(SIZES, st.integers(1, 9))
def test_in_proportion_every_row_comes_once(sizes: list[int], size: int) -> None:
    plan = TaskPlan(lengths(sizes), size, 3, "proportional")
    for epoch in (0, 2):
        assert sorted(np.concatenate(plan.batches(epoch)).tolist()) == list(range(sum(sizes)))
    assert plan.rows_before(3) == 3 * sum(sizes)


@pytest.mark.parametrize("sampling", ["sqrt", "even"])
def test_rows_of_a_task_come_equally_often(sampling: str) -> None:
    sizes = [61, 7, 20]
    plan = TaskPlan(lengths(sizes), 4, 5, sampling)
    seen: Counter[int] = Counter()
    for epoch in range(9):
        assert plan.rows_before(epoch) == sum(seen.values())
        seen.update(np.concatenate(plan.batches(epoch)).tolist())
    ends = np.cumsum(sizes)
    for first, end in zip(ends - sizes, ends, strict=True):
        times = {seen[row] for row in range(first, end)}
        assert max(times) - min(times) <= 1 and min(times) > 0
    assert plan.rows_before(2) == sum(len(b) for e in (0, 1) for b in plan.batches(e))


def test_the_order_of_tasks_is_drawn_anew() -> None:
    sizes = [40, 40]
    plan = TaskPlan(lengths(sizes), 4, 5, "even")
    orders = [
        tuple(task for batch in plan.batches(epoch) for task in tasks_of(batch, sizes))
        for epoch in range(3)
    ]
    assert len(set(orders)) == 3
    assert all(order != tuple(sorted(order)) for order in orders)


def test_one_task_is_as_ever() -> None:
    (own,) = lengths([30])
    plan = RowPlan(own, 8, 2)
    assert plan.steps == 4 and plan.rows_before(2) == 60
    for epoch in (0, 1):
        wanted = shuffled_batches(own, 8, 2, epoch)
        found = plan.batches(epoch)
        assert all(np.array_equal(a, b) for a, b in zip(wanted, found, strict=True))


def test_rows_of_tasks_one_behind_the_other() -> None:
    specials = Specials(cls=2, sep=3, pad=0, longest=8)
    texts = Ragged(np.arange(10, 19, dtype=np.int32), np.array([0, 2, 9]))
    pairs = Ragged(np.arange(20, 23, dtype=np.int32), np.array([0, 1, 3]))
    single = framed(texts, None, specials, "truncate-tail")
    double = framed(pairs, pairs, specials, "truncate-tail")
    both = joined([single, double])
    assert len(both) == 4 and both.n_cut == single.n_cut + double.n_cut == 1
    for part, chosen in ((single, [0, 1]), (double, [2, 3])):
        wanted = padded(part, np.array([0, 1]), specials)
        found = padded(both, np.array(chosen), specials)
        assert np.array_equal(wanted.ids, found.ids) and np.array_equal(wanted.mask, found.mask)
        assert np.array_equal(wanted.segments, found.segments)
