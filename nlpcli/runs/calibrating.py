"""From logits of texts that were not learnt from to honest probabilities and a threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from nlpcli.runs.request import Parts
    from nlpcli.store.classifier import TextClassifier
    from nlpcli.training.fit import Fitting


@dataclass(frozen=True)
class Evidence:
    """Logits float64 [B, K] of texts that were not learnt from, and their true labels."""

    logits: npt.NDArray[np.float64]
    labels: list[tuple[str, ...]]
    texts: Sequence[str] = ()


def dev_evidence(classifier: TextClassifier, parts: Parts) -> Evidence | None:
    """The dev part, if there is one."""
    if parts.dev is None:
        return None
    bags = classifier.tokenizer.bags(parts.dev.texts)
    logits = classifier.scorer.logits(bags.indptr, bags.ids, bags.weights)
    return Evidence(logits, parts.dev.labels, parts.dev.texts)


def held_out_evidence(parts: Parts, fitting: Fitting) -> Evidence | None:
    """The training texts that the first half of the epochs did not see, if there were any."""
    texts, logits = fitting.held_out()
    if not len(texts):
        return None
    numbers = texts.tolist()
    train = parts.train
    return Evidence(logits, [train.labels[i] for i in numbers], [train.texts[i] for i in numbers])


def calibrated(
    classifier: TextClassifier, evidence: Evidence | None, threshold: float | None
) -> TextClassifier:
    """With a scale for its logits; for several labels a text the best threshold, and for one what
    abstaining would bring.

    ``threshold``: the one asked for, None for the best one.
    """
    from nlpcli.evaluation.abstention import Abstention, abstention_curve
    from nlpcli.evaluation.multilabel import best_threshold
    from nlpcli.evaluation.temperature import Calibration, fit_logistic, fit_softmax

    multi, found = classifier.multi_label, Calibration()
    if evidence is not None:
        true = _truth(classifier, evidence)
        fit = fit_logistic if classifier.scorer.one_vs_all else fit_softmax
        found = fit(evidence.logits, true.astype(np.float64))
    scorer = replace(classifier.scorer, scale=found.scale, offset=found.offset)
    if multi and threshold is None:
        threshold = 0.5
        if evidence is not None:
            threshold = round(best_threshold(true, scorer.activate(evidence.logits))[0], 6)
    curve: list[Abstention] = []
    if evidence is not None and not multi:
        p = scorer.activate(evidence.logits)
        curve = abstention_curve(p.max(axis=1), true[np.arange(len(p)), p.argmax(axis=1)])
    return replace(
        classifier, scorer=scorer, threshold=threshold if multi else None,
        abstention=tuple((point.below, point.share, point.error) for point in curve),
        abstention_rows=len(evidence.labels) if curve and evidence is not None else None,
    )  # fmt: skip


def score_evidence(classifier: TextClassifier, evidence: Evidence) -> dict[str, Any]:
    """The metrics document of these texts, without intervals."""
    from nlpcli.runs.scoring import score

    probabilities = classifier.scorer.activate(evidence.logits)
    return score(classifier, probabilities, evidence.labels, resamples=0)


def _truth(classifier: TextClassifier, evidence: Evidence) -> npt.NDArray[np.bool_]:
    """Bool [B, K]; labels that the model does not know are left out."""
    from nlpcli.batching.labels import LabelSets

    sets = LabelSets.of(evidence.labels, classifier.labels)
    return sets.dense(np.arange(len(evidence.labels))).astype(bool)
