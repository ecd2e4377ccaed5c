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
from nlpcli.text.vocab import HashIndex, count_hashes

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
    """Features of a few texts: hash uint64 [T] and text int32 [T] of each occurrence.

    The first of them are the words, which stand at ``starts`` to ``ends`` of ``joined``.
    """

    n_texts: int
    hashes: U64
    texts: I32
    joined: str
    starts: I32
    ends: I32


@dataclass(frozen=True)
class Counts:
    """Known features of a few texts: how many in each text [B], their rows ascending, counts.

    ``unknown`` [B]: occurrences of features without a row. ``words``: the row of each word as it
    stands in the texts, -1 where it has none.
    """

    sizes: I64
    unknown: I64
    ids: I32
    tf: I64
    words: I32


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


def cut(config: TokenizerConfig, texts: Sequence[str]) -> Chunk:
    """Hashes all words, runs of words and character n-grams of a chunk, kind by kind."""
    joined = join_texts(texts, config.cleaning)
    if config.segmenter == "jieba":
        joined = segment_dictionary(joined)
    words = hashing.hash_words(joined, config.segmenter)
    if config.cleaning.strip_punctuation:
        words = words.without_signs()
    parts = [hashing.hash_ngrams(words, n) for n in range(2, config.word_ngrams + 1)]
    if config.word_ngrams == 1:
        parts.append(hashing.hash_cjk_bigrams(words))
    if config.max_n:
        parts.append(hashing.hash_subwords(words, config.min_n, config.max_n))
    hashes = [words.hashes, *(bucketed(h, config.buckets) for h, _ in parts)]
    owners = [words.documents, *(d for _, d in parts)]
    return Chunk(
        len(texts),
        np.concatenate(hashes),
        np.concatenate(owners, dtype=np.int32, casting="same_kind"),
        joined,
        words.starts.astype(np.int32),
        words.ends.astype(np.int32),
    )


def bucketed(hashes: U64, buckets: int | None) -> U64:
    """The same for hashes that fall into one bucket; untouched without buckets."""
    if buckets is None:
        return hashes
    return hashing.mix(((hashes >> np.uint64(32)) * np.uint64(buckets)) >> np.uint64(32))


def frequent(parts: Sequence[U64], min_count: int, run: Run) -> U64:
    """The distinct hashes that occur ``min_count`` times, ascending."""
    shift = np.uint64(64 - (PARTS - 1).bit_length())

    def count(number: int) -> U64:
        mine = [hashes[hashes >> shift == number] for hashes in parts]
        distinct, counts = count_hashes(np.concatenate([np.empty(0, np.uint64), *mine]))
        return distinct if min_count == 1 else distinct[counts >= min_count]

    return np.concatenate(list(run(count, range(PARTS))))


def count_features(chunk: Chunk, index: HashIndex) -> Counts:
    """The features of a chunk that have a row."""
    rows = index.rows(chunk.hashes)
    known = rows >= 0
    keys = (chunk.texts[known].astype(np.uint64) << np.uint64(32)) | rows[known].astype(np.uint64)
    distinct, tf = count_hashes(keys)
    ids = (distinct & np.uint64(0xFFFFFFFF)).astype(np.int32)
    owners = (distinct >> np.uint64(32)).astype(np.int64)
    sizes = np.bincount(owners, minlength=chunk.n_texts)
    unknown = np.bincount(chunk.texts[~known], minlength=chunk.n_texts)
    return Counts(sizes, unknown, ids, tf, rows[: len(chunk.starts)].copy())


def known_words(
    chunks: Sequence[Chunk], counted: Sequence[Counts], n_rows: int, but: set[str]
) -> list[str]:
    """The words (not n-grams) that have a row, most frequent first, then by code point."""
    every = np.concatenate([np.empty(0, np.int32), *(part.words for part in counted)])
    counts = np.bincount(every[every >= 0], minlength=n_rows)
    seen = np.zeros(n_rows, bool)
    found: list[tuple[str, int]] = []
    for chunk, part in zip(chunks, counted, strict=True):
        rows = part.words
        at = np.flatnonzero((rows >= 0) & ~seen[rows])
        fresh, first = np.unique(rows[at], return_index=True)
        seen[fresh] = True
        at = at[first]
        borders = zip(chunk.starts[at].tolist(), chunk.ends[at].tolist(), strict=True)
        words = [chunk.joined[start:end] for start, end in borders]
        found += zip(words, fresh.tolist(), strict=True)
    ordered = sorted((-int(counts[row]), word) for word, row in found if word not in but)
    return [word for _, word in ordered]
