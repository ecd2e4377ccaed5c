"""Which pieces a masked language model is asked for, and what stands in their place.

All functions work on a batch of rows at once: ``ids`` int64 [B, T] and ``maskable`` bool [B, T],
False for the special pieces. Draws come from the generator that is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

How = Literal["pieces", "words", "spans"]
"""Single pieces; whole words; spans of words."""
SPAN_P, LONGEST_SPAN = 0.2, 10
"""Of the geometric distribution of spans' lengths in words (Joshi et al. 2020, §3.1)."""
_TRIES = 60


@dataclass(frozen=True, kw_only=True)
class MaskConfig:
    """``rate`` of the pieces are asked for; of these the share ``masked`` becomes [MASK],
    ``replaced`` another piece, and the rest stays (Devlin et al. 2019, §3.1). ``replacement``: the
    other piece is drawn ``uniform``ly or by its frequency. Raises ValueError."""

    how: How = "pieces"
    rate: float = 0.15
    masked: float = 0.8
    replaced: float = 0.1
    replacement: Literal["uniform", "unigram"] = "uniform"

    def __post_init__(self) -> None:
        if not 0 < self.rate < 1:
            raise ValueError(f"rate: {self.rate!r}, wanted between 0 and 1")
        least, both = min(self.masked, self.replaced), self.masked + self.replaced
        if not (least >= 0 and both <= 1 + 1e-9):  # nan is neither
            raise ValueError(
                f"masked {self.masked!r} and replaced {self.replaced!r}: wanted shares of at "
                "most 1 together"
            )


@dataclass(frozen=True)
class Masked:
    """``ids`` int64 [B, T] as the model sees them; ``chosen`` bool [B, T]. Spans [S]: their
    ``row``, their ``first`` and ``last`` position, both within."""

    ids: I64
    chosen: Flags
    row: I64
    first: I64
    last: I64


@dataclass(frozen=True)
class Pieces:
    """The vocabulary as masking needs it: id of [MASK], ``continues`` bool [V] for pieces that go
    on a word, ``ordinary`` int64 [U] ids that may replace others, their ``cumulative`` share."""

    mask: int
    continues: Flags
    ordinary: I64
    cumulative: npt.NDArray[np.float64] | None = None

    def draw(self, n: int, generator: np.random.Generator) -> I64:
        """Pieces to put in the place of others, int64 [n]."""
        if self.cumulative is None:
            return self.ordinary[generator.integers(0, len(self.ordinary), n)]
        at = np.searchsorted(self.cumulative, generator.random(n), side="right")
        return self.ordinary[np.minimum(at, len(self.ordinary) - 1)]


def mask_rows(
    ids: I64, maskable: Flags, pieces: Pieces, config: MaskConfig, generator: np.random.Generator
) -> Masked:
    """Chooses pieces and changes them; each row has its share, at least one piece if any can be."""
    budget = np.maximum(1, np.round(config.rate * maskable.sum(axis=1))).astype(np.int64)
    none = np.empty(0, np.int64)
    if config.how == "spans":
        starts = _word_starts(ids, maskable, pieces)
        chosen, row, first, last = _choose_spans(starts, maskable, budget, generator)
        fate = np.zeros(ids.shape)
        drawn = generator.random(len(row))
        for at in range(int((last - first).max(initial=-1)) + 1):  # one draw a span
            inside = first + at <= last
            fate[row[inside], first[inside] + at] = drawn[inside]
    else:
        units = np.arange(ids.shape[1])[None].repeat(len(ids), axis=0)
        if config.how == "words":
            units = np.maximum(np.cumsum(_word_starts(ids, maskable, pieces), axis=1), 1) - 1
        chosen = _choose_units(units, maskable, budget, generator)
        fate, row, first, last = generator.random(ids.shape), none, none, none
    seen = ids.copy()
    seen[chosen & (fate < config.masked)] = pieces.mask
    other = chosen & (fate >= config.masked) & (fate < config.masked + config.replaced)
    seen[other] = pieces.draw(int(other.sum()), generator)
    return Masked(seen, chosen, row, first, last)


def _word_starts(ids: I64, maskable: Flags, pieces: Pieces) -> Flags:
    """Pieces that a word begins with, bool [B, T]; a row's first is one even when it goes on."""
    goes_on = pieces.continues[ids] & maskable
    goes_on[:, 1:] &= maskable[:, :-1]
    goes_on[:, 0] = False
    return ~goes_on


