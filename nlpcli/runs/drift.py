"""From a model's rows to its reference, and from predicted rows to how far they are from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nlpcli.text.known_words import KnownWords
from nlpcli.text.row_cells import Reference, make_reference

if TYPE_CHECKING:
    from nlpcli.store.draft import Draft

F64 = npt.NDArray[np.float64]
FEWEST = 50
"""Rows that a reference is made of at least."""
MOST_ROWS, MOST_TEXTS = 5_000, 20_000
"""Rows that are measured, and training texts that words are taken from, evenly spread, at most."""
SIMPLE_SEED = 1


def keep_reference(
    draft: Draft, train: Sequence[str], texts: Sequence[str], probabilities: F64,
    labels: list[str], limit: int | None = None,
) -> None:  # fmt: skip
    """Writes statistics of ``texts`` [B], which were not learnt from, and their probabilities
    [B, K] into a draft; nothing where there are too few. ``limit``: bytes of the model.

    ``texts`` may be among ``train``, where a part was learnt from later: words are then known from
    the others alone, or the model would know more of them than of new ones.
    """
    from nlpcli.store.reference import write_reference

    if len(texts) < FEWEST:
        return
    chosen = _spread(len(texts), MOST_ROWS)
    p = probabilities[chosen]
    measured = set(texts)
    others = [text for text in train if text not in measured] or list(train)
    known = KnownWords.of(others[i] for i in _spread(len(others), MOST_TEXTS).tolist())
    reference = make_reference(
        [texts[i] for i in chosen.tolist()], [labels[i] for i in p.argmax(axis=1).tolist()],
        p.max(axis=1), known,
    )  # fmt: skip
    write_reference(draft, reference, limit)


def _spread(n: int, most: int) -> npt.NDArray[np.int64]:
    """At most ``most`` of the numbers below n, evenly."""
    size = min(n, most)
    return np.arange(size, dtype=np.int64) * n // max(size, 1)


class DriftMonitor:
    """Counts rows that are answered, batch by batch; ``document`` compares them."""

    def __init__(self, reference: Reference, labels: list[str]) -> None:
        self._reference, self._labels = reference, labels
        self._counts = reference.empty()

    def see(self, texts: Sequence[str], probabilities: F64) -> None:
        """Counts one batch: B texts, and their probabilities [B, K]."""
        if not len(texts):
            return
        answers = [self._labels[i] for i in probabilities.argmax(axis=1).tolist()]
        cells = self._reference.cells(texts, answers, probabilities.max(axis=1))
        for name, found in cells.items():
            self._counts[name] += np.bincount(found, minlength=len(self._counts[name]))

    def document(self, *, level: float, least: float) -> dict[str, Any]:
        """As ``evaluation.drift.compare``, of all rows so far; the same for any chunking."""
        from nlpcli.evaluation.drift import compare

        return compare(self._reference, self._counts, level=level, least=least, seed=SIMPLE_SEED)
