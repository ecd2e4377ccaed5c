from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer

from nlpcli.errors import DataError
from nlpcli.text import wordpiece_words
from nlpcli.text.wordpiece import WordPieceTokenizer
from nlpcli.text.wordpiece_file import SPECIALS
from nlpcli.text.wordpiece_training import learn_pieces

ENGLISH = "The unaffable cat's naïve café — don't STOP 12,345 times (or so)! [MASK] e-mail x_y"
CHINESE = "我来到北京清华大学，很高兴。ＡＢＣ１２３ 𠀀 中English文"
TEXTS = [ENGLISH, CHINESE, "", " \t ", "a\x0bb\x0cc\x1cd\x85e\x00f\ufffdg\xadh", "[SEP][CLS]x[PAD]"]
PIECES = [
    *SPECIALS, *"abcdefghijklmnopqrstuvwxyz0123456789!,.'()_-—，。[]我来到北京清华很高兴中文éï",
    *("##" + c for c in "abcdefghijklmnopqrstuvwxyz0123456789éï"), "the", "##ing", "un", "##aff",
    "##able", "cat", "stop", "The", "STOP", "naive", "##ve", "mail", "english", "mask", "sep",
]  # fmt: skip


def _vocabulary() -> list[str]:
    return list(dict.fromkeys(PIECES))


def _library(tokenizer: WordPieceTokenizer) -> Tokenizer:
    return Tokenizer.from_str(tokenizer.to_json().decode())


def _by_library(library: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    return [e.ids for e in library.encode_batch_fast(list(texts), add_special_tokens=False)]


def _lists(tokenizer: WordPieceTokenizer, texts: Sequence[str]) -> list[list[int]]:
    found = tokenizer.encode(texts)
    assert found.ids.dtype == "int32" and found.indptr.dtype == "int64"
    assert found.indptr[0] == 0 and found.indptr[-1] == len(found.ids)
    return [found.ids[a:b].tolist() for a, b in pairwise(found.indptr)]


UNCASED = WordPieceTokenizer.from_vocab(_vocabulary())
CASED = WordPieceTokenizer.from_vocab(_vocabulary(), lowercase=False)
ACCENTS = WordPieceTokenizer.from_vocab(_vocabulary(), strip_accents=False)
KINDS = [UNCASED, CASED, ACCENTS]
ALPHABET = st.one_of(
    st.sampled_from(
        "aAbEéÉïñ Ññ09.,!'-—[]我來京，。 \t\n\r\x0b\x0c\x1c\x85\x00\xad\u0301\u200b\u3000İßΣ"
    ),
    st.sampled_from(["the", "[MASK]", "[SEP]", "##a", "unaffable", "[mask]", "x" * 101]),
    st.characters(exclude_categories=["Cs"]),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(ALPHABET, max_size=20).map("".join), max_size=4), st.sampled_from(KINDS))
def test_pieces_are_those_of_the_library(texts: list[str], tokenizer: WordPieceTokenizer) -> None:
    assert _lists(tokenizer, texts) == _by_library(_library(tokenizer), texts)


@pytest.mark.parametrize("tokenizer", KINDS)
def test_pieces_of_fixed_texts(tokenizer: WordPieceTokenizer) -> None:
    for texts in (TEXTS, TEXTS[:1], [*TEXTS, "plain ascii, again"], ["only ASCII", "x\x07y"], []):
        assert _lists(tokenizer, texts) == _by_library(_library(tokenizer), texts)


