"""Near duplicates against a comparison of all pairs."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nlpcli.evaluation import duplicates as dup
from nlpcli.evaluation.duplicates import (
    find_duplicates,
    groups_of,
    number_sets,
    same_groups,
    similar_pairs,
    text_sets,
)

WORDS = st.sampled_from(["a", "b", "c", "d", "e", "f", "g", "h", "the", "of", "买", "卖"])
TEXTS = st.lists(st.lists(WORDS, max_size=7).map(" ".join), max_size=25)


def sets_of(elements: list[set[int]]) -> dup.TextSets:
    sizes = [len(one) for one in elements]
    flat = [element for one in elements for element in sorted(one)]
    return number_sets(np.cumsum([0, *sizes], dtype=np.int64), np.array(flat, dtype=np.uint64))


def all_pairs(elements: list[set[int]], threshold: float) -> dict[tuple[int, int], float]:
    """By definition: every pair that has something in common."""
    found = {}
    for b in range(len(elements)):
        for a in range(b):
            common = len(elements[a] & elements[b])
            alike = common / max(1, len(elements[a] | elements[b]))
            if common and alike >= threshold:
                found[a, b] = alike
    return found


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sets(st.integers(0, 30), max_size=12), max_size=30),
    st.sampled_from([0.1, 0.3, 0.5, 0.6, 2 / 3, 0.7, 0.8, 0.9, 1.0]),
)
@example([{1}, {1}, set(), set()], 1.0)
@example([{1, 2, 3}, {1, 2}, {3, 2, 1}], 2 / 3)
def test_pairs_are_those_of_comparing_all(elements: list[set[int]], threshold: float) -> None:
    found = similar_pairs(sets_of(elements), threshold)
    pairs = zip(found.left.tolist(), found.right.tolist(), strict=True)
    assert dict(zip(pairs, found.similarity.tolist(), strict=True)) == pytest.approx(
        all_pairs(elements, threshold)
    )


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(3)
    sets = sets_of([set(generator.integers(0, 60, 20).tolist()) for _ in range(120)])
    whole = similar_pairs(sets, 0.2)
    assert len(whole.left) > 50
    monkeypatch.setattr(dup, "BLOCK_PAIRS", 7)
    parts = similar_pairs(sets, 0.2)
    for name in ("left", "right", "similarity"):
        assert np.array_equal(getattr(whole, name), getattr(parts, name))


def test_many_alike_still_meet_through_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dup, "MOST_PARTNERS", 2)
    sets = sets_of([{1, 2, 3, 4, 5, 6, 7, 8, 9, 100 + i} for i in range(50)])
    found = similar_pairs(sets, 0.7)
    assert len(found.left) < 50 * 49 / 2
    assert set(groups_of(50, found.left, found.right).tolist()) == {0}


@settings(max_examples=60, deadline=None)
@given(TEXTS)
def test_texts_are_sets_of_words_and_pairs(texts: list[str]) -> None:
    sets, words = text_sets(texts), [text.split() for text in texts]
    wanted = [{*w, *pairwise(w)} for w in words]
    assert sets.sizes.tolist() == [len(one) for one in wanted]
    found = find_duplicates(texts, 0.5)
    first = [texts.index(text) for text in texts]
    assert found.first.tolist() == first
    numbers = {element: i for i, element in enumerate({e for one in wanted for e in one})}
    kept = sorted(set(first))
    brute = all_pairs([{numbers[e] for e in wanted[i]} for i in kept], 0.5)
    pairs = zip(found.near.left.tolist(), found.near.right.tolist(), strict=True)
    assert sorted(pairs) == sorted((kept[a], kept[b]) for a, b in brute)


def test_the_same_but_for_case_form_and_blanks() -> None:
    texts = ["Hello  World", "hello world\n", "ＨＥＬＬＯ world", "hello, world", "", " "]
    assert same_groups(texts).tolist() == [0, 0, 0, 3, 4, 4]
    found = find_duplicates(texts, 1.0)
    assert (found.near.left.tolist(), found.near.right.tolist()) == ([0], [3])
    assert found.groups.tolist()[:4] == [found.groups[0]] * 4
    assert found.among(3).near.left.tolist() == []


def test_a_threshold_that_is_none() -> None:
    with pytest.raises(ValueError, match="threshold"):
        similar_pairs(sets_of([{1}]), 0.0)
