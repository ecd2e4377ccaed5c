"""Files of a BERT tokenizer in a Hugging Face folder: ``tokenizer.json`` and its older kin.

Checked here are the pieces against the embedding, and whether older files mean BERT's own way of
cutting.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from nlpcli.errors import DataError, shown
from nlpcli.formats import hf_added
from nlpcli.text.strict_json import parse_object
from nlpcli.text.wordpiece_file import (
    CLS,
    MASK,
    PAD,
    SEP,
    UNK,
    Parts,
    build,
    parts_of_json,
    parts_of_vocab,
)

TOKENIZER = "tokenizer.json"
VOCABULARY = "vocab.txt"
OPTIONS = "tokenizer_config.json"
SPECIALS_MAP = "special_tokens_map.json"
LARGEST = 32 * 2**20
"""Of a file with a vocabulary."""
SPECIALS = {
    "pad_token": PAD, "unk_token": UNK, "cls_token": CLS, "sep_token": SEP, "mask_token": MASK,
}  # fmt: skip
_CLASSES = ("BertTokenizer", "BertTokenizerFast")
_BY_FILE = ("PreTrainedTokenizerFast", "TokenizersBackend")
"""Classes that go by ``tokenizer.json`` alone; others obey the options."""

Read = Callable[[str, int], bytes | None]
"""A file's content by its name and its largest size; None when there is none of that name."""


def read_tokenizer(read: Read, vocab_size: int, where: str) -> bytes:
    """``tokenizer.json``, or what it would be by ``vocab.txt``.

    ``vocab_size``: rows of the embedding. Raises DataError for files that are neither, need code
    of their own, or have more pieces than rows.
    """
    options = _options(read, where)
    found, name = read(TOKENIZER, LARGEST), TOKENIZER
    if found is None:
        data, name = read(VOCABULARY, LARGEST), VOCABULARY
        if data is None:
            raise DataError(f"{where}: no {TOKENIZER} and no {VOCABULARY}")
        found = _of_vocabulary(data, read, options, where)
    parts = _parts(found, vocab_size, f"{where}/{name}")
    if name == TOKENIZER and options.get("tokenizer_class") not in _BY_FILE:
        obeyed = _obeyed(parts, options, f"{where}/{OPTIONS}")
        if obeyed != parts:
            return build(obeyed, f"{where}/{OPTIONS}").to_str().encode()
    return found


def _options(read: Read, where: str) -> dict[str, Any]:
    options = _object(read, OPTIONS, where)
    if options.get("auto_map"):
        raise DataError(f"{where}/{OPTIONS}: auto_map: it needs code of its own, which is not run")
    return options


def _way_of_cutting(options: dict[str, Any], where: str) -> tuple[bool, bool | None]:
    """Lower case, and accents stripped; of ``vocab.txt`` these options alone tell."""
    name = options.get("tokenizer_class", _CLASSES[0])
    if name not in _CLASSES:
        raise DataError(f"{where}: tokenizer_class {shown(str(name))}, wanted {_CLASSES[0]}")
    lowercase, accents = options.get("do_lower_case", True), options.get("strip_accents")
    for key, value in (("do_lower_case", lowercase), ("strip_accents", accents)):
        if type(value) is not bool and (key == "do_lower_case" or value is not None):
            raise DataError(f"{where}: {key} {shown(str(value))}, wanted true or false")
    if options.get("tokenize_chinese_chars", True) is not True:
        raise DataError(f"{where}: tokenize_chinese_chars is not true")
    _check_specials(options, where)
    return lowercase, accents


def _check_specials(options: dict[str, Any], where: str) -> None:
    for key, usual in SPECIALS.items():
        value = options.get(key, usual)
        seen = value.get("content") if isinstance(value, dict) else value
        if seen != usual:
            raise DataError(f"{where}: {key} {shown(str(seen))}, wanted {usual}")


