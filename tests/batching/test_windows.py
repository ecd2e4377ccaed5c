from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.batching import windows
from nlpcli.batching.windows import NoiseWords, Windows, reach_patterns


def test_noise_words_are_drawn_by_their_power() -> None:
    counts = np.array([1000, 100, 10, 1])
    noise = NoiseWords(counts, 0.75)
    assert noise.shares == pytest.approx(counts**0.75 / (counts**0.75).sum())
    drawn = noise.draw((1000, 200), np.random.default_rng(0))
    assert drawn.shape == (1000, 200) and drawn.dtype == np.int32
    found = np.bincount(drawn.ravel(), minlength=4) / drawn.size
    assert found == pytest.approx(noise.shares, abs=0.005)


def test_patterns_are_the_neighbours() -> None:
    patterns = reach_patterns(2)
    assert patterns[1 * 3 + 2].tolist() == [0, 1, 0, 1, 1]
    assert patterns[0].sum() == 0 and patterns[8].tolist() == [1, 1, 0, 1, 1]


def pairs_of(chunk: windows.Chunk, window: int) -> list[tuple[int, int]]:
    """Places of each word and its neighbours."""
    masks = reach_patterns(window)[chunk.reach]
    centres, offsets = masks.nonzero()
    return list(zip(centres.tolist(), (centres + offsets - window).tolist(), strict=True))


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=12),
    window=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_windows_stay_within_sentences(sizes: list[int], window: int, seed: int) -> None:
    starts = np.concatenate([[0], np.cumsum(sizes)])
    sentence = np.repeat(np.arange(len(sizes)), sizes)
    ids = np.arange(len(sentence), dtype=np.int32)
    keep = np.full(len(ids), 0.7, np.float32)
    made = Windows(ids, starts, keep, window, multiple=8, seed=seed)
    chunk = made.chunk(0, 0)
    again = made.chunk(0, 0)
    assert (chunk.tokens == again.tokens).all() and (chunk.reach == again.reach).all()
    assert len(chunk.reach) % 8 == 0 and chunk.n_read == len(ids)
    tokens = chunk.tokens[window : len(chunk.tokens) - window]
    of_centre: dict[int, list[int]] = {}
    for centre, other in pairs_of(chunk, window):
        assert sentence[tokens[centre]] == sentence[tokens[other]]
        of_centre.setdefault(centre, []).append(other - centre)
    for offsets in of_centre.values():  # all neighbours up to the reach, where the sentence has any
        assert len(set(offsets)) == len(offsets) and 0 not in offsets
        low, high = min(offsets), max(offsets)
        assert set(offsets) == set(range(low, high + 1)) - {0}


def test_every_reach_is_drawn_alike() -> None:
    ids = np.zeros(60_000, np.int32)
    made = Windows(ids, np.array([0, len(ids)]), np.ones(1, np.float32), 3, multiple=4, seed=5)
    chunk = made.chunk(1, 0)
    found = np.bincount(chunk.reach[3:59_990], minlength=16) / 59_987
    assert found[[5, 10, 15]] == pytest.approx([1 / 3] * 3, abs=0.01)


def test_epochs_and_chunks_draw_differently(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "CHUNK", 1000)
    ids = np.arange(2500, dtype=np.int32)
    keep = np.full(2500, 0.5, np.float32)
    made = Windows(ids, np.arange(0, 2501, 10), keep, 5, multiple=16, seed=1)
    assert len(made) == 3
    chunks = [made.chunk(epoch, number) for epoch in range(2) for number in range(3)]
    assert [c.n_read for c in chunks] == [1000, 1000, 500] * 2
    for number, chunk in enumerate(chunks):
        kept = chunk.tokens[5:][: (chunk.tokens > 0).sum()]
        first = number % 3 * 1000
        assert first <= kept[kept > 0].min() and kept.max() < first + chunk.n_read
    assert chunks[0].tokens.tolist() != chunks[3].tokens.tolist()
