"""Pieces that were added to a BERT tokenizer, as the files beside a ``vocab.txt`` tell of them."""

from __future__ import annotations

from typing import Any

from nlpcli.errors import DataError, shown

DECODER = "added_tokens_decoder"
"""In the options; where it stands, the files are not asked."""
FILE = "added_tokens.json"
_NAMED = (
    "pad_token", "unk_token", "cls_token", "sep_token", "mask_token", "bos_token", "eos_token",
)  # fmt: skip
_MORE = ("extra_special_tokens", "additional_special_tokens")
_FLAGS = ("single_word", "lstrip", "rstrip")
Token = dict[str, Any]
"""As in the ``added_tokens`` of a ``tokenizer.json``."""


def tokens_of_options(options: dict[str, Any], where: str) -> list[Token]:
    """What ``added_tokens_decoder`` says. Raises DataError."""
    decoder = options.get(DECODER)
    if not isinstance(decoder, dict):
        raise DataError(f"{where}: {DECODER}: no JSON object")
    return [
        _token(value, _number(key, where), f"{where}: {DECODER} {shown(key)}")
        for key, value in decoder.items()
    ]


def tokens_of_file(
    numbers: dict[str, Any], options: dict[str, Any], where: str, of_options: str
) -> list[Token]:
    """What ``added_tokens.json`` says; special are those that the options name.

    Raises DataError.
    """
    special = {_content(options[name]) for name in _NAMED if name in options}
    special |= {_content(value) for value in _named_more(options, of_options)}
    found = []
    for piece, number in numbers.items():
        if type(number) is not int:
            raise DataError(f"{where}: {shown(piece)} has the id {shown(repr(number))}, "
                            "wanted a whole number")  # fmt: skip
        found.append(_token({"content": piece, "special": piece in special}, number, where))
    return found


def with_more(
    tokens: list[Token], vocab: dict[str, int], options: dict[str, Any], where: str
) -> tuple[Token, ...]:
    """``tokens`` by id and, behind them, special ones that the options name besides."""
    found = sorted(tokens, key=lambda token: int(token["id"]))
    there = {token["content"] for token in found}
    new = len(vocab) + sum(piece not in vocab for piece in there)
    for value in _named_more(options, where):
        given = value if isinstance(value, dict) else {"content": value}
        token = _token({**given, "special": True}, 0, f"{where}: a special piece")
        piece = token["content"]
        if piece in there:
            continue
        there.add(piece)
        token["id"] = vocab.get(piece, new)
        new += piece not in vocab
        found.append(token)
    return tuple(found)


def _named_more(options: dict[str, Any], where: str) -> list[Any]:
    """Special pieces without a role. Raises DataError."""
    name = next((name for name in _MORE if options.get(name)), None)
    given = options[name] if name else []
    values = list(given.values()) if isinstance(given, dict) else given
    if not isinstance(values, list):
        raise DataError(f"{where}: {name} {shown(repr(given))}, wanted a list")
    return values


def _content(value: Any) -> str:
    return str(value.get("content") if isinstance(value, dict) else value)


def _number(key: str, where: str) -> int:
    if not (key.isascii() and key.isdigit() and len(key) < 10):
        raise DataError(f"{where}: {DECODER} {shown(key)}, wanted an id")
    return int(key)


def _token(value: Any, number: int, where: str) -> Token:
    """Checked, with every flag: unless one says otherwise, special ones are looked for in the text
    as it is and others in the text as it is normalised."""
    content = value.get("content") if isinstance(value, dict) else None
    if not isinstance(content, str) or not content:
        raise DataError(f"{where}: {shown(repr(value))}, wanted a piece with its content")
    special = bool(value.get("special", False))
    flags = {name: bool(value.get(name, False)) for name in _FLAGS}
    flags["normalized"] = bool(value.get("normalized", not special))
    return {"id": number, "content": content, "special": special, **flags}
