"""Encoders that answer with a number: ours, and those of another program."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nlpcli.data.labelled import read_labelled
from nlpcli.data.pairs import joined
from nlpcli.data.rows import RowFormat
from nlpcli.errors import DataError
from nlpcli.runs.answering import open_answering, open_plain_answering
from nlpcli.runs.encoder_regressor import (
    EncoderRegressor,
    ScoreColumn,
    numbers_of,
    open_plain_regressor,
    open_regressor,
)

from ..store.encoder_classifiers import TEXTS, small_classifier, small_with, store_classifier

SHAPES = [("linear", "cls"), ("linear", "mean"), ("mlp", "cls"), ("mlp", "mean")]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(("head", "pooling"), SHAPES)
def test_the_same_text_gets_the_same_number(head: str, pooling: str, precision: str) -> None:
    model = EncoderRegressor(
        small_with(head, pooling, regression=True, pair=True), precision=precision, device="cpu"
    )
    texts = [joined(a, b) for a in TEXTS for b in TEXTS]
    wanted = model.scores(texts)
    assert wanted.shape == (81,) and np.ptp(wanted) > 0.05
    chunks = np.concatenate([model.scores(texts[i : i + 7]) for i in range(0, 81, 7)])
    assert np.abs(chunks - wanted).max() <= {"fp32": 1e-6, "bf16": 1e-3}[precision]
    assert model.scores([]).shape == (0,)


def test_numbers_in_cells() -> None:
    model = EncoderRegressor(small_with("linear", "cls", regression=True), precision="fp32")
    column = ScoreColumn(model, "my_")
    assert column.columns == column.numeric == ["my_score"]
    [cells] = column(TEXTS)
    np.testing.assert_allclose([float(cell) for cell in cells], model.scores(TEXTS), rtol=1e-6)


def folder_of(path: Path, **changes: Any) -> Path:
    made = small_with("linear", "cls", regression=True).encoder
    made = dataclasses.replace(made, **changes)
    path.mkdir(exist_ok=True)
    for name, data in made.files().items():
        (path / name).write_bytes(data)
    return path


def test_what_is_opened(tmp_path: Path) -> None:
    made = small_with("linear", "cls", regression=True)
    folder = store_classifier(tmp_path, made, "number")
    found = open_regressor(folder, device="cpu", precision="fp32")
    wanted = EncoderRegressor(made, precision="fp32").scores(TEXTS)
    assert found is not None
    np.testing.assert_array_equal(found.scores(TEXTS), wanted)
    assert open_regressor(store_classifier(tmp_path, small_classifier(), "labels")) is None
    with pytest.raises(DataError, match="bert-regressor"):
        open_answering(folder)

    for problem in ("regression", None):  # one label alone means a regression too
        path = folder_of(tmp_path / f"hf-{problem}", problem_type=problem)
        plain = open_plain_regressor(path, precision="fp32")
        assert plain is not None
        np.testing.assert_array_equal(plain.scores(TEXTS), wanted)
        with pytest.raises(DataError, match="a regression, wanted a classifier"):
            open_plain_answering(path, pair=False)
    one = folder_of(tmp_path / "one", problem_type="single_label_classification")
    assert open_plain_regressor(one) is None
    with pytest.raises(DataError, match="1 label, wanted a classifier of 2"):
        open_plain_answering(one, pair=False)


def test_several_numbers_are_refused(tmp_path: Path) -> None:
    made = dataclasses.replace(small_classifier().encoder, problem_type="regression")
    path = folder_of(tmp_path / "hf", weights=made.weights, labels=made.labels)
    with pytest.raises(DataError, match="a regression of 3 numbers, wanted 1"):
        open_plain_regressor(path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("pair", [False, True])
def test_transformers_gives_the_same_number(tmp_path: Path, pair: bool) -> None:
    transformers: Any = pytest.importorskip("transformers", reason="transformers is not installed")
    import torch

    made = small_with("linear", "cls", regression=True, pair=pair)
    path = store_classifier(tmp_path, made).path
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(
        path, local_files_only=True
    ).eval()
    assert (theirs.config.num_labels, theirs.config.problem_type) == (1, "regression")
    tokenizer = transformers.AutoTokenizer.from_pretrained(path, local_files_only=True)
    second = [TEXTS[-i] for i in range(len(TEXTS))] if pair else None
    encoded = tokenizer(
        TEXTS, second, padding=True, truncation=True, max_length=24, return_tensors="pt"
    )
    with torch.no_grad():
        wanted = theirs(**encoded).logits[:, 0]
    texts = TEXTS if second is None else [joined(*each) for each in zip(TEXTS, second, strict=True)]
    found = EncoderRegressor(made, precision="fp32").scores(texts)
    np.testing.assert_allclose(found, wanted.double().numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("label", "good"),
    [
        ("1", True), ("-2.5", True), (" +.5 ", True), ("1e-3", True), ("7.", True), ("nan", False),
        ("inf", False), ("1e16", False), ("1e999", False), ("1_0", False), ("", False),
        ("3,5", False), ("١", False), ("0x1", False), ("x", False),
    ],
)  # fmt: skip
def test_labels_that_are_numbers(tmp_path: Path, label: str, good: bool) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(f'text,label\na,1\nb,"{label}"\nc,3\n', encoding="utf-8")
    bad: list[tuple[int, str]] = []
    if not good:
        with pytest.raises(DataError, match=r"rows.csv line 3: .*label"):
            read_labelled(str(path), RowFormat(), numbers=True)
    rows = read_labelled(
        str(path), RowFormat(on_error="skip"), numbers=True,
        on_reject=lambda line, reason, row: bad.append((line, reason)),
    )  # fmt: skip
    assert numbers_of(rows).tolist() == ([1, float(label), 3] if good else [1, 3])
    assert (rows.n_skipped, len(bad)) == ((0, 0) if good else (1, 1))
