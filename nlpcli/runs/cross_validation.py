"""What train-fasttext's models say of rows that they did not learn from: k folds, some rounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nlpcli.errors import Unavailable
from nlpcli.evaluation.label_errors import LabelDoubts, doubt_label_sets, doubt_labels
from nlpcli.runs.memory import free_memory

if TYPE_CHECKING:
    from nlpcli.batching.labels import LabelSets
    from nlpcli.models.config import FastTextConfig
    from nlpcli.runs.reporting import Reporter
    from nlpcli.text.config import TokenizerConfig
    from nlpcli.text.tokenizer import Bags, Tokenizer

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

MOST_LOGITS = 2**28
"""Numbers held at once, a text and label each: two gigabytes."""


@dataclass(frozen=True, kw_only=True)
class CrossValidation:
    """How many ``folds``; how many ``rounds``, each with other folds and, after the first, without
    the rows whose labels are doubted by then."""

    tokenizer: TokenizerConfig
    folds: int = 5
    rounds: int = 2
    seed: int = 1
    threads: int | None = None
    device: str = "auto"


@dataclass(frozen=True)
class Judgement:
    """``probabilities`` [N, K] of models that had not seen the row; ``doubts`` of the rows
    ``judged`` int64 [M], whose labels other folds have too; ``accuracy`` of the first round."""

    probabilities: F64
    judged: I64
    doubts: LabelDoubts
    accuracy: float

    def suggested(self, row: int, names: list[str], *, several: bool) -> tuple[str, ...]:
        """The labels that the models give a row."""
        p = self.probabilities[row]
        if not several:
            return (names[int(p.argmax())],)
        return tuple(names[i] for i in np.flatnonzero(p > 0.5).tolist())


def judge(
    texts: list[str], labels: list[tuple[str, ...]], names: list[str], groups: I64,
    plan: CrossValidation, console: Reporter, *, multi_label: bool,
) -> Judgement:  # fmt: skip
    """Trains ``folds`` · ``rounds`` models and asks each about the rows that it did not see.

    ``groups`` [N]: rows of one number are learnt from together or not at all, so that a copy of a
    row does not vouch for its label. Words are weighed over all texts, which needs no label. Raises
    Unavailable where memory is short, DataError where no word is left.
    """
    from nlpcli.batching.labels import LabelSets
    from nlpcli.text.tokenizer import Tokenizer

    if len(texts) * len(names) > MOST_LOGITS:
        raise Unavailable(
            f"{len(texts):,} rows of {len(names):,} labels: too many to judge labels, at most "
            f"{MOST_LOGITS:,} of both together",
            hint="--check duplicate --check conflict",
        )
    tokenizer, bags = Tokenizer.fit(plan.tokenizer, texts, room=free_memory())
    sets = LabelSets.of(labels, names)
    validator = _Validator(tokenizer, bags, sets, plan, console, multi_label)
    targets = sets.dense(np.arange(len(texts))).astype(np.bool_)
    keep = np.ones(len(texts), dtype=np.bool_)
    total, judged, accuracy = np.zeros(targets.shape), keep, 0.0
    for number in range(plan.rounds):
        folds = stratified_folds(sets, groups, plan.folds, plan.seed + number)
        if number == 0:
            judged = keep if multi_label else _learnt_elsewhere(sets, folds)
        total += validator.logits(number, folds, keep)
        probabilities = validator.probabilities(total, targets)
        at = np.flatnonzero(judged)
        doubts = _doubts(probabilities[at], targets[at], multi_label)
        if number == 0:
            accuracy = 1 - len(doubts.order) / max(1, len(at))
        keep = np.ones(len(texts), dtype=np.bool_)
        keep[at[doubts.errors]] = False
        keep |= ~_enough_without(sets, keep)
    return Judgement(probabilities, at, doubts, accuracy)


def stratified_folds(sets: LabelSets, groups: I64, folds: int, seed: int) -> I64:
    """The fold of each row, int64 [N]: groups stay together, labels are spread evenly.

    A group of more rows than half a fold is taken apart.
    """
    n_rows = len(groups)
    sizes = np.bincount(groups)
    large = sizes[groups] > max(1, n_rows // (2 * folds))
    keys = np.where(large, len(sizes) + np.arange(n_rows), groups)
    _, first, members = np.unique(keys, return_index=True, return_inverse=True)
    filled = np.diff(sets.indptr) > 0
    label = np.full(n_rows, -1)
    label[filled] = sets.ids[sets.indptr[:-1][filled]]
    shuffled = np.random.default_rng([seed, folds]).permutation(len(first))
    order = shuffled[np.argsort(label[first[shuffled]], kind="stable")]
    found = np.empty(len(first), np.int64)
    found[order] = np.arange(len(first)) % folds
    return found[members]


def _learnt_elsewhere(sets: LabelSets, folds: I64) -> Bools:
    """Rows whose (only) label occurs in another fold too, bool [N]."""
    seen = np.zeros((sets.n_labels, int(folds.max(initial=0)) + 1), dtype=np.bool_)
    seen[sets.ids, folds] = True
    found: Bools = seen[sets.ids].sum(axis=1) > 1
    return found


def _enough_without(sets: LabelSets, keep: Bools) -> Bools:
    """Rows all of whose labels keep at least half of their rows, bool [N]."""
    owners = np.repeat(np.arange(len(keep)), np.diff(sets.indptr))
    before = np.bincount(sets.ids, minlength=sets.n_labels)
    after = np.bincount(sets.ids[keep[owners]], minlength=sets.n_labels)
    poor = (2 * after < before)[sets.ids]
    found = np.ones(len(keep), dtype=np.bool_)
    found[owners[poor]] = False
    return found


def _doubts(probabilities: F64, targets: Bools, multi_label: bool) -> LabelDoubts:
    if multi_label:
        return doubt_label_sets(probabilities, targets)
    return doubt_labels(probabilities, targets.argmax(axis=1))


@dataclass(frozen=True)
class _Validator:
    """Bags that are cut once, of which folds are learnt and asked."""

    tokenizer: Tokenizer
    bags: Bags
    sets: LabelSets
    plan: CrossValidation
    console: Reporter
    multi_label: bool

    def logits(self, number: int, folds: I64, keep: Bools) -> F64:
        """Of each row by the model of the other folds' kept rows, [N, K]."""
        from nlpcli.training.device import choose_device, set_threads
        from nlpcli.training.fit import Examples, Fitting

        set_threads(self.plan.threads)
        device, plan = choose_device(self.plan.device), self.plan
        found = np.empty((len(folds), self.sets.n_labels))
        with self.console as console:
            for fold in range(plan.folds):
                asked = np.flatnonzero(folds == fold)
                learnt = np.flatnonzero((folds != fold) & keep)
                fitting = Fitting(
                    self._config(len(learnt)),
                    Examples(_chosen(self.bags, learnt), _labels_of(self.sets, learnt)), None,
                    n_features=self.tokenizer.n_features, seed=plan.seed, device=device,
                    multi_label=self.multi_label,
                )  # fmt: skip
                done = number * plan.folds + fold
                for _ in fitting:
                    console.progress("models trained", done, plan.folds * plan.rounds)
                bags = _chosen(self.bags, asked)
                found[asked] = fitting.scorer.logits(bags.indptr, bags.ids, bags.weights)
        return found

    def _config(self, n_texts: int) -> FastTextConfig:
        """The default of train-fasttext, with gradients where a dual has no room."""
        from nlpcli.batching.bags import gradient_batch_size
        from nlpcli.models.config import FastTextConfig
        from nlpcli.runs.fitting import MOST_DUALS

        if n_texts * self.sets.n_labels <= MOST_DUALS:
            return FastTextConfig()
        size = gradient_batch_size(n_texts, self.sets.n_labels)
        return FastTextConfig(loss="one-vs-all" if self.multi_label else "softmax", batch_size=size)

    def probabilities(self, logits: F64, targets: Bools) -> F64:
        """From summed logits, by the scale that fits the labels as given."""
        from nlpcli.evaluation.temperature import fit_logistic, fit_softmax
        from nlpcli.models.additive import sigmoid, softmax

        fit = fit_logistic if self.multi_label else fit_softmax
        found = fit(logits, targets.astype(np.float64))
        scaled = logits * found.scale + found.offset
        return sigmoid(scaled) if self.multi_label else softmax(scaled)


def _chosen(bags: Bags, rows: I64) -> Bags:
    """The bags of some rows."""
    from nlpcli.batching.labels import ragged_positions
    from nlpcli.text.tokenizer import Bags

    sizes = bags.indptr[rows + 1] - bags.indptr[rows]
    at = ragged_positions(bags.indptr[rows], sizes)
    return Bags(np.concatenate(([0], np.cumsum(sizes))), bags.ids[at], bags.weights[at])


def _labels_of(sets: LabelSets, rows: I64) -> LabelSets:
    """The labels of some rows."""
    from nlpcli.batching.labels import LabelSets, ragged_positions

    sizes = sets.indptr[rows + 1] - sets.indptr[rows]
    at = ragged_positions(sets.indptr[rows], sizes)
    return LabelSets(np.concatenate(([0], np.cumsum(sizes))), sets.ids[at], sets.n_labels)
