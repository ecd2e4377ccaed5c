"""A small model that answers what it is sure of, and an encoder that answers the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nlpcli.errors import UsageError, shown
from nlpcli.evaluation.cascading import CascadePoint, choose_threshold
from nlpcli.runs.answer_columns import Answers

if TYPE_CHECKING:
    from nlpcli.runs.encoder_classifier import EncoderClassifier
    from nlpcli.runs.long_texts import LongTexts
    from nlpcli.store.classifier import Classifier

F64 = npt.NDArray[np.float64]
SMALL, ENCODER = "small", "encoder"
"""Who answered."""


class Cascade:
    """Two classifiers of the same labels as one (as Viola & Jones 2001 reject early what is easy).

    ``above``: the small model's probability of its label from which on that is the answer. Each
    text is answered by itself, so its answer does not depend on others.
    """

    multi_label = False
    separator = None

    def __init__(self, small: Classifier, encoder: EncoderClassifier, above: float) -> None:
        self.small, self.encoder, self.above = small, encoder, above
        self.labels = encoder.labels
        place = {name: i for i, name in enumerate(small.labels)}
        self._order = np.array([place[name] for name in self.labels])

    @property
    def long_texts(self) -> LongTexts:
        """Of those that the encoder was asked for."""
        return self.encoder.long_texts

    def limit(self, asked: float | None) -> float:
        """A threshold, which one label a text has no use for."""
        return self.encoder.limit(asked)

    def probabilities(self, texts: Sequence[str]) -> F64:
        """Probability of each label, float64 [len(texts), len(labels)], by who answers."""
        return self.answered(texts)[0]

    def answered(self, texts: Sequence[str]) -> tuple[F64, npt.NDArray[np.bool_]]:
        """Probabilities [B, K], and which rows the small model answered [B]."""
        found = self.small.probabilities(texts)[:, self._order]
        sure = found.max(axis=1) >= self.above
        rest = np.flatnonzero(~sure)
        if len(rest):
            found[rest] = self.encoder.probabilities([texts[i] for i in rest.tolist()])
        return found, sure


@dataclass(frozen=True)
class Judged:
    """Dev rows: ``texts``, and of each its ``label``."""

    texts: list[str]
    labels: list[str]


def threshold_on(
    small: Classifier, encoder: EncoderClassifier, dev: Judged, loss: float
) -> CascadePoint:
    """From when on the small model may answer, by dev rows that both models answer."""
    truth = np.array(dev.labels)
    found = small.probabilities(dev.texts)
    first = np.array(small.labels)[found.argmax(axis=1)] == truth
    # not by probabilities: these rows are none that are told of as too long
    second = np.array(encoder.labels)[encoder.logits(dev.texts).argmax(axis=1)] == truth
    return choose_threshold(found.max(axis=1), first, second, loss)


def check_cascade(small: Classifier, model: Classifier, names: tuple[str, str]) -> None:
    """Raises UsageError for a pair of models, called ``names``, that cannot answer as one."""
    name, large = names
    if not hasattr(model, "cutter"):
        raise UsageError(f"--cascade {name}: {large} is no encoder")
    for each, where in ((small, name), (model, large)):
        if each.multi_label:
            raise UsageError(f"--cascade {name}: {where} gives any number of labels, or none")
    if bool(getattr(small, "pair", False)) != bool(getattr(model, "pair", False)):
        kinds = ("single texts", "pairs")
        raise UsageError(
            f"--cascade {name}: answers {kinds[getattr(small, 'pair', None) or False]}, "
            f"{large} {kinds[getattr(model, 'pair', None) or False]}"
        )
    only = [sorted(set(a.labels) - set(b.labels)) for a, b in ((small, model), (model, small))]
    told = [
        f"only {where} has {', '.join(map(shown, more[:3]))}" + " …" * (len(more) > 3)
        for where, more in zip(names, only, strict=True)
        if more
    ]
    if told or len(small.labels) != len(model.labels):
        why = "; ".join(told) or "one occurs twice"
        raise UsageError(f"--cascade {name}: not the labels of {large}: {why}")


class CascadeAnswers(Answers):
    """As Answers, with a column that says who answered."""

    model: Cascade

    def __init__(self, model: Cascade, *, prefix: str, **options: Any) -> None:
        super().__init__(model, prefix=prefix, **options)
        self.columns.append(f"{prefix}by")

    def __call__(self, texts: list[str]) -> list[list[str]]:
        """One list of cells a column."""
        found, sure = self.model.answered(texts)
        return [*self.cells(texts, found), [SMALL if s else ENCODER for s in sure.tolist()]]
