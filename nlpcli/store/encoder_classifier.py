"""A fine-tuned encoder as a model folder, which transformers loads as
``BertForSequenceClassification``; what that class has no place for is in the manifest.

A head that it has no place for lies in a second file, ``head.safetensors``, beside a folder that
transformers loads as ``BertModel``.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nlpcli.errors import DataError, shown
from nlpcli.models.sequence_head import CLS, HEADS, LINEAR, POOLINGS, head_shapes, is_plain
from nlpcli.store.draft import Draft
from nlpcli.store.encoder import Encoder, read_encoder, write_encoder
from nlpcli.store.folder import ModelFolder
from nlpcli.store.recalibration import Recalibration, read_recalibration
from nlpcli.store.tensors import load_tensors, write_tensors
from nlpcli.store.validation import check_head_tensors

KIND, REGRESSOR = "bert-classifier", "bert-regressor"
KEYS = {KIND: "classifier", REGRESSOR: "regressor"}
"""Of the manifest's configuration."""
ARCHITECTURE, BARE = "BertForSequenceClassification", "BertModel"
REGRESSION = "regression"
"""The problem_type of a folder that gives a number."""
SCORE = "score"
"""What a regression calls its output, where another program would have a label."""
HEAD = "head.safetensors"
SHORTEST = 4
"""Positions of a row: [CLS], a piece, and a [SEP] behind each text of a pair."""
LONG = ("truncate-tail", "truncate-head", "head-tail", "window")
ADDED = {"window_overlap", "head", "pooling", "head_file", "abstention_rows"}
"""Keys that models of earlier versions lack; they take the defaults."""


@dataclass(frozen=True)
class Answering:
    """How logits become answers: ``pair``: a row is two texts. ``separator`` and ``threshold``
    where a row may have several labels. Probabilities are those of ``scale * logits + offset``.
    ``max_length`` positions are read, of longer texts as ``long`` says; windows share
    ``window_overlap`` pieces. ``abstention`` and its rows as a TextClassifier has them. ``head``
    and ``pooling`` as in ``models/sequence_head.py``. ``regression``: the one logit is the answer,
    a number. ``recalibration``: what was fitted later, on rows of a user."""

    pair: bool = False
    separator: str | None = None
    threshold: float | None = None
    scale: float = 1.0
    offset: float = 0.0
    max_length: int = 128
    long: str = "truncate-tail"
    abstention: tuple[tuple[float, float, float], ...] = ()
    abstention_rows: int | None = None
    window_overlap: int = 32
    head: str = LINEAR
    pooling: str = CLS
    regression: bool = False
    recalibration: Recalibration | None = None

    @property
    def is_plain(self) -> bool:
        """Whether transformers has a class for it."""
        return is_plain(self.head, self.pooling)

    @property
    def kind(self) -> str:
        """Of the model folder."""
        return REGRESSOR if self.regression else KIND

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values; ``regression`` is told by the kind of model, ``recalibration`` has
        a key of the manifest's configuration."""
        about = {**asdict(self), "abstention": [list(point) for point in self.abstention]}
        del about["regression"], about["recalibration"]
        return {**about, "head_file": None if self.is_plain else HEAD}


@dataclass(frozen=True, eq=False)
class StoredClassifier:
    """A fine-tuned encoder with its labels, and how it answers.

    ``head``: the tensors of one that transformers has no class for, and ``head_labels``, its
    labels; else both are those of the encoder.
    """

    encoder: Encoder
    answering: Answering
    head: dict[str, npt.NDArray[np.float32]] | None = None
    head_labels: list[str] = field(default_factory=list)

    @property
    def labels(self) -> list[str]:
        """By the number of the logit."""
        return self.encoder.labels or self.head_labels


def write_encoder_classifier(
    draft: Draft, stored: StoredClassifier, options: dict[str, Any]
) -> dict[str, Any]:
    """Writes the files; gives what belongs into the manifest's configuration, where the caller
    puts ``stored.labels``. Errors as ``write_encoder``, DataError for a head that would not be
    read again."""
    if stored.head is not None:
        _check_head(stored.head, stored, "the head")
        write_tensors(draft, HEAD, dict(stored.head))
    about = {KEYS[stored.answering.kind]: stored.answering.to_json()}
    return write_encoder(draft, stored.encoder, {**options, **about})


