from pathlib import Path

import numpy as np
import pytest

from nlpcli.data.labelled import read_labelled
from nlpcli.data.output import RowWriter
from nlpcli.data.rows import RowFormat
from nlpcli.data.split import holdout, label_names
from nlpcli.errors import DataError


def put(tmp_path: Path, text: str) -> str:
    path = tmp_path / "x.csv"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_rows_with_labels_weights_and_what_was_left_out(tmp_path: Path) -> None:
    path = put(tmp_path, "text,label,w\na,x,1\n  ,x,1\nb,y,0.5\na,y,2\n")
    rows = read_labelled(path, RowFormat(), weight_column="w")
    assert rows.texts == ["a", "b", "a"]
    assert rows.labels == [("x",), ("y",), ("y",)]
    assert rows.weights is not None
    assert rows.weights.tolist() == [1, 0.5, 2]
    assert (rows.n_rows, rows.n_blank, rows.n_conflicts, rows.lines) == (4, 1, 1, [2, 4, 5])
    assert len(read_labelled(path, RowFormat(), keep_blank=True).texts) == 4
    assert len(rows.sha256) == 64


def test_several_labels(tmp_path: Path) -> None:
    path = put(tmp_path, "text,label\na,x; y;x\nb,\n")
    assert read_labelled(path, RowFormat(), label_separator=";").labels == [("x", "y"), ()]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("text,label,w\na,,1\n", "line 2: the label is blank"),
        ("text,label,w\na,x,1\nb,y,-1\n", "line 3: weight -1"),
        ("text,label,w\na,x,nan\n", "line 2: weight nan"),
        ("text,label,w\n", "no rows"),
        ("text,label,w\n ,x,1\n", "no rows"),
        ("text,lable,w\na,x,1\n", "no column label"),
    ],
)
def test_bad_rows(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_labelled(put(tmp_path, text), RowFormat(), weight_column="w")


def test_bad_rows_can_be_skipped(tmp_path: Path) -> None:
    told: list[int] = []
    path = put(tmp_path, "text,label\na,\nb,x\nc\n")
    rows = read_labelled(path, RowFormat(on_error="skip"), on_reject=lambda n, *_: told.append(n))
    assert rows.texts == ["b"]
    assert sorted(told) == [2, 4]
    assert rows.n_skipped == 2


def test_holdout_is_seeded_stratified_and_leaves_each_label_a_row() -> None:
    labels = [("a",)] * 100 + [("b",)] * 50 + [("c",)] + [()] * 20
    train, dev = holdout(labels, 0.2, seed=1)
    assert sorted([*train.tolist(), *dev.tolist()]) == list(range(171))
    held = [labels[i] for i in dev]
    assert (held.count(("a",)), held.count(("b",)), held.count(("c",))) == (20, 10, 0)
    assert np.array_equal(dev, holdout(labels, 0.2, seed=1)[1])
    assert not np.array_equal(dev, holdout(labels, 0.2, seed=2)[1])
    assert len(holdout(labels, 0.0, seed=1)[1]) == 0
    many = [(str(i // 3),) for i in range(300)]
    assert 25 <= len(holdout(many, 0.1, seed=1)[1]) <= 35


def test_label_names_are_sorted_whatever_the_row_order() -> None:
    assert label_names([("b", "a"), (), ("é",), ("b",)]) == ["a", "b", "é"]


def test_json_lines_and_spreadsheet_safety() -> None:
    import io

    out = io.BytesIO()
    writer = RowWriter(out, ["t", "p"], "jsonl", numeric_columns={"p"})
    writer.write_header()
    writer.write([["我\n"], ["b"]], [["0.5", ""]])
    assert out.getvalue().decode() == '{"t": "我\\n", "p": 0.5}\n{"t": "b", "p": null}\n'
    out = io.BytesIO()
    writer = RowWriter(out, ["t", "p"], spreadsheet_safe=True)
    writer.write([["=1+1"], ["a"]], [["x", "-y"]])
    assert out.getvalue() == b"'=1+1,x\na,'-y\n"
    for format, wanted in (("csv", "'-a,-20.5,[-1]\n"), ("jsonl", None)):
        out = io.BytesIO()
        writer = RowWriter(
            out, ["t", "p", "j"], format, numeric_columns={"p"}, json_columns={"j"},
            spreadsheet_safe=True,
        )  # fmt: skip
        writer.write([["-a"]], [["-20.5"], ["[-1]"]])
        found = out.getvalue().decode()
        assert found == (wanted or '{"t": "\'-a", "p": -20.5, "j": [-1]}\n')


def test_what_an_output_must_not_lose() -> None:
    import io

    with pytest.raises(DataError, match="column a occurs 2 times, JSON lines hold it once"):
        RowWriter(io.BytesIO(), ["a", "b", "a"], "jsonl")
    out = io.BytesIO()
    writer = RowWriter(out, ["\ufeffa", "=b"], spreadsheet_safe=True)
    writer.write_header()
    writer.write([["\ufeff1"]], [["2\r"]])
    assert out.getvalue().decode() == '"\ufeffa",\'=b\n\ufeff1,"2\r"\n'
