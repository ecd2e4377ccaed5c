"""Words -> their pieces, each cut once and remembered."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from tokenizers import Tokenizer

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

MOST_CHARACTERS = 1 << 25
"""Of remembered words; when there are more, all are forgotten."""
_NO_BORDER = "\x0b\x0c\x1c\x1d\x1e\x1f\x85"
"""Blanks for ``re`` and ``str.split``; BERT's cleaning drops them, so that words grow together."""
_PUNCTUATION = r"!-/:-@\[-`{-~"
_CHINESE = (
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002a6df\U0002a700-\U0002b73f"
    "\U0002b740-\U0002b81f\U0002b920-\U0002ceaf\U0002f800-\U0002fa1f"
)
_ASCII_WORDS = re.compile(f"[0-9A-Za-z]+|[{_PUNCTUATION}]")
_LOWER_WORDS = re.compile(f"[0-9a-z]+|[{_PUNCTUATION}]")
_WORDS = re.compile(rf"[{_PUNCTUATION}{_CHINESE}]|[^\s{_PUNCTUATION}{_CHINESE}]+")
_CONTROL = re.compile("[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f]")
_FILL = 4096


@dataclass(frozen=True)
class PieceTable:
    """Word i has ``sizes``[i] pieces of ``pieces`` int32, from ``starts``[i] on; both int64 [W]."""

    pieces: I32
    starts: I64
    sizes: I64


class _Numbers(dict[str, int]):
    """Words numbered as they are first met; ``new`` ones are listed."""

    def __init__(self) -> None:
        super().__init__()
        self.new: list[str] = []
        self.n_characters = 0

    def __missing__(self, word: str) -> int:
        number = self[word] = len(self)
        self.new.append(word)
        self.n_characters += len(word)
        return number


class WordCutter:
    """Remembers words and their pieces; for one thread at a time."""

    def __init__(self, library: Tokenizer, lowercase: bool) -> None:
        self._library, self._lowercase = library, lowercase
        added = [token.content for token in library.get_added_tokens_decoder().values()]
        self._marks = [mark for mark in added if mark]
        self._forget()

    def _forget(self) -> None:
        self._numbers = _Numbers()
        self._pieces = np.empty(0, np.int32)
        self._n_pieces = 0
        self._starts = np.empty(0, np.int64)
        self._sizes = np.empty(0, np.int64)

    def numbers(self, texts: Sequence[str]) -> tuple[I32, I64, PieceTable]:
        """The words of texts as rows of a table, int32, and how many each text has, int64 [B]."""
        if self._numbers.n_characters > MOST_CHARACTERS:
            self._forget()
        words = self._words(texts)
        sizes = np.fromiter(map(len, words), np.int64, len(words))
        look_up = map(self._numbers.__getitem__, chain.from_iterable(words))
        numbers = np.fromiter(look_up, np.int32, int(sizes.sum()))
        self._fill()
        return numbers, sizes, PieceTable(self._pieces, self._starts, self._sizes)

    def _words(self, texts: Sequence[str]) -> list[list[str]]:
        joined = "\n".join(texts)
        whole = any(mark in joined for mark in self._marks)
        whole = whole or any(character in joined for character in _NO_BORDER)
        if joined.isascii() and not whole and not _CONTROL.search(joined):
            return self._ascii_words(texts)
        return [self._words_of(text) for text in texts]

    def _ascii_words(self, texts: Sequence[str]) -> list[list[str]]:
        if self._lowercase:
            return [_LOWER_WORDS.findall(text.lower()) for text in texts]
        return [_ASCII_WORDS.findall(text) for text in texts]

    def _words_of(self, text: str) -> list[str]:
        if any(mark in text for mark in self._marks):
            return [text]
        if text.isascii() and not _CONTROL.search(text):
            return self._ascii_words([text])[0]
        if any(character in text for character in _NO_BORDER):
            return [text]
        return _WORDS.findall(text)

    def _fill(self) -> None:
        """Cuts the words that are new."""
        new, self._numbers.new = self._numbers.new, []
        if not new:
            return
        ids: list[I32] = []
        sizes: list[I64] = []
        for begin in range(0, len(new), _FILL):
            some = new[begin : begin + _FILL]
            found = self._library.encode(some, is_pretokenized=True, add_special_tokens=False)
            ids.append(np.array(found.ids, np.int32))
            owners = np.array(found.word_ids, np.int64)
            sizes.append(np.bincount(owners, minlength=len(some)))
        self._add(np.concatenate(ids), np.concatenate(sizes))

    def _add(self, ids: I32, sizes: I64) -> None:
        # what was handed out is not written to
        starts = len(self._pieces) + np.cumsum(sizes) - sizes
        self._starts = np.concatenate([self._starts, starts])
        self._sizes = np.concatenate([self._sizes, sizes])
        self._pieces = np.concatenate([self._pieces, ids])
