"""A fine-tuned encoder that answers texts, as any other classifier does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from nlpcli.data.pairs import parted
from nlpcli.errors import DataError
from nlpcli.formats.hf_names import PRETRAINING
from nlpcli.runs.long_texts import LongTexts
from nlpcli.store.encoder_classifier import (
    ARCHITECTURE,
    REGRESSION,
    SHORTEST,
    Answering,
    StoredClassifier,
)
from nlpcli.store.recalibration import Recalibration, moved
from nlpcli.text.wordpiece import Ragged, WordPieceTokenizer

if TYPE_CHECKING:
    from nlpcli.batching.framing import Cut, Rows, Specials
    from nlpcli.models.encoder_heads import SequenceModel
    from nlpcli.runs.occlusion import Reason
    from nlpcli.store.encoder import Encoder

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Cutter:
    """Texts, or pairs joined by ``data/pairs.py``, -> rows for an encoder."""

    tokenizer: WordPieceTokenizer
    answering: Answering

    @property
    def specials(self) -> Specials:
        """What rows are framed with."""
        from nlpcli.batching.framing import Specials

        words = self.tokenizer
        return Specials(words.cls, words.sep, words.pad, self.answering.max_length)

    def rows(self, texts: Sequence[str]) -> Rows:
        """One a text, or several where it is read in windows."""
        if not self.answering.pair:
            return self.framed(self.tokenizer.encode(texts), None, self.specials)
        first, others = parted(texts)
        encode = self.tokenizer.encode
        return self.framed(encode(first), encode(others), self.specials)

    def framed(self, first: Ragged, second: Ragged | None, specials: Specials) -> Rows:
        """Rows of pieces; of texts that are too long as the model was made to read them."""
        from nlpcli.batching.framing import framed

        if self.answering.long == "window":
            from nlpcli.batching.text_windows import windowed

            return windowed(first, second, specials, self.answering.window_overlap)
        return framed(first, second, specials, cast("Cut", self.answering.long))


def activated(logits: F64, answering: Answering) -> F64:
    """Probabilities: a softmax, or a logistic function of each where there are several labels."""
    z = answering.scale * logits + answering.offset
    if answering.separator is not None:
        found: F64 = 1 / (1 + np.exp(-np.clip(z, -700, 700)))
        return found
    z = np.exp(z - z.max(axis=1, keepdims=True))
    found = z / z.sum(axis=1, keepdims=True)
    return found


class EncoderClassifier:
    """Texts -> probabilities, by a model that is loaded when the first text comes.

    ``long_texts``: what it was asked for that is longer than it reads. ``task``: its name among
    those that share the encoder, if there are others.
    """

    task: str | None = None

    def __init__(
        self, stored: StoredClassifier, *, device: str = "auto", precision: str = "auto",
        threads: int | None = None,
    ) -> None:  # fmt: skip
        self.stored, self.answering = stored, stored.answering
        self.labels = list(stored.labels)
        self._device, self._precision, self._threads = device, precision, threads
        words = WordPieceTokenizer.from_json(stored.encoder.tokenizer_json, "the model")
        self.cutter = Cutter(words, stored.answering)
        self.long_texts = LongTexts(stored.answering.max_length)
        self._model: SequenceModel | None = None

    @property
    def multi_label(self) -> bool:
        """Whether a text may have any number of labels."""
        return self.answering.separator is not None

    @property
    def pair(self) -> bool:
        """Whether it answers pairs, as ``data/pairs.py`` joins them."""
        return self.answering.pair

    @property
    def separator(self) -> str | None:
        """What several labels are joined by."""
        return self.answering.separator

    @property
    def abstention(self) -> tuple[tuple[float, float, float], ...]:
        """As of a TextClassifier."""
        return self.answering.abstention

    @property
    def abstention_rows(self) -> int | None:
        """As of a TextClassifier."""
        return self.answering.abstention_rows

    @property
    def recalibration(self) -> Recalibration | None:
        """As of a TextClassifier."""
        return self.answering.recalibration

    def limit(self, asked: float | None) -> float:
        """The threshold in force: the one asked for, else the saved one."""
        return next((t for t in (asked, self.answering.threshold) if t is not None), 0.5)

    def probabilities(self, texts: Sequence[str]) -> F64:
        """Probability of each label, float64 [len(texts), len(labels)].

        Texts that occur several times are answered once.
        """
        if not len(texts):
            return np.zeros((0, len(self.labels)))
        place = {text: i for i, text in enumerate(dict.fromkeys(texts))}
        asked = np.array([place[text] for text in texts], np.int64)
        rows = self.cutter.rows(list(place))
        self.long_texts.count(rows, asked)
        found = activated(self.logits_of(rows), self.answering)
        return moved(found, self.recalibration)[asked]

    def logits(self, texts: Sequence[str]) -> F64:
        """Logits, float64 [len(texts), len(labels)]."""
        return self.logits_of(self.cutter.rows(texts))

    def logits_of(self, rows: Rows) -> F64:
        """Logits of texts as the cutter reads them, float64 [texts, len(labels)]."""
        from nlpcli.training.answers import logits_of

        return logits_of(self.ready(), rows, self.cutter.specials)

    def explain(self, texts: Sequence[str], labels: Sequence[int], most: int) -> list[list[Reason]]:
        """For each text the words that a label hangs on most: ``runs/occlusion.py``."""
        from nlpcli.runs.occlusion import occlude

        return occlude(self, texts, labels, most)

    def ready(self) -> SequenceModel:
        """Loads the model if that is yet to do. Raises UsageError, Unavailable."""
        if self._model is None:
            from nlpcli.models.encoder_heads import SequenceModel
            from nlpcli.training.device import choose_device, set_threads
            from nlpcli.training.precision import prepared

            set_threads(self._threads)
            place = choose_device(self._device)
            config = self.stored.encoder.config
            answering = self.answering
            model = SequenceModel(
                config, len(self.labels), 0.0, head=answering.head, pooling=answering.pooling
            )
            weights = {**self.stored.encoder.weights, **(self.stored.head or {})}
            model.load(weights)
            bare = replace(self.stored.encoder, weights={})  # not twice in memory
            self.stored = replace(self.stored, encoder=bare)
            self._model = prepared(model, self._precision, place)
            if answering.regression:
                model.keep_head_exact(weights)
        return self._model


def plain_classifier(encoder: Encoder, where: str, *, pair: bool) -> StoredClassifier:
    """Another program's classifier: it answers as its config says, without calibration.

    Whether it was made for ``pair`` such folders do not say. Raises DataError for one of another
    task, or that cannot be asked.
    """
    if encoder.architecture in PRETRAINING:
        raise DataError(
            f"{where}: an encoder, which gives vectors and no labels",
            hint="predict --embed mean",
        )
    if encoder.architecture != ARCHITECTURE:
        raise DataError(
            f"{where}: {encoder.architecture}, which has no head that labels texts; wanted "
            f"{ARCHITECTURE}"
        )
    several = encoder.problem_type == "multi_label_classification"
    if is_regression(encoder.architecture, encoder.problem_type, len(encoder.labels)):
        raise DataError(f"{where}: a regression, wanted a classifier of 2 labels or more")
    if len(encoder.labels) < 2 and not several:
        raise DataError(f"{where}: 1 label, wanted a classifier of 2 labels or more")
    if len(set(encoder.labels)) < len(encoder.labels):
        raise DataError(f"{where}: two labels have the same name")
    separator = ";" if several else None
    return _as_it_is(encoder, where, pair=pair, separator=separator)


def plain_regressor(encoder: Encoder, where: str, *, pair: bool) -> StoredClassifier:
    """Another program's regression; the rest as ``plain_classifier``."""
    if len(encoder.labels) != 1:
        raise DataError(f"{where}: a regression of {len(encoder.labels)} numbers, wanted 1")
    return _as_it_is(encoder, where, pair=pair, regression=True)


def is_regression(architecture: str | None, problem_type: str | None, n_labels: int) -> bool:
    """Whether a folder answers with numbers: transformers takes one label without a problem_type
    for that."""
    if architecture != ARCHITECTURE:
        return False
    return problem_type == REGRESSION or (problem_type is None and n_labels == 1)


def _as_it_is(encoder: Encoder, where: str, *, pair: bool, **answering: Any) -> StoredClassifier:
    longest = encoder.config.max_positions
    if longest < SHORTEST:
        raise DataError(f"{where}: {longest} positions, wanted {SHORTEST} or more")
    if pair and encoder.config.type_vocab < 2:
        raise DataError(f"{where}: knows one segment, wanted 2 for pairs")
    given = Answering(pair=pair, max_length=min(512, longest), **answering)
    return StoredClassifier(encoder, given)
