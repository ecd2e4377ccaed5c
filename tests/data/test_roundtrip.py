"""Properties of rows in and rows out, over made-up tables and over plain rubbish.

NLPCLI_EXAMPLES sets how many examples each property gets.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nlpcli.data import source
from nlpcli.data.output import RowWriter
from nlpcli.data.rows import FORMATS, RowFormat, open_rows
from nlpcli.errors import NlpcliError
from nlpcli.models.additive import AdditiveClassifier
from nlpcli.runs.answer_columns import Answers
from nlpcli.store.classifier import TextClassifier
from nlpcli.text.config import TokenizerConfig
from nlpcli.text.tokenizer import Tokenizer

EXAMPLES = int(os.environ.get("NLPCLI_EXAMPLES", 60))
CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
many = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=CHECKS)
AT_LENGTH = max(EXAMPLES, 10_000)
at_length = settings(max_examples=AT_LENGTH, deadline=None, suppress_health_check=CHECKS)

ODD = st.sampled_from(
    ["", " ", ",", '"', '""', "\n", "\r", "\r\n", "\t", "'", "=1", "\ufeff", "\u2028", "\x85",
     "\x1c", "我", "e\u0301", "\x1b[0m", "\\", "\\u0000", "{", "null", "a\r\r\nb", "😀", "BZh9"]
)  # fmt: skip
CELLS = ODD | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=9)
RUBBISH = st.lists(
    st.sampled_from(
        [b"a", b" ", b",", b'"', b"\n", b"\r", b"\r\n", b"\t", b"\0", b"\xff", b"\xe6\x88\x91",
         b"\xc3", b"\xef\xbb\xbf", b"{", b"}", b'{"a":1}\n', b'"a":', b"[" * 2000, b"1" * 5000,
         b'{"a":"\\ud800"}\n', b'{"a":[1e999]}\n', b"__label__", b"\x1f\x8b", b"BZh91AY&SY",
         gzip.compress(b"a\nb\n", mtime=0), b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0"]
    )
    | st.binary(max_size=6),
    max_size=14,
).map(b"".join)  # fmt: skip
Table = tuple[list[str], list[list[str]]]
Read = tuple[list[list[str]], list[int], str]


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """A header of distinct names, and rows as wide."""
    header = draw(st.lists(CELLS, min_size=1, max_size=4, unique=True))
    row = st.lists(CELLS, min_size=len(header), max_size=len(header))
    return header, draw(st.lists(row, min_size=1, max_size=6))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of one file, written anew for every example."""
    return tmp_path_factory.mktemp("rows") / "rows"


def written(table: Table, format: str) -> bytes:
    header, rows = table
    if format == "tsv":
        text = io.StringIO()
        csv.writer(text, "excel-tab", quoting=csv.QUOTE_ALL).writerows([header, *rows])
        return text.getvalue().encode()
    out = io.BytesIO()
    writer = RowWriter(out, header, format)
    writer.write_header()
    writer.write([row[:-1] for row in rows], [[row[-1] for row in rows]])
    return out.getvalue()


def read(path: str | Path, fmt: RowFormat) -> Read:
    """Header and rows, their lines, and what went wrong in the end."""
    rows: list[list[str]] = []
    lines: list[int] = []
    try:
        stream = open_rows(str(path), fmt)
        rows, lines = [stream.header], [0]
        for batch in stream.batches(3):
            rows += batch.rows
            lines += batch.lines
    except NlpcliError as error:
        problem = error
    else:
        return rows, lines, ""
    assert problem.exit_code == 65 or "zstd" in problem.message
    assert "\n" not in problem.message
    return rows, lines, problem.message


@pytest.mark.parametrize("format", ["csv", "tsv", "jsonl"])
@many
@given(table=tables())
def test_what_is_written_is_what_is_read(path: Path, format: str, table: Table) -> None:
    path.write_bytes(written(table, format))
    rows, _, fault = read(path, RowFormat(format=format))
    assert (rows, fault) == ([table[0], *table[1]], "")


