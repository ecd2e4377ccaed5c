"""Two texts that belong together, as one string, so that rows of pairs go the way of all rows."""

from __future__ import annotations

from collections.abc import Sequence

SEPARATOR = "\x1e"
"""ASCII's record separator, which an encoder's cleaning would drop from a text anyway."""


def joined(first: str, second: str) -> str:
    """The pair as one text; a separator within is a blank."""
    return SEPARATOR.join(text.replace(SEPARATOR, " ") for text in (first, second))


def texts_of(rows: Sequence[Sequence[str]], text: int, other: int | None) -> list[str]:
    """The texts in a column of rows, or the pairs in two columns."""
    if other is None:
        return [row[text] for row in rows]
    return [joined(row[text], row[other]) for row in rows]


def parted(texts: Sequence[str]) -> tuple[list[str], list[str]]:
    """The first and the second texts; the second of what is no pair is empty."""
    halves = [text.partition(SEPARATOR) for text in texts]
    return [half[0] for half in halves], [half[2] for half in halves]
