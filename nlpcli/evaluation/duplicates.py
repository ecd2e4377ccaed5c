"""Texts that are the same, or nearly: found exactly, without comparing all with all.

Two texts are the same when they differ in case, white space or Unicode form alone. How alike two
others are is the Jaccard coefficient of what they hold: words, punctuation aside, and pairs of
neighbouring words. All pairs from a threshold on are found by the prefix filter (Bayardo et al.
2007, "Scaling up all pairs similarity search", section 4; Chaudhuri et al. 2006): with the elements
of each set in one order, the rarest first, two sets that are alike enough share one of their first
few, so that only texts with a rare word in common are ever compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from nlpcli.text.config import TokenizerConfig
from nlpcli.text.features import cut, text_chunks
from nlpcli.text.normalize import Cleaning, join_texts

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]
U64 = npt.NDArray[np.uint64]

MOST_PARTNERS = 500
"""Texts that one is compared with for one shared element: where more share it, those next in size.
Only thousands of texts that are alike in their rarest words are then not all compared, and they
still meet through one another."""
BLOCK_PAIRS = 1 << 18
"""Pairs compared at once: bounds memory to some hundred megabytes for long texts."""


@dataclass(frozen=True)
class TextSets:
    """What each of N texts holds, in CSR form: ``indptr`` int64 [N + 1], ``ids`` int64 [nnz],
    ascending in each text and numbered from the rarest to the most frequent."""

    indptr: I64
    ids: I64

    @property
    def sizes(self) -> I64:
        """How many elements each text has, int64 [N]."""
        return np.diff(self.indptr)


@dataclass(frozen=True)
class SimilarPairs:
    """Pairs of texts, ``left`` < ``right`` int64 [P], sorted, and how alike they are [P]."""

    left: I64
    right: I64
    similarity: F64

    def both_ways(self) -> tuple[I64, I64, F64]:
        """Each pair twice, once from either side: one, the other, how much alike."""
        one, other = (self.left, self.right), (self.right, self.left)
        return np.concatenate(one), np.concatenate(other), np.tile(self.similarity, 2)


@dataclass(frozen=True)
class Duplicates:
    """``first`` int64 [N]: for each text the first one that is the same, itself if it is that.

    ``near``: pairs of such first texts that are alike.
    """

    first: I64
    near: SimilarPairs

    def among(self, n: int) -> Duplicates:
        """The same of the first ``n`` texts alone."""
        inside = self.near.right < n
        near = (self.near.left[inside], self.near.right[inside], self.near.similarity[inside])
        return Duplicates(self.first[:n], SimilarPairs(*near))

    @property
    def groups(self) -> I64:
        """A number for each text, alike for those that are joined by being the same or alike."""
        every = np.arange(len(self.first))
        left = np.concatenate([every, self.near.left])
        right = np.concatenate([self.first, self.near.right])
        return groups_of(len(every), left, right)


def plain_texts(texts: Sequence[str]) -> list[str]:
    """Each text in NFKC, lower case, white space as one blank: alike if they are the same."""
    found: list[str] = []
    for chunk in text_chunks(texts):
        joined = join_texts(chunk, Cleaning())
        found += [" ".join(text.split()) for text in joined[:-1].split("\0")]
    return found


def same_groups(texts: Sequence[str]) -> I64:
    """For each text the number of the first one that is the same, int64 [N]."""
    first: dict[str, int] = {}
    return np.array([first.setdefault(t, i) for i, t in enumerate(plain_texts(texts))], np.int64)


def text_sets(texts: Sequence[str]) -> TextSets:
    """Words and pairs of neighbouring words of each text, punctuation aside.

    In scripts written without spaces every character is a word. A text of punctuation alone, or
    blank, holds nothing.
    """
    config = TokenizerConfig(cleaning=Cleaning(strip_punctuation=True))
    sizes, hashes = [np.zeros(1, np.int64)], [np.empty(0, np.uint64)]
    for texts_here in text_chunks(texts):
        chunk = cut(config, texts_here)
        sizes.append(chunk.sizes)
        hashes.append(chunk.hashes[chunk.ids])
    return number_sets(np.cumsum(np.concatenate(sizes)), np.concatenate(hashes))


def number_sets(indptr: I64, elements: U64) -> TextSets:
    """Sets of any elements, none twice in a set, as ``TextSets``."""
    _, numbers, counts = np.unique(elements, return_inverse=True, return_counts=True)
    rank = np.empty(len(counts), np.int64)
    rank[np.argsort(counts, kind="stable")] = np.arange(len(counts))
    owners = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    ids = rank[numbers]
    return TextSets(indptr, ids[np.lexsort((ids, owners))])


def similar_pairs(sets: TextSets, threshold: float) -> SimilarPairs:
    """All pairs of sets whose Jaccard coefficient is ``threshold`` (above 0, at most 1) or more.

    Empty sets are like nothing. Exact but where more than MOST_PARTNERS sets share a rare element.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold: {threshold}, not above 0 and at most 1")
    found: list[SimilarPairs] = []
    matrix = _matrix(sets)
    for left, right in _candidates(sets, threshold):
        common: I64 = np.asarray(matrix[left].multiply(matrix[right]).sum(axis=1)).ravel()
        similarity = common / (sets.sizes[left] + sets.sizes[right] - common)
        # the quotient of two whole numbers: equal to the threshold where it is meant to be
        near = similarity >= threshold * (1 - 1e-12)
        found.append(SimilarPairs(left[near], right[near], similarity[near]))
    left, right = (
        np.concatenate([np.empty(0, np.int64), *(getattr(part, side) for part in found)])
        for side in ("left", "right")
    )
    similarity = np.concatenate([np.empty(0), *(part.similarity for part in found)])
    _, once = np.unique(left * len(sets.sizes) + right, return_index=True)
    return SimilarPairs(left[once], right[once], similarity[once])


