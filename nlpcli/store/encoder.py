"""A BERT encoder as a model folder, which is a Hugging Face folder at the same time.

Beside the manifest lie the files of ``formats/hf_folder.py``; heads that transformers has no class
for lie in files of their own: ``span_boundary.safetensors``.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nlpcli.errors import DataError, shown
from nlpcli.formats import hf_names
from nlpcli.formats.hf_folder import WEIGHTS, HfBert, hf_files, read_hf_bytes, read_hf_folder
from nlpcli.formats.sentence_pooling import MEAN
from nlpcli.models.bert_config import BertConfig
from nlpcli.store.draft import Draft
from nlpcli.store.folder import MANIFEST, ModelFolder
from nlpcli.store.store import Store, parse_spec
from nlpcli.store.tensors import Arrays, load_tensors, write_tensors
from nlpcli.store.validation import LARGEST

KIND = "bert-encoder"
FINE_TUNED = (
    "bert-classifier", "bert-multitask", "bert-tagger", "bert-qa", "bert-regressor", "bert-spans",
)  # fmt: skip
"""Kinds of models that are an encoder with a head for a task."""
KEY, POOLING = "encoder", "pooling"
SPAN_BOUNDARY = "span_boundary.safetensors"
_ABOUT = {
    "architecture", "heads", "pooler", "n_parameters", "problem_type", "classifier_dropout", "bert",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Encoder:
    """Weights float32 under the names of ``formats/hf_names.py``, and what goes with them.

    ``architecture``: the class of transformers that a folder of it is a checkpoint of.
    ``span_boundary``: tensors of that head, whatever their names, or None. ``labels`` and
    ``problem_type`` of a head that has labels. ``pooling``: how a vector of a text is best
    made, where that is the mean of its pieces'.
    """

    config: BertConfig
    weights: dict[str, npt.NDArray[np.float32]]
    tokenizer_json: bytes
    architecture: str
    span_boundary: Arrays | None = None
    labels: list[str] = field(default_factory=list)
    problem_type: str | None = None
    classifier_dropout: float | None = None
    pooling: str | None = None

    @property
    def heads(self) -> dict[str, str]:
        """What it has besides the encoder, each with the file in which it lies."""
        found = dict.fromkeys(hf_names.HEADS[self.architecture], WEIGHTS)
        if self.span_boundary is not None:
            found["span-boundary"] = SPAN_BOUNDARY
        return found

    @property
    def n_parameters(self) -> int:
        """Numbers that were trained; a tied decoder counts once."""
        arrays = [*self.weights.values(), *(self.span_boundary or {}).values()]
        return sum(array.size for array in arrays)

    @property
    def has_pooler(self) -> bool:
        """Whether there is a layer above the first position."""
        return "pooler.dense.weight" in self.weights

    def sha256(self) -> str:
        """Of all tensors and the tokenizer: two encoders of one shape are told apart by it."""
        digest = hashlib.sha256(self.tokenizer_json)
        for name, array in sorted({**self.weights, **(self.span_boundary or {})}.items()):
            digest.update(f"{name} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def files(self) -> dict[str, bytes]:
        """The Hugging Face folder, without heads that it has no place for."""
        return hf_files(
            self.config,
            self.weights,
            self.tokenizer_json,
            architecture=self.architecture,
            labels=self.labels,
            problem_type=self.problem_type,
            classifier_dropout=self.classifier_dropout,
        )


@dataclass(frozen=True)
class OpenedEncoder:
    """An encoder, where it lies, and its folder in the store; None of a plain folder.

    ``warnings``: about newer versions that do not verify, or tensors that were not read.
    """

    encoder: Encoder
    path: Path
    folder: ModelFolder | None
    warnings: list[str]


def write_encoder(draft: Draft, encoder: Encoder, options: dict[str, Any]) -> dict[str, Any]:
    """Writes the files into a draft; gives what belongs into the manifest's configuration.

    ``options``: how the encoder was made. The caller puts ``encoder.labels`` into the manifest.
    Raises ValueError for tensors that do not fit the configuration, DataError for values that
    would not be read again, OutputFailed.
    """
    parts = {**encoder.weights, **(encoder.span_boundary or {})}
    for name, array in parts.items():
        _check_values(name, array, "the encoder")
    for name, data in encoder.files().items():
        draft.write(name, data)
    if encoder.span_boundary is not None:
        write_tensors(draft, SPAN_BOUNDARY, encoder.span_boundary)
    return {**options, KEY: about_encoder(encoder)}


def about_encoder(encoder: Encoder) -> dict[str, Any]:
    """Sizes, heads with their files, and the number of parameters, as JSON values."""
    pooling = {} if encoder.pooling is None else {POOLING: encoder.pooling}
    return {
        **pooling,
        "architecture": encoder.architecture,
        "heads": encoder.heads,
        "pooler": f"{hf_names.POOLER}.weight" in encoder.weights,
        "n_parameters": encoder.n_parameters,
        "problem_type": encoder.problem_type,
        "classifier_dropout": encoder.classifier_dropout,
        "bert": encoder.config.to_json(),
    }


def read_encoder(folder: ModelFolder, kind: str = KIND) -> Encoder:
    """Loads a verified model. Raises DataError when it is of another kind or does not add up."""
    manifest, where = folder.manifest, str(folder.path)
    if manifest.kind != kind:
        raise DataError(f"{where}: a model of kind {shown(manifest.kind)}, wanted an encoder",
                        hint="pretrain-bert, or a Hugging Face folder")  # fmt: skip
    about = manifest.config.get(KEY)
    if not isinstance(about, dict) or set(about) - {POOLING} != _ABOUT:
        raise DataError(f"{where}: config.{KEY}: wanted {', '.join(sorted(_ABOUT))}")
    found = read_hf_bytes(folder.read, set(manifest.files), where)
    pooling = about.get(POOLING)
    if pooling not in (None, MEAN):
        raise DataError(f"{where}: config.{KEY}.{POOLING}: {shown(pooling)}, wanted {MEAN}")
    encoder = replace(_encoder(found, _span_boundary(folder)), pooling=pooling)
    # labels of a head in a second file are the manifest's alone
    own_labels = kind == KIND or encoder.architecture in hf_names.LABELLED
    if about_encoder(encoder) != about or (own_labels and encoder.labels != manifest.labels):
        raise DataError(f"{where}: the manifest says another thing than the files")
    return encoder


def _span_boundary(folder: ModelFolder) -> Arrays | None:
    if SPAN_BOUNDARY not in folder.manifest.files:
        return None
    arrays = load_tensors(folder, SPAN_BOUNDARY)
    for name, array in arrays.items():
        _check_values(name, array, f"{folder.path / SPAN_BOUNDARY}")
    return arrays


def _check_values(name: str, array: npt.NDArray[Any], where: str) -> None:
    if array.dtype != np.float32:
        raise DataError(f"{where}: tensor {shown(name)} has type {array.dtype}, wanted float32")
    low, high = float(array.min(initial=np.inf)), float(array.max(initial=-np.inf))
    if array.size and not (low >= -LARGEST and high <= LARGEST):  # NaN fails both
        raise DataError(
            f"{where}: tensor {shown(name)} holds a value that is not finite, or too large"
        )


def _encoder(found: HfBert, span_boundary: Arrays | None = None) -> Encoder:
    return Encoder(
        config=found.config,
        weights=found.weights,
        tokenizer_json=found.tokenizer_json,
        architecture=found.architecture,
        span_boundary=span_boundary,
        labels=found.labels,
        problem_type=found.problem_type,
        classifier_dropout=found.classifier_dropout,
        pooling=found.pooling,
    )


def open_encoder(spec: str, store: Store, *, room: int | None = None) -> OpenedEncoder:
    """What ``--from`` means: a name, NAME@VERSION, a model folder or a plain Hugging Face folder.

    ``room``: bytes of memory for the weights of a plain folder. Raises InputMissing, UsageError,
    DataError for what is no encoder or does not verify, Unavailable without the memory.
    """
    path = parse_spec(spec).path
    if path is not None and not os.path.lexists(path / MANIFEST):
        return open_plain(path, room=room)
    folder, warnings = store.open(spec)
    kind = folder.manifest.kind
    encoder = read_encoder(folder, kind if kind in FINE_TUNED else KIND)
    return OpenedEncoder(encoder, folder.path, folder, warnings)


def open_plain(path: Path, *, room: int | None = None) -> OpenedEncoder:
    """A Hugging Face folder that another program made; errors as ``open_encoder``."""
    found = read_hf_folder(path, room=room)
    warnings = []
    if found.ignored:
        count, first = len(found.ignored), shown(found.ignored[0])
        warnings.append(f"{path}: {count} tensors of other heads are left out, {first} the first")
    return OpenedEncoder(_encoder(found), path, None, warnings)


def describe_plain(path: Path, *, room: int | None = None) -> dict[str, Any]:
    """What such a folder is, as JSON values; errors as ``open_encoder``."""
    encoder = open_plain(path, room=room).encoder
    files = (entry for entry in os.scandir(path) if entry.is_file())
    return {
        "path": str(path),
        "kind": "huggingface",
        **about_encoder(encoder),
        "labels": encoder.labels,
        "files": {entry.name: {"size": entry.stat().st_size} for entry in sorted(files, key=_name)},
    }


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name