def _choose_units(
    units: I64, maskable: Flags, budget: I64, generator: np.random.Generator
) -> Flags:
    """Whole units in random order as long as they fit in the budget of their row.

    ``units`` int64 [B, T]: number of the unit of each position, ascending in a row.
    """
    order_of = generator.random(units.shape)
    numbered = units + units.shape[1] * np.arange(len(units))[:, None]
    sizes = np.bincount(numbered[maskable], minlength=units.size).reshape(units.shape)
    order_of[sizes > budget[:, None]] += 1.0  # what cannot fit is not to take a row's turn
    score = np.take_along_axis(order_of, units, axis=1)
    score[~maskable] = 2.0
    order = np.argsort(score, axis=1, kind="stable")
    ranked = np.take_along_axis(units, order, axis=1)
    place = np.arange(1, units.shape[1] + 1)[None]
    last = np.ones(units.shape, dtype=bool)  # of its unit
    last[:, :-1] = ranked[:, 1:] != ranked[:, :-1]
    end = np.where(last, place, units.shape[1] + 1)
    end = np.minimum.accumulate(end[:, ::-1], axis=1)[:, ::-1]  # of the unit a place belongs to
    good = (end <= budget[:, None]) & np.take_along_axis(maskable, order, axis=1)
    none = ~good.any(axis=1) & maskable.any(axis=1)
    good[none, 0] = True  # all words are longer than the budget: the first piece of one
    chosen = np.zeros(units.shape, dtype=bool)
    np.put_along_axis(chosen, order, good, axis=1)
    return chosen


def _choose_spans(
    starts: Flags, maskable: Flags, budget: I64, generator: np.random.Generator
) -> tuple[Flags, I64, I64, I64]:
    """Spans of whole words, of geometric length, that neither overlap nor touch.

    One that would pass the budget ends with the last word that fits; where no word does, a row's
    only span is a part of one. Borders are positions that exist and are not chosen.
    """
    n_rows, width = starts.shape
    chosen = np.zeros((n_rows, width), dtype=bool)
    lengths = (1 - SPAN_P) ** np.arange(LONGEST_SPAN)
    cumulative = np.cumsum(lengths / lengths.sum())
    n_words = np.cumsum(starts, axis=1, dtype=np.int64)
    begins = [np.flatnonzero(line) for line in starts & maskable]
    left = budget.copy()
    none = np.empty(0, np.int64)
    found: list[tuple[I64, I64, I64]] = [(none, none, none)]
    for _ in range(_TRIES):
        rows = np.flatnonzero(left > 0)
        rows = rows[[len(begins[row]) > 0 for row in rows]] if len(rows) else rows
        if not len(rows):
            break
        size = 1 + np.searchsorted(cumulative, generator.random(len(rows)), side="right")
        pick = generator.random(len(rows))
        first = np.array(
            [begins[row][int(p * len(begins[row]))] for row, p in zip(rows, pick, strict=True)],
            np.int64,
        )
        inside = np.arange(width)[None]
        word = n_words[rows]
        begin_word = n_words[rows, first][:, None]
        span = (inside >= first[:, None]) & (word < begin_word + size[:, None])
        span &= inside < (first + left[rows])[:, None]
        span = _to_words(span, first + left[rows], starts[rows], word, (left == budget)[rows])
        span &= np.logical_and.accumulate(maskable[rows] | (inside < first[:, None]), axis=1)
        around = span.copy()
        around[:, 1:] |= span[:, :-1]
        around[:, :-1] |= span[:, 1:]
        good = ~(around & chosen[rows]).any(axis=1) & span.any(axis=1) & (first > 0)
        last = first + span.sum(axis=1) - 1
        good &= last + 1 < width
        rows, first, last, span = rows[good], first[good], last[good], span[good]
        chosen[rows] |= span
        left[rows] -= span.sum(axis=1)
        found.append((rows, first, last))
    row, first, last = (np.concatenate([part[i] for part in found]) for i in range(3))
    order = np.lexsort((first, row))
    return chosen, row[order], first[order], last[order]


def _to_words(span: Flags, end: I64, starts: Flags, number: I64, is_first: Flags) -> Flags:
    """Spans [B, T] without the pieces of a word that goes on at ``end``.

    ``number``: of the word of each piece. ``is_first``: rows that keep a part of a word rather than
    nothing.
    """
    at = np.minimum(end, span.shape[1] - 1)[:, None]
    torn = ~np.take_along_axis(starts, at, axis=1)
    kept: Flags = span & ~(torn & (number == np.take_along_axis(number, at, axis=1)))
    none = is_first & ~kept.any(axis=1)
    kept[none] = span[none]
    return kept
