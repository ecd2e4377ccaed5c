"""Files of a BERT tokenizer in a Hugging Face folder: ``tokenizer.json`` and its older kin.

What is checked here is whether the vocabulary fits the embedding, and whether older files mean
BERT's own way of cutting; the pieces themselves are the business of who reads ``tokenizer.json``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from nlpcli.errors import DataError, shown
from nlpcli.text.strict_json import parse_object

TOKENIZER = "tokenizer.json"
VOCABULARY = "vocab.txt"
OPTIONS = "tokenizer_config.json"
SPECIALS_MAP = "special_tokens_map.json"
LARGEST = 32 * 2**20
"""Of a file with a vocabulary."""
SPECIALS = {
    "pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}  # fmt: skip
LONGEST_WORD = 100
"""In characters; a longer one is unknown as a whole."""
_CLASSES = ("BertTokenizer", "BertTokenizerFast")

Read = Callable[[str, int], bytes | None]
"""A file's content by its name and its largest size; None when there is none of that name."""


def read_tokenizer(read: Read, vocab_size: int, where: str) -> bytes:
    """``tokenizer.json``, or what it would be by ``vocab.txt``.

    ``vocab_size``: rows of the embedding. Raises DataError for files that are neither, need code
    of their own, or have more pieces than rows.
    """
    options = _options(read, where)
    found = read(TOKENIZER, LARGEST)
    if found is None:
        data = read(VOCABULARY, LARGEST)
        if data is None:
            raise DataError(f"{where}: no {TOKENIZER} and no {VOCABULARY}")
        pieces = _vocabulary_lines(data, f"{where}/{VOCABULARY}")
        found = tokenizer_json(pieces, lowercase=_lowercase(options, f"{where}/{OPTIONS}"))
    _, ids = _vocabulary(found, f"{where}/{TOKENIZER}")
    if max(ids) >= vocab_size:
        raise DataError(
            f"{where}: the tokenizer has a piece of number {max(ids):,}, the embedding "
            f"{vocab_size:,} rows"
        )
    return found


def _options(read: Read, where: str) -> dict[str, Any]:
    data = read(OPTIONS, LARGEST)
    options = {} if data is None else parse_object(data, f"{where}/{OPTIONS}")
    if options.get("auto_map"):
        raise DataError(f"{where}/{OPTIONS}: auto_map: it needs code of its own, which is not run")
    return options


def _lowercase(options: dict[str, Any], where: str) -> bool:
    """Of ``vocab.txt`` alone these options say how texts are cut; only BERT's way is known."""
    name = options.get("tokenizer_class", _CLASSES[0])
    if name not in _CLASSES:
        raise DataError(f"{where}: tokenizer_class {shown(str(name))}, wanted {_CLASSES[0]}")
    lowercase = options.get("do_lower_case", True)
    if type(lowercase) is not bool:
        raise DataError(f"{where}: do_lower_case {shown(str(lowercase))}, wanted true or false")
    if options.get("tokenize_chinese_chars", True) is not True:
        raise DataError(f"{where}: tokenize_chinese_chars is not true")
    if options.get("strip_accents") not in (None, lowercase):
        raise DataError(f"{where}: strip_accents is not as do_lower_case")
    for key, usual in SPECIALS.items():
        value = options.get(key, usual)
        seen = value.get("content") if isinstance(value, dict) else value
        if seen != usual:
            raise DataError(f"{where}: {key} {shown(str(seen))}, wanted {usual}")
    return lowercase


def _vocabulary_lines(data: bytes, where: str) -> list[str]:
    """A piece a line; the line's end of the last may be missing."""
    try:
        lines = data.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: byte {error.start}: invalid UTF-8") from None
    if lines[-1] == "":
        lines.pop()
    pieces = [line.removesuffix("\r") for line in lines]
    for number, piece in enumerate(pieces):
        if not piece:
            raise DataError(f"{where} line {number + 1}: empty, wanted a piece")
    if not pieces or len(set(pieces)) != len(pieces):
        raise DataError(f"{where}: no piece, or a piece twice")
    return pieces


