"""Two texts as one string and back, and pairs in files."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpcli.data.labelled import read_labelled
from nlpcli.data.pairs import SEPARATOR, joined, parted, texts_of
from nlpcli.data.rows import RowFormat
from nlpcli.errors import DataError


@given(st.lists(st.tuples(st.text(), st.text()), max_size=5))
def test_pairs_come_back(pairs: list[tuple[str, str]]) -> None:
    first, second = parted([joined(a, b) for a, b in pairs])
    assert first == [a.replace(SEPARATOR, " ") for a, _ in pairs]
    assert second == [b.replace(SEPARATOR, " ") for _, b in pairs]


def test_a_text_that_is_no_pair_has_an_empty_second() -> None:
    assert parted(["a", "", joined("", "b")]) == (["a", "", ""], ["", "", "b"])


def test_rows_stay_as_they_are() -> None:
    rows = [["1", "a", "b"], ["2", "", "c"]]
    assert texts_of(rows, 1, None) == ["a", ""]
    assert texts_of(rows, 1, 2) == [joined("a", "b"), joined("", "c")]
    assert rows == [["1", "a", "b"], ["2", "", "c"]]


def test_pairs_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a,b,label,w\nhi,there,x,1\n ,,x,1\n,only b,y,1\nhi,,y,1\nbad,row,,1\n")
    bad: list[tuple[int, str, str]] = []
    rows = read_labelled(
        str(path), RowFormat(on_error="skip"), text_column="a", text_b_column="b",
        weight_column="w", on_reject=lambda *about: bad.append(about),
    )  # fmt: skip
    assert parted(rows.texts) == (["hi", "", "hi"], ["there", "only b", ""])
    assert (rows.n_blank, rows.n_conflicts, rows.lines) == (1, 0, [2, 4, 5])
    assert bad == [(6, "the label is blank", "bad,row,,1")]
    with pytest.raises(DataError, match="no column c; there: a, b, label, w"):
        read_labelled(str(path), RowFormat(), text_column="a", text_b_column="c")
