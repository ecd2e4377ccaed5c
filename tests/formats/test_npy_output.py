"""Files of numpy, written row by row."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nlpcli.formats.npy_output import NpyRows


@given(st.lists(st.integers(0, 5), max_size=5), st.integers(1, 9))
def test_it_is_what_numpy_saves(sizes: list[int], width: int) -> None:
    parts = [np.random.default_rng(n).normal(size=(n, width)).astype(np.float32) for n in sizes]
    stream = io.BytesIO()
    rows = NpyRows(stream, width)
    for part in parts:
        rows.write(part)
    rows.finish()
    whole = np.concatenate([np.empty((0, width), np.float32), *parts])
    saved = io.BytesIO()
    np.save(saved, whole)
    assert stream.getvalue() == saved.getvalue()


def test_a_number_of_many_digits_fits(tmp_path: Path) -> None:
    with (tmp_path / "x.npy").open("wb") as stream:
        rows = NpyRows(stream, 2)
        for _ in range(12):
            rows.write(np.ones((1000, 2), np.float32)[::-1])
        rows.finish()
    found = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert (found.shape, found.dtype.str) == ((12000, 2), "<f4") and bool((found == 1).all())
