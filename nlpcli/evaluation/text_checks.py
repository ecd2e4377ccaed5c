"""What is odd about a text itself: no words, characters that were damaged, an unusual length."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]

LONG_TIMES, LONG_AT_LEAST = 10, 1000
"""A long text has so many times the characters of the median one, and at least so many."""
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\ufffe\uffff]")
_FOREIGN = re.compile(r"[^\x00-\x7f]{2,}")


def damage(text: str) -> str | None:
    """What seems to have happened to the characters of a text; None where nothing did."""
    if "\ufffd" in text:
        return "U+FFFD stands for bytes that were lost"
    found = _CONTROL.search(text)
    if found:
        return f"control character U+{ord(found.group()):04X}"
    if not text.isascii() and _read_twice(text):
        return "UTF-8 that was read as another encoding"
    return None


def _read_twice(text: str) -> bool:
    """Whether a stretch of non-ASCII characters is UTF-8 that was decoded as Windows-1252."""
    for run in _FOREIGN.findall(text):
        for encoding in ("cp1252", "latin-1"):
            try:
                run.encode(encoding).decode("utf-8")
            except UnicodeError:
                continue
            return True
    return False


def long_texts(texts: Sequence[str]) -> tuple[I64, float]:
    """Numbers of texts that are far longer than the others, ascending, and the median length in
    characters."""
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    if not len(lengths):
        return np.empty(0, np.int64), 0.0
    median = float(np.median(lengths))
    limit = max(LONG_TIMES * median, LONG_AT_LEAST)
    return np.flatnonzero(lengths > limit).astype(np.int64), median
