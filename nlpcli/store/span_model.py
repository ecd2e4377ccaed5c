"""An encoder that finds spans as a model folder: a plain encoder for transformers, which has no
class for such heads, and the head in a second file, ``span_head.safetensors``."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nlpcli.errors import DataError, shown
from nlpcli.models.span_config import SpanConfig, span_head_shapes
from nlpcli.store.draft import Draft
from nlpcli.store.encoder import Encoder, read_encoder, write_encoder
from nlpcli.store.folder import ModelFolder
from nlpcli.store.tensors import load_tensors, write_tensors
from nlpcli.store.validation import check_head_tensors

KIND = "bert-spans"
KEY = "spans"
ARCHITECTURE = "BertModel"
HEAD = "span_head.safetensors"
DECODINGS = ("flat", "nested")

Weights = dict[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Spanning:
    """How logits become spans: ``flat`` ones or ``nested`` ones; ``identify``: whether labels are
    set aside. ``max_length`` positions are read at once. ``relations``: names, if any."""

    decoding: str = "flat"
    identify: bool = False
    max_length: int = 128
    relations: list[str] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class StoredSpans:
    """An encoder, the names of its spans, how its head is made and answers, and its tensors."""

    encoder: Encoder
    labels: list[str]
    config: SpanConfig
    spanning: Spanning
    head: Weights


def write_span_model(draft: Draft, stored: StoredSpans, options: dict[str, Any]) -> dict[str, Any]:
    """Writes the files; gives what belongs into the manifest's configuration. Errors as
    ``write_encoder``, DataError for a head that would not be read again."""
    _check_head(stored, "the head")
    write_tensors(draft, HEAD, dict(stored.head))
    about = {**stored.config.to_json(), **asdict(stored.spanning), "file": HEAD}
    return write_encoder(draft, stored.encoder, {**options, KEY: about})


def read_span_model(folder: ModelFolder) -> StoredSpans:
    """Loads a verified model. Raises DataError when it is of another kind or does not add up."""
    where = str(folder.path)
    encoder = read_encoder(folder, kind=KIND)
    about = folder.manifest.config.get(KEY)
    sizes, rest = SpanConfig().to_json(), asdict(Spanning())
    if not isinstance(about, dict) or set(about) != {*sizes, *rest, "file"}:
        raise DataError(f"{where}: config.{KEY} is missing or has other keys")
    _check(about, encoder, where)
    try:
        config = SpanConfig(**{name: about[name] for name in sizes})
    except ValueError as error:
        raise DataError(f"{where}: config.{KEY}.{shown(str(error), 120)}") from None
    stored = StoredSpans(
        encoder, folder.manifest.labels, config,
        Spanning(**{name: about[name] for name in rest}), load_tensors(folder, HEAD),
    )  # fmt: skip
    if not stored.labels:
        raise DataError(f"{where}: no labels of spans")
    _check_head(stored, f"{folder.path / HEAD}")
    return stored


def _check(about: dict[str, Any], encoder: Encoder, where: str) -> None:
    """Raises DataError for the first value that cannot be."""
    longest, names = about["max_length"], about["relations"]
    texts = isinstance(names, list) and all(isinstance(name, str) for name in names)
    good = {
        "decoding": about["decoding"] in DECODINGS,
        "identify": type(about["identify"]) is bool,
        "max_length": type(longest) is int and 4 <= longest <= encoder.config.max_positions,
        "relations": texts and len(set(names)) == len(names),
        "file": about["file"] == HEAD,
    }
    for name, fine in good.items():
        if not fine:
            raise DataError(f"{where}: config.{KEY}.{name}: {shown(str(about[name]))}")


def _check_head(stored: StoredSpans, where: str) -> None:
    wanted = span_head_shapes(
        stored.config, stored.encoder.config.hidden, len(stored.labels),
        len(stored.spanning.relations),
    )  # fmt: skip
    check_head_tensors(stored.head, wanted, where)
