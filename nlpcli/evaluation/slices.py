"""Where a model fails: parts of the test rows in which it is wrong more often than elsewhere.

A part is a range of lengths, a value of a column, or the texts that hold an n-gram. Whether it is
worse than the other rows is asked by Fisher's exact test, one-sided: were the errors dealt to the
rows by chance, how often would a part of that size get so many (Fisher 1922; a hypergeometric
tail). Thousands of parts are looked at, so the p-values are Holm's (Holm 1979): where a model is
equally good everywhere, the chance that any part at all is called worse is at most 5 %. Intervals
are Wilson's (Wilson 1927).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csc_array
from scipy.stats import hypergeom

from nlpcli.evaluation.bootstrap import wilson
from nlpcli.text.config import TokenizerConfig
from nlpcli.text.features import cut, hashed_words, text_chunks
from nlpcli.text.hashing import hash_ngrams
from nlpcli.text.normalize import Cleaning

I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

LEVEL = 0.05
BINS = 5
MOST_VALUES = 50
"""Different numbers in a column from which on they are taken in BINS ranges."""
SAME_ROWS = 0.8
"""Share of rows in common (Jaccard) from which on two n-grams tell the same."""
MOST_NGRAMS = 100
"""Worse n-grams at most in the answer."""
CONFIG = TokenizerConfig(cleaning=Cleaning(strip_punctuation=True))


@dataclass(frozen=True)
class Slice:
    """``kind``: length, ngram, or a column's name behind ``column``. ``rows`` int64, ascending."""

    kind: str
    name: str
    rows: I64


@dataclass(frozen=True)
class NgramSlices:
    """Words and pairs of words that enough texts hold: their ``hashes`` [F], and which texts, bool
    (as 1) [N, F]."""

    hashes: U64
    texts: csc_array[np.int64]

    def holding(self, feature: int) -> I64:
        """Which texts hold it, ascending."""
        first, last = self.texts.indptr[feature : feature + 2].tolist()
        return np.sort(self.texts.indices[first:last]).astype(np.int64)


def holm(p_values: Floats) -> Floats:
    """Holm's adjusted p-values, in the order given (Holm 1979)."""
    n = len(p_values)
    order = np.argsort(p_values, kind="stable")
    stepped = np.maximum.accumulate(p_values[order] * (n - np.arange(n)))
    found = np.empty(n)
    found[order] = np.minimum(stepped, 1.0)
    return found


def worse_by_chance(sizes: I64, errors: I64, n_rows: int, n_errors: int) -> Floats:
    """The chance that a part of ``sizes`` [S] rows has ``errors`` [S] or more of all ``n_errors``,
    dealt to ``n_rows`` rows at random."""
    found: Floats = np.asarray(hypergeom.sf(errors - 1, n_rows, n_errors, sizes))
    return np.clip(found, 0.0, 1.0)


def length_slices(texts: Sequence[str]) -> list[Slice]:
    """Ranges of lengths in words, punctuation aside, with about as many texts each; a CJK character
    is a word."""
    sizes = [np.empty(0, np.int64)]
    for chunk in text_chunks(texts):
        _, words = hashed_words(CONFIG, chunk)
        sizes.append(np.bincount(words.documents, minlength=len(chunk)))
    return _ranges("length", np.concatenate(sizes).astype(np.float64), "words")


def column_slices(column: str, values: Sequence[str]) -> list[Slice]:
    """The rows of each value of a column; ranges where it holds many different numbers, and beside
    them blank cells, NaN and infinities."""
    kind, numbers = f"column {column}", _numbers(values)
    found: list[Slice] = []
    others = np.arange(len(values))
    if numbers is not None:
        finite = np.isfinite(numbers)
        if len(np.unique(numbers[finite])) > MOST_VALUES:
            filled, others = np.flatnonzero(finite), np.flatnonzero(~finite)
            ranges = _ranges(kind, numbers[filled], "")
            found = [replace(part, rows=filled[part.rows]) for part in ranges]
    places: dict[str, list[int]] = {}
    for i in others.tolist():
        places.setdefault(values[i], []).append(i)
    named = sorted(places.items())
    return found + [Slice(kind, value, np.array(rows, np.int64)) for value, rows in named]


def _numbers(values: Sequence[str]) -> Floats | None:
    """NaN for blank cells; None where another cell is no number."""
    try:
        return np.array([float(value) if value.strip() else np.nan for value in values])
    except ValueError:
        return None


def _ranges(kind: str, numbers: Floats, unit: str) -> list[Slice]:
    """About as many rows each; equal numbers stay together."""
    edges = np.unique(np.quantile(numbers, np.arange(1, BINS) / BINS, method="lower"))
    part = np.searchsorted(edges, numbers, side="left")
    found = []
    for number in np.unique(part).tolist():
        rows = np.flatnonzero(part == number)
        low, high = numbers[rows].min(), numbers[rows].max()
        name = f"{low:g}" if low == high else f"{low:g} to {high:g}"
        found.append(Slice(kind, f"{name} {unit}".strip(), rows))
    return found


