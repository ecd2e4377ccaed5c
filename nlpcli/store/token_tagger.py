"""An encoder that tags words as a model folder, which transformers loads as
``BertForTokenClassification``; a field above it lies in a second file, ``crf.safetensors``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nlpcli.errors import DataError, shown
from nlpcli.store.draft import Draft
from nlpcli.store.encoder import Encoder, read_encoder, write_encoder
from nlpcli.store.folder import ModelFolder
from nlpcli.store.tensors import load_tensors, write_tensors
from nlpcli.store.validation import check_head_tensors
from nlpcli.text.tag_schemes import NONE, SCHEMES, letter_and_type

KIND = "bert-tagger"
KEY = "tagger"
ARCHITECTURE = "BertForTokenClassification"
CRF = "crf.safetensors"
DECODINGS = ("first", "mean")

Weights = dict[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Tagging:
    """How logits become tags of a ``scheme``: those of a word's first piece, or the mean of its
    pieces (``word_decoding``). ``max_length`` positions are read at once."""

    scheme: str = "BIO"
    word_decoding: str = "first"
    max_length: int = 128


@dataclass(frozen=True, eq=False)
class StoredTagger:
    """An encoder with its tags, how it answers, and the tensors of a field, if there is one."""

    encoder: Encoder
    tagging: Tagging
    crf: Weights | None = None


def crf_shapes(n_labels: int) -> dict[str, tuple[int, ...]]:
    """Of the tensors of a field, by their names."""
    return {
        "crf.transitions": (n_labels, n_labels), "crf.start": (n_labels,), "crf.end": (n_labels,),
    }  # fmt: skip


def write_token_tagger(
    draft: Draft, stored: StoredTagger, options: dict[str, Any]
) -> dict[str, Any]:
    """Writes the files; gives what belongs into the manifest's configuration. Errors as
    ``write_encoder``, DataError for a field that would not be read again."""
    about = {**asdict(stored.tagging), "crf": None if stored.crf is None else CRF}
    if stored.crf is not None:
        check_head_tensors(stored.crf, crf_shapes(len(stored.encoder.labels)), "the field")
        write_tensors(draft, CRF, dict(stored.crf))
    return write_encoder(draft, stored.encoder, {**options, KEY: about})


def read_token_tagger(folder: ModelFolder) -> StoredTagger:
    """Loads a verified model. Raises DataError when it is of another kind or does not add up."""
    where = str(folder.path)
    encoder = read_encoder(folder, kind=KIND)
    if encoder.architecture != ARCHITECTURE or not encoder.labels:
        raise DataError(f"{where}: no tagger of words: {shown(encoder.architecture)}")
    about = folder.manifest.config.get(KEY)
    if not isinstance(about, dict) or set(about) != {*asdict(Tagging()), "crf"}:
        raise DataError(f"{where}: config.{KEY} is missing or has other keys")
    _check(about, encoder, where)
    crf = None
    if about["crf"] is not None:
        crf = load_tensors(folder, CRF)
        check_head_tensors(crf, crf_shapes(len(encoder.labels)), str(folder.path / CRF))
    own = {name: value for name, value in about.items() if name != "crf"}
    return StoredTagger(encoder, Tagging(**own), crf)


def _check(about: dict[str, Any], encoder: Encoder, where: str) -> None:
    """Raises DataError for the first value that cannot be."""
    longest = about["max_length"]
    good = {
        "scheme": about["scheme"] in SCHEMES,
        "word_decoding": about["word_decoding"] in DECODINGS,
        "max_length": type(longest) is int and 4 <= longest <= encoder.config.max_positions,
        "crf": about["crf"] in (None, CRF),
    }
    for name, fine in good.items():
        if not fine:
            raise DataError(f"{where}: config.{KEY}.{name}: {shown(str(about[name]))}")
    try:
        if about["scheme"] != NONE:
            for label in encoder.labels:
                letter_and_type(label)
    except ValueError as error:
        raise DataError(f"{where}: config.{KEY}.scheme: {error}") from None
