import bz2
import gzip
import io
import lzma
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.data.output import RowWriter
from nlpcli.data.rows import RowFormat, open_rows
from nlpcli.errors import DataError, InputMissing, UsageError

CELLS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)


def read(path: Path, **options: object) -> tuple[list[str], list[list[str]], list[int]]:
    stream = open_rows(str(path), RowFormat(**options))  # type: ignore[arg-type]
    rows, lines = [], []
    for batch in stream.batches(size=3):
        rows += batch.rows
        lines += batch.lines
    return stream.header, rows, lines


def table(width: int) -> st.SearchStrategy[list[list[str]]]:
    return st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1, max_size=8)


def put(tmp_path: Path, data: bytes, name: str = "x.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


@settings(deadline=None, max_examples=300)
@given(
    st.integers(1, 4).flatmap(
        lambda n: st.lists(st.lists(CELLS, min_size=n, max_size=n), min_size=1, max_size=8)
    )
)
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    header = [f"c{i}" for i in range(len(rows[0]))]
    out = io.BytesIO()
    writer = RowWriter(out, [*header, "p"])
    writer.write_header()
    writer.write(rows, [["x"] * len(rows)])
    path = put(tmp_path_factory.mktemp("t"), out.getvalue())
    assert read(path)[:2] == ([*header, "p"], [[*row, "x"] for row in rows])


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("last", [True, False])
def test_line_ends_bom_and_blank_lines(tmp_path: Path, end: bytes, last: bool) -> None:
    lines = [b"\xef\xbb\xbftext,label", b'"a, ""b""",x', b"", b"\xe6\x88\x91,y"]
    path = put(tmp_path, end.join(lines) + (end if last else b""))
    assert read(path) == (["text", "label"], [['a, "b"', "x"], ["我", "y"]], [2, 4])


def test_a_blank_line_is_an_empty_text_where_there_is_one_column(tmp_path: Path) -> None:
    assert read(put(tmp_path, b'text\na\n\n""\nb\n'))[1] == [["a"], [""], [""], ["b"]]


def test_line_numbers_after_quoted_line_ends(tmp_path: Path) -> None:
    path = put(tmp_path, b'text,label\n"a\nb\r\nc",x\nd,y\n')
    assert read(path) == (["text", "label"], [["a\nb\r\nc", "x"], ["d", "y"]], [2, 5])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"a,b\n1,2\n3\n", "line 3: 1 fields, the header has 2"),
        (b"a,b\n1,2,3\n", "line 2: 3 fields, the header has 2"),
        (b"a\nok\n\xff\xfe\n", r"line 3 byte 1: invalid UTF-8 \(0xff\)"),
        (b"a\nok\nx\0y\n", "line 3 byte 2: a NUL"),
        (b'a,b\n1,2\n"open,3\n4,5\n', "line 3: a quote opened here is never closed"),
        (b'a,b\n"x"y,2\n', "line 2: text after a closing quote"),
        ("a,b\n1,2\n".encode("utf-16"), "looks like UTF-16"),
        (b"a\xff\n1\n", "line 1 byte 2: invalid UTF-8"),
    ],
)
def test_bad_files_are_named_with_their_line(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(put(tmp_path, data))


def test_rows_before_a_bad_one_come_first(tmp_path: Path) -> None:
    stream = open_rows(str(put(tmp_path, b"a,b\n1,2\n3,4\nbad\n")), RowFormat())
    rows = []
    with pytest.raises(DataError, match="line 4"):
        for batch in stream.batches():
            rows += batch.rows
    assert rows == [["1", "2"], ["3", "4"]]


def test_skipping_keeps_the_good_rows_and_tells_of_the_bad(tmp_path: Path) -> None:
    path = put(tmp_path, b'a,b\n1,2\nbad\n\xff,1\n"q"x,1\n5,6\nn\0,7\n8,9\n')
    told: list[tuple[int, str]] = []
    stream = open_rows(
        str(path), RowFormat(on_error="skip"), lambda n, why, _: told.append((n, why))
    )
    assert [row for b in stream.batches() for row in b.rows] == [["1", "2"], ["5", "6"], ["8", "9"]]
    assert [n for n, _ in told] == [3, 4, 5, 7]
    assert stream.skipped == 4


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_packed_files_are_known_by_content(tmp_path: Path, pack: object) -> None:
    data = pack(b"a,b\n1,2\n")  # type: ignore[operator]
    assert read(put(tmp_path, data, "wrong.name"))[1] == [["1", "2"]]
    if pack is not lzma.compress:
        assert read(put(tmp_path, data + pack(b"3,4\n")))[1] == [["1", "2"], ["3", "4"]]  # type: ignore[operator]
    with pytest.raises(DataError, match=r"truncated|damaged"):
        read(put(tmp_path, data[:-4]))
    with pytest.raises(DataError, match=r"damaged|truncated|empty"):
        read(put(tmp_path, data[:12] + b"\x55\xaa\x55" + data[15:]))


def test_other_formats(tmp_path: Path) -> None:
    assert read(put(tmp_path, b"a\tb\n1\t2,3\n", "x.tsv"))[1] == [["1", "2,3"]]
    assert read(put(tmp_path, b"one\n\ntwo", "x.txt"))[:2] == (["text"], [["one"], [""], ["two"]])
    lines = b"__label__a hello world\n__label__b x\n"
    assert read(put(tmp_path, lines), format="fasttext")[1] == [["hello world", "a"], ["x", "b"]]
    two = put(tmp_path, b"__label__a __label__b hi\n")
    assert read(two, format="fasttext", label_separator=";")[1] == [["hi", "a;b"]]
    with pytest.raises(DataError, match="2 labels, wanted one"):
        read(two, format="fasttext")
    lines = b'{"text": "a\\u6211", "n": 1}\n\n{"text": null, "n": [1]}\n'
    assert read(put(tmp_path, lines, "x.jsonl"))[:2] == (["text", "n"], [["a我", "1"], ["", "[1]"]])
    with pytest.raises(DataError, match="line 2: not JSON"):
        read(put(tmp_path, b'{"a": 1}\n{"a": \n', "x.jsonl"))


def test_columns(tmp_path: Path) -> None:
    stream = open_rows(str(put(tmp_path, b"id,txet,id,label\n1,2,3,4\n")), RowFormat())
    assert stream.column("label") == 3
    with pytest.raises(DataError, match="occurs twice, at 1 and 3"):
        stream.column("id")
    with pytest.raises(DataError, match="no column text; there: id, txet, id, label") as caught:
        stream.column("text")
    assert caught.value.hint == "did you mean txet?"
    numbered = open_rows(str(put(tmp_path, b"x,y\n")), RowFormat(header=False))
    assert numbered.column("2") == 1
    assert [b.rows for b in numbered.batches()] == [[["x", "y"]]]
    tabbed = open_rows(str(put(tmp_path, b"text\tlabel\na\tb\n")), RowFormat())
    with pytest.raises(DataError) as caught:
        tabbed.column("text")
    assert "--format tsv" in (caught.value.hint or "")


def test_a_long_field_passes_and_an_endless_line_is_cut_short(tmp_path: Path) -> None:
    path = put(tmp_path, b"text\n" + b"x" * 3_000_000 + b"\n")
    assert len(read(path)[1][0][0]) == 3_000_000
    with pytest.raises(DataError, match="more than 1,000,000"):
        read(path, max_field=1_000_000)


def test_missing_inputs(tmp_path: Path) -> None:
    with pytest.raises(InputMissing, match="No such file"):
        open_rows(str(tmp_path / "nothing"), RowFormat())
    with pytest.raises(InputMissing, match="directory"):
        open_rows(str(tmp_path), RowFormat())
    with pytest.raises(UsageError, match="xml"):
        RowFormat(format="xml")


def test_a_row_on_a_slow_pipe_is_there_before_the_next_is_written(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    seen = threading.Event()
    answered: list[bool] = []

    def write() -> None:
        with pipe.open("wb", buffering=0) as stream:
            stream.write(b"text\nfirst\n")
            answered.append(seen.wait(5))
            stream.write(b"second\n")

    writer = threading.Thread(target=write)
    writer.start()
    rows = []
    for batch in open_rows(str(pipe), RowFormat()).batches():
        rows += batch.rows
        seen.set()
    writer.join()
    assert rows == [["first"], ["second"]]
    assert answered == [True]
