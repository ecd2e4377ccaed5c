"""1_Pooling of sentence-transformers, as its folders have it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nlpcli.errors import DataError
from nlpcli.formats.hf_folder import read_hf_folder
from nlpcli.formats.sentence_pooling import FILE, pooling_in

from .bert_folder import bert_files, written

MEAN = {
    "word_embedding_dimension": 384, "pooling_mode_cls_token": False,
    "pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": False,
}  # fmt: skip


@pytest.mark.parametrize(
    ("about", "wanted"),
    [
        (MEAN, "mean"),
        ({"pooling_mode": "mean"}, "mean"),
        ({**MEAN, "pooling_mode_max_tokens": True}, None),  # both, one beside the other
        ({**MEAN, "pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True}, None),
        ({}, None),
    ],
)
def test_the_mean_and_nothing_else(about: dict[str, Any], wanted: str | None) -> None:
    assert pooling_in(json.dumps(about).encode(), "x") == wanted


def test_of_a_folder(tmp_path: Path) -> None:
    folder = written(tmp_path / "f", bert_files())
    assert read_hf_folder(folder).pooling is None
    file = folder / FILE
    file.parent.mkdir()
    assert read_hf_folder(folder).pooling is None
    file.write_text(json.dumps(MEAN))
    assert read_hf_folder(folder).pooling == "mean"
    file.write_text("[]")
    with pytest.raises(DataError, match=r"1_Pooling/config\.json"):
        read_hf_folder(folder)
