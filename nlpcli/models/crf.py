"""A linear-chain conditional random field over tags (Lafferty et al. 2001).

Shapes: B sentences, W words of the longest, K tags. ``mask`` bool [B, W]: True for the words that
a sentence has, which stand first; each has one at least.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from nlpcli.models.bert import Named, Part

IMPOSSIBLE = -1e6
"""The score of what may not be: no sum of scores that are possible comes near."""
Bools = npt.NDArray[np.bool_]


class Crf(Named):
    """Scores of a tag behind another, of the first and of the last tag; some may not be.

    ``first`` [K], ``following`` [K, K] and ``last`` [K]: which may.
    """

    def __init__(self, first: Bools, following: Bools, last: Bools) -> None:
        super().__init__()
        size = len(first)
        self.transitions = nn.Parameter(torch.zeros(size, size))
        self.start = nn.Parameter(torch.zeros(size))
        self.end = nn.Parameter(torch.zeros(size))
        for name, may in (("first", first), ("following", following), ("last", last)):
            self.register_buffer(f"_no_{name}", torch.from_numpy(~may), persistent=False)

    def parts(self) -> Iterator[Part]:
        """All parameters."""
        yield Part("crf.transitions", self.transitions)
        yield Part("crf.start", self.start)
        yield Part("crf.end", self.end)

    def scores(self, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Start [K], transitions [K, K] (from, to) and end [K], of the type of ``like``."""

        def allowed(scores: Tensor, name: str) -> Tensor:
            forbidden: Tensor = getattr(self, f"_no_{name}")
            return scores.to(like.dtype).masked_fill(forbidden, IMPOSSIBLE)

        return (
            allowed(self.start, "first"),
            allowed(self.transitions, "following"),
            allowed(self.end, "last"),
        )

    def log_likelihood(
        self, emissions: Tensor, tags: Tensor, mask: Tensor,
        opens: Tensor | None = None, closes: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """log p(tags | sentence) [B]. ``emissions`` [B, W, K], ``tags`` int64 [B, W].

        ``opens`` and ``closes`` bool [B]: False for a part of a sentence that lacks its
        beginning, or its end; None: all are whole.
        """
        start, transitions, end = self._bordered(emissions, opens, closes)
        total = self._log_partition(emissions, mask, start, transitions, end)
        return _path_score(emissions, tags, mask, start, transitions, end) - total

    def _bordered(
        self, emissions: Tensor, opens: Tensor | None, closes: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Scores with those of the borders for each sentence, [B, K], 0 where it has none."""
        start, transitions, end = self.scores(emissions)
        every = torch.ones(len(emissions), dtype=torch.bool, device=emissions.device)
        zero = torch.zeros_like(start)
        opens, closes = (every if given is None else given for given in (opens, closes))
        return (
            torch.where(opens[:, None], start, zero), transitions,
            torch.where(closes[:, None], end, zero),
        )  # fmt: skip

    @staticmethod
    def _log_partition(
        emissions: Tensor, mask: Tensor, start: Tensor, transitions: Tensor, end: Tensor
    ) -> Tensor:
        """log of the sum over all sequences of tags, by the forward algorithm, [B]."""
        alpha = start + emissions[:, 0]
        for place in range(1, emissions.shape[1]):
            ahead = torch.logsumexp(alpha[:, :, None] + transitions, dim=1) + emissions[:, place]
            alpha = torch.where(mask[:, place, None], ahead, alpha)
        return torch.logsumexp(alpha + end, dim=1)

    @torch.no_grad()
    def best(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """The most probable tags of whole sentences, int64 [B, W], by Viterbi; 0 behind the end."""
        start, transitions, end = self.scores(emissions)
        score = start + emissions[:, 0]
        n_words = emissions.shape[1]
        stay = torch.arange(emissions.shape[2], device=emissions.device).expand_as(score)
        came_from = []
        for place in range(1, n_words):
            best, origin = (score[:, :, None] + transitions).max(dim=1)
            here = mask[:, place, None]
            score = torch.where(here, best + emissions[:, place], score)
            came_from.append(torch.where(here, origin, stay))
        tag = (score + end).argmax(dim=1)
        tags = [tag]
        for origin in reversed(came_from):
            tag = origin.gather(1, tag[:, None])[:, 0]
            tags.append(tag)
        return torch.stack(tags[::-1], dim=1) * mask


def _path_score(
    emissions: Tensor, tags: Tensor, mask: Tensor, start: Tensor, transitions: Tensor, end: Tensor
) -> Tensor:
    """Of given tags, [B]."""
    rows = torch.arange(len(tags), device=tags.device)
    each = emissions.gather(2, tags[:, :, None])[:, :, 0]
    steps = transitions[tags[:, :-1], tags[:, 1:]]
    zero = torch.zeros((), dtype=emissions.dtype, device=emissions.device)
    last = tags[rows, mask.sum(dim=1) - 1]
    inner = torch.where(mask, each, zero).sum(dim=1)
    inner = inner + torch.where(mask[:, 1:], steps, zero).sum(dim=1)
    return inner + start[rows, tags[:, 0]] + end[rows, last]
