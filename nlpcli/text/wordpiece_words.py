"""Words -> their pieces, each cut once and remembered."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nlpcli.text.wordpiece_file import SPECIALS

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
_CONTROL = bytes({*range(32), 127} - {*b"\t\n\r"})
_FILL = 4096
MOST_WORDS = 2_000_000
"""Different words that are counted; they take about 150 bytes each."""
_BATCH = 1 << 18
"""Characters that are cut at once."""


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


class WordSplitter:
    """Cuts texts between words, where BERT's cleaning and cutting see nothing of the other side.

    A text stays whole that spells out one of the ``marks``, pieces that are found before words
    are, or in which control characters stand, which are dropped; all do unless ``may_cut``.
    """

    def __init__(self, marks: Sequence[str], lowercase: bool, *, may_cut: bool = True) -> None:
        self._marks, self._may_cut = marks, may_cut
        self._ascii = _LOWER_WORDS if lowercase else _ASCII_WORDS
        self._lowercase = lowercase

    def words(self, texts: Sequence[str]) -> list[list[str]]:
        """The words of each text; those of ASCII texts in lower case, if that is wanted."""
        joined = "\n".join(texts)
        if joined.isascii() and not self._stays_whole(joined):
            cut = self._ascii.findall
            return list(map(cut, map(str.lower, texts) if self._lowercase else texts))
        return [self._words_of(text) for text in texts]

    def _stays_whole(self, text: str) -> bool:
        if not self._may_cut or any(mark in text for mark in self._marks):
            return True
        if text.isascii():
            return len(text.encode().translate(None, _CONTROL)) < len(text)
        return any(character in text for character in _NO_BORDER)

    def _words_of(self, text: str) -> list[str]:
        if self._stays_whole(text):
            return [text]
        if text.isascii():
            return self._ascii.findall(text.lower() if self._lowercase else text)
        return _WORDS.findall(text)


class WordCutter:
    """Remembers words and their pieces; for one thread at a time."""

    def __init__(self, library: Tokenizer, splitter: WordSplitter) -> None:
        self._library, self._splitter = library, splitter
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
        words = self._splitter.words(texts)
        sizes = np.fromiter(map(len, words), np.int64, len(words))
        look_up = map(self._numbers.__getitem__, chain.from_iterable(words))
        numbers = np.fromiter(look_up, np.int32, int(sizes.sum()))
        self._fill()
        return numbers, sizes, PieceTable(self._pieces, self._starts, self._sizes)

    def _fill(self) -> None:
        """Cuts the words that are new."""
        new, self._numbers.new = self._numbers.new, []
        for begin in range(0, len(new), _FILL):
            some = new[begin : begin + _FILL]
            found = self._library.encode(some, is_pretokenized=True, add_special_tokens=False)
            owners = np.array(found.word_ids, np.int64)
            self._add(np.array(found.ids, np.int32), np.bincount(owners, minlength=len(some)))

    def _add(self, ids: I32, sizes: I64) -> None:
        # what was handed out is not written to
        starts = len(self._pieces) + np.cumsum(sizes) - sizes
        self._starts = np.concatenate([self._starts, starts])
        self._sizes = np.concatenate([self._sizes, sizes])
        self._pieces = np.concatenate([self._pieces, ids])


def count_words(
    texts: Iterable[str], library: Tokenizer, *, lowercase: bool, most_bytes: int
) -> dict[str, int]:
    """How often each word occurs, cleaned and cut as ``library`` does it.

    No text is read after ``most_bytes``. Where there are more than two million different words,
    the rarest are forgotten.
    """
    splitter = WordSplitter(SPECIALS, lowercase)
    raw: Counter[str] = Counter()
    n_bytes, batches = 0, _batches(texts)
    for batch in batches:
        raw.update(chain.from_iterable(splitter.words(batch)))
        if len(raw) > MOST_WORDS:
            raw = _without_rarest(raw)
        n_bytes += len("\n".join(batch).encode()) + 1
        if n_bytes >= most_bytes:
            break
    return _cleaned(raw, library, lowercase=lowercase)


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        batch.append(text)
        size += len(text) + 1
        if size > _BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _without_rarest(counts: Counter[str]) -> Counter[str]:
    """At most half as many as there may be."""
    by_count = Counter(counts.values())
    left, least = len(counts), 0
    for count in sorted(by_count):
        if left <= MOST_WORDS // 2:
            break
        left -= by_count[count]
        least = count
    return Counter({word: n for word, n in counts.items() if n > least})


def _cleaned(raw: Mapping[str, int], library: Tokenizer, *, lowercase: bool) -> dict[str, int]:
    counts: dict[str, int] = {}
    for word, n in raw.items():
        if word.isascii() and (word.isalnum() or (len(word) == 1 and word.isprintable())):
            words = [word.lower() if lowercase else word]
        else:
            text = library.normalizer.normalize_str(word)
            words = [each for each, _ in library.pre_tokenizer.pre_tokenize_str(text)]
        for each in words:
            counts[each] = counts.get(each, 0) + n
    return counts
