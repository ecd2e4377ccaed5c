import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.runs.search_space import SearchSpace, as_options, value_of, with_choice

from .requests import request


def space(*typed: str, **changes: object) -> SearchSpace:
    return SearchSpace.of(request(**changes), frozenset(typed))


def test_what_is_typed_is_not_searched() -> None:
    every = space()
    assert set(every.axes) == {"cost", "characters", "word_ngrams", "lowercase", "min_count"}
    assert "cost" not in space("cost").axes
    assert "characters" not in space("max_n").axes
    assert {"lr", "epochs", "dim"} <= set(space(dim=10, loss="softmax").axes)
    assert "dim" not in space(loss="softmax").axes
    assert "dim" not in space("dim", dim=10, loss="softmax").axes


def test_a_neighbour_differs_in_one_option_by_one_step() -> None:
    found = space()
    for choice in found.neighbours(found.start):
        changed = [name for name in choice if choice[name] != found.start[name]]
        assert len(changed) == 1
    costs = [c["cost"] for c in found.neighbours(found.start) if c["cost"] != 1.0]
    assert costs == [0.5, 2.0]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000))
def test_nothing_is_tried_twice_and_the_search_ends(seed: int) -> None:
    found = space("cost", "characters", "min_n")
    tried = [found.start]
    draw = random.Random(seed)
    while (choice := found.following(found.start, tried, draw)) is not None:
        assert choice not in tried
        tried.append(choice)
    assert 5 < len(tried) <= 4 * 2 * 5


def test_choices_reach_the_request_and_the_command_line() -> None:
    choice = {"cost": 0.5, "characters": (2, 4), "lowercase": False, "min_count": 3}
    chosen = with_choice(request(), choice)
    assert {name: value_of(chosen, name) for name in choice} == choice
    assert value_of(chosen, "word_ngrams") == 2
    assert as_options(choice) == [
        "--cost", "0.5", "--min-n", "2", "--max-n", "4", "--keep-case", "--min-count", "3",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["dim", "lr", "epochs", "cost", "lowercase", "word_ngrams"])
def test_every_axis_is_an_option_that_is_there(name: str) -> None:
    assert value_of(request(), name) is not None
    assert value_of(request(), "no_such_option") is None
