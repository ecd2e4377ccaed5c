"""A fine-tuned encoder as a model folder, which transformers loads as
``BertForSequenceClassification``; what that class has no place for is in the manifest."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from nlpcli.errors import DataError, shown
from nlpcli.store.draft import Draft
from nlpcli.store.encoder import Encoder, read_encoder, write_encoder
from nlpcli.store.folder import ModelFolder

KIND = "bert-classifier"
KEY = "classifier"
ARCHITECTURE = "BertForSequenceClassification"
SHORTEST = 4
"""Positions of a row: [CLS], a piece, and a [SEP] behind each text of a pair."""
LONG = ("truncate-tail", "truncate-head", "head-tail", "window")
ADDED = {"window_overlap"}
"""Keys that models of earlier versions lack; they take the defaults."""


@dataclass(frozen=True)
class Answering:
    """How logits become answers: ``pair``: a row is two texts. ``separator`` and ``threshold``
    where a row may have several labels. Probabilities are those of ``scale * logits + offset``.
    ``max_length`` positions are read, of longer texts as ``long`` says; windows share
    ``window_overlap`` pieces. ``abstention`` as a TextClassifier has it."""

    pair: bool = False
    separator: str | None = None
    threshold: float | None = None
    scale: float = 1.0
    offset: float = 0.0
    max_length: int = 128
    long: str = "truncate-tail"
    abstention: tuple[tuple[float, float, float], ...] = ()
    window_overlap: int = 32


@dataclass(frozen=True, eq=False)
class StoredClassifier:
    """A fine-tuned encoder with its labels, and how it answers."""

    encoder: Encoder
    answering: Answering


def write_encoder_classifier(
    draft: Draft, stored: StoredClassifier, options: dict[str, Any]
) -> dict[str, Any]:
    """Writes the files; gives what belongs into the manifest's configuration. Errors as
    ``write_encoder``."""
    about = {
        **asdict(stored.answering),
        "abstention": [list(p) for p in stored.answering.abstention],
    }
    return write_encoder(draft, stored.encoder, {**options, KEY: about})


def read_encoder_classifier(folder: ModelFolder) -> StoredClassifier:
    """Loads a verified model. Raises DataError when it is of another kind or does not add up."""
    where = str(folder.path)
    encoder = read_encoder(folder, kind=KIND)
    if encoder.architecture != ARCHITECTURE or not encoder.labels:
        raise DataError(f"{where}: no classifier of texts: {shown(encoder.architecture)}")
    about = folder.manifest.config.get(KEY)
    known = asdict(Answering())
    if not isinstance(about, dict) or not set(known) - ADDED <= set(about) <= set(known):
        raise DataError(f"{where}: config.{KEY} is missing or has other keys")
    about = {**{name: known[name] for name in ADDED}, **about}
    _check(about, encoder, where)
    if about["pair"] and encoder.config.type_vocab < 2:
        raise DataError(f"{where}: knows one segment, wanted 2 for pairs")
    points = tuple((float(p[0]), float(p[1]), float(p[2])) for p in about["abstention"])
    return StoredClassifier(encoder, Answering(**{**about, "abstention": points}))


def _check(about: dict[str, Any], encoder: Encoder, where: str) -> None:
    """Raises DataError for the first value that cannot be."""

    def number(value: Any, low: float, high: float) -> bool:
        return type(value) in (int, float) and low <= value <= high

    longest, separator, limit = about["max_length"], about["separator"], about["threshold"]
    points = about["abstention"]
    good = {
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
    }
    for name, fine in good.items():
        if not fine:
            raise DataError(f"{where}: config.{KEY}.{name}: {shown(str(about[name]))}")
