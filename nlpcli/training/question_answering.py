"""What a model learns about windows of contexts, and how its logits become spans.

Shapes: B rows of a batch, T positions, L pieces of the longest answer; N windows, K spans of each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from nlpcli.batching.framing import Specials
from nlpcli.batching.question_windows import Windows, answer_places
from nlpcli.models.question_heads import QuestionModel, place_loss
from nlpcli.training.answers import answers

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class AnswerObjective:
    """``starts`` and ``ends`` int64 [N]: the positions that ``window_targets`` gives."""

    windows: Windows
    starts: I64
    ends: I64
    smoothing: float = 0.0
    focal: float = 0.0

    def loss(self, outputs: Tensor, chosen: I64) -> Tensor:
        """The mean of the losses of start and end over the rows ``chosen``; ``outputs`` [B, T, 2].

        Places are [CLS] and the pieces of the window alone, as when it answers.
        """
        allowed = torch.from_numpy(answer_places(self.windows, chosen, outputs.shape[1]))
        allowed = allowed.to(outputs.device)
        first, last = (
            place_loss(
                outputs[:, :, which], torch.from_numpy(targets[chosen]).to(outputs.device),
                allowed, smoothing=self.smoothing, focal=self.focal,
            )
            for which, targets in enumerate((self.starts, self.ends))
        )  # fmt: skip
        return (first + last) / 2


@dataclass(frozen=True)
class SpanScores:
    """The best spans of each window, best first. ``scores`` float64 [N, K]: logits of start and
    end added up, -inf where there are less than K; ``firsts`` and ``lasts`` int64 [N, K]: pieces of
    the context. ``totals`` float64 [N]: log of the sum of exp(score) of all its spans; ``nulls``
    float64 [N]: the score of [CLS]."""

    scores: F64
    firsts: I64
    lasts: I64
    totals: F64
    nulls: F64


def best_spans(
    model: QuestionModel, windows: Windows, specials: Specials, *, longest: int, keep: int
) -> SpanScores:
    """The ``keep`` best spans of at most ``longest`` pieces in each window.

    A span that stands in two windows belongs to the one where it has more around it on its poorer
    side, so that each is there once.
    """
    count = len(windows.begins)
    found = SpanScores(
        np.full((count, keep), -np.inf), np.zeros((count, keep), np.int64),
        np.zeros((count, keep), np.int64), np.full(count, -np.inf), np.zeros(count),
    )  # fmt: skip
    around = windows.neighbours()
    for chosen, logits in answers(model, windows.rows, specials):
        both = logits.double()
        scores, begins = _span_scores(both, windows, around, chosen, longest)
        flat = scores.flatten(1)
        best = flat.topk(min(keep, flat.shape[1]), dim=1)
        width = best.values.shape[1]
        place = torch.div(best.indices, scores.shape[2], rounding_mode="floor")
        first = begins.gather(1, place)
        last = first + best.indices % scores.shape[2]
        found.scores[chosen, :width] = best.values.cpu().numpy()
        found.firsts[chosen, :width] = first.cpu().numpy()
        found.lasts[chosen, :width] = last.cpu().numpy()
        found.totals[chosen] = flat.logsumexp(dim=1).cpu().numpy()
        found.nulls[chosen] = both[:, 0].sum(dim=1).cpu().numpy()
    return found


def _span_scores(
    logits: Tensor, windows: Windows, around: tuple[I64, I64], chosen: I64, longest: int
) -> tuple[Tensor, Tensor]:
    """Scores [B, T, L] of spans by the position of their first piece and their length less one,
    -inf for what is no span of this window; and the piece of each position, int64 [B, T]."""

    def of(values: I64) -> Tensor:
        return torch.from_numpy(values[chosen]).to(logits.device)[:, None, None]

    begin, end, second = of(windows.begins), of(windows.ends), of(windows.rows.second)
    before, behind = (of(values) for values in around)
    width = logits.shape[1]
    size = min(longest, width)
    piece = begin + torch.arange(width, device=logits.device)[None, :, None] - second
    after = piece + 1 + torch.arange(size, device=logits.device)[None, None]
    mine = (piece >= begin) & (after <= end)
    mine &= ~((piece >= behind) & (piece - behind > end - after))
    mine &= ~((after <= before) & (piece - begin <= before - after))
    ends = functional.pad(logits[:, :, 1], (0, size - 1), value=-torch.inf).unfold(1, size, 1)
    scores = (logits[:, :, 0, None] + ends).masked_fill(~mine, -torch.inf)
    return scores, piece[:, :, 0]
