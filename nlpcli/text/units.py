"""Texts -> units whose runs are n-grams: numbers of words, or code points, with breaks between.

A break stands behind every stretch that an n-gram stays within: a text or, for the characters of
sub-words, a word between its border signs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nlpcli.text.hashing import Words
from nlpcli.text.ngrams import WORD_END, WORD_START
from nlpcli.text.segment import END, LETTER, SPACE, classes, code_points

BREAK = -1
CODE_POINT_BITS = 21

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class UnitRun:
    """``units`` int32 [N], BREAK behind each stretch; ``sizes`` int64 [B]: how many of them belong
    to each text. ``stretches`` int64: lengths of the stretches without their breaks.

    Where the last text goes on in the next run, its stretch has no break yet.
    """

    units: I32
    sizes: I64
    stretches: I64


def with_breaks(values: I32, lengths: I64, *, open_end: bool = False) -> I32:
    """Values in stretches of these lengths, a BREAK behind each; not behind the last one with
    ``open_end``."""
    units = np.full(len(values) + len(lengths), BREAK, np.int32)
    units[np.arange(len(values)) + np.repeat(np.arange(len(lengths)), lengths)] = values
    return units[:-1] if open_end and len(lengths) else units


def word_units(numbers: I32, sizes: I64, *, goes_on: bool = False) -> UnitRun:
    """Numbers of the words of texts, of so many words each."""
    own = sizes + 1
    own[-1:] -= goes_on
    return UnitRun(with_breaks(numbers, sizes, open_end=goes_on), own, sizes)


def char_units(joined: str, *, goes_on: bool = False) -> UnitRun:
    """The characters of normalised texts, each closed by NUL (see normalize.join_texts).

    White space, and what is as invisible, is one blank; there is none at the ends of a text.
    """
    codes = code_points(joined)
    kinds = classes(codes)
    blank, end = kinds == SPACE, kinds == END
    after = np.ones(len(codes), bool)
    after[1:] = blank[:-1] | end[:-1]  # a blank here would be a second one, or the first of a text
    kept = np.flatnonzero(~(blank & after))
    last = blank[kept]  # of its text
    last[:-1] &= end[kept[1:]]
    if goes_on:
        last[-2:-1] = False
    kept = kept[~last]
    units = codes[kept].astype(np.int32)
    units[blank[kept]] = ord(" ")
    ends = np.flatnonzero(end[kept])
    units[ends] = BREAK
    sizes = np.diff(ends, prepend=-1)
    stretches = sizes - 1
    if goes_on:
        units, sizes = units[:-1], np.concatenate((sizes[:-1], sizes[-1:] - 1))
    return UnitRun(units, sizes, stretches)


def subword_units(words: Words, n_texts: int) -> UnitRun:
    """The characters of ``<word>`` for each word of letters (Bojanowski et al. 2017, section 3.2).

    Each word is a stretch; a text may hold none.
    """
    chosen = words.kinds == LETTER
    starts, lengths = words.starts[chosen], (words.ends - words.starts)[chosen]
    wide = lengths + 3  # < word > and the break
    begins, before = np.cumsum(wide) - wide, np.cumsum(lengths) - lengths
    units = np.empty(int(wide.sum()), np.int32)
    every = np.arange(int(lengths.sum()))
    source = every + np.repeat(starts - before, lengths)
    units[every + np.repeat(begins + 1 - before, lengths)] = words.codes[source]
    units[begins] = ord(WORD_START)
    units[begins + wide - 2] = ord(WORD_END)
    units[begins + wide - 1] = BREAK
    owners = words.documents[chosen]
    sizes = np.bincount(owners, weights=wide, minlength=n_texts).astype(np.int64)
    return UnitRun(units, sizes, lengths + 2)


def border_signs(units: I32, before: int, behind: int) -> npt.NDArray[np.bool_]:
    """Which units stand beside a break, first or last of their stretch, bool [N].

    ``before`` and ``behind`` are the units around, BREAK at the ends of all."""
    breaks = np.concatenate(([before], units, [behind])) == BREAK
    found: npt.NDArray[np.bool_] = breaks[:-2] | breaks[2:]
    return found
