"""What a model learns about spans and their relations, and which ones it finds.

Shapes: B rows of a batch, T positions, D hidden size, S spans of a row at most; M spans.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nlpcli.batching.framing import Specials
from nlpcli.batching.span_rows import (
    MOST_PAIRED,
    Bools,
    KnownSpans,
    SpanRows,
    Spans,
    ordered_pairs,
    places,
    sampled,
    without_overlap,
)
from nlpcli.models.encoder_heads import sequence_loss
from nlpcli.models.span_heads import SpanHead, SpanModel, SpanPairs, SpanPlaces
from nlpcli.training.answers import answers

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
FLAT = "flat"


@dataclass(frozen=True)
class SpanObjective:
    """``known``: the training spans and relations. ``negatives``: so many of a row's other spans
    are learnt as none, drawn anew in each step and counting for all of them; None: all are; 0: no
    span is."""

    head: SpanHead
    rows: SpanRows
    known: KnownSpans
    negatives: int | None = None
    smoothing: float = 0.0
    focal: float = 0.0

    def weight(self, chosen: I64) -> float:
        """How many words the rows ``chosen`` [B] answer."""
        return float(self.rows.n_words(chosen))

    def loss(self, outputs: Tensor, chosen: I64) -> Tensor:
        """-log p of the labels of all spans, and of all pairs of known spans, by word; ``outputs``
        [B, T, D]: hidden states of the rows ``chosen``."""
        spans = self.rows.spans(chosen)
        numbers = self.known.numbers(self.rows.key(spans.begin, spans.behind))
        weights = None
        if self.negatives is not None:
            random = torch.rand(len(spans)).numpy()  # the loop seeds it by step
            kept = sampled(spans, numbers >= 0, self.negatives, random)
            weights = _weights(spans.row, numbers >= 0, kept)
            spans, numbers = spans.take(kept), numbers[kept]
        laid = laid_out(spans, len(chosen), outputs.device)
        vectors = self.head.vectors(outputs, laid)
        labels = np.append(self.known.labels, 0)[numbers]
        loss = self._summed(self.head.labels(vectors)[laid.mask], labels, weights)
        if self.head.n_relations:
            loss = loss + self._relations(outputs, vectors, laid, spans, numbers)
        return loss / self.weight(chosen)

    def _relations(
        self, outputs: Tensor, vectors: Tensor, laid: SpanPlaces, spans: Spans, numbers: I64
    ) -> Tensor:
        known = np.flatnonzero(numbers >= 0)
        known = known[places(spans.row[known]) < MOST_PAIRED]
        left, right = ordered_pairs(spans.row[known])
        if not len(left):
            return outputs.new_zeros((), dtype=torch.float32)
        heads, tails = known[left], known[right]
        pairs = _pairs(spans, heads, tails, outputs.device)
        logits = self.head.relations(outputs, vectors, laid, pairs)
        return self._summed(logits, self.known.relations(numbers[heads], numbers[tails]), None)

    def _summed(
        self, logits: Tensor, targets: I64, weights: npt.NDArray[np.float32] | None
    ) -> Tensor:
        if not len(targets):
            return logits.float().sum()  # 0, and a gradient of 0
        device = logits.device
        mean = sequence_loss(
            logits, torch.from_numpy(targets).to(device),
            weights=None if weights is None else torch.from_numpy(weights).to(device),
            smoothing=self.smoothing, focal=self.focal,
        )  # fmt: skip
        return mean * len(targets)


def _weights(row: I64, known: Bools, kept: Bools) -> npt.NDArray[np.float32]:
    """Of the spans kept: a sampled one counts for as many of its row as it stands for."""
    size = int(row.max(initial=0)) + 1
    others = np.bincount(row[~known], minlength=size)
    drawn = np.maximum(np.bincount(row[~known & kept], minlength=size), 1)
    found: npt.NDArray[np.float32] = np.where(known, 1, (others / drawn)[row])[kept].astype(
        np.float32
    )
    return found


def laid_out(spans: Spans, n_rows: int, device: torch.device) -> SpanPlaces:
    """Spans of ``n_rows`` rows, filled up to those of the longest row."""
    sizes = np.bincount(spans.row, minlength=n_rows)
    mask = np.arange(int(sizes.max())) < sizes[:, None]
    widths = spans.behind - spans.begin

    def filled(values: I64, fill: int) -> Tensor:
        whole = np.full(mask.shape, fill, np.int64)
        whole[mask] = values
        return torch.from_numpy(whole).to(device)

    return SpanPlaces(
        filled(spans.first, 0), filled(spans.last, 0), filled(widths, 1),
        torch.from_numpy(mask).to(device),
    )  # fmt: skip


def _pairs(spans: Spans, heads: I64, tails: I64, device: torch.device) -> SpanPairs:
    slot = spans.slot
    row, head, tail = (
        torch.from_numpy(array).to(device) for array in (spans.row[heads], slot[heads], slot[tails])
    )
    return SpanPairs(row, head, tail)


@dataclass(frozen=True)
class FoundSpans:
    """M spans by ``begin``, then ``behind``, words over all sentences, int64 [M]; ``label`` int64
    [M] from 0; ``score`` float64 [M]: log p of it. ``head``, ``tail``, ``relation`` and
    ``relation_score``: of pairs of the M, likewise."""

    begin: I64
    behind: I64
    label: I64
    score: F64
    head: I64
    tail: I64
    relation: I64
    relation_score: F64


@dataclass(frozen=True)
class _Answered:
    """Of one batch: spans above none, and pairs of them that are related, by their numbers."""

    begin: I64
    behind: I64
    label: I64
    score: F64
    pairs: I64
    relation: I64
    relation_score: F64


def find_spans(
    model: SpanModel, rows: SpanRows, specials: Specials, *, decoding: str
) -> FoundSpans:
    """The spans that are more probably some label's than none, ``flat`` those among them that
    ``without_overlap`` leaves; and the relations between these, within a row, among the
    ``MOST_PAIRED`` of the highest scores."""
    parts = [
        _answered(model.spans, rows, chosen, hidden, decoding)
        for chosen, hidden in answers(model, rows.words.rows, specials)
    ]

    def joined(name: str) -> npt.NDArray[Any]:
        return np.concatenate([getattr(part, name) for part in parts])

    if not parts:
        no, none = np.zeros(0, np.int64), np.zeros(0)
        return FoundSpans(no, no, no, none, no, no, no, none)
    offsets = np.cumsum([0, *(len(part.begin) for part in parts)])
    pairs = np.concatenate(
        [part.pairs + offset for part, offset in zip(parts, offsets[:-1], strict=True)], axis=1
    )
    begin, behind, score = joined("begin"), joined("behind"), joined("score")
    kept = np.ones(len(begin), bool)
    if decoding == FLAT:
        kept = without_overlap(begin, behind, score)
    order = np.lexsort((behind, begin))
    order = order[kept[order]]
    place = np.full(len(begin) + 1, -1, np.int64)
    place[order] = np.arange(len(order))
    heads, tails = place[pairs]
    both = (heads >= 0) & (tails >= 0)
    return FoundSpans(
        begin[order], behind[order], joined("label")[order], score[order], heads[both],
        tails[both], joined("relation")[both], joined("relation_score")[both],
    )  # fmt: skip


@torch.no_grad()
def _answered(
    head: SpanHead, rows: SpanRows, chosen: I64, hidden: Tensor, decoding: str
) -> _Answered:
    spans = rows.spans(chosen)
    laid = laid_out(spans, len(chosen), hidden.device)
    vectors = head.vectors(hidden, laid)
    label, score = _best(head.labels(vectors)[laid.mask])
    at = np.flatnonzero(label > 0)
    pairs = np.zeros((2, 0), np.int64)
    relation, relation_score = np.zeros(0, np.int64), np.zeros(0)
    if head.n_relations and len(at):
        among = _to_pair(spans.take(at), score[at], decoding)
        left, right = ordered_pairs(spans.row[at[among]])
        if len(left):
            left, right = among[left], among[right]
            asked = _pairs(spans, at[left], at[right], hidden.device)
            relation, relation_score = _best(head.relations(hidden, vectors, laid, asked))
            related = relation > 0
            pairs = np.stack([left[related], right[related]])
            relation, relation_score = relation[related] - 1, relation_score[related]
    return _Answered(
        spans.begin[at], spans.behind[at], label[at] - 1, score[at], pairs, relation,
        relation_score,
    )  # fmt: skip


def _best(logits: Tensor) -> tuple[I64, F64]:
    """The best class of each, and its log p; in float64, so that none that are sure tie."""
    scores = logits.double().cpu().log_softmax(dim=1)
    best, label = scores.max(dim=1)
    return label.numpy(), best.numpy()


def _to_pair(spans: Spans, score: F64, decoding: str) -> I64:
    """The spans of each row whose relations are asked for, row by row."""
    at = np.arange(len(spans))
    if decoding == FLAT:
        at = at[without_overlap(spans.begin, spans.behind, score)]
    ranked = at[np.lexsort((-score[at], spans.row[at]))]
    return np.sort(ranked[places(spans.row[ranked]) < MOST_PAIRED])
