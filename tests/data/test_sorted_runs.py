from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from nlpcli.data import sorted_runs
from nlpcli.data.sorted_runs import SortedKeys, SortedRuns
from nlpcli.data.spool import Room
from nlpcli.text.counted import Counted, count_keys


@pytest.mark.parametrize(("room", "block"), [(0, 7), (10**6, 7), (500, 40), (0, 10**6)])
def test_the_sum_of_runs_comes_in_ascending_blocks(
    monkeypatch: pytest.MonkeyPatch, room: int, block: int
) -> None:
    monkeypatch.setattr(sorted_runs, "_SPARSE", 3)
    draws, runs, wanted = np.random.default_rng(1), SortedRuns(Room(room)), Counter[int]()
    for size in (30, 0, 1, 50, 20):
        keys = draws.integers(0, 40, size).astype(np.uint64)
        wanted.update(keys.tolist())
        runs.add(count_keys(keys, np.arange(size, dtype=np.int32))[0])
    with ThreadPoolExecutor(2) as pool:
        blocks = list(runs.merged(pool, block, 3))
    found = [pair for b in blocks for pair in zip(b.keys.tolist(), b.counts.tolist(), strict=True)]
    assert found == sorted(wanted.items())
    assert [list(b.documents) for b in blocks] == [list(b.counts) for b in blocks]
    assert (len(blocks) > 1) == (block < 100)
    assert runs.keys(2).tolist() and len(runs.keys(1)) == 0
    runs.clear()
    assert len(runs) == 0


def test_no_runs_are_no_keys() -> None:
    with ThreadPoolExecutor(1) as pool:
        assert [len(block) for block in SortedRuns(Room(0)).merged(pool, 5, 2)] == [0]
        none = np.empty(0, np.uint32)
        runs = SortedRuns(Room(0))
        runs.add(Counted(np.empty(0, np.uint64), none, none))
        assert [len(block) for block in runs.merged(pool, 5, 2)] == [0]


@pytest.mark.parametrize(("room", "block"), [(0, 7), (10**6, 7), (500, 40), (0, 10**6)])
def test_keys_of_all_runs_come_in_order(
    monkeypatch: pytest.MonkeyPatch, room: int, block: int
) -> None:
    monkeypatch.setattr(sorted_runs, "_SPARSE", 3)
    draws, runs = np.random.default_rng(1), SortedKeys(Room(room))
    keys = [np.sort(draws.integers(0, 40, n).astype(np.uint64)) for n in (30, 0, 1, 50, 20)]
    assert [runs.add_keys(some) for some in keys] == [0, 1, 2, 3, 4]
    blocks = list(runs.ordered(block))
    assert np.array_equal(np.concatenate(blocks), np.sort(np.concatenate(keys)))
    assert (len(blocks) > 1) == (block < 100)
    runs.clear()
    assert [len(some) for some in runs.ordered(block)] == [0]
