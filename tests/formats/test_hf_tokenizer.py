"""Tokenizers of Hugging Face folders: what the files beside the pieces say of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nlpcli.errors import DataError
from nlpcli.formats.hf_tokenizer import read_tokenizer
from nlpcli.text.wordpiece import WordPieceTokenizer

from .bert_folder import PIECES, TOKENIZER

VOCABULARY = "".join(f"{piece}\n" for piece in PIECES).encode()
TEXTS = ["a <user> b", "a<USER>b", "the cats"]
UNKNOWN = [PIECES.index("[UNK]")] * 3
A, B, THE, S, CAT = (PIECES.index(piece) for piece in ("a", "b", "the", "##s", "cat"))
PLAIN = [[A, *UNKNOWN, B], [A, *UNKNOWN, B], [THE, CAT, S]]
NEW = len(PIECES)


def cut(files: dict[str, Any], vocab_size: int = NEW + 2) -> list[list[int]]:
    """The texts' pieces by a folder with these files beside its vocabulary."""
    given = {name: json.dumps(values).encode() for name, values in files.items()}
    given["vocab.txt"] = VOCABULARY
    data = read_tokenizer(lambda name, limit: given.get(name), vocab_size, "folder")
    found = WordPieceTokenizer.from_json(data, "folder").encode(TEXTS)
    borders = found.indptr
    return [found.ids[borders[n] : borders[n + 1]].tolist() for n in range(len(TEXTS))]


def decoder(number: Any = str(NEW), **token: Any) -> dict[str, Any]:
    return {"tokenizer_config.json": {"added_tokens_decoder": {number: token}}}


def more(value: Any) -> dict[str, Any]:
    return {"tokenizer_config.json": {"additional_special_tokens": value}}


WHOLE = [[A, NEW, B], [A, NEW, B], [THE, CAT, S]]
AS_WRITTEN = [[A, NEW, B], PLAIN[1], PLAIN[2]]
USER = {"added_tokens.json": {"<user>": NEW}}


@pytest.mark.parametrize(
    ("files", "pieces"),
    [
        ({}, PLAIN),
        (USER, WHOLE),
        (decoder(content="<user>"), WHOLE),
        (decoder(content="<user>", normalized=False), AS_WRITTEN),
        (decoder(content="<user>", special=True), AS_WRITTEN),
        ({**decoder(content="<other>"), **USER}, PLAIN),  # the options come first
        (more(["<user>"]), AS_WRITTEN),
        (more([{"content": "cat"}, "<user>"]), [*AS_WRITTEN[:2], [THE, CAT, 1]]),
        ({**USER, "special_tokens_map.json": {"unk_token": {"content": "[UNK]"}}}, WHOLE),
        ({**USER, **more(["<user>"])}, AS_WRITTEN),
    ],
)
def test_pieces_that_were_added_are_kept_whole(files: Any, pieces: list[list[int]]) -> None:
    assert cut(files) == pieces


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"added_tokens.json": {"<user>": "11"}}, r"added_tokens\.json: <user> has the id '11'"),
        ({"added_tokens.json": {"<user>": NEW + 1}}, "added piece <user> has no id of its own"),
        ({"added_tokens.json": {"a": 9}}, "added piece a has no id of its own"),
        ({"added_tokens.json": {"": NEW}}, "wanted a piece"),
        ({"tokenizer_config.json": {"added_tokens_decoder": []}}, "added_tokens_decoder: no JSON"),
        (decoder("x", content="<user>"), "added_tokens_decoder x, wanted an id"),
        (decoder("11", content=None), "added_tokens_decoder 11: {'content': None}, wanted"),
        (more("<user>"), "additional_special_tokens '<user>', wanted a list"),
        (more([3]), "special piece: .* wanted a piece"),
        ({"special_tokens_map.json": {"unk_token": "<unk>"}}, "unk_token <unk>, wanted"),
    ],
)
def test_added_pieces_that_do_not_add_up(files: Any, reason: str) -> None:
    with pytest.raises(DataError, match=reason) as caught:
        cut(files)
    assert "\n" not in caught.value.message


def test_more_pieces_than_the_embedding_has_rows() -> None:
    with pytest.raises(DataError, match="a piece of number 11, the embedding has 11 rows"):
        cut(USER, vocab_size=NEW)


# --- options beside a tokenizer.json --------------------------------------------------


def read(options: dict[str, Any], **normalizer: Any) -> dict[str, Any]:
    """What cleans a text by a folder with both files."""
    document = json.loads(TOKENIZER)
    document["normalizer"].update(normalizer)
    files = {"tokenizer.json": document, "tokenizer_config.json": options}
    given = {name: json.dumps(values).encode() for name, values in files.items()}
    found = json.loads(read_tokenizer(lambda name, limit: given.get(name), NEW, "folder"))
    assert {**found, "normalizer": {}} == {**json.loads(TOKENIZER), "normalizer": {}}
    cleaning: dict[str, Any] = found["normalizer"]
    return cleaning


CASED = {"lowercase": False}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"do_lower_case": None}, "do_lower_case null, wanted true or false"),
        ({"strip_accents": "no"}, "strip_accents"),
        (
            {"added_tokens_decoder": {"11": {"content": "<user>"}}},
            "added_tokens_decoder 11: <user> is no added piece in tokenizer.json",
        ),
    ],
)
def test_options_that_cannot_be_followed(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(DataError, match=f"^folder/tokenizer_config.json: {reason}"):
        read(options)


@pytest.mark.parametrize(
    ("options", "normalizer", "wanted"),
    [
        ({"do_lower_case": False}, {}, {"lowercase": False}),
        ({"do_lower_case": True}, CASED, {"lowercase": True}),
        ({"strip_accents": False}, {}, {"strip_accents": False, "lowercase": True}),
        ({"strip_accents": None}, {"strip_accents": False}, {"strip_accents": None}),
        ({"tokenize_chinese_chars": False}, {}, {"handle_chinese_chars": False}),
        ({"do_lower_case": False, "tokenizer_class": "PreTrainedTokenizerFast"}, {},
         {"lowercase": True}),
    ],
)  # fmt: skip
def test_options_go_before_the_tokenizer(
    options: dict[str, Any], normalizer: dict[str, Any], wanted: dict[str, Any]
) -> None:
    assert wanted.items() <= read(options, **normalizer).items()


@pytest.mark.parametrize(
    ("options", "normalizer"),
    [
        ({}, {}),
        ({}, CASED),
        ({"do_lower_case": True, "strip_accents": None, "tokenize_chinese_chars": True}, {}),
        ({"do_lower_case": False, "strip_accents": None}, CASED),
        ({"strip_accents": False}, {"strip_accents": False}),
        ({"strip_accents": True}, {}),
        ({"do_lower_case": False, "tokenizer_class": "PreTrainedTokenizerFast"}, {}),
        ({"added_tokens_decoder": {"4": {"content": "[MASK]", "special": True}}}, {}),
    ],
)
def test_options_that_agree_or_are_silent(
    options: dict[str, Any], normalizer: dict[str, Any]
) -> None:
    read(options, **normalizer)
