"""What a model learns about words, and how its logits become tags.

Shapes: B rows of a batch, T positions, K tags; W words.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nlpcli.batching.framing import Rows, Specials
from nlpcli.batching.word_rows import UNLABELLED, WordRows, ranges
from nlpcli.models.crf import Crf
from nlpcli.models.encoder_heads import sequence_loss
from nlpcli.models.token_heads import TokenModel
from nlpcli.training.answers import answers

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]
SENTENCES = 256
"""Whose best tags are looked for together."""


@dataclass(frozen=True)
class TokenObjective:
    """``targets`` int64 of all positions of the training rows, UNLABELLED where nothing is
    learnt; the rest as ``sequence_loss``."""

    rows: Rows
    targets: I64
    smoothing: float = 0.0
    focal: float = 0.0

    @cached_property
    def _labelled(self) -> I64:
        """Positions with a label before each place, int64 [sum of lengths + 1]."""
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(self.targets != UNLABELLED)])

    def weight(self, chosen: I64) -> float:
        """How many positions of the rows ``chosen`` [B] have a label."""
        ends = self._labelled[self.rows.indptr[chosen + 1]]
        return float((ends - self._labelled[self.rows.indptr[chosen]]).sum())

    def loss(self, outputs: Tensor, chosen: I64) -> Tensor:
        """The mean loss of the labelled positions of the rows ``chosen``; ``outputs`` [B, T, K]."""
        place = np.arange(outputs.shape[1])
        inside = place < self.rows.lengths[chosen][:, None]
        targets = np.full(inside.shape, UNLABELLED, np.int64)
        targets[inside] = self.targets[(self.rows.indptr[chosen][:, None] + place)[inside]]
        wanted = torch.from_numpy(targets).to(outputs.device)
        kept = wanted != UNLABELLED
        return sequence_loss(
            outputs[kept], wanted[kept], weights=None, smoothing=self.smoothing, focal=self.focal
        )


@dataclass(frozen=True)
class CrfObjective:
    """``tags`` int64 [W] of all words; ``pooled``: as ``word_logits``."""

    words: WordRows
    tags: I64
    crf: Crf
    pooled: bool = False

    def weight(self, chosen: I64) -> float:
        """How many words the rows ``chosen`` [B] answer."""
        return float((self.words.words[chosen + 1] - self.words.words[chosen]).sum())

    def loss(self, outputs: Tensor, chosen: I64) -> Tensor:
        """-log p of the tags of the rows ``chosen`` by word; ``outputs`` [B, T, K]."""
        found, sizes = word_logits(outputs, self.words, chosen, pooled=self.pooled)
        emissions, mask = _padded(found, sizes)
        tags = np.zeros(mask.shape, np.int64)
        place = np.arange(mask.shape[1])
        tags[place < sizes[:, None]] = self.tags[ranges(self.words.words[chosen], sizes)]
        device = outputs.device
        whole = self.crf.log_likelihood(
            emissions, torch.from_numpy(tags).to(device), mask,
            torch.from_numpy(self.words.opens[chosen]).to(device),
            torch.from_numpy(self.words.closes[chosen]).to(device),
        )  # fmt: skip
        return -whole.sum() / int(sizes.sum())


def _padded(found: Tensor, sizes: I64) -> tuple[Tensor, Tensor]:
    """Of words one behind the other [n, K] those of each sentence, [B, W, K], and its mask."""
    place = np.arange(int(sizes.max()))
    mask = torch.from_numpy(place < sizes[:, None]).to(found.device)
    padded = found.new_zeros((*mask.shape, found.shape[1]))
    padded[mask] = found
    return padded, mask


def word_logits(
    outputs: Tensor, words: WordRows, chosen: I64, *, pooled: bool
) -> tuple[Tensor, I64]:
    """Of the words that the rows ``chosen`` answer, [n, K], and how many each of them does, [B].

    ``outputs`` [B, T, K]: what is said of positions. A word has what its first piece has, or,
    ``pooled``, the mean of its pieces.
    """
    begins = words.words[chosen]
    counts = words.words[chosen + 1] - begins
    number = ranges(begins, counts)
    row = np.repeat(np.arange(len(chosen)), counts)
    place = words.firsts[number] - words.rows.indptr[chosen][row]
    if not pooled:
        return outputs[torch.from_numpy(row), torch.from_numpy(place)], counts
    sizes = words.sizes[number]
    owner = torch.from_numpy(np.repeat(np.arange(len(number)), sizes)).to(outputs.device)
    pieces = outputs[
        torch.from_numpy(np.repeat(row, sizes)), torch.from_numpy(ranges(place, sizes))
    ]
    summed = pieces.new_zeros((len(number), outputs.shape[2])).index_add_(0, owner, pieces)
    return summed / torch.from_numpy(sizes).to(summed)[:, None], counts


@torch.no_grad()
def word_scores(model: TokenModel, words: WordRows, specials: Specials, *, pooled: bool) -> F32:
    """What a model says of each word, float32 [W, K]: logits, or the mean of the distributions of
    its pieces where these are ``pooled`` without a field above them."""
    found = np.zeros((len(words.sizes), model.classifier.out_features), np.float32)
    for chosen, logits in answers(model, words.rows, specials):
        if pooled and model.crf is None:
            logits = logits.softmax(dim=2)
        values, counts = word_logits(logits, words, chosen, pooled=pooled)
        found[ranges(words.words[chosen], counts)] = values.cpu().numpy()
    return found


def best_tags(model: TokenModel, words: WordRows, specials: Specials, *, pooled: bool) -> I64:
    """The tag of each word, int64 [W]: the best by itself, or with a field those that are best
    for the whole sentence, however many rows it took."""
    scores = word_scores(model, words, specials, pooled=pooled)
    if model.crf is None or not len(scores):
        alone: I64 = scores.argmax(axis=1)
        return alone
    sizes = np.diff(words.indptr)
    order = np.argsort(sizes, kind="stable")
    order = order[sizes[order] > 0]
    tags = np.zeros(len(scores), np.int64)
    device = model.classifier.weight.device
    for at in range(0, len(order), SENTENCES):
        part = order[at : at + SENTENCES]
        number = ranges(words.indptr[part], sizes[part])
        emissions, mask = _padded(torch.from_numpy(scores[number]).to(device), sizes[part])
        tags[number] = model.crf.best(emissions, mask)[mask].cpu().numpy()
    return tags
