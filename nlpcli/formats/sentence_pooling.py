"""How a folder of sentence-transformers says that a text's vector is made of its pieces'."""

from __future__ import annotations

from typing import Any

from nlpcli.text.strict_json import parse_object

FOLDER = "1_Pooling"
FILE = f"{FOLDER}/config.json"
MEAN = "mean"
_FLAG = "pooling_mode_"
_MEANS = f"{_FLAG}mean_tokens"


def pooling_in(data: bytes, where: str) -> str | None:
    """``mean`` where the file asks for it and nothing else; None for other ways, which no head
    here has. Raises DataError for what is no JSON object."""
    about: dict[str, Any] = parse_object(data, where)
    asked = {name for name, value in about.items() if name.startswith(_FLAG) and value is True}
    return MEAN if asked == {_MEANS} or about.get("pooling_mode") == MEAN else None
