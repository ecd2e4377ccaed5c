"""Hugging Face's BERT folder: ``config.json``, safetensors weights and a tokenizer.

Read without transformers, without running anything that comes with it, and without believing a
size that the files do not bear out; written so that transformers finds every tensor it wants and
none that it does not.
"""

from __future__ import annotations

import io
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nlpcli.errors import DataError, InputMissing, Unavailable, shown
from nlpcli.formats import hf_names, sentence_pooling
from nlpcli.formats.bounded import BoundedReader, open_bounded
from nlpcli.formats.hf_config import HfConfig, config_json, parse_config
from nlpcli.formats.hf_tokenizer import read_tokenizer, tokenizer_files
from nlpcli.formats.safetensors_file import TensorEntry, is_float, read_float32, read_header
from nlpcli.models.bert_config import BertConfig
from nlpcli.text.strict_json import parse_object

Weights = dict[str, npt.NDArray[np.float32]]
Open = Callable[[str], AbstractContextManager[BoundedReader]]

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
LARGEST_JSON = 16 * 2**20
_PICKLES = (
    "pytorch_model.bin", "pytorch_model.bin.index.json", "tf_model.h5", "flax_model.msgpack",
)  # fmt: skip
_SHARD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,200}\.safetensors")
_FLOAT32 = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class HfBert:
    """A BERT with whatever head it has.

    ``weights`` under the names of ``BertModel``, heads under their own (see ``hf_names``); the
    pooler may be missing. ``tokenizer_json`` as the tokenizers library reads it. ``architecture``:
    the class whose tensors are all there. ``labels`` of a head that has some. ``ignored``: tensors
    of other heads, which were not read. ``pooling``: what sentence-transformers makes of a text's
    pieces there, where it is their mean.
    """

    config: BertConfig
    weights: Weights
    tokenizer_json: bytes
    architecture: str
    labels: list[str]
    problem_type: str | None
    classifier_dropout: float | None
    ignored: list[str]
    pooling: str | None = None


def is_hf_folder(path: Path) -> bool:
    """Whether a folder looks like one: it has a ``config.json``."""
    return os.path.isfile(path / CONFIG)


def read_hf_folder(path: Path, *, room: int | None = None) -> HfBert:
    """Reads one. ``room``: bytes of memory that the weights may take.

    Raises InputMissing where no such folder is, DataError for what is no plain BERT or does not
    add up, Unavailable without the memory.
    """
    if not os.path.isdir(path):
        raise InputMissing(f"{path}: no such folder",
                           hint="nothing is fetched: the path of a folder")  # fmt: skip
    try:
        names = set(os.listdir(path))
    except OSError as error:
        raise InputMissing(f"{path}: {error.strerror}") from None
    return read_hf(lambda name: open_bounded(path / name), names, str(path), room=room)


def read_hf_bytes(read: Callable[[str], bytes], names: set[str], where: str) -> HfBert:
    """The same of files that were read already: ``read`` gives one by its name."""

    @contextmanager
    def opened(name: str) -> Iterator[BoundedReader]:
        data = read(name)
        yield BoundedReader(io.BytesIO(data), len(data), f"{where}/{name}")

    return read_hf(opened, names, where)


def read_hf(opened: Open, names: set[str], where: str, *, room: int | None = None) -> HfBert:
    """The same of files that ``opened`` opens; ``names``: those there are."""

    def read(name: str, limit: int) -> bytes | None:
        if name not in names:
            return None
        with opened(name) as reader:
            if reader.remaining > limit:
                raise reader.bad(f"{reader.remaining:,} bytes, at most {limit:,}")
            return reader.read(reader.remaining, "the file")

    data = read(CONFIG, LARGEST_JSON)
    if data is None:
        raise DataError(f"{where}: no {CONFIG}, so this is no Hugging Face folder")
    config = parse_config(data, f"{where}/{CONFIG}")
    files = _weight_files(read, names, where)
    plan = _Plan(config, _entries(opened, files), where)
    plan.check_memory(room)
    tokenizer = read_tokenizer(read, config.bert.vocab_size, where)
    weights = plan.read(opened)
    pooling = None
    if sentence_pooling.FOLDER in names:
        with suppress(InputMissing), opened(sentence_pooling.FILE) as reader:
            found = reader.read(min(reader.remaining, LARGEST_JSON), "the file")
            pooling = sentence_pooling.pooling_in(found, f"{where}/{sentence_pooling.FILE}")
    labelled = plan.architecture in hf_names.LABELLED
    return HfBert(
        config=config.bert,
        weights=weights,
        tokenizer_json=tokenizer,
        architecture=plan.architecture,
        labels=config.labels if labelled else [],
        problem_type=config.problem_type if labelled else None,
        classifier_dropout=config.classifier_dropout,
        ignored=plan.ignored,
        pooling=pooling,
    )


