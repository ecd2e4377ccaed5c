"""Sizes as they are typed: ``500K``, ``1.5G``."""

from __future__ import annotations

import re

from nlpcli.errors import UsageError

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}
_SIZE = re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,15}))?([KMG]?)", re.ASCII)


def parse_size(text: str, option: str) -> int:
    """Bytes, at least one; K, M and G are powers of 1000, a fraction is cut off.

    Raises UsageError.
    """
    found = _SIZE.fullmatch(text.strip().upper())
    if found is not None and (found[2] is None or found[3]):
        digits = found[2] or ""
        scale: int = 10 ** len(digits)
        size = int(found[1] + digits) * _UNITS[found[3]] // scale
        if size:
            return size
    raise UsageError(f"{option} {text}: wanted bytes, or a number with K, M or G, as 500K or 1.5G")


def size_limit(typed: str | None, *, continued: bool) -> int | None:
    """Bytes of --model-size. Raises UsageError with --continue-from: that would be forgotten."""
    if typed is not None and continued:
        raise UsageError("--model-size and --continue-from: give one of them")
    return None if typed is None else parse_size(typed, "--model-size")
