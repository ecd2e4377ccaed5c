"""How many texts, words or questions were longer than a model reads, and what became of them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from nlpcli.batching.framing import Rows
    from nlpcli.batching.question_windows import Windows
    from nlpcli.batching.word_rows import WordRows

DEV = "dev part: "
"""Before what is told of it."""
I64 = npt.NDArray[np.int64]
T = TypeVar("T", bound=Hashable)


@dataclass
class LongTexts:
    """Of ``n`` texts those that lost pieces, those that were read in windows, and these windows.

    ``longest``: positions of a row.
    """

    longest: int
    n: int = 0
    n_cut: int = 0
    n_windowed: int = 0
    n_windows: int = 0

    def count(self, rows: Rows, asked: I64 | None = None) -> None:
        """Adds the texts of these rows, or so many of them: ``asked`` int64, numbers of texts."""
        windows = rows.windows
        n_texts = len(rows) if windows is None else len(windows.counts)
        asked = np.arange(n_texts) if asked is None else asked
        self.n += len(asked)
        if rows.cut is not None:
            self.n_cut += int(rows.cut[asked].sum())
        if windows is not None:
            several = windows.counts[asked]
            several = several[several > 1]
            self.n_windowed += len(several)
            self.n_windows += int(several.sum())

    def lines(self) -> list[str]:
        """What to tell of it; nothing where all texts fitted."""
        found = []
        if self.n_windowed:
            found.append(
                f"longer than {self.longest} pieces and read in windows: {self.n_windowed:,} of "
                f"{self.n:,} rows, {self.n_windows:,} windows"
            )
        if self.n_cut:
            found.append(
                f"longer than {self.longest} pieces and cut: {self.n_cut:,} of {self.n:,} rows"
            )
        return found


@dataclass
class LongWords:
    """Of ``n`` sentences, or texts (``what``), those that were read in parts; and ``n_cut`` of
    their words, which alone are longer than a row. ``longest``: positions of a row.
    """

    longest: int
    what: str = "sentences"
    n: int = 0
    n_split: int = 0
    n_cut: int = 0

    def count(self, words: WordRows, asked: I64 | None = None) -> None:
        """Adds these sentences, or so many of them: ``asked`` int64, their numbers."""
        asked = np.arange(len(words.split)) if asked is None else asked
        self.n += len(asked)
        self.n_split += int(words.split[asked].sum())
        self.n_cut += int(words.lost[asked].sum())

    def lines(self) -> list[str]:
        """What to tell of it; nothing where all fitted."""
        found = []
        if self.n_split:
            found.append(
                f"{self.what} of more than {self.longest} pieces, read in parts: "
                f"{self.n_split:,} of {self.n:,}"
            )
        if self.n_cut:
            found.append(f"words of more than {self.longest} pieces, cut: {self.n_cut:,}")
        return found


@dataclass
class LongQuestions:
    """Of ``n`` questions those that lost pieces."""

    n: int = 0
    n_cut: int = 0

    def count(self, windows: Windows, asked: I64 | None = None) -> None:
        """Adds these questions, or so many of them: ``asked`` int64, their numbers."""
        asked = np.arange(len(windows.cut)) if asked is None else asked
        self.n += len(asked)
        self.n_cut += int(windows.cut[asked].sum())

    def lines(self) -> list[str]:
        """What to tell of it; nothing where all fitted."""
        if not self.n_cut:
            return []
        return [f"questions that are too long and cut: {self.n_cut:,} of {self.n:,}"]


Long = LongTexts | LongWords | LongQuestions


def places_of(asked: Sequence[T]) -> tuple[list[T], I64]:
    """What is different of ``asked``, and the number of each there, int64 [len(asked)]."""
    place = {each: number for number, each in enumerate(dict.fromkeys(asked))}
    return list(place), np.array([place[each] for each in asked], np.int64)