def _vocabulary(data: bytes, where: str) -> tuple[dict[str, int], set[int]]:
    """Pieces with their numbers, and the numbers of all that may come out. Raises DataError."""
    document = parse_object(data, where)
    model = document.get("model")
    if not isinstance(model, dict) or model.get("type", "WordPiece") != "WordPiece":
        kind = model.get("type") if isinstance(model, dict) else model
        raise DataError(f"{where}: a model of type {shown(str(kind))}, wanted WordPiece")
    vocabulary = model.get("vocab")
    if not isinstance(vocabulary, dict) or not vocabulary:
        raise DataError(f"{where}: model.vocab is missing or empty")
    added = document.get("added_tokens") or []
    if not isinstance(added, list) or not all(isinstance(token, dict) for token in added):
        raise DataError(f"{where}: added_tokens is no list")
    ids = [*vocabulary.values(), *(token.get("id") for token in added)]
    if not all(type(number) is int and 0 <= number < 2**31 for number in ids):
        raise DataError(f"{where}: the number of a piece is no whole number from 0 on")
    if len(set(vocabulary.values())) != len(vocabulary):
        raise DataError(f"{where}: two pieces have the same number")
    return vocabulary, set(ids)


def tokenizer_json(pieces: list[str], *, lowercase: bool) -> bytes:
    """BERT's tokenizer of these pieces by number, as the tokenizers library reads it.

    Raises DataError where a special piece is missing.
    """
    numbers = {piece: number for number, piece in enumerate(pieces)}
    for piece in SPECIALS.values():
        if piece not in numbers:
            raise DataError(f"the vocabulary has no {piece}")
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    added = [
        {"id": numbers[piece], "content": piece, **flags, "special": True}
        for piece in sorted(SPECIALS.values(), key=numbers.__getitem__)
    ]
    document = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {
            "type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
            "strip_accents": None, "lowercase": lowercase,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": _frame(numbers),
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": LONGEST_WORD, "vocab": numbers,
        },
    }  # fmt: skip
    return json.dumps(document, indent=2, ensure_ascii=False).encode()


def _frame(numbers: dict[str, int]) -> dict[str, Any]:
    """[CLS] A [SEP], or [CLS] A [SEP] B [SEP] with the segments 0 and 1."""

    def special(piece: str, segment: int) -> dict[str, Any]:
        return {"SpecialToken": {"id": piece, "type_id": segment}}

    def text(name: str, segment: int) -> dict[str, Any]:
        return {"Sequence": {"id": name, "type_id": segment}}

    single = [special("[CLS]", 0), text("A", 0), special("[SEP]", 0)]
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": [*single, text("B", 1), special("[SEP]", 1)],
        "special_tokens": {
            piece: {"id": piece, "ids": [numbers[piece]], "tokens": [piece]}
            for piece in ("[CLS]", "[SEP]")
        },
    }


def tokenizer_files(data: bytes, max_positions: int) -> dict[str, bytes]:
    """``tokenizer.json`` with the files that older readers want beside it.

    ``vocab.txt`` is left out where numbers are missing between the pieces, which it cannot say.
    Raises DataError for what is no BERT tokenizer.
    """
    vocabulary, _ = _vocabulary(data, TOKENIZER)
    normalizer = parse_object(data, TOKENIZER).get("normalizer")
    normalizer = normalizer if isinstance(normalizer, dict) else {}
    options = {
        **SPECIALS,
        "clean_up_tokenization_spaces": True,
        "do_lower_case": normalizer.get("lowercase", True),
        "model_max_length": max_positions,
        "strip_accents": normalizer.get("strip_accents"),
        "tokenize_chinese_chars": normalizer.get("handle_chinese_chars", True),
        "tokenizer_class": "BertTokenizer",
    }
    files = {
        TOKENIZER: data,
        OPTIONS: _plain(options),
        SPECIALS_MAP: _plain(SPECIALS),
    }
    pieces = sorted(vocabulary, key=vocabulary.__getitem__)
    whole = list(vocabulary.values()) and max(vocabulary.values()) == len(pieces) - 1
    if whole and not any("\n" in piece or "\r" in piece for piece in pieces):
        files[VOCABULARY] = "".join(f"{piece}\n" for piece in pieces).encode()
    return files


def _plain(values: dict[str, Any]) -> bytes:
    return (json.dumps(values, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()
