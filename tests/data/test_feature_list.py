import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpcli.data.feature_list import read_features, write_features
from nlpcli.errors import DataError

NAME = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=8)


@given(st.lists(NAME, min_size=1, max_size=8))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "features.csv"
    stream = io.BytesIO()
    write_features(stream, "word", names)
    path.write_bytes(stream.getvalue())
    assert read_features(str(path)).features == [("word", name) for name in names]


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("level,ngram\n", "no features"),
        ("ngram\na\n", "no column level; there: ngram"),
        ("level,ngram\nchar,a\n", "line 2: level char, wanted word or subword"),
        ("level,ngram\nword,a\nword, \n", "line 3: a blank n-gram"),
    ],
)  # fmt: skip
def test_other_files_are_refused(tmp_path: Path, content: str, error: str) -> None:
    path = tmp_path / "features.csv"
    path.write_text(content)
    with pytest.raises(DataError, match=error):
        read_features(str(path))
