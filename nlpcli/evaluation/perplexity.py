"""How well a language model foresees texts: perplexity, bits a character, what it rules out.

The perplexity of N tokens, ends of sentences among them, is 10 to the power of the mean of
-log10 P (Jelinek et al. 1977). Intervals are by bootstrap over sentences.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from nlpcli.evaluation.bootstrap import affordable, estimate, generator, resampled_sums, row_groups

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
_STREAM = 60
_GROUPS = 5000
"""Groups of sentences that are drawn as one where there are more."""


@dataclass(frozen=True)
class Scored:
    """Of S sentences, each [S], 0 of a blank one: ``tokens`` scored, its end too; ``unknown`` words
    among them; ``impossible`` tokens of probability 0; ``characters``, its end too; ``log10`` of
    its probability, and ``log10_known`` of the tokens that are not unknown words."""

    tokens: I64
    unknown: I64
    impossible: I64
    characters: I64
    log10: F64
    log10_known: F64

    @staticmethod
    def together(parts: Sequence[Scored]) -> Scored:
        """One after the other."""
        none = np.empty(0, np.int64)
        columns = [
            np.concatenate([none, *(getattr(part, field.name) for part in parts)])
            for field in fields(Scored)
        ]
        return Scored(*columns)

    def filled(self) -> Scored:
        """Without the sentences that have no tokens."""
        kept = self.tokens > 0
        return Scored(*(getattr(self, field.name)[kept] for field in fields(Scored)))


def evaluate_perplexity(scored: Scored, *, resamples: int, seed: int) -> dict[str, Any]:
    """The document of ``eval``; a perplexity that is infinite is null."""
    columns = np.stack([getattr(scored, f.name).astype(float) for f in fields(Scored)], axis=1)
    whole = _metrics(columns.sum(axis=0)[None, :])
    order, starts = row_groups(len(columns), _GROUPS, generator(seed, _STREAM))
    grouped = np.add.reduceat(columns if order is None else columns[order], starts, axis=0)
    drawn = affordable(resamples, len(grouped))
    with np.errstate(invalid="ignore"):  # 0 times the -inf of a sentence that was not drawn
        sums = resampled_sums(grouped, drawn, generator(seed, _STREAM + 1))
    again = _metrics(sums)
    return {
        "task": "language-model",
        "n": int(scored.tokens.sum()),
        "sentences": len(scored.tokens),
        "unknown_words": int(scored.unknown.sum()),
        "characters": int(scored.characters.sum()),
        **{name: estimate(float(whole[name][0]), again[name]) for name in whole},
    }


def _metrics(sums: F64) -> dict[str, F64]:
    """Of sums over sentences [R, 6] each metric [R]."""
    tokens, unknown, impossible, characters, log10, log10_known = sums.T
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        return {
            "perplexity": 10 ** (-log10 / tokens),
            "perplexity_without_unknown": 10 ** (-log10_known / (tokens - unknown)),
            "bits_per_character": -log10 / math.log10(2) / characters,
            "unknown_share": unknown / tokens,
            "zero_probability_share": impossible / tokens,
        }