def _weight_files(
    read: Callable[[str, int], bytes | None], names: set[str], where: str
) -> dict[str, set[str] | None]:
    """Weight files by name, each with the tensors that the index expects in it, if there is one."""
    if WEIGHTS in names:
        return {WEIGHTS: None}
    data = read(INDEX, LARGEST_JSON)
    if data is None:
        found = next((name for name in _PICKLES if name in names), None)
        if found is not None:
            raise DataError(f"{where}: only {found}, which is never loaded; wanted {WEIGHTS}")
        raise DataError(f"{where}: no {WEIGHTS}")
    parts = parse_object(data, f"{where}/{INDEX}").get("weight_map")
    if not isinstance(parts, dict) or not parts:
        raise DataError(f"{where}/{INDEX}: weight_map is missing")
    files: dict[str, set[str] | None] = {}
    for tensor, file in parts.items():
        if not isinstance(file, str) or not _SHARD.fullmatch(file) or file not in names:
            raise DataError(f"{where}/{INDEX}: {shown(str(file))} is no file of this folder")
        tensors = files.setdefault(file, set())
        assert tensors is not None
        tensors.add(tensor)
    return files


def _entries(opened: Open, files: dict[str, set[str] | None]) -> dict[str, list[TensorEntry]]:
    """The tensors of each file as they lie in it, the index believed only where it is right."""
    found = {}
    for file, expected in files.items():
        with opened(file) as reader:
            found[file] = read_header(reader)
            if expected is not None and {entry.name for entry in found[file]} != expected:
                raise reader.bad("its tensors are not those that the index says")
    return found


