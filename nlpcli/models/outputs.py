"""Output layers: hidden vectors and true labels -> loss and gradients in closed form.

Shapes: B texts, D dimensions, K labels, L true labels of the batch, R rows of the output matrix.
All have one interface, ``learn``; which rows a step touches is theirs to know, so that hundreds of
thousands of labels do not cost as many rows a step. A text's true labels share its loss.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from nlpcli.batching.labels import LabelBatch
from nlpcli.models.heads import ClusterHead, TreeHead

NOISE_POWER = 0.5
"""Of the labels' counts, for negative samples; fastText's for classifiers."""
Rows = Tensor | slice
"""Distinct rows of an output matrix, int64 [U], or a run of them."""


@dataclass(frozen=True)
class RowGradient:
    """Gradients of some rows: ``weight`` [U, D], None where there is no matrix; ``bias`` [U]."""

    rows: Rows
    weight: Tensor | None
    bias: Tensor


@dataclass(frozen=True)
class Learnt:
    """Summed loss (scalar), its gradient at the hidden vectors [B, D], and at rows."""

    loss: Tensor
    hidden: Tensor
    rows: list[RowGradient]


class OutputLayer(Protocol):
    """Holds ``weight`` [R, D], None where hidden vectors are the logits, and ``bias`` [R]."""

    def learn(self, hidden: Tensor, labels: LabelBatch) -> Learnt:
        """Loss and gradients of a batch; nothing is moved."""

    def memory(self) -> dict[str, Tensor]:
        """What else than weights a run needs to go on."""


class _Layer:
    def __init__(self, weight: Tensor | None, bias: Tensor) -> None:
        self.weight, self.bias = weight, bias

    def scores(self, hidden: Tensor) -> Tensor:
        """Of all rows, [B, R]."""
        return (hidden if self.weight is None else hidden @ self.weight.T) + self.bias

    def memory(self) -> dict[str, Tensor]:
        """Nothing else is needed to go on."""
        return {}


class Dense(_Layer):
    """A row for each label, and all of them in each step. ``shift`` [K] is added in training."""

    def __init__(self, weight: Tensor | None, bias: Tensor, shift: Tensor | None = None) -> None:
        super().__init__(weight, bias)
        self._shift = 0.0 if shift is None else shift

    def _logits(self, hidden: Tensor) -> Tensor:
        return self.scores(hidden) + self._shift

    def _learnt(self, loss: Tensor, gradient: Tensor, hidden: Tensor) -> Learnt:
        """From the gradient at the logits [B, K]."""
        every, bias = slice(0, len(self.bias)), gradient.sum(0)
        if self.weight is None:
            return Learnt(loss, gradient, [RowGradient(every, None, bias)])
        rows = RowGradient(every, gradient.T @ hidden, bias)
        return Learnt(loss, gradient @ self.weight, [rows])


class Softmax(Dense):
    """Softmax over all labels, with label smoothing (Szegedy et al. 2016, section 7)."""

    def __init__(
        self, weight: Tensor | None, bias: Tensor, shift: Tensor | None = None,
        smoothing: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(weight, bias, shift)
        self._smoothing = smoothing

    def learn(self, hidden: Tensor, labels: LabelBatch) -> Learnt:
        """Loss and gradients of a batch."""
        logits, smooth = self._logits(hidden), self._smoothing
        loss, gradient = softmax_gradient(logits, labels.texts, labels.ids, labels.shares, smooth)
        return self._learnt(loss, gradient, hidden)


class OneVsAll(Dense):
    """A logistic loss for each label by itself."""

    def learn(self, hidden: Tensor, labels: LabelBatch) -> Learnt:
        """Loss and gradients of a batch."""
        logits, targets = self._logits(hidden), labels.targets
        losses = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        gradient = torch.sigmoid(logits).sub_(targets)
        if labels.importance is not None:
            losses *= labels.importance[:, None]
            gradient *= labels.importance[:, None]
        return self._learnt(losses.sum(), gradient, hidden)


class HierarchicalSoftmax(_Layer):
    """A Huffman tree: each label is a run of left-or-right choices (Morin & Bengio 2005)."""

    weight: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, head: TreeHead) -> None:
        super().__init__(weight, bias)
        indptr, rows, turns = map(torch.from_numpy, head.tree.paths())
        device = bias.device
        self._leaf = torch.empty(len(head.order), dtype=torch.long)
        self._leaf[torch.from_numpy(head.order)] = torch.arange(len(head.order))
        self._leaf, self._indptr = self._leaf.to(device), indptr.to(device)
        self._rows, self._turns = rows.to(device), turns.to(device)

    def learn(self, hidden: Tensor, labels: LabelBatch) -> Learnt:
        """Loss and gradients of a batch; a step touches the inner nodes of its labels."""
        leaves = self._leaf[labels.ids]
        begins = self._indptr[leaves]
        sizes = self._indptr[leaves + 1] - begins
        owners = torch.repeat_interleave(torch.arange(len(leaves), device=leaves.device), sizes)
        at = torch.arange(len(owners), device=leaves.device)
        at += (begins - (sizes.cumsum(0) - sizes))[owners]
        return logistic_gradient(
            self.weight, self.bias, hidden, rows=self._rows[at], texts=labels.texts[owners],
            truth=self._turns[at], shares=labels.shares[owners],
        )  # fmt: skip


class NegativeSampling(_Layer):
    """The true label against ``negatives`` drawn ones (Mikolov et al. 2013, section 2.2).

    ``correct``: the logarithm of the expected number of draws is taken off the scores in training,
    which is noise-contrastive estimation with a normaliser of 1 (Gutmann & Hyvärinen 2010; Mnih &
    Teh 2012): the scores are then logits of a softmax, and their biases begin as the labels'
    logarithmic shares.
    """

    weight: Tensor

    def __init__(
        self, weight: Tensor, bias: Tensor, counts: Tensor, *, negatives: int, seed: int,
        correct: bool = True, power: float = NOISE_POWER,
    ) -> None:  # fmt: skip
        """``counts`` float [R] of each label."""
        super().__init__(weight, bias)
        noise = counts.double().clamp(min=0.5) ** power
        noise /= noise.sum()
        self._cumulative = noise.cumsum(0).cpu()
        self._correction = torch.log(negatives * noise).float().to(bias.device) if correct else None
        if correct:
            share = counts.double().clamp(min=0.5)
            bias.copy_((share / share.sum()).log())
        self._negatives, self._seed = negatives, seed
        self._draws = torch.zeros(1, dtype=torch.long)

    def memory(self) -> dict[str, Tensor]:
        """How often was drawn."""
        return {"draws": self._draws}

    def _draw(self, n: int) -> Tensor:
        """Labels by their noise, int64 [n, negatives]; the same for the same seed and step."""
        self._draws += 1
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + int(self._draws))
        places = torch.rand(n, self._negatives, generator=generator, dtype=torch.double)
        return torch.searchsorted(self._cumulative, places).clamp(max=len(self._cumulative) - 1)

    def learn(self, hidden: Tensor, labels: LabelBatch) -> Learnt:
        """Loss and gradients of a batch.

        A negative that is the true label counts where the scores are corrected, as the estimate
        of its share needs it, and else does not.
        """
        drawn, true = self._draw(len(labels.ids)).to(hidden.device), labels.ids[:, None]
        shares, texts = labels.shares[:, None], labels.texts[:, None]
        rows = torch.cat([true, drawn], dim=1)
        truth = torch.zeros(rows.shape, device=hidden.device)
        truth[:, 0] = 1
        counted = torch.ones(rows.shape, device=hidden.device) * shares
        if self._correction is None:
            counted[:, 1:] *= drawn != true
        return logistic_gradient(
            self.weight, self.bias, hidden, rows=rows.ravel(),
            texts=texts.expand(rows.shape).ravel(), truth=truth.ravel(), shares=counted.ravel(),
            correction=self._correction,
        )  # fmt: skip


class AdaptiveSoftmax(_Layer):
    """Softmax over frequent labels and clusters of rare ones (Grave et al. 2017)."""

    weight: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, head: ClusterHead) -> None:
        super().__init__(weight, bias)
        device = bias.device
        self._n_first, self._tails = head.n_first, head.tails
        self._row, self._first_row, self._cluster = (
            torch.from_numpy(a).to(device) for a in (head.row, head.first_row, head.structure)
        )

    def learn(self, hidden: Tensor, labels: LabelBatch) -> Learnt:
        """Loss and gradients of a batch; a step touches the clusters of its labels."""
        shares, cluster = labels.shares, self._cluster[labels.ids]
        first = slice(0, self._n_first)
        loss, back, rows = self._block(
            first, hidden, labels.texts, self._first_row[labels.ids], shares
        )
        found = [rows]
        for number, block in enumerate(self._tails, 1):
            mine = (cluster == number).nonzero()[:, 0]
            if not len(mine):
                continue
            # a text may have several labels of one cluster: each is an entry of its own
            texts, targets = labels.texts[mine], self._row[labels.ids[mine]] - block.start
            entries = torch.arange(len(mine), device=hidden.device)
            more, down, rows = self._block(block, hidden[texts], entries, targets, shares[mine])
            loss = loss + more
            back.index_add_(0, texts, down)
            found.append(rows)
        return Learnt(loss, back, found)

    def _block(
        self, block: slice, hidden: Tensor, texts: Tensor, targets: Tensor, shares: Tensor
    ) -> tuple[Tensor, Tensor, RowGradient]:
        weight = self.weight[block]
        logits = torch.addmm(self.bias[block], hidden, weight.T)
        loss, gradient = softmax_gradient(logits, texts, targets, shares)
        rows = RowGradient(block, gradient.T @ hidden, gradient.sum(0))
        return loss, gradient @ weight, rows


def softmax_gradient(
    logits: Tensor, texts: Tensor, targets: Tensor, shares: Tensor, smoothing: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Summed cross-entropy of entries (text, target, share), and its gradient [B, R]."""
    log_p = F.log_softmax(logits, dim=1)
    mass = torch.zeros(len(logits), device=logits.device).index_add_(0, texts, shares)
    loss = -(1 - smoothing) * (shares * log_p[texts, targets]).sum()
    if smoothing:
        even = smoothing / logits.shape[1]
        loss = loss - even * (mass @ log_p.sum(dim=1))
    gradient = log_p.exp_().mul_(mass[:, None])
    if smoothing:
        gradient.sub_(even * mass[:, None])
    gradient.index_put_((texts, targets), (smoothing - 1) * shares, accumulate=True)
    return loss, gradient


