"""An encoder that answers questions as a model folder, which transformers loads as
``BertForQuestionAnswering``; how contexts are cut and answers chosen is in the manifest."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from nlpcli.errors import DataError, shown
from nlpcli.store.draft import Draft
from nlpcli.store.encoder import Encoder, read_encoder, write_encoder
from nlpcli.store.folder import ModelFolder

KIND = "bert-qa"
KEY = "questions"
ARCHITECTURE = "BertForQuestionAnswering"
SHORTEST = 4
"""Positions of a row: [CLS], [SEP], a piece of the context, [SEP]."""
MOST = 100_000


@dataclass(frozen=True)
class Asking:
    """How questions are read and answered. ``max_length`` positions at once; windows of a longer
    context share ``doc_stride`` pieces; of a question ``max_question_length`` pieces are read; an
    answer has at most ``max_answer_length``. ``null_threshold``: no answer is given where its score
    is above that of the best answer by more; None: there is always one."""

    max_length: int = 384
    doc_stride: int = 128
    max_question_length: int = 64
    max_answer_length: int = 30
    null_threshold: float | None = None


@dataclass(frozen=True, eq=False)
class StoredAnswerer:
    """An encoder with the head for questions, and how it answers."""

    encoder: Encoder
    asking: Asking


def write_question_answerer(
    draft: Draft, stored: StoredAnswerer, options: dict[str, Any]
) -> dict[str, Any]:
    """Writes the files; gives what belongs into the manifest's configuration. Errors as
    ``write_encoder``."""
    return write_encoder(draft, stored.encoder, {**options, KEY: asdict(stored.asking)})


def read_question_answerer(folder: ModelFolder) -> StoredAnswerer:
    """Loads a verified model. Raises DataError when it is of another kind or does not add up."""
    where = str(folder.path)
    encoder = read_encoder(folder, kind=KIND)
    if encoder.architecture != ARCHITECTURE or encoder.config.type_vocab < 2:
        raise DataError(f"{where}: answers no questions: {shown(encoder.architecture)}")
    about = folder.manifest.config.get(KEY)
    if not isinstance(about, dict) or set(about) != set(asdict(Asking())):
        raise DataError(f"{where}: config.{KEY} is missing or has other keys")
    _check(about, encoder.config.max_positions, where)
    return StoredAnswerer(encoder, Asking(**about))


def _check(about: dict[str, Any], positions: int, where: str) -> None:
    """Raises DataError for the first value that cannot be."""

    def whole(name: str, low: int, high: int) -> bool:
        return type(about[name]) is int and low <= about[name] <= high

    limit = about["null_threshold"]
    good = {
        "max_length": whole("max_length", SHORTEST, positions),
        "doc_stride": whole("doc_stride", 0, MOST),
        "max_question_length": whole("max_question_length", 1, MOST),
        "max_answer_length": whole("max_answer_length", 1, MOST),
        "null_threshold": limit is None or (type(limit) in (int, float) and abs(limit) <= 1e6),
    }
    for name, fine in good.items():
        if not fine:
            raise DataError(f"{where}: config.{KEY}.{name}: {shown(str(about[name]))}")
