"""Words of a vocabulary that are spelled almost as one that it lacks."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

_CONSIDERED = 100_000
"""Of the vocabulary's words, most frequent first."""
_LENGTHS_APART = 2
_CUTOFF = 0.7


def near_spellings(word: str, words: Sequence[str], most: int = 3) -> list[str]:
    """At most ``most`` words, nearest first: those that differ in case, then by difflib's ratio.

    Of ``words``, most frequent first, the first 100,000 are looked at.
    """
    folded = word.casefold()
    considered = words[:_CONSIDERED]
    found = [other for other in considered if other.casefold() == folded][:most]
    near = [other for other in considered if abs(len(other) - len(word)) <= _LENGTHS_APART]
    found += difflib.get_close_matches(word, near, n=most, cutoff=_CUTOFF)
    return list(dict.fromkeys(found))[:most]
