from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nlpcli.runs.drift import keep_reference
from nlpcli.text.row_cells import Reference


def texts(rng: np.random.Generator, n: int) -> list[str]:
    """Of words with a long tail."""
    return [" ".join(f"w{rank}" for rank in rng.zipf(1.3, 6).tolist()) for _ in range(n)]


@pytest.mark.parametrize("among", [True, False])
def test_rows_that_were_learnt_from_later_do_not_make_words_known(
    monkeypatch: pytest.MonkeyPatch, among: bool
) -> None:
    """The reference's share of rows without an unknown word is that of new rows."""
    kept: list[Reference] = []
    monkeypatch.setattr(
        "nlpcli.store.reference.write_reference", lambda draft, found, limit: kept.append(found)
    )
    rng = np.random.default_rng(5)
    train, new = texts(rng, 1200), texts(rng, 4000)
    measured = train[:400] if among else texts(rng, 400)
    sure = np.tile([0.9, 0.1], (400, 1))
    draft: Any = None
    keep_reference(draft, train if among else train[400:], measured, sure, ["a", "b"])
    [reference] = kept
    cells = reference.cells(new, ["a"] * len(new), np.full(len(new), 0.9))["unknown_words"]
    counts = np.asarray(reference.counts["unknown_words"], dtype=float)
    assert abs(counts[0] / counts.sum() - (cells == 0).mean()) < 0.05
