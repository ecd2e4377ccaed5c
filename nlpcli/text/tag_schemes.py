"""Tags of words and the entities that they mark: BIO (IOB2), IOB1, BIOES, BILOU and BMES.

A tag is O, or a letter, a hyphen and a type. IOB1: Ramshaw & Marcus 1995; IOB2 and what follows
from the choice: Tjong Kim Sang & Veenstra 1999, "Representing text chunks".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

OUTSIDE = "O"
NONE = "none"
"""Of tags that mark no entities of several words, such as parts of speech."""
LETTERS = {"BIO": "BBII", "IOB1": "IIII", "BIOES": "SBIE", "BILOU": "UBIL", "BMES": "SBME"}
"""Of an entity of one word; of the first, an inner and the last of several."""
SCHEMES = (*LETTERS, NONE)
_MEANING = {"B": "B", "I": "I", "M": "I", "E": "E", "L": "E", "S": "S", "U": "S"}

Entity = tuple[int, int, str]
"""First word, the one behind the last, type."""
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Detected:
    """The scheme of some tags, and how many of them would be another by its rules."""

    scheme: str
    n_irregular: int


@dataclass(frozen=True)
class Legal:
    """What may be: ``first`` [K] and ``last`` [K] tag of a sentence, ``next`` [K, K] from a tag
    to the one behind it."""

    first: Bools
    next: Bools
    last: Bools


def letter_and_type(tag: str) -> tuple[str, str]:
    """Its letter, as BIOES has it, and its type; ("O", "") of O. Raises ValueError."""
    if tag == OUTSIDE:
        return OUTSIDE, ""
    letter, hyphen, kind = tag.partition("-")
    if letter not in _MEANING or (hyphen and not kind):
        raise ValueError(f"{tag!r} is no tag of BIO, IOB1, BIOES, BILOU or BMES")
    return _MEANING[letter], kind


def _ends(before: tuple[str, str], now: tuple[str, str]) -> bool:
    """Whether the entity of a word, which is in one, ends before the next word."""
    return now[0] in "OBS" or before[0] in "ES" or before[1] != now[1]


def entities(tags: Sequence[str], scheme: str = "BIO") -> list[Entity]:
    """The entities that tags mark, read as conlleval does (Tjong Kim Sang & Buchholz 2000).

    It forgives: an entity begins with I, or E, too, and one that never ends, ends. ``scheme``
    matters only where it is none: each word that is not O is then by itself. Raises ValueError
    for another tag.
    """
    if scheme == NONE:
        return [(i, i + 1, tag) for i, tag in enumerate(tags) if tag != OUTSIDE]
    found = []
    start, before = -1, (OUTSIDE, "")
    for place, tag in enumerate((*tags, OUTSIDE)):
        now = letter_and_type(tag)
        if start >= 0 and _ends(before, now):
            found.append((start, place, before[1]))
            start = -1
        if start < 0 and now[0] != OUTSIDE:
            start = place
        before = now
    return found


def tags_of(found: Sequence[Entity], n_words: int, scheme: str) -> list[str]:
    """The tags of ascending entities that do not overlap."""
    tags = [OUTSIDE] * n_words
    before: Entity | None = None
    for entity in found:
        first, behind, kind = entity
        single, begin, inner, last = tuple(LETTERS[scheme])
        if scheme == "IOB1" and before is not None and before[1:] == (first, kind):
            single = begin = "B"
        letters = [begin, *inner * (behind - first - 2), last] if behind - first > 1 else [single]
        tags[first:behind] = [f"{letter}-{kind}" if kind else letter for letter in letters]
        before = entity
    return tags


def converted(tags: Sequence[str], scheme: str) -> list[str]:
    """The same entities in another scheme. Raises ValueError as ``entities``."""
    if scheme == NONE:
        return list(tags)
    return tags_of(entities(tags), len(tags), scheme)


def complete(labels: Iterable[str], scheme: str) -> list[str]:
    """O and, sorted, every tag that a scheme has for the types of some tags."""
    kinds = sorted({letter_and_type(label)[1] for label in labels if label != OUTSIDE})
    letters = sorted({*LETTERS[scheme], *("B" if scheme == "IOB1" else "")})
    return [
        *(f"{letter}-{kind}" if kind else letter for letter in letters for kind in kinds),
        OUTSIDE,
    ]


def scheme_of(labels: Iterable[str]) -> str:
    """The scheme that such tags may belong to; BIO where they do not tell."""
    try:
        letters = {label[0] for label in labels if letter_and_type(label)}
    except ValueError:
        return NONE
    if "M" in letters:
        return "BMES"
    if letters & set("LU"):
        return "BILOU"
    return "BIOES" if letters & set("ES") else "BIO"


def strangers(labels: Iterable[str]) -> set[str]:
    """Those that are tags of no scheme."""
    return {label for label in labels if scheme_of([label]) == NONE}


def detected(sentences: Iterable[Sequence[str]]) -> Detected:
    """The scheme that the tags of sentences are in; BIO where they do not tell."""
    rows = [tuple(tags) for tags in sentences]
    alike = scheme_of({tag for tags in rows for tag in tags})
    if alike == NONE:
        return Detected(NONE, 0)
    schemes = ["BIO", "IOB1"] if alike == "BIO" else [alike]
    irregular = {scheme: _irregular(rows, scheme) for scheme in schemes}
    best = min(schemes, key=irregular.__getitem__)
    return Detected(best, irregular[best])


def _irregular(sentences: Sequence[tuple[str, ...]], scheme: str) -> int:
    """Tags that are others when their entities are written by the rules."""
    times: dict[tuple[str, ...], int] = {}
    for tags in sentences:
        times[tags] = times.get(tags, 0) + 1
    return sum(
        n * sum(a != b for a, b in zip(tags, converted(tags, scheme), strict=True))
        for tags, n in times.items()
    )


def legal(labels: Sequence[str], scheme: str) -> Legal:
    """Which of K tags may follow which. Raises ValueError for a tag of no scheme."""
    size = len(labels)
    if scheme == NONE:
        return Legal(np.ones(size, bool), np.ones((size, size), bool), np.ones(size, bool))
    parts = [letter_and_type(label) for label in labels]
    # with O for the borders of a sentence
    parts.append((OUTSIDE, ""))
    table = np.array([[_may_follow(a, b, scheme) for b in parts] for a in parts], bool)
    return Legal(table[size, :size], table[:size, :size], table[:size, size])


def _may_follow(before: tuple[str, str], now: tuple[str, str], scheme: str) -> bool:
    inside = before[0] != OUTSIDE and before[1] == now[1]
    if scheme == "BIO":
        return now[0] != "I" or inside
    if scheme == "IOB1":
        return now[0] != "B" or inside
    if before[0] in "BI":
        return inside and now[0] in "IE"
    return now[0] in "OBS"
