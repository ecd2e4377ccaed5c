"""N-grams of sentences against dictionaries."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.batching import ngram_counts
from nlpcli.batching.ngram_counts import BOS, EOS, CountLevel, NgramCounts, word_bits

V = 7
sentences = st.lists(
    st.tuples(st.integers(0, 2), st.lists(st.integers(3, V - 1), min_size=1, max_size=6)),
    min_size=1,
    max_size=10,
)


def spelled(levels: list[CountLevel]) -> list[list[tuple[int, ...]]]:
    """The words of each n-gram, by order."""
    bits, found = word_bits(V), [[()]]
    for level in levels:
        keys = level.keys.tolist()
        words = [(k >> bits, k & ((1 << bits) - 1)) for k in keys]
        found.append([(*found[-1][p if level.n > 1 else 0], w) for p, w in words])
    return found[1:]


@pytest.mark.parametrize("dense", [True, False])
@settings(max_examples=50, deadline=None)
@given(sentences, st.integers(1, 4), st.integers(1, 8), st.booleans())
def test_all_that_smoothing_needs(
    dense: bool, rows: list[tuple[int, list[int]]], order: int, part: int, labelled: bool
) -> None:
    tokens = np.array([t for _, s in rows for t in (BOS, *s, EOS)], np.int32)
    sizes = [len(s) + 2 for _, s in rows]
    owners = np.repeat(np.array([label for label, _ in rows], np.int32), sizes)
    held = np.flatnonzero(tokens != BOS)[::2]
    with ThreadPoolExecutor(2) as pool, pytest.MonkeyPatch.context() as patch:
        patch.setattr(ngram_counts, "_DENSE", 1 << 26 if dense else 0)
        counts = NgramCounts(
            tokens, V, order, pool, workers=2, labels=owners if labelled else None,
            n_labels=3 if labelled else 1, held_out=held, part=part,
        )  # fmt: skip
    wanted: list[Counter[tuple[int, tuple[int, ...]]]] = [Counter() for _ in range(order)]
    for label, sentence in rows:
        line = (BOS, *sentence, EOS)
        for n in range(1, order + 1):
            for at in range(len(line) - n + 1):
                wanted[n - 1][label if labelled else 0, line[at : at + n]] += 1
    names: list[list[tuple[int, tuple[int, ...]]]] = []
    for level, grams in zip(counts.levels, spelled(counts.levels), strict=True):
        assert (np.diff(level.keys.astype(np.int64)) > 0).all()
        if labelled:
            assert level.indptr is not None and level.labels is not None
            owned = np.repeat(np.arange(len(grams)), np.diff(level.indptr))
            names.append(
                [(lb, grams[g]) for lb, g in zip(level.labels.tolist(), owned, strict=False)]
            )
        else:
            names.append([(0, gram) for gram in grams])
        assert dict(zip(names[-1], level.counts.tolist(), strict=True)) == wanted[level.n - 1]
        for entry, (label, gram) in enumerate(names[-1]):
            below = names[-2] if level.n > 1 else [(k, ()) for k in range(3)]
            assert below[level.prefix[entry]] == (label, gram[:-1])
            assert below[level.suffix[entry]] == (label, gram[1:])
            assert level.opens[entry] == (gram[0] == BOS)
    starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
    for row in range(order):
        for column, place in enumerate(held.tolist()):
            entry = counts.held_entries[row, column]
            begin = place - row
            if begin < starts[place]:
                assert entry == -1
            else:
                assert names[row][entry][1] == tuple(tokens[begin : place + 1].tolist())


def test_threads_change_nothing() -> None:
    tokens = np.random.default_rng(1).integers(3, 50, 3000).astype(np.int32)
    tokens[::30], tokens[29::30] = BOS, EOS
    found = []
    for workers, part in ((1, 100), (2, 100), (2, 1 << 20)):
        with ThreadPoolExecutor(workers) as pool:
            found.append(NgramCounts(tokens, 50, 3, pool, workers=workers, part=part).levels)
    for one, other in zip(found[0] * 2, found[1] + found[2], strict=True):
        for name in ("keys", "counts", "prefix", "suffix", "opens"):
            assert (getattr(one, name) == getattr(other, name)).all()