def _matrix(sets: TextSets) -> csr_array[np.int32]:
    width = int(sets.ids.max(initial=0)) + 1
    ones = np.ones(len(sets.ids), np.int32)
    return csr_array((ones, sets.ids, sets.indptr), shape=(len(sets.sizes), width))


def _candidates(sets: TextSets, threshold: float) -> Iterator[tuple[I64, I64]]:
    """Pairs that share an element of their prefixes and whose sizes allow the threshold.

    A pair may come in several blocks, in one block it comes once.
    """
    sizes, n_sets = sets.sizes, len(sets.sizes)
    least = np.ceil(threshold * sizes * (1 - 1e-12)).astype(np.int64)
    prefix = np.where(sizes > 0, sizes - least + 1, 0)
    owners = np.repeat(np.arange(n_sets), prefix)
    at = np.arange(int(prefix.sum())) - np.repeat(np.cumsum(prefix) - prefix, prefix)
    ids = sets.ids[sets.indptr[owners] + at]
    order = np.lexsort((owners, sizes[owners], ids))
    ids, owners = ids[order], owners[order]
    ends = np.searchsorted(ids, ids, side="right")
    # in an element's list, by size, those that are not too large for the one they follow
    widest = np.floor(sizes[owners] / threshold * (1 + 1e-12)).astype(np.int64)
    span = int(sizes.max(initial=0)) + 1
    limits = np.searchsorted(ids * span + sizes[owners], ids * span + np.minimum(widest, span - 1),
                             side="right")  # fmt: skip
    here = np.arange(len(ids))
    counts = np.minimum(np.minimum(ends, limits) - here - 1, MOST_PARTNERS)
    borders = np.cumsum(counts)
    first = 0
    while first < len(ids):
        done = int(borders[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(borders, done + BLOCK_PAIRS, side="right")))
        some = counts[first:last]
        mine = np.repeat(here[first:last], some)
        theirs = mine + 1 + np.arange(len(mine)) - np.repeat(np.cumsum(some) - some, some)
        one, other = owners[mine], owners[theirs]
        keys = np.unique(np.minimum(one, other) * n_sets + np.maximum(one, other))
        if len(keys):
            yield keys // n_sets, keys % n_sets
        first = last


def find_duplicates(texts: Sequence[str], threshold: float | None) -> Duplicates:
    """Which texts are the same and, with a ``threshold``, which others are that much alike.

    A text that stands there a thousand times is compared with others once.
    """
    first = same_groups(texts)
    kept = np.unique(first)
    nothing = np.empty(0, np.int64)
    if threshold is None:
        return Duplicates(first, SimilarPairs(nothing, nothing, np.empty(0)))
    near = similar_pairs(text_sets([texts[i] for i in kept.tolist()]), threshold)
    return Duplicates(first, SimilarPairs(kept[near.left], kept[near.right], near.similarity))


def groups_of(n: int, left: I64, right: I64) -> I64:
    """Numbers of the connected components that pairs make of ``n`` things, int64 [n]."""
    links = coo_array((np.ones(len(left), np.int8), (left, right)), shape=(n, n))
    found: I64 = connected_components(links, directed=False)[1].astype(np.int64)
    return found
