from __future__ import annotations

import re

import pytest

from nlpcli.errors import UsageError
from nlpcli.shell.ranks import Place, place


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)


def test_alone_without_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    assert place() == Place(0, 1)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert place() == Place(0, 1)
    monkeypatch.setenv("WORLD_SIZE", "1")
    monkeypatch.setenv("RANK", "0")
    assert place() == Place(0, 1)


def test_one_of_three(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"RANK": "1", "WORLD_SIZE": "3", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}
    for name, value in {**told, "LOCAL_WORLD_SIZE": "3"}.items():
        monkeypatch.setenv(name, value)
    assert place() == Place(1, 3)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"RANK": "2"}, "RANK 2: not below WORLD_SIZE 2"),
        ({"RANK": "one"}, "RANK is 'one': not a whole number"),
        ({"MASTER_PORT": ""}, "WORLD_SIZE is 2, and MASTER_PORT is not set"),
        ({"LOCAL_WORLD_SIZE": "1"}, "1 of 2 ranks are on this machine"),
    ],
)
def test_ranks_that_make_no_sense(
    told: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}
    for name, value in {**plain, **told}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=re.escape(said)):
        place()
