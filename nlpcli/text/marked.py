"""Texts in which a word is marked: "we sat on the [[bank]] of the river"."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nlpcli.errors import DataError, shown

_MARK = re.compile(r"\[\[(.*?)\]\]", re.DOTALL)


@dataclass(frozen=True)
class Marked:
    """``text`` without the brackets; the marked word goes from ``start`` to before ``end``."""

    text: str
    start: int
    end: int

    @property
    def word(self) -> str:
        """What is marked."""
        return self.text[self.start : self.end]


def read_marked(text: str) -> Marked:
    """The text and its marked word, or words, without blanks around them.

    Raises DataError, not saying where, unless exactly one stretch is marked and not blank.
    """
    marks = list(_MARK.finditer(text))
    if not marks:
        if "[[" in text:
            raise DataError("[[ without ]] after it")
        raise DataError("no word is marked, wanted one as [[word]]")
    if len(marks) > 1:
        first, second = (shown(mark[1], 30) for mark in marks[:2])
        raise DataError(f"{len(marks)} marks, [[{first}]] and [[{second}]] first, wanted one")
    (mark,) = marks
    word = mark[1].strip()
    if not word:
        raise DataError("the mark is empty, wanted [[word]]")
    before = text[: mark.start()] + mark[1][: mark[1].index(word)]
    after = mark[1][mark[1].index(word) + len(word) :] + text[mark.end() :]
    return Marked(before + word + after, len(before), len(before) + len(word))
