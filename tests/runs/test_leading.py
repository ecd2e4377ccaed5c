from __future__ import annotations

from typing import Any

import pytest

from nlpcli.errors import DataError
from nlpcli.runs import leading as leading_module
from nlpcli.runs.leading import END, follow, leading


class Told:
    """What Ranks tells between processes; another rank has heard everything at once."""

    rank, size = 1, 2

    def __init__(self, **told: str) -> None:
        self.told, self.left = told, False

    def tell(self, key: str, value: str) -> None:
        self.told[key] = value
        if key == END:
            self.told["left-1"] = "1"

    def heard(self, key: str) -> str | None:
        return self.told.get(key)

    def leave(self) -> None:
        self.left = True


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leading_module, "LAST_WORD_SECONDS", 0.0)


def test_the_others_hear_how_it_ended() -> None:
    ranks: Any = Told()
    with leading(ranks):
        assert ranks.heard(END) is None
    assert ranks.heard(END) == "0" and ranks.left
    ranks = Told()
    with pytest.raises(DataError), leading(ranks):
        raise DataError("no words")
    assert ranks.heard(END) == "65" and ranks.left
    with leading(None):
        pass


def test_a_rank_ends_as_rank_0_did_before_there_was_a_corpus() -> None:
    ranks: Any = Told(end="75")
    assert follow(ranks, lambda folder: None) == 75
    assert ranks.told["left-1"] == "1" and ranks.left
