"""Two texts that belong together, as one string, so that rows of pairs go the way of all rows."""

from __future__ import annotations

from collections.abc import Sequence

SEPARATOR = "\x1e"
"""ASCII's record separator, which an encoder's cleaning would drop from a text anyway."""


def joined(first: str, second: str) -> str:
    """The pair as one text; a separator within is a blank."""
    return SEPARATOR.join(text.replace(SEPARATOR, " ") for text in (first, second))


def parted(texts: Sequence[str]) -> tuple[list[str], list[str]]:
    """The first and the second texts; the second of what is no pair is empty."""
    halves = [text.partition(SEPARATOR) for text in texts]
    return [half[0] for half in halves], [half[2] for half in halves]
