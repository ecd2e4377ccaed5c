"""Vocabularies of WordPiece -> the library's tokenizer, cutting as BERT does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nlpcli.errors import DataError, shown
from nlpcli.text.strict_json import parse_object

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PAD, UNK, CLS, SEP, MASK = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
SPECIALS = (PAD, UNK, CLS, SEP, MASK)
LONGEST_WORD = 100
"""Characters; a longer word is one [UNK]."""
_MOST_BYTES = 1 << 28
_MOST_PIECES = 4_000_000
PREFIX = "##"
_FLAGS = ("single_word", "lstrip", "rstrip", "normalized")


@dataclass(frozen=True)
class Parts:
    """What a tokenizer of BERT is made of; ``added``: pieces that are found before words are cut,
    as they stand in a ``tokenizer.json``, by their id."""

    vocab: dict[str, int]
    lowercase: bool
    strip_accents: bool | None
    clean: bool = True
    chinese_apart: bool = True
    longest_word: int = LONGEST_WORD
    added: tuple[dict[str, Any], ...] = ()


def build(parts: Parts, where: str) -> Tokenizer:
    """The library's tokenizer. Raises DataError where a special piece is missing."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
    from tokenizers.processors import TemplateProcessing

    library = Tokenizer(
        models.WordPiece(
            parts.vocab,
            unk_token=UNK,
            max_input_chars_per_word=parts.longest_word,
            continuing_subword_prefix=PREFIX,
        )
    )
    library.normalizer = normalizers.BertNormalizer(
        clean_text=parts.clean,
        handle_chinese_chars=parts.chinese_apart,
        strip_accents=parts.strip_accents,
        lowercase=parts.lowercase,
    )
    library.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    library.decoder = decoders.WordPiece(prefix=PREFIX)
    for token in parts.added:
        flags = {name: bool(token.get(name, False)) for name in _FLAGS}
        added = AddedToken(token["content"], special=bool(token.get("special")), **flags)
        library.add_tokens([added])
        if library.token_to_id(token["content"]) != token["id"]:
            raise DataError(f"{where}: added piece {shown(token['content'])} has no id of its own")
    numbers = library.get_vocab(with_added_tokens=True)
    missing = [name for name in SPECIALS if name not in numbers]
    if missing:
        raise DataError(f"{where}: no piece {', '.join(missing)}; wanted {', '.join(SPECIALS)}")
    library.add_special_tokens([AddedToken(s, normalized=False, special=True) for s in SPECIALS])
    library.post_processor = TemplateProcessing(
        single=f"{CLS} $A {SEP}",
        pair=f"{CLS} $A {SEP} $B:1 {SEP}:1",
        special_tokens=[(CLS, numbers[CLS]), (SEP, numbers[SEP])],
    )
    return library


def parts_of_vocab(
    lines: Iterable[str], lowercase: bool, strip_accents: bool | None, where: str
) -> Parts:
    """Of a list of pieces, one a line."""
    vocab: dict[str, int] = {}
    empty = 0
    for number, line in enumerate(lines, 1):
        piece = line.removesuffix("\n").removesuffix("\r")
        if empty:
            raise DataError(f"{where} line {empty}: empty, wanted a piece")
        if not piece:
            empty = number
            continue
        if piece in vocab:
            first = vocab[piece] + 1
            raise DataError(f"{where} line {number}: {shown(piece)} stands on line {first} too")
        vocab[piece] = number - 1
        if number > _MOST_PIECES:
            raise DataError(f"{where}: more than {_MOST_PIECES:,} pieces")
    return Parts(vocab, lowercase, strip_accents)


def parts_of_json(data: bytes, where: str) -> Parts:
    """Of a ``tokenizer.json``. Raises DataError."""
    if len(data) > _MOST_BYTES:
        raise DataError(f"{where}: {len(data):,} bytes, wanted at most {_MOST_BYTES:,}")
    document = parse_object(data, where)
    model, normalizer = (_part(document, name, where) for name in ("model", "normalizer"))
    cutter = _part(document, "pre_tokenizer", where)
    for part, name, wanted in (
        (model, "model", "WordPiece"),
        (normalizer, "normalizer", "BertNormalizer"),
        (cutter, "pre_tokenizer", "BertPreTokenizer"),
    ):
        if part.get("type") != wanted:
            seen = shown(str(part.get("type")))
            raise DataError(f"{where}: {name} {seen}, wanted {wanted}, as BERT has")
    for name, wanted in (("continuing_subword_prefix", PREFIX), ("unk_token", UNK)):
        if model.get(name, wanted) != wanted:
            raise DataError(f"{where}: {name} {shown(repr(model[name]))}, wanted {wanted}")
    longest = model.get("max_input_chars_per_word", LONGEST_WORD)
    if type(longest) is not int or not 1 <= longest <= 1_000_000:
        raise DataError(f"{where}: max_input_chars_per_word {shown(repr(longest))}")
    accents = normalizer.get("strip_accents")
    return Parts(
        _vocabulary(model.get("vocab"), where),
        _flag(normalizer, "lowercase", where),
        None if accents is None else _flag(normalizer, "strip_accents", where),
        _flag(normalizer, "clean_text", where),
        _flag(normalizer, "handle_chinese_chars", where),
        longest,
        _added(document.get("added_tokens") or [], where),
    )


def _part(document: dict[str, Any], name: str, where: str) -> dict[str, Any]:
    part = document.get(name)
    if not isinstance(part, dict):
        raise DataError(f"{where}: no {name}, wanted a tokenizer.json with the parts of BERT's")
    return part


def _flag(normalizer: dict[str, Any], name: str, where: str) -> bool:
    value = normalizer.get(name, True)
    if type(value) is not bool:
        raise DataError(f"{where}: {name} {shown(repr(value))}, wanted true or false")
    return value


def _vocabulary(vocab: Any, where: str) -> dict[str, int]:
    """Pieces and ids, which are 0 to V - 1."""
    if not isinstance(vocab, dict) or not vocab:
        raise DataError(f"{where}: no vocabulary")
    if len(vocab) > _MOST_PIECES:
        raise DataError(f"{where}: {len(vocab):,} pieces, wanted at most {_MOST_PIECES:,}")
    seen = bytearray(len(vocab))
    for piece, number in vocab.items():
        if type(number) is not int or not 0 <= number < len(vocab) or seen[number]:
            raise DataError(
                f"{where}: piece {shown(piece)} has the id {shown(repr(number))}, "
                f"wanted 0 to {len(vocab) - 1:,}, each once"
            )
        seen[number] = 1
    return vocab


def _added(tokens: Any, where: str) -> tuple[dict[str, Any], ...]:
    """Pieces that were added, by id."""
    if not isinstance(tokens, list):
        raise DataError(f"{where}: added_tokens: no list")
    for token in tokens:
        content = token.get("content") if isinstance(token, dict) else None
        if not isinstance(content, str) or not content or type(token.get("id")) is not int:
            raise DataError(f"{where}: added_tokens: wanted a content and an id")
    return tuple(sorted(tokens, key=lambda token: int(token["id"])))