def logistic_gradient(
    weight: Tensor, bias: Tensor, hidden: Tensor, *, rows: Tensor, texts: Tensor, truth: Tensor,
    shares: Tensor, correction: Tensor | None = None,
) -> Learnt:  # fmt: skip
    """Of N logistic losses: row ``rows`` [N] on the hidden vector of ``texts`` [N], true or not.

    ``texts`` ascend; ``correction`` [R] is taken off the scores.
    """
    if not len(rows):
        return Learnt(bias.new_zeros(()), torch.zeros_like(hidden), [])
    scores = (weight[rows] * hidden[texts]).sum(dim=1) + bias[rows]
    if correction is not None:
        scores -= correction[rows]
    losses = F.binary_cross_entropy_with_logits(scores, truth, weight=shares, reduction="sum")
    gradient = (torch.sigmoid(scores) - truth) * shares
    offsets = torch.searchsorted(texts, torch.arange(len(hidden), device=texts.device))
    back = F.embedding_bag(rows, weight, offsets, mode="sum", per_sample_weights=gradient)
    ordered, order = rows.sort(stable=True)
    distinct, sizes = torch.unique_consecutive(ordered, return_counts=True)
    begins = sizes.cumsum(0) - sizes
    gradient = gradient[order]
    down = F.embedding_bag(texts[order], hidden, begins, mode="sum", per_sample_weights=gradient)
    bias_down = torch.segment_reduce(gradient, "sum", lengths=sizes)
    return Learnt(losses, back, [RowGradient(distinct, down, bias_down)])