def read_encoder_classifier(folder: ModelFolder) -> StoredClassifier:
    """Loads a verified model, also one that gives a number. Raises DataError when it is of another
    kind or does not add up."""
    where, kind = str(folder.path), folder.manifest.kind
    regression = kind == REGRESSOR
    encoder = read_encoder(folder, kind=REGRESSOR if regression else KIND)
    about = folder.manifest.config.get(KEYS.get(kind, ""))
    answering = read_answering(about, encoder, f"{where}: config.{KEYS[kind]}")
    answering = replace(
        answering, regression=regression,
        recalibration=read_recalibration(folder.manifest.config, where),
    )  # fmt: skip
    plain = answering.is_plain
    labels = folder.manifest.labels
    if encoder.architecture != (ARCHITECTURE if plain else BARE) or not labels:
        raise DataError(f"{where}: no classifier of texts: {shown(encoder.architecture)}")
    if regression and (len(labels) != 1 or encoder.problem_type != (REGRESSION if plain else None)):
        raise DataError(f"{where}: no regression of one number")
    if plain:
        return StoredClassifier(encoder, answering)
    stored = StoredClassifier(encoder, answering, load_tensors(folder, HEAD), list(labels))
    assert stored.head is not None
    _check_head(stored.head, stored, str(folder.path / HEAD))
    return stored


def read_answering(
    about: Any, encoder: Encoder, where: str, *, head_file: bool = True
) -> Answering:
    """How an encoder answers, from the JSON values that ``to_json`` gave; without ``head_file``
    they do not say where the head lies. Raises DataError for the first value that cannot be."""
    known = Answering().to_json()
    if not head_file:
        del known["head_file"]
    if not isinstance(about, dict) or not set(known) - ADDED <= set(about) <= set(known):
        raise DataError(f"{where} is missing or has other keys")
    about = {**{name: known[name] for name in ADDED & set(known)}, **about}
    _check(about, encoder, where)
    if about["pair"] and encoder.config.type_vocab < 2:
        raise DataError(f"{where}.pair: the encoder knows one segment, wanted 2 for pairs")
    points = tuple((float(p[0]), float(p[1]), float(p[2])) for p in about["abstention"])
    given = {name: value for name, value in about.items() if name != "head_file"}
    return Answering(**{**given, "abstention": points})


def _check_head(tensors: dict[str, npt.NDArray[Any]], stored: StoredClassifier, where: str) -> None:
    """Raises DataError for tensors that are not those of the head."""
    wanted = head_shapes(stored.encoder.config.hidden, len(stored.labels), stored.answering.head)
    if stored.answering.pooling == CLS and not stored.encoder.has_pooler:
        raise DataError(f"{where}: a head above a pooler, which the encoder lacks")
    check_head_tensors(tensors, wanted, where)


def _check(about: dict[str, Any], encoder: Encoder, where: str) -> None:
    """Raises DataError for the first value that cannot be."""

    def number(value: Any, low: float, high: float) -> bool:
        return type(value) in (int, float) and low <= value <= high

    longest, separator, limit = about["max_length"], about["separator"], about["threshold"]
    points, rows = about["abstention"], about["abstention_rows"]
    plain = is_plain(about["head"], about["pooling"])
    good = {
        "head": about["head"] in HEADS,
        "pooling": about["pooling"] in POOLINGS,
        "head_file": "head_file" not in about or about["head_file"] == (None if plain else HEAD),
        "pair": type(about["pair"]) is bool,
        "separator": separator is None or (isinstance(separator, str) and separator != ""),
        "threshold": limit is None or number(limit, 0, 1),
        "scale": number(about["scale"], 1e-6, 1e6),
        "offset": number(about["offset"], -1e6, 1e6),
        "max_length": type(longest) is int and SHORTEST <= longest <= encoder.config.max_positions,
        "long": about["long"] in LONG,
        "window_overlap": type(about["window_overlap"]) is int and about["window_overlap"] >= 0,
        "abstention": isinstance(points, list)
        and all(isinstance(p, list) and len(p) == 3 for p in points)
        and all(number(value, 0, 1) for p in points for value in p),
        "abstention_rows": rows is None or (type(rows) is int and rows > 0),
    }
    for name, fine in good.items():
        if not fine:
            raise DataError(f"{where}.{name}: {shown(str(about[name]))}")