@pytest.mark.slow
@pytest.mark.parametrize("tokenizer", [UNCASED, CASED])
def test_every_character_cuts_words_as_in_the_library(tokenizer: WordPieceTokenizer) -> None:
    texts = [f"ab{chr(c)}cd" for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    library = _library(tokenizer)
    for begin in range(0, len(texts), 20_000):
        some = texts[begin : begin + 20_000]
        assert _lists(tokenizer, some) == _by_library(library, some)


def test_what_is_remembered_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = WordPieceTokenizer.from_vocab(_vocabulary())
    wanted = _lists(fresh, TEXTS)
    assert _lists(fresh, TEXTS) == wanted
    monkeypatch.setattr(wordpiece_words, "MOST_CHARACTERS", 3)
    monkeypatch.setattr(wordpiece_words, "_FILL", 2)
    small = WordPieceTokenizer.from_vocab(_vocabulary())
    assert [_lists(small, [text])[0] for text in TEXTS] == wanted


def test_a_long_word_is_one_unknown_piece() -> None:
    assert _lists(UNCASED, ["a" * 100 + " " + "b" * 101])[0][-1] == UNCASED.unk
    assert len(_lists(UNCASED, ["a" * 100])[0]) == 100


def test_words_and_places_in_the_original_text() -> None:
    text = "Un\x00affable CAFÉ 我来"
    found = UNCASED.encode_words(["", text])
    assert found.indptr.tolist() == [0, 0, len(found.ids)]
    pieces = [UNCASED.vocab[i] for i in found.ids]
    assert pieces == ["un", "##aff", "##able", "c", "##a", "##f", "##e", "我", "来"]
    assert found.words.tolist() == [0, 0, 0, 1, 1, 1, 1, 2, 3]
    spelt = [text[a:b] for a, b in found.spans.tolist()]
    assert [spelt[0], *spelt[2:]] == ["Un", "able", "C", "A", "F", "É", "我", "来"]
    assert found.spans.dtype == "int32" and found.words.dtype == "int32"
    assert found.ids.tolist() == UNCASED.encode([text]).ids.tolist()


def test_words_that_are_given_keep_their_numbers() -> None:
    found = UNCASED.encode_tokens([["un-affable", "\x00", "cat"], [], ["我来"]])
    assert found.indptr.tolist() == [0, 7, 7, 9]
    assert found.words.tolist() == [0, 0, 0, 0, 0, 0, 2, 0, 0]
    assert [UNCASED.vocab[i] for i in found.ids][-3:] == ["cat", "我", "来"]


def test_the_file_says_all(tmp_path: Any) -> None:
    data = ACCENTS.to_json()
    again = WordPieceTokenizer.from_json(data, "x")
    assert again.to_json() == data
    assert (again.vocab, again.lowercase) == (ACCENTS.vocab, True)
    assert [again.pad, again.unk, again.cls, again.sep, again.mask] == [0, 1, 2, 3, 4]
    assert again.continues.tolist() == [piece.startswith("##") for piece in again.vocab]
    library = _library(again)
    assert library.encode("cat", "stop").tokens == ["[CLS]", "cat", "[SEP]", "stop", "[SEP]"]
    assert library.encode("cat", "stop").type_ids == [0, 0, 0, 1, 1]


def test_ids_of_other_makers_stay_and_truncation_goes() -> None:
    pieces = ["[PAD]", "[unused0]", "cat", *SPECIALS[1:], "##s"]
    library = _library(WordPieceTokenizer.from_vocab(pieces))
    library.enable_truncation(2)
    library.enable_padding(length=7)
    library.add_tokens([AddedToken("<e1>", special=True)])
    found = WordPieceTokenizer.from_json(library.to_str().encode(), "x")
    assert (found.pad, found.unk, found.cls, found.sep, found.mask) == (0, 3, 4, 5, 6)
    assert _lists(found, ["cats <e1> cat cat"]) == [[2, 7, 8, 2, 2]]


def test_a_piece_of_another_maker_that_is_normalized() -> None:
    library = _library(UNCASED)
    library.add_tokens([AddedToken("É日 x", normalized=True)])
    found = WordPieceTokenizer.from_json(library.to_str().encode(), "x")
    texts = ["a é 日 x b", "E日 x", "cat"]
    assert _lists(found, texts) == _by_library(library, texts)


def _changed(**parts: Any) -> bytes:
    document = json.loads(UNCASED.to_json())
    for name, value in parts.items():
        outer, _, inner = name.partition("__")
        if inner:
            document[outer][inner] = value
        else:
            document[outer] = value
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "no JSON"),
        (b"[]", "no JSON object"),
        (b"\xff", "no JSON"),
        (b'{"a": 1, "a": 2}', "duplicate key"),
        (b"[" * 100_000, "nested deeper"),
        (b"{}", "no model"),
        (_changed(model__type="BPE"), "model BPE, wanted WordPiece"),
        (_changed(model__type="Unigram"), "model Unigram, wanted WordPiece"),
        (_changed(normalizer=None), "no normalizer"),
        (_changed(normalizer={"type": "Lowercase"}), "normalizer Lowercase"),
        (_changed(pre_tokenizer={"type": "Whitespace"}), "pre_tokenizer Whitespace"),
        (_changed(model__continuing_subword_prefix=""), "continuing_subword_prefix"),
        (_changed(model__unk_token="<unk>"), "unk_token '<unk>'"),
        (_changed(model__max_input_chars_per_word=-1), "max_input_chars_per_word -1"),
        (_changed(model__vocab={}), "no vocabulary"),
        (_changed(model__vocab={"a": 5}), "id 5, wanted 0 to 0"),
        (_changed(model__vocab={"a": 0, "b": 0}), "piece b has the id 0"),
        (_changed(model__vocab={"a": "0"}), "piece a has the id '0'"),
        (_changed(model__vocab={"a": 0}, added_tokens=[]), "no piece [PAD], [UNK]"),
        (_changed(added_tokens=[{"id": 0}]), "added_tokens"),
        (_changed(added_tokens=[{"id": 7, "content": "[PAD]"}]), "added piece [PAD]"),
        (_changed(normalizer__lowercase="yes"), "lowercase 'yes'"),
    ],
)
def test_another_kind_of_tokenizer_is_refused_in_one_line(data: bytes, told: str) -> None:
    with pytest.raises(DataError) as caught:
        WordPieceTokenizer.from_json(data, "tokenizer.json")
    assert caught.value.message.startswith("tokenizer.json: ")
    assert told in caught.value.message
    assert "\n" not in caught.value.message


