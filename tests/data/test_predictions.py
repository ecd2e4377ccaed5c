"""Predictions made elsewhere: read as numbers, bad rows named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nlpcli.data.predictions import read_predictions
from nlpcli.data.rows import RowFormat
from nlpcli.errors import DataError
from nlpcli.runs.predictions import score_predictions


def written(folder: Path, text: str) -> str:
    path = folder / "p.csv"
    path.write_text(text)
    return str(path)


def test_columns_of_predict(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "text,label,predicted_label,predicted_probability,predicted_probability:b,"
        "predicted_probability:a\nx,a,b,0.7,0.7,0.3\ny,a,a,0.6,0.4,0.6\n",
    )
    found = read_predictions(path, RowFormat())
    assert [found.truths[i] for i in found.true] == ["a", "a"]
    assert [found.answers[i] for i in found.predicted] == ["b", "a"]
    assert found.labels == ["b", "a"] and found.probabilities is not None
    assert found.probabilities.tolist() == [[0.7, 0.3], [0.4, 0.6]]
    assert found.confidence is not None and found.confidence.tolist() == [0.7, 0.6]
    document = score_predictions(found, resamples=10)
    assert document["accuracy"]["value"] == 0.5
    assert document["log_loss"]["value"] == pytest.approx(-np.log([0.3, 0.6]).mean())
    assert document["positive_label"] == "a" and document["average_precision"]["value"] == 1.0


def test_other_columns_and_no_probability(tmp_path: Path) -> None:
    path = written(tmp_path, "gold,said,sure\na,a,0.5\nb,,0.25\n")
    columns = {"label_column": "gold", "predicted_column": "said"}
    document = score_predictions(read_predictions(path, RowFormat(), **columns), resamples=10)
    assert document["ece"] == document["log_loss"] == {"value": None, "low": None, "high": None}
    assert (document["abstained"], document["accuracy"]["value"]) == (1, 0.5)
    found = read_predictions(path, RowFormat(), probability_column="sure", **columns)
    document = score_predictions(found, resamples=10)
    assert document["ece"]["value"] == pytest.approx(0.5)  # the other row claims nothing
    assert document["coverage"]["value"] == 0.5 and document["selective_accuracy"]["value"] == 1.0
    assert document["selective_accuracy"]["low"] < 0.5  # of one row
    assert document["macro_f1"]["value"] == 0.5 and set(document["per_label"]) == {"a", "b"}
    assert document["unknown_labels"] == []
    with pytest.raises(DataError, match="no column shure"):
        read_predictions(path, RowFormat(), probability_column="shure", **columns)


def test_where_nothing_is_answered_no_calibration_is_claimed(tmp_path: Path) -> None:
    head = "label,predicted_label,predicted_probability,predicted_probability:a"
    path = written(tmp_path, f"{head},predicted_probability:b\na,,0.6,0.6,0.4\nb,,0.7,0.3,0.7\n")
    document = score_predictions(read_predictions(path, RowFormat()), resamples=10)
    assert document["coverage"]["value"] == 0 and document["log_loss"]["value"] is not None
    for name in ("ece", "ece_adaptive", "selective_accuracy", "aurc"):
        assert document[name] == {"value": None, "low": None, "high": None}, name


def test_no_answer_needs_no_probability(tmp_path: Path) -> None:
    path = written(tmp_path, "label,predicted_label,predicted_probability\na,a,0.5\nb,,\nb,,0.4\n")
    document = score_predictions(read_predictions(path, RowFormat()), resamples=10)
    assert (document["abstained"], document["ece"]["value"]) == (2, 0.5)
    head = "label,predicted_label,predicted_probability:a,predicted_probability:b"
    path = written(tmp_path, f"{head}\na,,,\n")  # these tell of labels, whatever was answered
    with pytest.raises(DataError, match=r"probability \(blank\), wanted"):
        read_predictions(path, RowFormat())


def test_a_column_for_each_label_or_none(tmp_path: Path) -> None:
    """One label's column is no distribution over two; two columns of a name are one too many."""
    path = written(tmp_path, "label,predicted_label,predicted_probability:a\na,a,0.9\nb,b,0.2\n")
    document = score_predictions(read_predictions(path, RowFormat()), resamples=10)
    assert document["brier"]["value"] is None and document["accuracy"]["value"] == 1.0
    head = "label,predicted_label,predicted_probability:a,predicted_probability:a\n"
    path = written(tmp_path, head + "a,a,0.9,0.8\n")
    with pytest.raises(DataError, match="predicted_probability:a"):
        read_predictions(path, RowFormat())


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (",a,0.5", "the label is blank"),
        ("a,a,much", "probability much, wanted a number from 0 to 1"),
        ("a,a,1.5", "probability 1.5, wanted"),
        ("a,a,nan", "probability nan, wanted"),
        ("a,a,", r"probability \(blank\), wanted"),
    ],
)
def test_bad_rows(tmp_path: Path, row: str, reason: str) -> None:
    path = written(tmp_path, f"label,predicted_label,predicted_probability\na,b,0.5\n{row}\n")
    with pytest.raises(DataError, match=reason) as caught:
        read_predictions(path, RowFormat())
    assert "line 3" in str(caught.value)
    seen: list[int] = []
    fmt = RowFormat(on_error="skip")
    found = read_predictions(path, fmt, on_reject=lambda line, *_: seen.append(line))
    assert (len(found.true), found.n_skipped, seen) == (1, 1, [3])


def test_several_labels(tmp_path: Path) -> None:
    path = written(tmp_path, "label,predicted_labels\na;b,b;a\nb,\n,c\n,\n")
    fmt = RowFormat(label_separator=";")
    found = read_predictions(path, fmt, predicted_column="predicted_labels")
    document = score_predictions(found, separator=";", resamples=10)
    assert document["subset_accuracy"]["value"] == 0.5
    assert document["micro_f1"]["value"] == pytest.approx(2 * 2 / 6)
    assert document["macro_roc_auc"]["value"] is None


def test_no_rows(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no rows with a label and a prediction"):
        read_predictions(written(tmp_path, "label,predicted_label\n"), RowFormat())
