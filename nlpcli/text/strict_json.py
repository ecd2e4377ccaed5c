"""JSON that others wrote: an object, each key once, no NaN, no depth that a reader chokes on."""

from __future__ import annotations

import json
from typing import Any

from nlpcli.errors import DataError, shown

DEPTH = 64


def parse_object(data: bytes, where: str) -> dict[str, Any]:
    """Parses UTF-8 JSON. Raises DataError naming ``where``."""
    try:
        text = data.decode("utf-8")
    except ValueError as error:
        raise _damaged(error, where) from None
    return parse_text(text, where)


def parse_text(text: str, where: str) -> dict[str, Any]:
    """The same of a text."""
    try:
        document = json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
    except RecursionError:
        raise _nested(where) from None
    except ValueError as error:
        raise _damaged(error, where) from None
    if not isinstance(document, dict):
        raise DataError(f"{where}: no JSON object")
    if _too_deep(document, DEPTH):
        raise _nested(where)
    return document


def _nested(where: str) -> DataError:
    return DataError(f"{where}: nested deeper than {DEPTH} levels")


def _damaged(error: Exception, where: str) -> DataError:
    return DataError(f"{where}: no JSON, truncated or damaged: {shown(str(error), 120)}")


def _too_deep(value: Any, left: int) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return False
    return left == 0 or any(_too_deep(item, left - 1) for item in value)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate key")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")
