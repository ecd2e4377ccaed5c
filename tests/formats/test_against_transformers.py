"""Folders against transformers itself: it loads ours whole, and we read what it saves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nlpcli.formats import hf_names
from nlpcli.formats.hf_folder import read_hf_folder

from .bert_folder import LABELS, TINY, bert_files, labels_of, random_weights, written

pytestmark = pytest.mark.filterwarnings("ignore")  # its own, of its own making


@pytest.fixture(scope="module")
def transformers() -> Any:
    """The library; it reads what lies here and asks nobody."""
    pytest.importorskip("torch")
    return pytest.importorskip("transformers", reason="transformers is not installed")


@pytest.mark.parametrize("architecture", hf_names.ARCHITECTURES)
def test_it_loads_every_tensor_and_saves_what_we_read(
    transformers: Any, tmp_path: Path, architecture: str
) -> None:
    folder = written(tmp_path / "ours", bert_files(architecture))
    model, loading = getattr(transformers, architecture).from_pretrained(
        folder, output_loading_info=True, local_files_only=True
    )
    assert {key: value for key, value in loading.items() if value} == {}
    weights = random_weights(architecture)
    assert model.num_parameters() == sum(array.size for array in weights.values())
    if labels_of(architecture):
        assert model.config.id2label == dict(enumerate(LABELS))

    model.save_pretrained(tmp_path / "theirs")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    tokenizer.save_pretrained(tmp_path / "theirs")
    found = read_hf_folder(tmp_path / "theirs")
    assert (found.config, found.architecture) == (TINY, architecture)
    assert found.labels == labels_of(architecture)
    assert found.weights.keys() == weights.keys()
    for name, array in weights.items():
        np.testing.assert_array_equal(found.weights[name], array)


def test_halves_in_shards(transformers: Any, tmp_path: Path) -> None:
    folder = written(tmp_path / "ours", bert_files("BertForPreTraining"))
    model = transformers.BertForPreTraining.from_pretrained(folder, local_files_only=True)
    model.half().save_pretrained(tmp_path / "theirs", max_shard_size="2KB")
    transformers.AutoTokenizer.from_pretrained(folder).save_pretrained(tmp_path / "theirs")
    assert (tmp_path / "theirs" / "model.safetensors.index.json").exists()
    found = read_hf_folder(tmp_path / "theirs")
    for name, array in random_weights("BertForPreTraining").items():
        np.testing.assert_array_equal(found.weights[name], array.astype(np.float16))


def test_texts_are_cut_the_same(transformers: Any, tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    folder = written(tmp_path, bert_files())
    ours = Tokenizer.from_file(str(folder / "tokenizer.json"))
    for name in ("AutoTokenizer", "BertTokenizer", "BertTokenizerFast"):
        theirs = getattr(transformers, name).from_pretrained(folder, local_files_only=True)
        assert theirs.model_max_length == TINY.max_positions
        assert theirs.mask_token_id == 4
        for text in ("The cats  a中b [MASK] É", "", "b" * 200):
            encoded = theirs(text, "a")
            assert encoded["input_ids"] == ours.encode(text, "a").ids
            assert encoded["token_type_ids"] == ours.encode(text, "a").type_ids
