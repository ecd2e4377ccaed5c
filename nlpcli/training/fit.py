"""Fits the additive classifier: bags and label sets in, arrays out; yields how it goes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nlpcli.batching.bags import BagBatches, good_batch_size, n_held_out
from nlpcli.batching.labels import LabelSets
from nlpcli.errors import DataError
from nlpcli.models.additive import AdditiveClassifier
from nlpcli.models.config import INDEPENDENT, FastTextConfig
from nlpcli.models.fasttext import FastText
from nlpcli.models.heads import Head
from nlpcli.text.tokenizer import Bags
from nlpcli.training.dual import DualUpdate, Seen
from nlpcli.training.freedom import feature_freedom
from nlpcli.training.loop import FastTextUpdate, Step, Training, as_arrays

WEIGHTLESS = "every training row weighs 0, by its own weight or that of its label"
PRIOR_SMOOTHING = 0.2
"""Of the label shares of new rows; chosen on held-out training rows, see benchmarks/LOG.md."""

PRETRAINED_SQUARES = 0.01
"""Times the mean square of the features' weights, which gradients grow with: what rows with vectors
begin with as the square of their gradients, so that they take smaller steps at first; the output
matrix then begins at zero. See benchmarks/LOG.md."""


@dataclass(frozen=True)
class Examples:
    """Bags of n texts with their true labels; ``importance`` float32 [n] weighs the loss."""

    bags: Bags
    labels: LabelSets
    importance: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Pretrained:
    """``vectors`` float32 [N, D] that the embeddings ``rows`` int64 [N] begin as; no row twice."""

    rows: npt.NDArray[np.int64]
    vectors: npt.NDArray[np.float32]


@dataclass
class Progress:
    """One report: where training stands, the dev score at the end of an epoch, the best model."""

    step: Step
    dev_score: float | None = None
    best_epoch: int = 0


Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class _Best:
    score: float
    epoch: int
    arrays: Arrays


class Fitting:
    """One training run. Iterate it to train; then ``scorer`` is the model to keep.

    With dev examples the epoch with the best share of texts whose top label is true is kept, and
    training stops after ``patience`` epochs without a better one. ``start`` holds the arrays
    of a trained model, as ``arrays`` gives them; rows and columns beyond theirs start afresh.
    ``multi_label``: a text may have any number of labels. ``head``: that of the model behind
    ``start``, whose labels must be the same.
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
        start: Arrays | None = None,
        label_shift: npt.NDArray[np.float32] | None = None,
        multi_label: bool = False,
        head: Head | None = None,
        pretrained: Pretrained | None = None,
    ) -> None:
        generator = torch.Generator().manual_seed(seed)
        shift = None if label_shift is None else torch.from_numpy(label_shift).to(device)
        model = FastText(
            config, n_features, examples.labels.n_labels, generator,
            counts=torch.from_numpy(examples.labels.counts()), head=head, shift=shift, seed=seed,
        ).to(device)  # fmt: skip
        self._one_vs_all = multi_label and config.loss in INDEPENDENT
        self._head = model.head
        self._config, self.device = config, device
        n_entries = len(examples.bags.ids)
        batches = BagBatches(
            examples.bags.indptr,
            examples.bags.ids,
            examples.bags.weights,
            examples.labels,
            batch_size=config.batch_size or good_batch_size(len(examples.bags), n_entries),
            seed=seed,
            importance=examples.importance,
            device=device,
        )
        hinge = config.loss == "squared-hinge"
        if hinge:
            model.bias.copy_(_constant_answer(examples))
        left_out = hinge and dev is None
        held_out = n_held_out(len(batches), batches.batch_size) if left_out else 0
        update: DualUpdate | FastTextUpdate
        if not hinge:
            update = FastTextUpdate(model)
        elif start is not None:
            update = DualUpdate(model, batches, _seen(start, model), shift)
        else:  # what is told of held-out texts must not come from them
            bags, texts = examples.bags, batches.texts_from(held_out)
            free = feature_freedom(bags, examples.labels, texts, n_features, config.freedom)
            update = DualUpdate(model, batches, freedom=free)
        self._training = Training(model, batches, generator, update, held_out=held_out)
        for name, tensor in self._training.tables().items():
            if start is not None and name in start and not (hinge and name == "squares.weight"):
                _overlay(tensor, start[name])
        if pretrained is not None:
            weights = examples.bags.weights
            self._begin_with(pretrained, float(np.square(weights, dtype=np.float64).mean()))
        self._dev, self._patience = dev, patience
        self._best: _Best | None = None

    def _begin_with(self, pretrained: Pretrained, squared_weight: float) -> None:
        tables = self._training.tables()
        rows = torch.from_numpy(pretrained.rows).to(self.device)
        tables["weight"][rows] = torch.from_numpy(pretrained.vectors).to(self.device)
        tables["squares.weight"][rows] = PRETRAINED_SQUARES * squared_weight
        tables["output"].zero_()

    def __iter__(self) -> Iterator[Progress]:
        if self._out_of_patience():  # a run taken up again after its last epoch
            return
        for step in self._training:
            if not step.end_of_epoch or self._dev is None:
                yield Progress(step)
                continue
            score = self._keep_if_better(step.epoch)
            assert self._best is not None
            yield Progress(step, score, self._best.epoch)
            if self._out_of_patience():
                return

    @property
    def steps_done(self) -> int:
        """Where the run stands, in steps."""
        return self._training.done

    @property
    def epochs(self) -> int:
        """How many epochs are finished."""
        return self._training.finished_epochs

    @property
    def loss(self) -> float:
        """Mean loss of the last epoch."""
        return self._training.loss

    def _out_of_patience(self) -> bool:
        if self._patience is None or self._best is None:
            return False
        return self._training.finished_epochs - self._best.epoch >= self._patience

    def _keep_if_better(self, epoch: int) -> float:
        assert self._dev is not None
        score = top_label_score(self._scorer_of(self._current(copy=False)), self._dev)
        if self._best is None or score > self._best.score:
            self._best = _Best(score, epoch, self._current(copy=True))
        return score

    def _current(self, *, copy: bool) -> Arrays:
        found = as_arrays(self._training.tables())
        return {name: array.copy() for name, array in found.items()} if copy else found

    def _scorer_of(self, arrays: Arrays) -> AdditiveClassifier:
        return AdditiveClassifier(
            arrays["weight"],
            arrays["bias"],
            arrays.get("output"),
            self._one_vs_all,
            head=self._head,
        )

    def held_out(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Texts that the first half of the epochs did not see: their numbers [S], logits [S, K]."""
        texts = self._training.held_texts
        return texts, self._training.held_logits[: len(texts)].cpu().numpy().astype(np.float64)

    @property
    def arrays(self) -> Arrays:
        """Weights and the optimizer's squares, of the best epoch, or the last without dev rows."""
        if self._best is not None:
            return self._best.arrays
        finished = self.epochs >= self._config.epochs  # then nothing moves them any more
        return self._current(copy=not finished)

    @property
    def scorer(self) -> AdditiveClassifier:
        """The best model by dev score, or the last when there are no dev examples."""
        return self._scorer_of(self.arrays)

    def state(self) -> tuple[Arrays, dict[str, Any]]:
        """Everything that ``load`` needs to go on as if nothing had happened; take it at a Step."""
        tensors, numbers = self._training.state()
        arrays = as_arrays(tensors)
        if self._best is None:
            return arrays, numbers
        arrays |= {f"best.{name}": array for name, array in self._best.arrays.items()}
        return arrays, {**numbers, "best_score": self._best.score, "best_epoch": self._best.epoch}

    def load(self, arrays: Arrays, numbers: dict[str, Any]) -> None:
        """Takes up a run of the same configuration and examples where ``state`` was taken.

        Raises ValueError when the state is of another shape.
        """
        self._training.load({k: torch.from_numpy(v) for k, v in arrays.items()}, numbers)
        if "best_epoch" in numbers:
            best = {n[5:]: a for n, a in arrays.items() if n.startswith("best.")}
            self._best = _Best(float(numbers["best_score"]), int(numbers["best_epoch"]), best)


def _overlay(tensor: Tensor, array: npt.NDArray[Any]) -> None:
    known = torch.from_numpy(array)
    tensor[tuple(slice(n) for n in known.shape)].copy_(known)


def _constant_answer(examples: Examples) -> Tensor:
    """The bias that fits best without any feature: 2 · share of the label - 1, float32 [K]."""
    labels, importance = examples.labels, examples.importance
    weights = np.ones(len(labels.indptr) - 1) if importance is None else importance
    weights = np.where(np.isfinite(weights), weights, 0)  # what is not is told with its batch
    owners = np.repeat(np.arange(len(weights)), np.diff(labels.indptr))
    counts = np.bincount(labels.ids, weights=weights[owners], minlength=labels.n_labels)
    return torch.from_numpy((2 * counts / max(weights.sum(), 1e-9) - 1).astype(np.float32))


def _seen(start: Arrays, model: FastText) -> Seen:
    """What the model behind ``start`` was trained on; new labels begin as unlikely."""
    squares, labels = torch.zeros(len(model.weight)), torch.zeros(model.n_labels)
    _overlay(squares, start["squares.weight"])
    _overlay(labels, np.ones(len(start["bias"]), np.float32))
    model.bias.fill_(-1)
    device = model.weight.device
    return Seen(squares.to(device), labels.to(device).bool())


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


def prior_shift(
    old_counts: npt.NDArray[np.float64],
    new_counts: npt.NDArray[np.float64],
    *,
    one_vs_all: bool,
    smoothing: float = PRIOR_SMOOTHING,
) -> npt.NDArray[np.float32]:
    """What to add to the logits while rows of another label mix are learnt, float32 [K].

    The model stands for the mix of old and new rows together; in the new rows alone label k is
    log(new share / share of all) more likely (label shift: Saerens et al. 2002; as an adjustment
    of the logits in training: Menon et al. 2021, section 4). A label that the new rows lack is
    then hardly pushed down by them. New shares are smoothed towards the shares of all rows.
    """
    both = (old_counts + new_counts) / max(1.0, (old_counts + new_counts).sum())
    new = new_counts / max(1.0, new_counts.sum())
    new = (1 - smoothing) * new + smoothing * both
    both = np.maximum(both, 1e-12)
    shift = np.log(np.maximum(new, 1e-12) / both)
    if one_vs_all:
        shift -= np.log(np.maximum(1 - new, 1e-12) / np.maximum(1 - both, 1e-12))
    result: npt.NDArray[np.float32] = shift.astype(np.float32)
    return result


def class_importance(
    labels: LabelSets,
    class_weight: dict[int, float] | None,
    weights: npt.NDArray[np.float32] | None,
) -> npt.NDArray[np.float32] | None:
    """Weight of each text in the loss, float32 [n] with mean 1; None when all are equal.

    ``class_weight`` by label position; an empty dict means balanced: n / (K · count), as King &
    Zeng 2001. A text with several labels takes their mean, one with none takes 1. Raises DataError
    where every text weighs 0.
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
    if mean == 0:
        raise DataError(WEIGHTLESS)
    return (importance / (mean if mean > 0 else 1.0)).astype(np.float32)
