"""Windows over long texts: every piece is read, and what is said of windows becomes one answer."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpcli.batching.framing import Rows, Specials, Windows, framed
from nlpcli.batching.text_windows import of_rows, windowed
from nlpcli.text.wordpiece import Ragged

CLS, SEP, PAD = 1001, 1002, 1000
counts = st.lists(st.integers(0, 40), min_size=1, max_size=6)


def ragged(sizes: list[int], first: int = 0) -> Ragged:
    """Texts of distinct pieces, numbered from ``first`` on."""
    indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return Ragged(np.arange(first, first + indptr[-1], dtype=np.int32), indptr)


def halves(rows: Rows, i: int) -> tuple[list[int], list[int]]:
    row = rows.ids[rows.indptr[i] : rows.indptr[i + 1]].tolist()
    assert row[0] == CLS and row[-1] == SEP
    border = int(rows.second[i])
    if border == len(row):
        return row[1:-1], []
    assert row[border - 1] == SEP
    return row[1 : border - 1], row[border:-1]


def per_text(rows: Rows, n: int) -> list[list[int]]:
    """The rows of each text."""
    if rows.windows is None:
        return [[i] for i in range(n)]
    borders = rows.windows.indptr.tolist()
    return [list(range(a, b)) for a, b in pairwise(borders)]


@given(counts, st.integers(4, 14), st.integers(0, 20))
def test_every_piece_of_a_text_is_in_a_window(sizes: list[int], longest: int, overlap: int) -> None:
    texts, specials = ragged(sizes), Specials(CLS, SEP, PAD, longest)
    rows = windowed(texts, None, specials, overlap)
    assert rows.n_cut == 0 and int(rows.lengths.max()) <= longest
    room = longest - 2
    shared = min(overlap, room // 2)
    for d, mine in enumerate(per_text(rows, len(sizes))):
        whole = texts.ids[texts.indptr[d] : texts.indptr[d + 1]].tolist()
        parts = [halves(rows, i)[0] for i in mine]
        assert all(part == whole[i * (room - shared) :][:room] for i, part in enumerate(parts))
        assert sorted({piece for part in parts for piece in part}) == whole
        assert (len(parts) > 1) == (len(whole) > room)
        # no window lies within the one before it
        assert all(part[-1] not in before for before, part in pairwise(parts))
        if len(parts) > 1:
            assert rows.windows is not None
            wanted = [len(part) / sum(map(len, parts)) for part in parts]
            np.testing.assert_allclose(rows.windows.shares[mine], wanted)


@given(counts, counts, st.integers(4, 16), st.integers(0, 9))
def test_of_a_pair_the_longer_text_is_read_in_windows(
    first: list[int], second: list[int], longest: int, overlap: int
) -> None:
    count = min(len(first), len(second))
    one, other = ragged(first[:count]), ragged(second[:count], 500)
    specials, room = Specials(CLS, SEP, PAD, longest), longest - 3
    rows = windowed(one, other, specials, overlap)
    assert int(rows.lengths.max()) <= longest
    n_cut = 0
    for d, mine in enumerate(per_text(rows, count)):
        texts = [t.ids[t.indptr[d] : t.indptr[d + 1]].tolist() for t in (one, other)]
        long = 0 if len(texts[0]) >= len(texts[1]) else 1
        rest = texts[1 - long]
        fits = min(len(rest), room // 2 if long == 0 else -(-room // 2))
        whole = all(halves(rows, i)[1 - long] == rest for i in mine)
        for i in mine:
            assert halves(rows, i)[1 - long][:fits] == rest[:fits]
            assert halves(rows, i)[1 - long] == rest[: len(halves(rows, i)[1 - long])]
        seen = {piece for i in mine for piece in halves(rows, i)[long]}
        if room - fits > 0:
            assert sorted(seen) == texts[long]
        n_cut += not whole or sorted(seen) != texts[long]
        assert (len(mine) > 1) <= (len(texts[0]) + len(texts[1]) > room)
    assert rows.n_cut == n_cut


@pytest.mark.parametrize("pair", [False, True])
def test_texts_that_fit_are_rows_as_ever(pair: bool) -> None:
    texts, others = ragged([3, 0, 5]), ragged([2, 4, 0], 500) if pair else None
    specials = Specials(CLS, SEP, PAD, 12)
    found = windowed(texts, others, specials, 2)
    wanted = framed(texts, others, specials, "truncate-tail")
    assert found.windows is None and found.n_cut == 0
    for name in ("ids", "indptr", "second"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))


def test_what_windows_say_is_weighted_by_their_length() -> None:
    rows = windowed(ragged([7, 2]), None, Specials(CLS, SEP, PAD, 6), 1)  # 4 + 4, and 2
    assert rows.windows is not None and rows.windows.counts.tolist() == [2, 1]
    found = rows.windows.means(np.array([[1.0, 0.0], [0.0, 4.0], [5.0, 6.0]]))
    np.testing.assert_allclose(found, [[0.5, 2.0], [5.0, 6.0]])
    rows = windowed(ragged([9]), None, Specials(CLS, SEP, PAD, 6), 2)  # 4, 4, 4, 3
    assert rows.windows is not None
    np.testing.assert_allclose(rows.windows.shares * 15, [4, 4, 4, 3])
    assert Windows(np.zeros(1, np.int64), np.zeros(0)).means(np.zeros((0, 2))).shape == (0, 2)


def test_a_text_weighs_alike_in_however_many_windows() -> None:
    rows = windowed(ragged([9, 2, 7]), None, Specials(CLS, SEP, PAD, 6), 1)
    targets, weights = of_rows(rows, np.array([4, 5, 6]), np.array([1.5, 0.5, 1.0], np.float32))
    assert rows.windows is not None and weights is not None
    assert targets.tolist() == [4, 4, 4, 5, 6, 6]
    assert weights.mean() == pytest.approx(1)
    sums = np.bincount(rows.windows.texts, weights=weights)
    np.testing.assert_allclose(sums / sums.sum(), [0.5, 1 / 6, 1 / 3], rtol=1e-6)
    same = of_rows(windowed(ragged([2]), None, Specials(CLS, SEP, PAD, 6), 1), targets, None)
    assert same == (targets, None)
