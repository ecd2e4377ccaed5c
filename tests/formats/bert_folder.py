"""Small BERT folders for tests: random weights, eleven pieces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nlpcli.formats import hf_names
from nlpcli.formats.hf_folder import hf_files
from nlpcli.models.bert_config import BertConfig
from nlpcli.text.wordpiece import WordPieceTokenizer

Weights = dict[str, npt.NDArray[np.float32]]

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "the", "##s", "cat", "中"]
TINY = BertConfig(
    vocab_size=len(PIECES), n_layers=2, hidden=8, heads=2, intermediate=16, max_positions=24
)
TOKENIZER = WordPieceTokenizer.from_vocab(PIECES).to_json()
LABELS = ["x", "y", "größe"]


def labels_of(architecture: str) -> list[str]:
    """LABELS where the class has a head with labels."""
    return LABELS if architecture in hf_names.LABELLED else []


def random_weights(architecture: str, config: BertConfig = TINY, seed: int = 1) -> Weights:
    """Every tensor of the class, the pooler of ``BertModel`` too."""
    rng = np.random.default_rng(seed)
    shapes = hf_names.tensor_shapes(config, architecture, len(labels_of(architecture)))
    if architecture == "BertModel":
        shapes |= hf_names.pooler_shapes(config)
    return {
        name: rng.normal(scale=0.2, size=shape).astype(np.float32) for name, shape in shapes.items()
    }


def written(path: Path, files: dict[str, bytes]) -> Path:
    """The folder with these files in it, and no others."""
    path.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (path / name).write_bytes(data)
    return path


def bert_files(architecture: str = "BertModel", weights: Weights | None = None) -> dict[str, bytes]:
    """The files of a folder as we write it."""
    return hf_files(
        TINY,
        random_weights(architecture) if weights is None else weights,
        TOKENIZER,
        architecture=architecture,
        labels=labels_of(architecture),
    )


def with_config(files: dict[str, bytes], **changes: Any) -> dict[str, bytes]:
    """The files with other values in ``config.json``; ``...`` takes a key away."""
    values = {**json.loads(files["config.json"]), **changes}
    values = {key: value for key, value in values.items() if value is not ...}
    return {**files, "config.json": json.dumps(values).encode()}


def raw_safetensors(tensors: dict[str, tuple[str, list[int], bytes]], **metadata: str) -> bytes:
    """A safetensors file by hand: type, shape and bytes of each tensor, in this order."""
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    at = 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    return framed(json.dumps(header).encode(), b"".join(data for _, _, data in tensors.values()))


def framed(header: bytes, data: bytes, length: int | None = None) -> bytes:
    """A header with its length before it and the tensors after it."""
    return (len(header) if length is None else length).to_bytes(8, "little") + header + data


def as_tensors(weights: Weights) -> dict[str, tuple[str, list[int], bytes]]:
    """For ``raw_safetensors``, as float32."""
    return {
        name: ("F32", list(array.shape), array.astype("<f4").tobytes())
        for name, array in weights.items()
    }
