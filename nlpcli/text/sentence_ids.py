"""Texts -> numbers of their words or characters, with what a language model needs around them.

Number 0 is <unk>, which stands for all words that are not known, 1 is <s> and 2 is </s>, the
borders of a sentence; words follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from nlpcli.text.config import TokenizerConfig
from nlpcli.text.normalize import join_texts
from nlpcli.text.units import BREAK, char_units
from nlpcli.text.word_counts import cut_texts

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

UNK, BOS, EOS = 0, 1, 2
SPECIAL = ("<unk>", "<s>", "</s>")
Level = Literal["word", "char"]


@dataclass(frozen=True)
class Sentences:
    """B sentences, each of which is <s>, words, </s>: ``tokens`` int32 [T]; ``unknown`` bool [T]
    which of them were no known word; ``sizes`` int64 [B] tokens of each, borders too."""

    tokens: I32
    unknown: Bools
    sizes: I64

    @property
    def words(self) -> I64:
        """Words, or characters, of each sentence, int64 [B]."""
        return self.sizes - 2


class SentenceCoder:
    """Cuts texts as ``config`` says, into words or characters, and numbers them.

    ``words`` [V] names the numbers; the first three are ``SPECIAL``. ``unk_is_word``: <unk>
    was a word of the training text, so that it is known where a text has it.
    """

    def __init__(
        self, words: Sequence[str], config: TokenizerConfig, level: Level, *, unk_is_word: bool
    ) -> None:
        self.words, self.config, self.level = words, config, level
        self.unk_is_word = unk_is_word
        self._numbers = {word: number for number, word in enumerate(words)}
        for special in SPECIAL[0 if not unk_is_word else 1 :]:
            self._numbers.pop(special, None)  # a text that says <s> means no border
        codes = np.array(
            [ord(word) if len(word) == 1 else -1 for word in words] if level == "char" else [],
            np.int64,
        )
        order = np.argsort(codes, kind="stable")
        self._codes, self._code_numbers = codes[order], order.astype(np.int32)

    def encode(self, texts: Sequence[str]) -> Sentences:
        """Each text as one sentence, however blank it is."""
        if self.level == "char":
            joined = join_texts(texts, self.config.cleaning)
            run = char_units(joined)
            return with_borders(self._known_codes(run.units[run.units != BREAK]), run.stretches)
        cut = cut_texts(self.config, texts)
        words = cut.words(np.arange(len(cut.hashes)))
        numbers = np.array([self._numbers.get(word, -1) for word in words], np.int32)
        return with_borders(numbers[cut.numbers], cut.sizes)

    def _known_codes(self, codes: I32) -> I32:
        if not len(self._codes):
            return np.full(len(codes), -1, np.int32)
        at = np.minimum(np.searchsorted(self._codes, codes), len(self._codes) - 1)
        found: I32 = np.where(self._codes[at] == codes, self._code_numbers[at], np.int32(-1))
        return found

    def characters(self, texts: Sequence[str]) -> I64:
        """Characters of each text as it is cut, white space as one blank, int64 [B]."""
        stretches: I64 = char_units(join_texts(texts, self.config.cleaning)).stretches
        return stretches


def with_borders(numbers: I32, sizes: I64) -> Sentences:
    """Sentences of so many words, -1 for one that is not known, with <s> and </s> around each."""
    tokens = np.full(len(numbers) + 2 * len(sizes), EOS, np.int32)
    ends = np.cumsum(sizes + 2)
    tokens[ends - sizes - 2] = BOS
    at = np.arange(len(numbers)) + np.repeat(2 * np.arange(len(sizes)) + 1, sizes)
    tokens[at] = numbers
    unknown = tokens < 0
    tokens[unknown] = UNK
    return Sentences(tokens, unknown, sizes + 2)
