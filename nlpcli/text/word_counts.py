"""Runs of a corpus -> numbers of words, while words are counted and the vocabulary grows.

Words are known by their 64-bit hashes. Of V different words two share a hash, and would be taken
for one, with a probability of about V² / 2^65: 3e-8 for a million words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nlpcli.text.config import TokenizerConfig
from nlpcli.text.features import hashed_joined
from nlpcli.text.normalize import BORDER, join_texts, normalize_joined
from nlpcli.text.packed_words import PackedWords
from nlpcli.text.vocab import HashIndex, number_hashes

MOST_WORDS = 10_000_000
"""Different words that are kept in mind; they take about 60 bytes each."""
_LONG_WORDS = 32
"""Bytes that a word takes on average at most."""

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class CutRun:
    """The words of a run of lines.

    ``hashes`` uint64 [U] distinct, ascending, and ``counts`` [U] how often each occurs;
    ``numbers`` int32 [T] which of them stands where, ``sizes`` int64 [L] words of each line.
    ``starts`` and ``ends`` [T]: where words stand in ``text``.
    """

    hashes: U64
    counts: I64
    numbers: I32
    sizes: I64
    text: str
    starts: I64
    ends: I64

    def words(self, chosen: I64) -> list[str]:
        """Some of the distinct words, as strings."""
        first = np.empty(len(self.hashes), np.int64)
        first[self.numbers[::-1]] = np.arange(len(self.numbers) - 1, -1, -1)
        at = first[chosen]
        borders = zip(self.starts[at].tolist(), self.ends[at].tolist(), strict=True)
        return [self.text[start:end] for start, end in borders]


def cut_run(config: TokenizerConfig, text: str) -> CutRun:
    """Cuts lines into words; a last line may go without its end. ``text`` holds no NUL."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.endswith("\n"):
        text += "\n"
    return _cut_joined(config, normalize_joined(text.replace("\n", BORDER), config.cleaning))


def cut_texts(config: TokenizerConfig, texts: Sequence[str]) -> CutRun:
    """Cuts texts into words; each is a line, whatever line ends it holds."""
    return _cut_joined(config, join_texts(texts, config.cleaning))


def _cut_joined(config: TokenizerConfig, joined: str) -> CutRun:
    joined, words = hashed_joined(config, joined)
    hashes, counts, numbers = number_hashes(words.hashes)
    sizes = np.bincount(words.documents, minlength=joined.count(BORDER))
    return CutRun(hashes, counts, numbers, sizes, joined, words.starts, words.ends)


class WordTable:
    """Numbers words in the order in which they are first met, and counts them.

    Where there are more than ``most_words`` different ones, the rarest are forgotten, as
    ``ReduceVocab`` of word2vec.c does: ``forgotten`` is the highest count of such a word. One that
    comes again is a new word.
    """

    def __init__(self, most_words: int = MOST_WORDS) -> None:
        self._most_words = most_words
        self._index = HashIndex(np.empty(0, np.uint64))
        self._counts, self._numbers = np.empty(0, np.int64), np.empty(0, np.int32)
        self._words: list[bytes] = []
        self._n_bytes = 0
        self.n_numbers = 0
        self.n_words = 0
        self.forgotten = 0

    def __len__(self) -> int:
        return len(self._index)

    def number(self, run: CutRun) -> I32:
        """The number of each word of a run, int32 [T]; they are counted, new ones are added."""
        rows = self._index.rows(run.hashes)
        new = np.flatnonzero(rows < 0)
        if len(new):
            rows[new] = self._add(run, new)
        self._counts[rows] += run.counts
        self.n_words += len(run.numbers)
        numbers: I32 = self._numbers[rows][run.numbers]
        if len(self) > self._most_words or self._n_bytes > _LONG_WORDS * self._most_words:
            self._forget()
        return numbers

    def _add(self, run: CutRun, new: I64) -> I32:
        begin = len(self._index)
        self._index.add(run.hashes[new])
        end = len(self._index)
        if end > len(self._counts):
            self._counts, self._numbers = (
                np.concatenate([old, np.zeros(2 * end - len(old), old.dtype)])
                for old in (self._counts, self._numbers)
            )
        self._counts[begin:end] = 0
        self._numbers[begin:end] = np.arange(self.n_numbers, self.n_numbers + len(new))
        self.n_numbers += len(new)
        self._words.append("\n".join(run.words(new)).encode())
        self._n_bytes += len(self._words[-1])
        return np.arange(begin, end, dtype=np.int32)

    def _chosen(self, keep: npt.NDArray[np.bool_]) -> Iterator[list[bytes]]:
        """The words of the rows that are kept, bool [V], in their order."""
        begin = 0
        for several in self._words:
            words = several.split(b"\n")
            kept = keep[begin : begin + len(words)].tolist()
            begin += len(words)
            yield [word for word, stays in zip(words, kept, strict=True) if stays]

    def _forget(self) -> None:
        """Drops the rarest words until a quarter of the room is free."""
        counts = self._counts[: len(self)]
        room = 0.75 * self._most_words
        by_count = np.bincount(np.minimum(counts, 1 << 20))
        left = len(counts) - np.cumsum(by_count)
        enough = int(np.argmax(left <= room)) if (left <= room).any() else len(left) - 1
        self.forgotten = max(self.forgotten + 1, enough)
        keep = counts > self.forgotten
        self._words = [b"\n".join(words) for words in self._chosen(keep) if words]
        self._n_bytes = sum(map(len, self._words))
        self._counts, self._numbers = counts[keep], self._numbers[: len(counts)][keep]
        self._index = HashIndex(self._index.keys[keep])

    def most_frequent(self) -> int:
        """How often the most frequent word occurs."""
        return int(self._counts.max(initial=0))

    def packed(self, min_count: int) -> tuple[PackedWords, I64, I32]:
        """The words that occur ``min_count`` times, by their bytes, without a string for each.

        With their counts int64 [V]; int32 [n_numbers]: where each number is, -1 for rarer ones.
        """
        counts = self._counts[: len(self)]
        rows = np.flatnonzero(counts >= min_count)
        all_words = PackedWords.from_lines(b"\n".join([*self._words, b""]))
        rows = rows[all_words.chosen(rows).order()]
        places = np.full(self.n_numbers, -1, np.int32)
        places[self._numbers[rows]] = np.arange(len(rows), dtype=np.int32)
        return all_words.chosen(rows), counts[rows], places

    def ranked(self, min_count: int) -> tuple[list[str], I64, I32]:
        """The words that occur ``min_count`` times, most frequent first, then by their bytes.

        With their counts int64 [V]; int32 [n_numbers]: the rank of each number, -1 without one.
        """
        counts = self._counts[: len(self)]
        keep = counts >= min_count
        words = [word for part in self._chosen(keep) for word in part]
        order = np.array(sorted(range(len(words)), key=words.__getitem__), dtype=np.int64)
        order = order[np.argsort(-counts[keep][order], kind="stable")]
        ranks = np.full(self.n_numbers, -1, np.int32)
        ranks[self._numbers[: len(self)][keep][order]] = np.arange(len(order), dtype=np.int32)
        return [words[i].decode() for i in order.tolist()], counts[keep][order], ranks
