"""The search for the worst change, with models whose weak word is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.evaluation import attack as searching
from nlpcli.evaluation.attack import MOST_CHANGED, Attacked, attack
from nlpcli.evaluation.truths import F64, OneLabel, SeveralLabels, Truths
from nlpcli.text.perturbations import cut

WORDS = [
    "the", "room", "was", "clean", "and", "the", "staff", "friendly", "but", "breakfast", "was",
    "poor",
]  # fmt: skip


def weighing(texts: Sequence[str]) -> F64:
    """Label 1 by how many of three words occur: one is not enough."""
    found = [
        sum(word in text.casefold() for word in ("clean", "friendly", "nice")) for text in texts
    ]
    positive = np.array([0.1, 0.45, 0.8, 0.9])[found]
    return np.stack([1 - positive, positive], axis=1)


def attacked(
    texts: list[str], truths: Truths, queries: int = 100, ask: object = weighing
) -> list[Attacked]:
    assert callable(ask)
    rows = np.arange(len(texts))
    margins = truths.margins(ask(texts), rows)
    return attack(texts, truths, margins, rows, ask, queries=queries, seed=1, tell=lambda *_: None)


def ones(count: int) -> OneLabel:
    return OneLabel(np.ones(count, np.int64), 2)


def test_it_finds_the_word_that_counts() -> None:
    texts = [" ".join(WORDS), "nice, clean, friendly"]
    first, second = attacked(texts, ones(2))
    assert (first.flipped, second.flipped) == (True, False)  # one word of three may be changed
    assert set(first.words) == {"clean"} or set(first.words) == {"friendly"}
    assert len(first.kinds) == 1 and first.share == 1 / 12
    assert weighing([first.text]).argmax() == 0
    assert len(cut(first.text).words) in (12, 13)
    assert (len(second.words), second.share) == (1, 1 / 3)
    # the word counts as changed alone, the first time
    assert first.alone[-1] == (first.words[0], True)


def test_several_labels() -> None:
    truths = SeveralLabels(np.array([[False, True]]), 0.5)
    (found,) = attacked([" ".join(WORDS)], truths)
    assert found.flipped
    assert not truths.right(truths.answers(weighing([found.text])), np.arange(1))[0]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.sampled_from([*WORDS, "差", "房间", ",", "nice"]), max_size=60), st.integers(10, 90)
)
def test_never_more_questions_or_changes_than_allowed(words: list[str], queries: int) -> None:
    asked = []

    def ask(texts: Sequence[str]) -> F64:
        asked.extend(texts)
        return weighing(texts)

    text = " ".join(words)
    (found,) = attacked([text], ones(1), queries, ask)
    assert found.queries == len(asked) - 1 <= queries
    assert len(found.words) <= max(1, MOST_CHANGED * len(cut(text).words))
    assert (found.text != text) == bool(found.words)
    if found.flipped and weighing([text]).argmax() == 1:
        assert weighing([found.text]).argmax() == 0


def test_a_model_that_hears_nothing_is_not_moved() -> None:
    deaf = np.array([[0.4, 0.6]])
    (found,) = attacked([" ".join(WORDS)], ones(1), 60, lambda texts: deaf.repeat(len(texts), 0))
    assert (found.flipped, found.words, found.text) == (False, (), " ".join(WORDS))


def test_rows_do_not_know_of_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    texts = [" ".join(rng.permutation(WORDS)[: rng.integers(1, 13)]) for _ in range(20)]
    together = attacked(texts, ones(20))
    monkeypatch.setattr(searching, "ROWS_AT_ONCE", 3)
    assert attacked(texts, ones(20)) == together
    assert attacked(texts[4:5], ones(1))[0].text == together[4].text
