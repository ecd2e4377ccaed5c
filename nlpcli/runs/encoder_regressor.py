"""A fine-tuned encoder that answers texts with a number, and what predict and eval ask of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nlpcli.data.pairs import SEPARATOR
from nlpcli.runs.answer_columns import cell_of_reasons
from nlpcli.runs.encoder_classifier import EncoderClassifier, is_regression, plain_regressor
from nlpcli.runs.judging import Drawing, Judged, Place, judge_numbers
from nlpcli.runs.memory import free_memory
from nlpcli.runs.plain_folders import plain_config
from nlpcli.store.encoder import KEY as ENCODER_KEY
from nlpcli.store.encoder import KIND as ENCODER
from nlpcli.store.encoder import open_plain, read_encoder
from nlpcli.store.encoder_classifier import (
    REGRESSOR,
    SCORE,
    StoredClassifier,
    read_encoder_classifier,
)

if TYPE_CHECKING:
    from nlpcli.data.labelled import Labelled
    from nlpcli.runs.long_texts import LongTexts
    from nlpcli.runs.occlusion import Reason
    from nlpcli.store.folder import ModelFolder

F64 = npt.NDArray[np.float64]


class EncoderRegressor:
    """Texts -> numbers, by a model that is loaded when the first text comes."""

    def __init__(self, stored: StoredClassifier, **computing: Any) -> None:
        """``computing``: as an EncoderClassifier has it."""
        self._inner = EncoderClassifier(stored, **computing)
        self.labels: list[str] = []

    @property
    def pair(self) -> bool:
        """Whether it answers pairs, as ``data/pairs.py`` joins them."""
        return self._inner.pair

    @property
    def long_texts(self) -> LongTexts:
        """Of those it was asked about."""
        return self._inner.long_texts

    def ready(self) -> EncoderRegressor:
        """The same, loaded. Raises UsageError, Unavailable."""
        self._inner.ready()
        return self

    def scores(self, texts: Sequence[str]) -> F64:
        """A number of each, float64 [len(texts)]; texts that occur several times are answered
        once."""
        if not len(texts):
            return np.zeros(0)
        place = {text: number for number, text in enumerate(dict.fromkeys(texts))}
        asked = np.array([place[text] for text in texts], np.int64)
        rows = self._inner.cutter.rows(list(place))
        self._inner.long_texts.count(rows, asked)
        scores: F64 = self._inner.logits_of(rows)[asked, 0]
        return scores

    def explain(self, texts: Sequence[str], most: int) -> list[list[Reason]]:
        """For each text the words that its number hangs on most: ``runs/occlusion.py``."""
        return self._inner.explain(texts, [0] * len(texts), most)


def open_regressor(
    folder: ModelFolder, *, pair: bool = False, **computing: Any
) -> EncoderRegressor | None:
    """That of a verified folder, ready to answer; None for another kind of model. ``pair`` and
    ``computing`` as ``open_answering`` has them. Raises DataError, UsageError, Unavailable."""
    kind, about = folder.manifest.kind, folder.manifest.config.get(ENCODER_KEY)
    if kind == REGRESSOR:
        return EncoderRegressor(read_encoder_classifier(folder), **computing).ready()
    if kind != ENCODER or not isinstance(about, dict):
        return None
    said = about.get("architecture"), about.get("problem_type"), len(folder.manifest.labels)
    if not is_regression(*said):
        return None
    stored = plain_regressor(read_encoder(folder), str(folder.path), pair=pair)
    return EncoderRegressor(stored, **computing).ready()


def open_plain_regressor(
    path: Path, *, pair: bool = False, **computing: Any
) -> EncoderRegressor | None:
    """That of another program's folder, ready to answer; None where it gives no number.

    Raises InputMissing, DataError, UsageError, Unavailable.
    """
    config = plain_config(path)
    if config is None or not is_regression(
        config.architecture, config.problem_type, len(config.labels)
    ):
        return None
    encoder = open_plain(path, room=free_memory()).encoder
    return EncoderRegressor(plain_regressor(encoder, str(path), pair=pair), **computing).ready()


class ScoreColumn:
    """Texts -> cells of numbers: the column that predict adds; and, where so many words are asked
    for, of JSON with the words that move the number most."""

    def __init__(self, regressor: EncoderRegressor, prefix: str, explain: int = 0) -> None:
        self.model, self._explain = regressor, explain
        self.columns = [f"{prefix}{SCORE}"]
        self.numeric = list(self.columns)
        if explain:
            self.columns.append(f"{prefix}explanation")

    def __call__(self, texts: list[str]) -> list[list[str]]:
        """The columns; seven digits, as many as float32 has."""
        columns = [[f"{score:.7g}" for score in self.model.scores(texts).tolist()]]
        if self._explain:
            found = self.model.explain(texts, self._explain)
            columns.append([cell_of_reasons(row, lambda x: float(f"{x:.4g}")) for row in found])
        return columns


def numbers_of(rows: Labelled) -> F64:
    """The labels of rows that were read as numbers, float64 [N]."""
    return np.array([float(names[0]) for names in rows.labels])


def judged_numbers(rows: Labelled, found: F64, *, resamples: int, seed: int) -> Judged:
    """What eval says of numbers of texts, or pairs. Raises DataError without rows."""
    texts = [text.replace(SEPARATOR, "\n") for text in rows.texts]
    return judge_numbers(
        numbers_of(rows), found, Place(texts, rows.lines), Drawing(resamples, seed)
    )