def test_faults_of_a_list_of_pieces_are_named() -> None:
    with pytest.raises(DataError, match=r"^v line 7: cat stands on line 6 too$"):
        WordPieceTokenizer.from_vocab([*SPECIALS, "cat", "cat"], where="v")
    with pytest.raises(DataError, match=r"^v line 6: empty"):
        WordPieceTokenizer.from_vocab([*SPECIALS, "", "cat"], where="v")
    with pytest.raises(DataError, match=r"^v: no piece \[MASK\]"):
        WordPieceTokenizer.from_vocab(SPECIALS[:4], where="v")
    windows = "\r\n".join([*SPECIALS, "cat", ""])
    assert WordPieceTokenizer.from_vocab(windows.split("\n")).vocab == [*SPECIALS, "cat"]


# --- learning a vocabulary -------------------------------------------------------------


def _plainly(words: dict[str, int], size: int, least: int) -> list[str]:
    """The same rule, counting everything anew for each piece."""
    cut = {word: [word[0], *("##" + c for c in word[1:])] for word in words}
    symbols: Counter[str] = Counter()
    for word, n in words.items():
        for symbol in cut[word]:
            symbols[symbol] += n
    room = max(0, int(0.75 * (size - 5)))
    often = sorted(symbols, key=lambda s: (-symbols[s], s))
    pieces = [*SPECIALS, *sorted([s for s in often if symbols[s] >= least][:room])]
    ids = {piece: i for i, piece in enumerate(pieces)}
    cut = {word: parts for word, parts in cut.items() if all(p in ids for p in parts)}
    while len(pieces) < size:
        pairs: Counter[tuple[int, int]] = Counter()
        for word, parts in cut.items():
            for a, b in pairwise(parts):
                pairs[ids[a], ids[b]] += words[word]
        best = min(pairs, key=lambda pair: (-pairs[pair], pair), default=None)
        if best is None or pairs[best] < least:
            break
        a, b = (pieces[i] for i in best)
        joined = a + b.removeprefix("##")
        if joined not in ids:
            ids[joined] = len(pieces)
            pieces.append(joined)
        for parts in cut.values():
            at = 0
            while at < len(parts) - 1:
                if parts[at : at + 2] == [a, b]:
                    parts[at : at + 2] = [joined]
                at += 1
    return pieces


@settings(max_examples=120, deadline=None)
@given(
    st.dictionaries(st.text("aab", min_size=1, max_size=9), st.integers(1, 4), max_size=12),
    st.integers(6, 40),
    st.integers(1, 4),
)
def test_pieces_are_learnt_as_by_a_plain_loop(words: dict[str, int], size: int, least: int) -> None:
    assert learn_pieces(words, size, least) == _plainly(words, size, least)


LEARN = """
import sys
from nlpcli.text.wordpiece import WordPieceTokenizer
texts = [f"tie{i % 7}eti{i % 5} naïve 我来到{chr(0x4E00 + i % 50)} The{i}" for i in range(400)]
sys.stdout.buffer.write(WordPieceTokenizer.train(texts, 150).to_json())
"""


def test_the_same_texts_give_the_same_bytes_in_every_process() -> None:
    found = [
        subprocess.run(
            [sys.executable, "-c", LEARN],
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
        for seed in "123"
    ]
    assert found[0] == found[1] == found[2]
    learnt = WordPieceTokenizer.from_json(found[0], "x")
    assert len(learnt) == learnt.n_pieces == 150
    assert learnt.vocab[:5] == list(SPECIALS)


def test_learning_cleans_as_encoding_does() -> None:
    learnt = WordPieceTokenizer.train(["Café 我来 [MASK] UPPER\x0bCASE “quoted”"] * 3, 100)
    for piece in ("cafe", "我", "uppercase", "quoted", "[", "mask", "“"):
        assert piece in learnt.vocab
    assert learnt.unk not in learnt.encode(["CAFÉ 我来 “quoted”"]).ids
    cased = WordPieceTokenizer.train(["Café TOP top"] * 3, 100, lowercase=False)
    assert {"Café", "TOP", "top"} <= set(cased.vocab)


def test_texts_may_give_less_than_was_asked_and_no_more_is_read() -> None:
    assert len(WordPieceTokenizer.train(["ab ab"], 1000)) == 8
    learnt = WordPieceTokenizer.train(["ab ab"] * 200_000 + ["zz zz"], 1000, most_bytes=1000)
    assert "z" not in learnt.vocab
    with pytest.raises(DataError, match="no words"):
        WordPieceTokenizer.train(["", " \x00"], 100)
    with pytest.raises(ValueError, match="vocab_size: 5"):
        WordPieceTokenizer.train(["a"], 5)


def test_too_many_different_words_and_the_rarest_are_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wordpiece_words, "MOST_WORDS", 20)
    monkeypatch.setattr(wordpiece_words, "_BATCH", 100)
    texts = [f"often x{i} often" for i in range(300)]
    learnt = WordPieceTokenizer.train(texts, 100, min_frequency=1)
    assert "often" in learnt.vocab


def test_a_long_line_is_cut() -> None:
    line = "word " * 200_000 + "a" * 1_000_000
    assert len(UNCASED.encode([line]).ids) == 800_001