def _obeyed(parts: Parts, options: dict[str, Any], where: str) -> Parts:
    """``tokenizer.json`` with what the options say of cutting, which goes before it, as it does in
    transformers. Raises DataError for pieces of the options that it does not have."""
    said = {"do_lower_case": "lowercase", "strip_accents": "strip_accents",
            "tokenize_chinese_chars": "chinese_apart"}  # fmt: skip
    for key in (key for key in said if key in options):
        value = options[key]
        if type(value) is not bool and (key != "strip_accents" or value is not None):
            raise DataError(f"{where}: {key} {shown(json.dumps(value))}, wanted true or false")
        changed: dict[str, Any] = {said[key]: value}
        parts = replace(parts, **changed)
    there = {(token["content"], token["id"]) for token in parts.added}
    for token in hf_added.tokens_of_options(options, where) if hf_added.DECODER in options else []:
        if (token["content"], token["id"]) not in there:
            raise DataError(f"{where}: {hf_added.DECODER} {token['id']}: {shown(token['content'])} "
                            f"is no added piece in {TOKENIZER}")  # fmt: skip
    return parts


def _of_vocabulary(data: bytes, read: Read, options: dict[str, Any], folder: str) -> bytes:
    """``tokenizer.json`` of a file with a piece a line, as ``options`` and the files beside say."""
    where = f"{folder}/{VOCABULARY}"
    try:
        lines = data.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: byte {error.start}: invalid UTF-8") from None
    named = f"{folder}/{OPTIONS}"
    lowercase, accents = _way_of_cutting(options, named)
    if hf_added.DECODER in options:
        added = hf_added.tokens_of_options(options, named)
    else:
        specials = _object(read, SPECIALS_MAP, folder)
        _check_specials(specials, f"{folder}/{SPECIALS_MAP}")
        options = {**options, **specials}
        numbers = _object(read, hf_added.FILE, folder)
        added = hf_added.tokens_of_file(numbers, options, f"{folder}/{hf_added.FILE}", named)
    parts = parts_of_vocab(lines, lowercase, accents, where)
    parts = replace(parts, added=hf_added.with_more(added, parts.vocab, options, named))
    return build(parts, where).to_str().encode()


def _object(read: Read, name: str, folder: str) -> dict[str, Any]:
    """What a file says; nothing where there is none."""
    data = read(name, LARGEST)
    return {} if data is None else parse_object(data, f"{folder}/{name}")


def _parts(data: bytes, vocab_size: int, where: str) -> Parts:
    """Of a tokenizer of BERT that an embedding has rows for. Raises DataError."""
    parts = parts_of_json(data, where)
    numbers = [*parts.vocab.values(), *(token["id"] for token in parts.added)]
    most, least = max(numbers), min(numbers)
    if least < 0 or most >= vocab_size:
        seen = least if least < 0 else most
        raise DataError(f"{where}: a piece of number {seen:,}, the embedding has "
                        f"{vocab_size:,} rows")  # fmt: skip
    there = {*parts.vocab, *(token["content"] for token in parts.added)}
    missing = [piece for piece in SPECIALS.values() if piece not in there]
    if missing:
        raise DataError(f"{where}: no piece {', '.join(missing)}")
    return parts


def tokenizer_files(data: bytes, *, max_positions: int, vocab_size: int) -> dict[str, bytes]:
    """``tokenizer.json`` with the files that older readers want beside it.

    ``vocab.txt`` is left out where a piece has a line's end in it. Raises DataError for what is
    no BERT tokenizer.
    """
    parts = _parts(data, vocab_size, TOKENIZER)
    options = {
        **SPECIALS,
        "clean_up_tokenization_spaces": True,
        "do_lower_case": parts.lowercase,
        "model_max_length": max_positions,
        "strip_accents": parts.strip_accents,
        "tokenize_chinese_chars": parts.chinese_apart,
        "tokenizer_class": "BertTokenizer",
    }
    files = {
        TOKENIZER: data,
        OPTIONS: _plain(options),
        SPECIALS_MAP: _plain(SPECIALS),
    }
    pieces = sorted(parts.vocab, key=parts.vocab.__getitem__)
    if not any("\n" in piece or "\r" in piece for piece in pieces):
        files[VOCABULARY] = "".join(f"{piece}\n" for piece in pieces).encode()
    return files


def _plain(values: dict[str, Any]) -> bytes:
    return (json.dumps(values, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()
