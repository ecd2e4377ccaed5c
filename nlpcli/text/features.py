"""Chunks of texts -> hashes of their features, and back: which features, how often, which words.

Chunks are worked on by a few threads: numpy lets go of the interpreter, and the results are put
together in the order of the chunks, so the number of threads changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nlpcli.text import hashing
from nlpcli.text.config import TokenizerConfig
from nlpcli.text.normalize import join_texts
from nlpcli.text.segment import segment_dictionary
from nlpcli.text.vocab import HashIndex, count_hashes, number_hashes

CHUNK_CHARS = 1 << 18
"""Characters hashed at once: the tables of powers and the temporary arrays stay in the cache."""
PARTS = 4
"""Of all hashes, by their highest bits: counted apart, by as many threads as there are."""

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]
Run = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]
"""As ``map``."""


@dataclass(frozen=True)
class Chunk:
    """Features of a few texts, in CSR form over the texts, by their number in this chunk.

    ``hashes`` uint64 [U] distinct, ascending, and ``counts`` [U] how often each occurs; ``sizes``
    [B] distinct features of each text, ``ids`` int32 [nnz] their numbers, ascending in each text,
    ``tf`` [nnz] how often. ``words`` int32 [W]: numbers of the words in the order in which they
    stand, from ``starts`` to ``ends`` of ``joined``.
    """

    hashes: U64
    counts: I64
    sizes: I64
    ids: I32
    tf: I64
    words: I32
    joined: str
    starts: I32
    ends: I32


@dataclass(frozen=True)
class Counts:
    """Known features of a few texts: how many in each text [B], their rows ascending, counts.

    ``unknown`` [B]: occurrences of features without a row. ``rows`` [U]: of the chunk's distinct
    features, -1 where there is none.
    """

    sizes: I64
    unknown: I64
    ids: I32
    tf: I64
    rows: I32


def text_chunks(texts: Sequence[str], limit: int = CHUNK_CHARS) -> Iterator[Sequence[str]]:
    """Consecutive slices of at most ``limit`` characters, or one text where it is longer."""
    begin, size = 0, 0
    for i, length in enumerate(map(len, texts)):
        if size and size + length > limit:
            yield texts[begin:i]
            begin, size = i, 0
        size += length + 1
    if begin < len(texts):
        yield texts[begin:]


def hashed_words(config: TokenizerConfig, texts: Sequence[str]) -> tuple[str, hashing.Words]:
    """The texts, cleaned and joined, and their words."""
    return hashed_joined(config, join_texts(texts, config.cleaning))


def hashed_joined(config: TokenizerConfig, joined: str) -> tuple[str, hashing.Words]:
    """Texts that are cleaned and joined already, cut into words of a dictionary where one is
    asked for, and their words."""
    if config.segmenter == "jieba":
        joined = segment_dictionary(joined)
    words = hashing.hash_words(joined, config.segmenter)
    if config.cleaning.strip_punctuation:
        words = words.without_signs()
    return joined, words


def cut(config: TokenizerConfig, texts: Sequence[str]) -> Chunk:
    """Hashes all words, runs of words and character n-grams of a chunk, kind by kind."""
    joined, words = hashed_words(config, texts)
    parts = [hashing.hash_ngrams(words, n) for n in range(2, config.word_ngrams + 1)]
    if config.word_ngrams == 1:
        parts.append(hashing.hash_cjk_bigrams(words))
    if config.max_n:
        parts.append(hashing.hash_subwords(words, config.min_n, config.max_n))
    hashes = [words.hashes, *(bucketed(h, config.buckets) for h, _ in parts)]
    owners = [words.documents, *(d for _, d in parts)]
    distinct, counts, numbers = number_hashes(np.concatenate(hashes))
    keys = np.concatenate(owners, dtype=np.uint64, casting="unsafe") << np.uint64(32)
    keys |= numbers.astype(np.uint64)
    sizes, ids, tf = _by_text(keys, len(texts))
    return Chunk(
        distinct,
        counts,
        sizes,
        ids,
        tf,
        numbers[: len(words.starts)].copy(),
        joined,
        words.starts.astype(np.int32),
        words.ends.astype(np.int32),
    )


def _by_text(keys: U64, n_texts: int) -> tuple[I64, I32, I64]:
    """Sizes [B], ids and counts of occurrences, each given as text · 2^32 + id."""
    distinct, tf = count_hashes(keys)
    ids = (distinct & np.uint64(0xFFFFFFFF)).astype(np.int32)
    owners = (distinct >> np.uint64(32)).astype(np.int64)
    return np.bincount(owners, minlength=n_texts), ids, tf


def single_words(config: TokenizerConfig, texts: Sequence[str]) -> tuple[I64, list[str], U64]:
    """Which of the texts are one word each, as texts are cleaned and cut; these words and hashes.

    The numbers are int64 [N], ascending; words may be alike.
    """
    joined, words = hashed_words(config, texts)
    counts = np.bincount(words.documents, minlength=len(texts))
    at = np.flatnonzero(counts[words.documents] == 1)
    borders = zip(words.starts[at].tolist(), words.ends[at].tolist(), strict=True)
    return words.documents[at], [joined[start:end] for start, end in borders], words.hashes[at]


def bucketed(hashes: U64, buckets: int | None) -> U64:
    """The same for hashes that fall into one bucket; untouched without buckets."""
    if buckets is None:
        return hashes
    return hashing.mix(((hashes >> np.uint64(32)) * np.uint64(buckets)) >> np.uint64(32))


def frequent(parts: Sequence[tuple[U64, I64]], min_count: int, run: Run) -> U64:
    """The distinct hashes that occur ``min_count`` times, ascending.

    ``parts``: distinct hashes, ascending, and how often each occurs.
    """
    edges = np.arange(1, PARTS, dtype=np.uint64) << np.uint64(64 - (PARTS - 1).bit_length())
    borders = [[0, *np.searchsorted(h, edges).tolist(), len(h)] for h, _ in parts]

    def count(number: int) -> U64:
        mine = [np.empty(0, np.uint64)]
        for (hashes, counts), border in zip(parts, borders, strict=True):
            piece = slice(border[number], border[number + 1])
            # more than min_count of one kind tell nothing more
            often = min_count > 1 and np.minimum(counts[piece], min_count)
            mine.append(np.repeat(hashes[piece], often) if min_count > 1 else hashes[piece])
        distinct, counts = count_hashes(np.concatenate(mine))
        return distinct if min_count == 1 else distinct[counts >= min_count]

    return np.concatenate(list(run(count, range(PARTS))))


def count_features(chunk: Chunk, index: HashIndex) -> Counts:
    """The features of a chunk that have a row."""
    rows = index.rows(chunk.hashes)
    ids, n_texts = rows[chunk.ids], len(chunk.sizes)
    if index.ordered and (not len(rows) or rows.min() >= 0):
        return Counts(chunk.sizes, np.zeros(n_texts, np.int64), ids, chunk.tf, rows)
    owners = np.repeat(np.arange(n_texts), chunk.sizes)
    known = ids >= 0
    missing = np.bincount(owners[~known], weights=chunk.tf[~known], minlength=n_texts)
    unknown = missing.astype(np.int64)
    ids, owners, tf = ids[known], owners[known], chunk.tf[known]
    if index.ordered:
        return Counts(np.bincount(owners, minlength=n_texts), unknown, ids, tf, rows)
    # rows of another order, or one row for several hashes
    keys = (owners.astype(np.uint64) << np.uint64(32)) | ids.astype(np.uint64)
    sizes, ids, tf = _by_text(np.repeat(keys, tf), n_texts)
    return Counts(sizes, unknown, ids, tf, rows)


def document_frequency(
    chunks: Sequence[Chunk], counted: Sequence[Counts], n_rows: int
) -> npt.NDArray[np.float64]:
    """In how many of these texts each row occurs, float64 [V]; the rows of a chunk are distinct."""
    found = np.zeros(n_rows)
    for chunk, part in zip(chunks, counted, strict=True):
        here = np.bincount(chunk.ids, minlength=len(chunk.hashes))
        known = part.rows >= 0
        if known.all():
            found[part.rows] += here
        else:
            found[part.rows[known]] += here[known]
    return found


def known_words(
    chunks: Sequence[Chunk], counted: Sequence[Counts], n_rows: int, but: set[str]
) -> list[str]:
    """The words (not n-grams) that have a row, most frequent first, then by code point."""
    counts, seen = np.zeros(n_rows, np.int64), np.zeros(n_rows, bool)
    found: list[str] = []
    fresh: list[I32] = []
    for chunk, part in zip(chunks, counted, strict=True):
        here = np.bincount(chunk.words, minlength=len(chunk.hashes))
        numbers = np.flatnonzero((here > 0) & (part.rows >= 0))
        rows = part.rows[numbers]
        counts[rows] += here[numbers]
        new = ~seen[rows]
        seen[rows[new]] = True
        first = np.zeros(len(here), np.int64)
        first[chunk.words[::-1]] = np.arange(len(chunk.words))[::-1]
        at = first[numbers[new]]
        borders = zip(chunk.starts[at].tolist(), chunk.ends[at].tolist(), strict=True)
        found += [chunk.joined[start:end] for start, end in borders]
        fresh.append(rows[new])
    order = sorted(range(len(found)), key=found.__getitem__)
    often = counts[np.concatenate([np.empty(0, np.int32), *fresh])][order]
    most = np.argsort(-often, kind="stable").tolist()
    words = [found[order[i]] for i in most]
    return [word for word in words if word not in but] if but else words
