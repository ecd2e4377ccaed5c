"""Texts, or rows with labels, -> sentences of numbered words or characters for a language model."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nlpcli.data.source import Source
from nlpcli.data.unit_reading import Reading, UnitReader
from nlpcli.errors import DataError
from nlpcli.text.hashing import mix
from nlpcli.text.sentence_ids import SPECIAL, UNK, with_borders
from nlpcli.text.units import BREAK
from nlpcli.text.word_counts import MOST_WORDS, CutRun, WordTable

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
Progress = Callable[[int, float | None], None]
"""Words read so far, and the share of all bytes that they are where that is known."""

_CHUNK = 1 << 20
"""Words that are numbered anew at once."""


@dataclass(frozen=True)
class SentenceCorpus:
    """``tokens`` int32 [T]: sentences of <s>, words and </s>, none blank; ``sizes`` int64 [S].

    ``words`` [V] names the numbers, the most frequent first behind <unk>, <s> and </s>.
    ``labels``, ascending, and ``owners`` int32 [S], the label of each sentence; None without. Each
    label has a sentence; ``n_blank`` rows with a label had none.
    ``n_unknown``: words that became <unk>, rare as they are. ``unk_is_word``: the texts say <unk>.
    ``forgotten``: above 0, words that occurred so often may be among the unknown: there were too
    many different ones.
    """

    tokens: I32
    sizes: I64
    words: list[str]
    labels: list[str]
    owners: I32 | None
    n_unknown: int
    unk_is_word: bool
    n_skipped: int
    forgotten: int
    sha256: str
    n_blank: int = 0

    @property
    def n_words(self) -> int:
        """Words or characters of all sentences, without borders."""
        return len(self.tokens) - 2 * len(self.sizes)

    def n_conflicts(self) -> int:
        """Different sentences that occur with several labels; those with unknown words do not
        count, they may be different ones."""
        if self.owners is None:
            return 0
        starts = np.cumsum(self.sizes) - self.sizes
        places = np.arange(len(self.tokens)) - np.repeat(starts, self.sizes)
        keys = (places.astype(np.uint64) << np.uint64(32)) | self.tokens.astype(np.uint64)
        sums = np.add.reduceat(mix(keys), starts)
        known = ~np.logical_or.reduceat(self.tokens == UNK, starts)
        sums, owners = sums[known], self.owners[known]
        order = np.lexsort((owners, sums))
        sums, owners = sums[order], owners[order]
        other = (sums[1:] == sums[:-1]) & (owners[1:] != owners[:-1])
        return len(np.unique(sums[1:][other]))


class SentenceReader:
    """Reads files once; a line of a text, or a row, is a sentence.

    Words that occur less than ``min_count`` times become <unk>. Raises InputMissing; DataError for
    bad rows (unless skipped), where no word is left, and for texts that say <s> or </s>.
    """

    def __init__(self, reading: Reading, *, min_count: int, most_words: int = MOST_WORDS) -> None:
        self._reading, self._min_count = reading, min_count
        self._reader = UnitReader(reading, most_words)
        self._table = WordTable(most_words)
        self._numbers: list[I32] = []
        self._sizes: list[I64] = []
        self._owners: list[I32] = []
        self._open = False

    def read(
        self, pool: ThreadPoolExecutor, workers: int, progress: Progress | None = None
    ) -> SentenceCorpus:
        """The corpus; call it once. ``progress`` may raise, to stop."""
        n_words, one = 0, len(self._reading.paths) == 1
        for path in self._reading.paths:
            for batch, cut in self._reader.cuts(path, pool, workers):
                owners = self._reader.owners(batch)
                if isinstance(cut, CutRun):
                    self._add(self._table.number(cut), cut.sizes, owners)
                else:
                    self._add(cut.units[cut.units != BREAK], cut.stretches, owners)
                self._open = batch.goes_on
                n_words += len(self._numbers[-1])
                if progress is not None:
                    progress(n_words, batch.share if one else None)
            self._open = False
        if not n_words:
            paths = self._reading.paths
            name = Source.name_of(paths[0]) if len(paths) == 1 else f"{len(paths):,} files"
            raise DataError(f"{name}: no words")
        return self._numbered()

    def _add(self, numbers: I32, sizes: I64, owners: I32 | None) -> None:
        if self._open and len(sizes):  # the first line is the rest of the last one
            self._sizes[-1][-1] += sizes[0]
            sizes = sizes[1:]
        self._numbers.append(numbers)
        if len(sizes):
            self._sizes.append(sizes.copy())
        if owners is not None:
            self._owners.append(owners)

    def _numbered(self) -> SentenceCorpus:
        words, counts, ranks = self._vocabulary()
        for special in SPECIAL[1:]:
            if special in words:
                raise DataError(
                    f"the texts have the word {special}, which stands for the border of a sentence"
                )
        kept = int(np.searchsorted(-counts, -self._min_count, side="right"))
        places = np.arange(len(SPECIAL), len(SPECIAL) + len(words), dtype=np.int32)
        places[kept:] = -1
        said = words.index(SPECIAL[UNK]) if SPECIAL[UNK] in words else -1
        if said >= 0:
            places[said + 1 :] -= places[said + 1 :] >= 0
            places[said] = UNK
        places = np.append(places, np.int32(-1))[ranks]  # a rank of -1 is one that was forgotten
        sizes = np.concatenate(self._sizes)
        filled = sizes > 0
        tokens, n_unknown = self._tokens(places, sizes[filled])
        labels, owners = self._labelled(filled)
        names = [word for rank, word in enumerate(words[:kept]) if rank != said]
        return SentenceCorpus(
            tokens,
            sizes[filled] + 2,
            [*SPECIAL, *names],
            labels,
            owners,
            n_unknown,
            said >= 0,
            self._reader.n_skipped,
            self._table.forgotten,
            self._reader.sha256(),
            0 if owners is None else len(sizes) - len(owners),
        )

    def _vocabulary(self) -> tuple[list[str], I64, I32]:
        """All words, most frequent first, their counts, and the rank of each number."""
        if self._reading.level == "word":
            return self._table.ranked(1)
        codes = np.zeros(0x110000, np.int64)
        for numbers in self._numbers:
            codes += np.bincount(numbers, minlength=len(codes))
        order = np.argsort(-codes, kind="stable")[: np.count_nonzero(codes)]
        ranks = np.full(len(codes), -1, np.int32)
        ranks[order] = np.arange(len(order), dtype=np.int32)
        return [chr(code) for code in order.tolist()], codes[order], ranks

    def _tokens(self, places: I32, sizes: I64) -> tuple[I32, int]:
        """The sentences with their borders, and how many words are unknown."""
        numbers = np.concatenate([np.empty(0, np.int32), *self._numbers])
        self._numbers.clear()
        tokens = np.empty(len(numbers) + 2 * len(sizes), np.int32)
        ends, n_unknown = np.cumsum(sizes), 0
        first = 0
        while first < len(sizes):
            begin = int(ends[first - 1]) if first else 0
            after = max(first + 1, int(np.searchsorted(ends, begin + _CHUNK, side="right")))
            end = int(ends[after - 1])
            made = with_borders(places[numbers[begin:end]], sizes[first:after])
            tokens[begin + 2 * first : end + 2 * after] = made.tokens
            n_unknown += int(made.unknown.sum())
            first = after
        return tokens, n_unknown

    def _labelled(self, filled: npt.NDArray[np.bool_]) -> tuple[list[str], I32 | None]:
        if self._reading.label_column is None:
            return [], None
        names = [group[0] for group in self._reader.groups]
        owners = np.concatenate(self._owners)[filled]
        # nothing is learnt about a label whose texts are all blank
        order = sorted(np.unique(owners).tolist(), key=names.__getitem__)
        rank = np.full(len(names), -1, np.int32)
        rank[order] = np.arange(len(order), dtype=np.int32)
        return [names[at] for at in order], rank[owners]
