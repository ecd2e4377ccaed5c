"""The order of rows, whatever part of it has room in memory."""

from __future__ import annotations

import numpy as np
import pytest

from nlpcli.data import ngram_table
from nlpcli.data.ngram_levels import ByLabel
from nlpcli.data.ngram_table import NgramTable, Part
from nlpcli.data.spool import Room

LABELS = ["x", "y", "z"]


def table(*, by_label: bool, room: int, most: int = 5) -> NgramTable:
    draws, parts = np.random.default_rng(3), []
    for n, size in ((1, 40), (2, 0), (3, 75)):
        counts, documents = (draws.integers(1, most, size) for _ in range(2))
        entries = np.sort(draws.integers(0, max(1, size), size))
        entry_labels = draws.integers(0, 3, size)
        own = ByLabel(entries, entry_labels, counts[::-1].copy(), documents[::-1].copy())
        parts.append(Part(n, counts, documents, 999, own, lambda rows, _: list(map(str, rows))))
    return NgramTable(parts, LABELS, np.array([4, 5, 6]), 15, by_label, " ", Room(room))


@pytest.mark.parametrize("by", ["count", "document-frequency", "ngram"])
@pytest.mark.parametrize("by_label", [False, True])
@pytest.mark.parametrize("most", [5, 2**60])
def test_rows_come_by_label_then_the_most_first_then_as_they_stand(
    monkeypatch: pytest.MonkeyPatch, by: str, by_label: bool, most: int
) -> None:
    made = table(by_label=by_label, room=0, most=most)
    name = "counts" if by == "count" else "documents"
    values = np.concatenate([getattr(p.by_label if by_label else p, name) for p in made.parts])
    labels = np.concatenate([p.by_label.labels for p in made.parts if p.by_label is not None])
    wanted = sorted(
        range(len(values)),
        key=lambda k: (labels[k] if by_label else 0, -values[k] if by != "ngram" else 0, k),
    )
    assert made.order(by, None, None).tolist() == wanted
    monkeypatch.setattr(ngram_table, "_SORTED", 16)
    for room in (0, 300, 10**6):
        again = table(by_label=by_label, room=room, most=most)
        assert again.order(by, None, None).tolist() == wanted
    few = made.order(by, 2, None).tolist()
    if by_label:
        starts = np.searchsorted(np.sort(labels), range(3)).tolist()
        assert few == [row for start in starts for row in wanted[start : start + 2]]
    else:
        assert few == wanted[:2]
    assert len(made.order(by, None, 0.1)) == (
        sum(round(0.1 * n) for n in np.bincount(labels)) if by_label else round(0.1 * len(values))
    )


def test_no_rows_have_an_order() -> None:
    empty = np.empty(0, np.int64)
    part = Part(1, empty, empty, 0, None, lambda rows, _: list(map(str, rows)))
    for by in ("count", "ngram"):
        assert len(NgramTable([part], [], empty, 0, False).order(by, None, 0.1)) == 0