@pytest.mark.parametrize("format", FORMATS)
@many
@given(
    data=RUBBISH | tables().map(lambda table: written(table, "csv")),
    size=st.integers(1, 9),
    on_error=st.sampled_from(["fail", "skip"]),
    header=st.booleans(),
)
def test_rubbish_is_rows_or_an_error_and_blocks_do_not_matter(
    path: Path, format: str, data: bytes, size: int, on_error: str, header: bool
) -> None:
    path.write_bytes(data)
    fmt = RowFormat(format=format, on_error=on_error, header=header)
    whole = read(path, fmt)
    for row in whole[0]:
        assert len(row) == len(whole[0][0])
        "".join(row).encode()
    assert whole[1] == sorted(set(whole[1]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "BLOCK", size)
        pieces = read(path, fmt)
    if "damaged" not in whole[2] and "packed" not in whole[2]:
        assert pieces == whole


@many
@given(table=tables(), cuts=st.lists(st.integers(1, 40), min_size=1, max_size=8))
def test_a_pipe_that_is_written_to_bit_by_bit(table: Table, cuts: list[int]) -> None:
    data = written(table, "csv")
    reader, writer = os.pipe()

    def feed() -> None:
        at = 0
        with open(writer, "wb", buffering=0) as stream:
            while at < len(data):
                step = cuts[at % len(cuts)]
                stream.write(data[at : at + step])
                at += step

    thread = threading.Thread(target=feed)
    thread.start()
    rows = read(f"/dev/fd/{reader}", RowFormat())
    thread.join()
    os.close(reader)
    assert rows[0] == [table[0], *table[1]]


@many
@given(
    st.text(st.sampled_from('aab,,"\n\r '), max_size=40),
)
def test_csv_agrees_with_the_reader_of_the_standard_library(path: Path, text: str) -> None:
    wanted: list[list[str]] = []
    fault = ""
    try:
        for row in csv.reader(io.StringIO(text, newline=""), strict=True):
            if not row and (not wanted or len(wanted[0]) > 1):
                continue
            wanted.append(row or [""])
            if len(row or [""]) != len(wanted[0]):
                wanted.pop()
                fault = "fields, the header has"
                break
    except csv.Error:
        fault = "quote"
    if not wanted and not fault:
        fault = "empty"
    path.write_bytes(text.encode())
    rows, _, said = read(path, RowFormat())
    assert rows == wanted
    assert bool(said) == bool(fault) and fault in said


@pytest.fixture(scope="module")
def classifier() -> TextClassifier:
    """Three labels, weights of no meaning."""
    tokenizer, _ = Tokenizer.fit(TokenizerConfig(), ["a b", "我 e\u0301", "null 1 x"])
    weight = np.random.default_rng(1).normal(size=(tokenizer.n_features, 3)).astype(np.float32)
    scorer = AdditiveClassifier(weight, np.zeros(3, np.float32))
    return TextClassifier(tokenizer, scorer, ["x", "y,\n", '"'])


def answered(classifier: TextClassifier, path: Path, text: int, format: str) -> Table:
    """The rows of a CSV file with their answers: written, and read again."""
    answers = Answers(
        classifier, prefix="predicted by nlpcli: ", top_k=2, threshold=None,
        all_probabilities=False, abstain_below=0, explain=0,
    )  # fmt: skip
    out = io.BytesIO()
    rows = open_rows(str(path), RowFormat(format="csv"))
    writer = RowWriter(out, rows.header + answers.columns, format)
    writer.write_header()
    for batch in rows.batches():
        texts = [row[text] for row in batch.rows]
        writer.write(batch.rows, answers(texts))
    path.write_bytes(out.getvalue())
    found, _, fault = read(path, RowFormat(format=format))
    assert fault == ""
    assert found[0][len(rows.header) :] == answers.columns
    return found[0], found[1:]


def check_answers(classifier: TextClassifier, path: Path, table: Table, format: str) -> None:
    header, rows = table
    path.write_bytes(written(table, "csv"))
    found, answers = answered(classifier, path, len(rows[0]) - 1, format)
    width = len(header)
    assert found[:width] == header
    assert [row[:width] for row in answers] == rows
    assert all(row[width] in classifier.labels for row in answers)


@many
@given(table=tables(), format=st.sampled_from(["csv", "jsonl"]))
def test_input_columns_come_through_predict_unchanged(
    classifier: TextClassifier, path: Path, table: Table, format: str
) -> None:
    check_answers(classifier, path, table, format)


@pytest.mark.slow
@at_length
@given(table=tables(), format=st.sampled_from(["csv", "jsonl"]))
def test_input_columns_come_through_predict_unchanged_at_length(
    classifier: TextClassifier, path: Path, table: Table, format: str
) -> None:
    check_answers(classifier, path, table, format)
