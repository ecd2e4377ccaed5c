"""How many texts were longer than a model reads, and what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from nlpcli.batching.framing import Rows


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

    def count(self, rows: Rows, asked: npt.NDArray[np.int64] | None = None) -> None:
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
