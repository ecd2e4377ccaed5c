"""Tags and the entities that they mark, against a reader that tries every stretch of words."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.text.tag_schemes import (
    LETTERS,
    NONE,
    Detected,
    Entity,
    complete,
    converted,
    detected,
    entities,
    legal,
    letter_and_type,
    scheme_of,
    tags_of,
)

TAGS = st.lists(st.sampled_from(["O", "B-X", "I-X", "B-Y", "I-Y", "B", "I"]), max_size=9)
ALL = st.lists(
    st.sampled_from(["O", *(f"{letter}-{kind}" for letter in "BIES" for kind in "XY")]), max_size=9
)


@st.composite
def marked(draw: st.DrawFn) -> tuple[list[Entity], int]:
    """Entities side by side or apart, and the number of words."""
    place, found = 0, []
    for gap, size, kind in draw(
        st.lists(
            st.tuples(st.integers(0, 2), st.integers(1, 4), st.sampled_from(["X", "Y", "a-b"])),
            max_size=4,
        )
    ):
        found.append((place + gap, place + gap + size, kind))
        place += gap + size
    return found, place + draw(st.integers(0, 2))


def by_trying(tags: Sequence[str]) -> list[Entity]:
    """Of BIO tags read as conlleval does: the longest stretches of one type in which no B stands
    but at the beginning."""
    found = []
    kinds = [tag.partition("-")[2] for tag in tags]
    for i, j in product(range(len(tags)), range(len(tags) + 1)):
        inside = tags[i:j]
        if j <= i or "O" in inside or len(set(kinds[i:j])) != 1:
            continue
        if any(tag[0] == "B" for tag in inside[1:]):
            continue
        goes_back = i > 0 and tags[i - 1] != "O" and kinds[i - 1] == kinds[i] and tags[i][0] == "I"
        goes_on = j < len(tags) and tags[j][0] == "I" and kinds[j] == kinds[i]
        if not goes_back and not goes_on:
            found.append((i, j, kinds[i]))
    return found


@settings(max_examples=400, deadline=None)
@given(TAGS)
def test_bio_is_read_as_every_stretch_tells(tags: list[str]) -> None:
    assert entities(tags) == by_trying(tags)


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        ("O I-X I-X O", [(1, 3, "X")]),  # I behind O begins one
        ("B-X I-Y I-X", [(0, 1, "X"), (1, 2, "Y"), (2, 3, "X")]),
        ("B-X B-X I-X", [(0, 1, "X"), (1, 3, "X")]),
        ("I-X B-X", [(0, 1, "X"), (1, 2, "X")]),
        ("S-X B-X I-X E-X E-X", [(0, 1, "X"), (1, 4, "X"), (4, 5, "X")]),
        ("B-X M-X O", [(0, 2, "X")]),
        ("E-X I-X", [(0, 1, "X"), (1, 2, "X")]),
        ("U-X B-X L-X I-X", [(0, 1, "X"), (1, 3, "X"), (3, 4, "X")]),
        ("B I O", [(0, 2, "")]),
    ],
)
def test_by_hand(tags: str, found: list[Entity]) -> None:
    assert entities(tags.split()) == found


@settings(deadline=None)
@given(marked(), st.sampled_from(sorted(LETTERS)))
def test_tags_of_every_scheme_mark_the_same(made: tuple[list[Entity], int], scheme: str) -> None:
    found, n_words = made
    tags = tags_of(found, n_words, scheme)
    assert len(tags) == n_words and entities(tags) == found
    for other in LETTERS:
        assert converted(tags_of(found, n_words, other), scheme) == tags


@settings(deadline=None)
@given(marked(), st.sampled_from(sorted(LETTERS)))
def test_what_is_written_is_legal(made: tuple[list[Entity], int], scheme: str) -> None:
    tags = tags_of(*made, scheme)
    names = sorted({*tags, "O"})
    rules = legal(names, scheme)
    places = [names.index(tag) for tag in tags]
    if places:
        assert rules.first[places[0]] and rules.last[places[-1]]
    assert all(rules.next[a, b] for a, b in pairwise(places))


@settings(max_examples=300, deadline=None)
@given(ALL, st.sampled_from(["BIO", "BIOES", "IOB1"]))
def test_legal_is_what_stays_as_it_is(tags: list[str], scheme: str) -> None:
    if scheme != "BIOES":
        tags = [tag for tag in tags if tag[0] in "OBI"]
    names = sorted({*tags, "O"})
    rules = legal(names, scheme)
    places = [names.index(tag) for tag in tags]
    fine = all(rules.next[a, b] for a, b in pairwise(places))
    if places:
        fine = bool(fine and rules.first[places[0]] and rules.last[places[-1]])
    assert fine == (converted(tags, scheme) == tags)


@pytest.mark.parametrize(
    ("sentences", "found"),
    [
        (["B-X I-X O", "B-X"], Detected("BIO", 0)),
        (["O O"], Detected("BIO", 0)),
        ([], Detected("BIO", 0)),
        (["I-X I-X O I-Y", "I-X B-X"], Detected("IOB1", 0)),
        (["B-X I-X O", "B-X", "I-Y O"], Detected("BIO", 1)),
        (["S-X B-Y E-Y O"], Detected("BIOES", 0)),
        (["B-X E-X B-X"], Detected("BIOES", 1)),
        (["U-X B-Y L-Y O"], Detected("BILOU", 0)),
        (["B-X M-X E-X S-X"], Detected("BMES", 0)),
        (["NN VB ."], Detected(NONE, 0)),
        (["B-X NN"], Detected(NONE, 0)),
    ],
)
def test_detected(sentences: list[str], found: Detected) -> None:
    assert detected(text.split() for text in sentences) == found


@settings(deadline=None)
@given(marked(), st.sampled_from(sorted(LETTERS)))
def test_whatever_is_detected_fits(made: tuple[list[Entity], int], scheme: str) -> None:
    tags = tags_of(*made, scheme)
    seen = detected([tags])
    assert seen.n_irregular == 0 and converted(tags, seen.scheme) == tags


def test_all_tags_of_the_types_there_are() -> None:
    assert complete(["I-X", "O", "B-Y"], "BIO") == ["B-X", "B-Y", "I-X", "I-Y", "O"]
    assert complete(["I-X"], "IOB1") == ["B-X", "I-X", "O"]
    assert complete(["S-X"], "BIOES") == ["B-X", "E-X", "I-X", "S-X", "O"]
    assert complete(["B", "O"], "BIO") == ["B", "I", "O"]
    for name in LETTERS:
        wanted = "BIO" if name == "IOB1" else name
        assert scheme_of(complete(["B-X"], name)) == wanted
    assert scheme_of(["NN", "O"]) == NONE


def test_without_a_scheme() -> None:
    assert entities(["NN", "O", "VB"], NONE) == [(0, 1, "NN"), (2, 3, "VB")]
    assert converted(["NN"], NONE) == ["NN"]
    assert legal(["NN", "VB"], NONE).next.all()
    for tag in ("NN", "B-", "b-X", ""):
        with pytest.raises(ValueError, match="no tag of"):
            letter_and_type(tag)