class _Plan:
    """Which tensors of which file are read, and under which name. Raises DataError."""

    def __init__(self, config: HfConfig, entries: dict[str, list[TensorEntry]], where: str) -> None:
        self._config, self._entries, self._where = config, entries, where
        self._by_name: dict[str, TensorEntry] = {}
        for entry in (entry for file in entries.values() for entry in file):
            name = hf_names.plain_name(entry.name)
            if name in self._by_name:
                raise DataError(f"{where}: tensor {shown(name)} is there twice")
            self._by_name[name] = entry
        self._take_bias()
        self.architecture = self._chosen()
        tied = "masked-lm" in hf_names.HEADS[self.architecture]
        self._twins = hf_names.TWINS if tied else {}
        self._shapes = self._wanted()
        self.ignored = self._check_others()

    def _take_bias(self) -> None:
        """Some files have the decoder's bias under its second name only."""
        name = hf_names.DECODER_BIAS
        if name in self._by_name and hf_names.BIAS not in self._by_name:
            self._by_name[hf_names.BIAS] = self._by_name.pop(name)

    def _chosen(self) -> str:
        """The class that is named; of pretraining's, the one with the most heads that is whole."""
        named = self._config.architecture
        if named in hf_names.TASKS:
            return named
        if named in hf_names.PRETRAINING:
            self._check_there(hf_names.tensor_shapes(self._config.bert, named))
        for architecture in hf_names.PRETRAINING:
            wanted = hf_names.tensor_shapes(self._config.bert, architecture)
            if wanted.keys() <= self._by_name.keys():
                return architecture
        return "BertModel"

    def _wanted(self) -> dict[str, hf_names.Shape]:
        """Names and shapes of what is read."""
        bert = self._config.bert
        wanted = hf_names.tensor_shapes(bert, self.architecture, len(self._config.labels))
        pooler = hf_names.pooler_shapes(bert)
        if pooler.keys() & self._by_name.keys():
            wanted |= pooler
        self._check_there(wanted)
        if self._twins and not self._config.tied and hf_names.DECODER not in self._by_name:
            raise DataError(f"{self._where}: tensor {hf_names.DECODER} is missing")
        return wanted

    def _check_there(self, wanted: dict[str, hf_names.Shape]) -> None:
        for name, shape in wanted.items():
            entry = self._by_name.get(name)
            if entry is None:
                raise DataError(f"{self._where}: tensor {name} is missing")
            if entry.shape != shape:
                raise DataError(f"{self._where}: tensor {name} has shape {entry.shape}, "
                                f"by {CONFIG} {shape}")  # fmt: skip
            if not is_float(entry):
                raise DataError(f"{self._where}: tensor {name} has type {entry.dtype}, wanted F32, "
                                "F16 or BF16")  # fmt: skip

    def _check_others(self) -> list[str]:
        """Names of tensors that are not read; in the encoder itself there must be none."""
        ignored = []
        for name in self._by_name.keys() - self._shapes.keys():
            if hf_names.is_buffer(name):
                continue
            if name in self._twins:
                self._check_there({name: self._shapes[self._twins[name]]})
                continue
            if hf_names.belongs_to_encoder(name):
                raise DataError(f"{self._where}: tensor {shown(name)} is none that a BERT of "
                                f"{self._config.bert.n_layers} layers has")  # fmt: skip
            ignored.append(name)
        return sorted(ignored)

    def check_memory(self, room: int | None) -> None:
        """Raises Unavailable when the weights would take more than ``room`` bytes."""
        read = self._by_name.keys() & {*self._shapes, *self._twins}
        need = _FLOAT32 * sum(math.prod(self._by_name[name].shape) for name in read)
        if room is not None and need > room:
            raise Unavailable(
                f"{self._where}: its weights take {need:,} bytes of memory, {room:,} are free"
            )

    def read(self, opened: Open) -> Weights:
        """The tensors, float32. A decoder that is stored must be what it is tied to."""
        names = {entry.name: name for name, entry in self._by_name.items()}
        found: Weights = {}
        for file, entries in self._entries.items():
            with opened(file) as reader:
                if read_header(reader) != entries:
                    raise reader.bad("it was changed while it was read")
                for entry in entries:
                    name = names[entry.name]
                    if name in self._shapes or name in self._twins:
                        found[name] = read_float32(reader, entry)
                    else:
                        reader.skip(entry.size, f"tensor {shown(name)}")
        for name, twin in self._twins.items():
            other = found.pop(name, None)
            if other is not None and not np.array_equal(other, found[twin]):
                raise DataError(
                    f"{self._where}: tensor {name} differs from {twin}, wanted them tied"
                )
        return {name: found[name] for name in self._shapes}


def hf_files(
    config: BertConfig,
    weights: Mapping[str, npt.NDArray[Any]],
    tokenizer_json: bytes,
    *,
    architecture: str,
    labels: Sequence[str] = (),
    problem_type: str | None = None,
    classifier_dropout: float | None = None,
) -> dict[str, bytes]:
    """The files of a folder, by name; the same bytes for the same arguments.

    ``weights`` under the names that ``read_hf_folder`` gives; what the class has no place for is
    left out, as is the decoder, which is tied. Raises ValueError for a tensor that is missing or
    of another shape, DataError for what is no BERT tokenizer or has more pieces than rows.
    """
    from safetensors.numpy import save

    shapes = hf_names.tensor_shapes(config, architecture, len(labels))
    if architecture == "BertModel" and f"{hf_names.POOLER}.weight" in weights:
        shapes |= hf_names.pooler_shapes(config)
    tensors = {}
    for name, shape in shapes.items():
        array = weights.get(name)
        if array is None or array.shape != shape or str(array.dtype) != "float32":
            seen = "none" if array is None else f"{array.dtype} {array.shape}"
            raise ValueError(f"tensor {name}: {seen}, wanted float32 {shape}")
        tensors[hf_names.file_name(name, architecture)] = np.ascontiguousarray(array)
    about = config_json(
        config, architecture, labels=labels, problem_type=problem_type,
        classifier_dropout=classifier_dropout,
    )  # fmt: skip
    return {
        CONFIG: about,
        WEIGHTS: save(tensors, metadata={"format": "pt"}),
        **tokenizer_files(
            tokenizer_json, max_positions=config.max_positions, vocab_size=config.vocab_size
        ),
    }
