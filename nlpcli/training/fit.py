"""Fits the additive classifier: bags and label sets in, arrays out; yields how it goes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from nlpcli.batching.bags import BagBatches, LabelSets
from nlpcli.models.additive import AdditiveClassifier
from nlpcli.models.config import FastTextConfig
from nlpcli.models.fasttext import FastText
from nlpcli.text.tokenizer import Bags
from nlpcli.training.loop import Step, train


@dataclass(frozen=True)
class Examples:
    """Bags of n texts with their true labels; ``importance`` float32 [n] weighs the loss."""

    bags: Bags
    labels: LabelSets
    importance: npt.NDArray[np.float32] | None = None


@dataclass
class Progress:
    """One report: where training stands, the dev score at the end of an epoch, the best model."""

    step: Step
    dev_score: float | None = None
    best_epoch: int = 0


class Fitting:
    """One training run. Iterate it to train; then ``scorer`` is the model to keep.

    With dev examples the epoch with the best share of texts whose top label is true is kept, and
    training stops after ``patience`` epochs without a better one.
    """

    def __init__(
        self,
        config: FastTextConfig,
        examples: Examples,
        dev: Examples | None,
        *,
        n_features: int,
        seed: int,
        device: torch.device,
        patience: int | None = None,
    ) -> None:
        self._generator = torch.Generator().manual_seed(seed)
        model = FastText(config, n_features, examples.labels.n_labels, self._generator)
        self._model = model.to(device)
        self._batches = BagBatches(
            examples.bags.indptr,
            examples.bags.ids,
            examples.bags.weights,
            examples.labels,
            batch_size=config.batch_size,
            seed=seed,
            importance=examples.importance,
            device=device,
        )
        self._n_texts, self._dev, self._patience = len(examples.bags), dev, patience
        self._best: tuple[float, int, AdditiveClassifier] | None = None

    def __iter__(self) -> Iterator[Progress]:
        for step in train(self._model, self._batches, self._n_texts, self._generator):
            if not step.end_of_epoch or self._dev is None:
                yield Progress(step)
                continue
            score = self._keep_if_better(step.epoch)
            assert self._best is not None
            yield Progress(step, score, self._best[1])
            if self._patience is not None and step.epoch - self._best[1] >= self._patience:
                return

    def _keep_if_better(self, epoch: int) -> float:
        assert self._dev is not None
        scorer = self._snapshot()
        score = top_label_score(scorer, self._dev)
        if self._best is None or score > self._best[0]:
            self._best = (score, epoch, scorer)
        return score

    def _snapshot(self) -> AdditiveClassifier:
        model = self._model
        output = None if model.output is None else model.output.cpu().numpy().copy()
        return AdditiveClassifier(
            model.weight.cpu().numpy().copy(),
            model.bias.cpu().numpy().copy(),
            output,
            model.config.loss == "one-vs-all",
        )

    @property
    def scorer(self) -> AdditiveClassifier:
        """The best model by dev score, or the last when there are no dev examples."""
        return self._best[2] if self._best is not None else self._snapshot()


def top_label_score(scorer: AdditiveClassifier, examples: Examples) -> float:
    """Share of texts whose most probable label is one of the true ones (precision at 1)."""
    bags, n_texts = examples.bags, len(examples.bags)
    hits = 0.0
    for first in range(0, n_texts, 4096):
        chosen = np.arange(first, min(first + 4096, n_texts))
        top = scorer.logits(
            bags.indptr[first : first + len(chosen) + 1], bags.ids, bags.weights
        ).argmax(axis=1)
        hits += float(examples.labels.dense(chosen)[np.arange(len(chosen)), top].sum())
    return hits / max(1, n_texts)


def class_importance(
    labels: LabelSets,
    class_weight: dict[int, float] | None,
    weights: npt.NDArray[np.float32] | None,
) -> npt.NDArray[np.float32] | None:
    """Weight of each text in the loss, float32 [n] with mean 1; None when all are equal.

    ``class_weight`` by label position; an empty dict means balanced: n / (K · count), as King &
    Zeng 2001. A text with several labels takes their mean, one with none takes 1.
    """
    if class_weight is None and weights is None:
        return None
    n_texts = len(labels.indptr) - 1
    importance = np.ones(n_texts) if weights is None else weights.astype(np.float64)
    if class_weight is not None:
        counts = np.maximum(np.bincount(labels.ids, minlength=labels.n_labels), 1)
        by_label = n_texts / (labels.n_labels * counts)
        if class_weight:
            by_label = np.array([class_weight.get(i, 1.0) for i in range(labels.n_labels)])
        sizes = np.diff(labels.indptr)
        owner = np.repeat(np.arange(n_texts), sizes)
        sums = np.bincount(owner, weights=by_label[labels.ids], minlength=n_texts)
        importance *= np.where(sizes > 0, sums / np.maximum(sizes, 1), 1.0)
    mean = importance.mean()
    return (importance / (mean if mean > 0 else 1.0)).astype(np.float32)
