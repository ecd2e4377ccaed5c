import bz2
import contextlib
import gzip
import lzma
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from nlpcli.data import packed, source
from nlpcli.data.rows import RowFormat, open_rows, told_apart
from nlpcli.errors import DataError, InputMissing, UsageError


def read(path: Path, **options: object) -> tuple[list[str], list[list[str]], list[int]]:
    stream = open_rows(str(path), RowFormat(**options))  # type: ignore[arg-type]
    rows, lines = [], []
    for batch in stream.batches(size=3):
        rows += batch.rows
        lines += batch.lines
    return stream.header, rows, lines


def put(tmp_path: Path, data: bytes, name: str = "x.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


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


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("bad", ['"x"y,2', '"x"y,\xff'])
def test_a_row_that_makes_no_sense_is_told_as_it_is_written(
    tmp_path: Path, end: str, bad: str
) -> None:
    lines = ["a,b", '"1', '",2', bad, "3,4", bad]
    told: list[str] = []
    path = put(tmp_path, end.join(lines).encode("latin-1"))
    rows = open_rows(str(path), RowFormat(on_error="skip"), lambda *about: told.append(about[2]))
    found = [row for batch in rows.batches() for row in batch.rows]
    assert found == [["1" + end, "2"], ["3", "4"]]
    assert told == [bad.replace("\xff", "\udcff")] * 2


def test_reasons_name_the_file_where_there_are_two() -> None:
    told: list[tuple[int, str, str]] = []

    def reject(*about: object) -> None:
        told.append(about)  # type: ignore[arg-type]

    assert told_apart(reject, "a.csv", None)[0] is reject
    for one in told_apart(reject, "a.csv", "-"):
        assert one is not None
        one(1, "bad", "x")
    assert told == [(1, "a.csv: bad", "x"), (1, "<stdin>: bad", "x")]
    assert told_apart(None, "a.csv", "b.csv") == (None, None)


def zstd(data: bytes) -> bytes:
    return pytest.importorskip("zstandard").ZstdCompressor().compress(data)  # type: ignore[no-any-return]


PACKS = [gzip.compress, bz2.compress, lzma.compress, zstd]


@pytest.mark.parametrize("pack", PACKS)
def test_packed_files_are_known_by_content(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    data = pack(b"a,b\n1,2\n")
    assert read(put(tmp_path, data, "wrong.name"))[1] == [["1", "2"]]
    assert read(put(tmp_path, data + pack(b"3,4\n")))[1] == [["1", "2"], ["3", "4"]]
    assert read(put(tmp_path, data + b"\0" * 8))[1] == [["1", "2"]]
    with pytest.raises(DataError, match=r"truncated|damaged"):
        read(put(tmp_path, data[:-4]))
    with pytest.raises(DataError, match=r"damaged|truncated|empty|NUL|invalid"):
        read(put(tmp_path, data[:12] + b"\x55\xaa\x55" + data[15:]))
    with pytest.raises(DataError, match=r"line 1 byte|empty"):
        read(put(tmp_path, pack(data)))


@pytest.mark.parametrize("pack", PACKS)
def test_unpacking_is_bounded(
    tmp_path: Path, pack: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "FREE_BYTES", 1 << 20)
    path = put(tmp_path, pack(b"x" * (8 << 20)))
    if pack is gzip.compress:  # which packs at most 1,032 to 1
        monkeypatch.setattr(packed, "MAX_RATIO", 500)
    with pytest.raises(DataError, match=r"packed bytes become more than .* wanted at most"):
        read(path)
    monkeypatch.setattr(packed, "FREE_BYTES", 8 << 20)
    assert read(path)[0] == ["x" * (8 << 20)]


def test_xz_with_a_giant_dictionary_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "MAX_MEMORY", 1 << 20)
    with pytest.raises(DataError, match="Memory usage limit"):
        read(put(tmp_path, lzma.compress(b"a\n", preset=6)))


def test_a_header_that_begins_like_bzip2(tmp_path: Path) -> None:
    assert read(put(tmp_path, b"BZh9,b\n1,2\n"))[:2] == (["BZh9", "b"], [["1", "2"]])


@pytest.mark.parametrize(
    "data", [b"text\na\n", b"text,b\na\n", b"\xff\n", b"", b"text\n\xff\n", b"\x1f\x8b1"]
)
def test_files_are_closed(tmp_path: Path, data: bytes) -> None:
    path = put(tmp_path, data)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with contextlib.suppress(DataError):
            read(path)
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("change", ["grow", "shrink", "touch"])
def test_a_file_that_is_written_to_meanwhile(
    tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "BLOCK", 8)
    path = put(tmp_path, b"text\n" + b"a\n" * 100)
    stream = open_rows(str(path), RowFormat())
    if change == "touch":
        os.utime(path, ns=(1, 1))
    else:
        os.truncate(path, 300 if change == "grow" else 100)
    with pytest.raises(DataError, match=r"x\.csv: changed while it was read"):
        list(stream.batches())


def test_a_file_of_the_kernel_has_no_size(tmp_path: Path) -> None:
    if not Path("/proc/self/limits").exists():
        pytest.skip("no /proc here")
    assert "Max" in read(Path("/proc/self/limits"), format="text")[1][1][0]


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


def test_labels_that_hold_their_separator_are_refused(tmp_path: Path) -> None:
    lines = b'{"t": "a;b", "l": ["x", null, true, 1.0, "\xc3\xa9"]}\n{"t": "b", "l": []}\n'
    path = put(tmp_path, lines, "x.jsonl")
    assert read(path, label_separator=";")[1] == [["a;b", "x;true;1.0;é"], ["b", ""]]
    for format, line in (
        ("jsonl", '{"t": "c", "l": ["food; drink"]}'),
        ("fasttext", "__label__food;_drink c"),
    ):
        path = put(tmp_path, line.encode() + b"\n")
        with pytest.raises(DataError, match=r"line 1: food;.drink holds the --label-separator ;"):
            read(path, format=format, label_separator=";")
        assert len(read(path, format=format, label_separator="|")[1]) == 1


def test_json_values_are_passed_on_as_they_are_written(tmp_path: Path) -> None:
    lines = (
        b'{"a": 1.10, "b": -0, "c": 1e400}\n{"a": 12345678901234567890123, "b": [1, {"k": true}]}\n'
        b'{"c": "\\ud83d\\ude00 \\\\ud800", "a": ' + b"7" * 5000 + b"}\n"
    )
    assert read(put(tmp_path, lines, "x.jsonl"))[:2] == (
        ["a", "b", "c"],
        [
            ["1.10", "-0", "1e400"],
            ["12345678901234567890123", '[1, {"k": true}]', ""],
            ["7" * 5000, "", "😀 \\ud800"],
        ],
    )


def test_the_first_good_object_has_the_columns_where_bad_ones_are_skipped(tmp_path: Path) -> None:
    lines = (
        b'[1]\n\n{"a": 1, "a": 2}\n{"a": "\\ud800"}\n{"b\xff": 1}\n{"text": "x", "n": NaN}\n'
        b'{"text": "\xff"}\n{"text": "y"}\n'
    )
    path = put(tmp_path, lines, "x.jsonl")
    told: list[tuple[int, str, str]] = []
    fmt = RowFormat(on_error="skip", keep_json=True)
    stream = open_rows(str(path), fmt, lambda *what: told.append(what))
    batches = list(stream.batches())
    assert stream.header == ["text", "n"] and stream.skipped == 5
    assert [row for b in batches for row in b.rows] == [["x", "NaN"], ["y", ""]]
    assert [line for b in batches for line in b.lines] == [6, 8]
    assert [(line, reason) for line, reason, _ in told] == [
        (1, "not a JSON object"), (3, "key a occurs twice"), (4, "\\ud800 in a is not text"),
        (5, "byte 4: invalid UTF-8 (0xff)"), (7, "byte 11: invalid UTF-8 (0xff)"),
    ]  # fmt: skip
    with pytest.raises(DataError, match="line 1: not a JSON object"):
        read(path)
    put(tmp_path, b"[1]\n", "x.jsonl")
    with pytest.raises(DataError, match="empty: no rows"):
        read(path, on_error="skip")


def test_columns(tmp_path: Path) -> None:
    stream = open_rows(str(put(tmp_path, b"id,txet,id,label\n1,2,3,4\n")), RowFormat())
    assert stream.column("label") == 3
    with pytest.raises(DataError, match="occurs twice, at 1 and 3"):
        stream.column("id")
    with pytest.raises(DataError, match="without a name"):
        stream.column("")
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