def ngram_slices(texts: Sequence[str], min_rows: int) -> NgramSlices:
    """Words and pairs of neighbouring words, punctuation aside, that ``min_rows`` texts hold and as
    many do not."""
    sizes, hashes = [np.empty(0, np.int64)], [np.empty(0, np.uint64)]
    for texts_here in text_chunks(texts):
        chunk = cut(CONFIG, texts_here)
        sizes.append(chunk.sizes)
        hashes.append(chunk.hashes[chunk.ids])
    owners = np.repeat(np.arange(len(texts)), np.concatenate(sizes))
    distinct, numbers, counts = np.unique(
        np.concatenate(hashes), return_inverse=True, return_counts=True
    )
    kept = (counts >= min_rows) & (counts <= len(texts) - min_rows)
    place = np.cumsum(kept) - 1
    entries = kept[numbers]
    shape = (len(texts), int(kept.sum()))
    ones = np.ones(int(entries.sum()), np.int64)
    found = csc_array((ones, (owners[entries], place[numbers[entries]])), shape=shape)
    return NgramSlices(distinct[kept], found)


def ngram_name(text: str, wanted: int) -> str:
    """The word, or pair of words, of a text that holds it, by its hash."""
    joined, words = hashed_words(CONFIG, [text])
    spans = [joined[a:b] for a, b in zip(words.starts.tolist(), words.ends.tolist(), strict=True)]
    names = spans + [" ".join(pair) for pair in pairwise(spans)]
    hashes = np.concatenate([words.hashes, hash_ngrams(words, 2)[0]])
    return names[int(np.flatnonzero(hashes == wanted)[0])]


def slice_document(
    right: Bools, texts: Sequence[str], columns: dict[str, list[str]], *, min_rows: int = 20,
) -> dict[str, Any]:  # fmt: skip
    """The ``slices`` part of eval's document. right: (N,) whether each row was answered right.

    ``worse``: parts that are worse than the other rows beyond chance, the surely worst first, by
    the upper end of their interval; of n-grams that mean nearly the same rows only the first.
    ``by``: all parts by length and column. ``looked_at``: how many parts of ``min_rows`` rows.
    """
    named = length_slices(texts)
    for column, values in columns.items():
        named += column_slices(column, values)
    ngrams = ngram_slices(texts, min_rows)
    wrong = (~right).astype(np.int64)
    enough = [s for s in named if min_rows <= len(s.rows) <= len(texts) - min_rows]
    sizes = np.array([len(s.rows) for s in enough], np.int64)
    errors = np.array([wrong[s.rows].sum() for s in enough], np.int64)
    sizes = np.concatenate([sizes, np.asarray(ngrams.texts.sum(axis=0)).ravel()])
    errors = np.concatenate([errors, np.asarray(ngrams.texts.T @ wrong).ravel()])
    p_values = worse_by_chance(sizes, errors, len(texts), int(wrong.sum()))
    adjusted = holm(p_values)
    places = np.flatnonzero(adjusted <= LEVEL).tolist()
    highest = {i: wilson(float(sizes[i] - errors[i]), int(sizes[i]))[1] for i in places}
    places.sort(key=lambda i: (highest[i], adjusted[i], i))
    worse: list[dict[str, Any]] = []
    kept: list[I64] = []
    for i in places:
        if i < len(enough):
            worse.append(_entry(enough[i], wrong, float(adjusted[i])))
            continue
        if len(kept) == MOST_NGRAMS:
            continue
        at = i - len(enough)
        rows = ngrams.holding(at)
        if any(_alike(rows, other) for other in kept):
            continue
        kept.append(rows)
        name = ngram_name(texts[int(rows[0])], int(ngrams.hashes[at]))
        worse.append(_entry(Slice("ngram", name, rows), wrong, float(adjusted[i])))
    by: dict[str, list[dict[str, Any]]] = {}
    for part in named:
        by.setdefault(part.kind, []).append(_entry(part, wrong, None))
    return {
        "metric": "accuracy", "min_rows": min_rows, "looked_at": len(p_values), "level": LEVEL,
        "worse": worse, "by": by,
    }  # fmt: skip


def _alike(rows: I64, other: I64) -> bool:
    common = len(np.intersect1d(rows, other, assume_unique=True))
    return common >= SAME_ROWS * (len(rows) + len(other) - common)


def _entry(part: Slice, wrong: I64, adjusted: float | None) -> dict[str, Any]:
    n, errors = len(part.rows), int(wrong[part.rows].sum())
    low, high = wilson(n - errors, n)
    found: dict[str, Any] = {
        "kind": part.kind, "name": part.name, "rows": n, "errors": errors,
        "accuracy": {"value": (n - errors) / n, "low": low, "high": high},
    }  # fmt: skip
    return found if adjusted is None else {**found, "p_value": adjusted}
