"""Rows as they lie there, and other columns beside labelled rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from nlpcli.data.labelled import read_labelled
from nlpcli.data.rows import RowFormat
from nlpcli.data.unchecked import read_unchecked
from nlpcli.errors import DataError

ROWS = "text,shop,label\none,x,a\n,y,b\ntwo,z, \nthree\nfour,,a;b; a\n"


def written(folder: Path) -> str:
    path = folder / "rows.csv"
    path.write_text(ROWS)
    return str(path)


def test_blank_ones_are_kept(tmp_path: Path) -> None:
    bad: list[int] = []
    fmt = RowFormat(on_error="skip")
    found = read_unchecked(written(tmp_path), fmt, on_reject=lambda line, *_: bad.append(line))
    assert found.texts == ["one", "", "two", "four"]
    assert found.labels == [("a",), ("b",), (), ("a;b; a",)]
    assert (found.n_skipped, bad) == (1, [5])
    several = read_unchecked(written(tmp_path), fmt, label_separator=";")
    assert several.labels == [("a",), ("b",), (), ("a", "b")]
    with pytest.raises(DataError, match="line 5"):
        read_unchecked(written(tmp_path), RowFormat())
    with pytest.raises(DataError, match="no column title"):
        read_unchecked(written(tmp_path), fmt, text_column="title")


@pytest.mark.parametrize("keep_blank", [True, False])
def test_other_columns_go_with_the_rows_that_are_kept(tmp_path: Path, keep_blank: bool) -> None:
    fmt = RowFormat(on_error="skip")
    path = written(tmp_path)
    found = read_labelled(path, fmt, keep_blank=keep_blank, other_columns=["shop", "text"])
    assert found.columns["text"] == found.texts
    assert found.columns["shop"] == (["x", "y", ""] if keep_blank else ["x", ""])
    assert found.n_skipped == 2
    assert read_labelled(path, fmt).columns == {}
