"""Trainers and readers on one name at once."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from nlpcli.errors import Busy
from nlpcli.store.store import Store

from .racing import race


def test_a_few_trainers_and_readers() -> None:
    found = race(2, 2)
    assert found["wrong"] == []
    assert found["won"] + found["busy"] == 2  # type: ignore[operator]
    assert found["reads"] >= 2  # type: ignore[operator]


@pytest.mark.slow
def test_many_trainers_and_readers() -> None:
    found = race(20, 20)
    assert found["wrong"] == []
    assert found["won"] + found["busy"] == 20  # type: ignore[operator]


def test_at_most_one_writes_at_any_time(tmp_path: Path) -> None:
    """Twenty threads begin drafts of one name as fast as they can."""
    store = Store(tmp_path / "store")
    inside, most, won, lost = 0, 0, 0, 0
    count = threading.Lock()

    def writer() -> None:
        nonlocal inside, most, won, lost
        for _ in range(15):
            try:
                with store.begin("m") as draft:
                    with count:
                        inside += 1
                        most = max(most, inside)
                    draft.write("w.bin", b"w")
                    about = {"kind": "t", "created_by": "t", "labels": ["a"], "seed": 1}
                    draft.publish(**about, config={}, data={}, metrics={})  # type: ignore[arg-type]
                    with count:
                        inside -= 1
                        won += 1
            except Busy:
                with count:
                    lost += 1

    threads = [threading.Thread(target=writer) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, won + lost) == (1, 300)
    assert store.versions("m") == list(range(1, won + 1))
    assert [p.name for p in (store.root / "m").iterdir() if not p.name.isdecimal()] == []
