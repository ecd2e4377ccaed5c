"""The Tokenizer: texts -> bags of feature ids with weights; one object, saved with its model.

A feature is a word, a run of words or a character n-gram, known by its 64-bit hash. Every distinct
feature of the training texts that is frequent enough gets a row of its own; ``buckets`` bounds the
n-grams by the hashing trick instead (Weinberger et al. 2009). A feature's weight in a text is
(1 + ln tf) · idf, and each text has length one (Salton & Buckley 1988, "ltc"). What a text holds
that has no row counts in that length: a text of mostly unknown words is weak evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nlpcli.errors import DataError, Unavailable
from nlpcli.text import parallel
from nlpcli.text.config import TokenizerConfig
from nlpcli.text.features import (
    Chunk,
    Counts,
    Run,
    count_features,
    cut,
    document_frequency,
    frequent,
    known_words,
    text_chunks,
)
from nlpcli.text.vocab import HashIndex

HASH_BYTES, FEATURE_BYTES = 48, 100
"""Memory that an occurrence takes while features are counted, and a feature afterwards."""

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Bags:
    """Features of B texts in CSR form: indptr int64 [B + 1], ids int32 [nnz] ascending in each
    text, weights float32 [nnz]."""

    indptr: I64
    ids: I32
    weights: F32

    def __len__(self) -> int:
        return len(self.indptr) - 1


class Tokenizer:
    """Cuts, hashes and weighs; ``fit`` makes one from texts, ``bags`` applies it."""

    def __init__(
        self,
        config: TokenizerConfig,
        hashes: U64,
        idf: F32,
        words: Sequence[str] = (),
        n_texts: int = 0,
        hash_bits: int = 64,
    ) -> None:
        self.config = config
        self.index = HashIndex(hashes, hash_bits)
        self.idf = np.ascontiguousarray(idf, dtype=np.float32)
        self.words = list(words)
        self.n_texts = n_texts
        """How many texts the document frequencies behind ``idf`` were counted in."""

    @property
    def n_features(self) -> int:
        """How many features have a row."""
        return len(self.index)

    @staticmethod
    def fit(
        config: TokenizerConfig,
        texts: Sequence[str],
        base: Tokenizer | None = None,
        *,
        room: int | None = None,
        workers: int | None = None,
        only: U64 | None = None,
    ) -> tuple[Tokenizer, Bags]:
        """Learns features and idf from training texts; gives their bags too, cut only once.

        The features of ``base`` keep their rows, new ones are added behind them, and documents
        are counted on. ``room``: bytes of memory there are. ``workers``: threads, which change
        nothing but the time it takes. ``only``: hashes, ascending; no other feature gets a row.
        Raises DataError when no feature occurs ``min_count`` times, Unavailable when the features
        need more memory.
        """
        with ThreadPoolExecutor(workers or parallel.workers()) as pool:
            chunks = _cut_all(config, texts, room, pool.map)
            old = np.empty(0, np.uint64) if base is None else base.index.keys
            parts = [(chunk.hashes, chunk.counts) for chunk in chunks]
            if base is not None:
                new = [base.index.rows(hashes) < 0 for hashes, _ in parts]
                parts = [(h[at], n[at]) for (h, n), at in zip(parts, new, strict=True)]
            new_ones = frequent(parts, config.min_count, pool.map)
            if only is not None:
                new_ones = np.intersect1d(new_ones, only, assume_unique=True)
            known = np.concatenate([old, new_ones])
            del parts
            if not len(known):
                raise _nothing_left(config, len(texts), None if only is None else len(only))
            _check_room(len(known) * FEATURE_BYTES, room, sum(len(c.ids) for c in chunks))
            tokenizer = Tokenizer(config, known, np.ones(len(known), np.float32))
            counts = list(pool.map(lambda chunk: count_features(chunk, tokenizer.index), chunks))
            old_words = [] if base is None else base.words
            words = pool.submit(known_words, chunks, counts, len(known), set(old_words))
            frequency = document_frequency(chunks, counts, len(known))
            tokenizer.n_texts = len(texts)
            if base is not None:
                tokenizer.n_texts += base.n_texts
                frequency[: base.n_features] += base.document_frequency()
            tokenizer.idf = _idf(frequency, tokenizer.n_texts)
            bags = _put_together(counts, list(pool.map(tokenizer._weigh, counts)))
            tokenizer.words = [*old_words, *words.result()]
        return tokenizer, bags

    def document_frequency(self) -> npt.NDArray[np.float64]:
        """In how many of ``n_texts`` texts each feature occurred, float64 [V]; from ``idf``."""
        return np.rint((1 + self.n_texts) / np.exp(self.idf.astype(np.float64) - 1) - 1)

    def bags(self, texts: Sequence[str]) -> Bags:
        """Bags of any texts; the result for a text does not depend on its neighbours."""
        counts = [
            count_features(cut(self.config, chunk), self.index) for chunk in text_chunks(texts)
        ]
        return _put_together(counts, [self._weigh(part) for part in counts])

    def _weigh(self, part: Counts) -> F32:
        """(1 + ln tf) · idf, divided by the text's Euclidean norm; float32 [nnz].

        A feature without a row adds to the norm as one that occurred in a single training text:
        such a one lengthened its own text when the rows were learnt. Among shortened hashes it does
        not: what was unknown cannot be told from what was dropped. Where features were chosen, the
        others were left out on purpose.
        """
        weights = self.idf[part.ids].astype(np.float64)
        often = np.flatnonzero(part.tf > 1)
        weights[often] *= 1 + np.log(part.tf[often])
        filled = np.flatnonzero(part.sizes)
        if len(filled):
            sizes = part.sizes[filled]
            squares = np.add.reduceat(weights * weights, np.cumsum(sizes) - sizes)
            if self.index.bits == 64 and not self.config.chosen:
                squares += part.unknown[filled] * float(_idf(np.ones(1), self.n_texts)[0]) ** 2
            weights /= np.repeat(np.sqrt(squares), sizes)
        return weights.astype(np.float32)


def _cut_all(
    config: TokenizerConfig, texts: Sequence[str], room: int | None, run: Run
) -> list[Chunk]:
    chunks: list[Chunk] = []
    n_hashes = 0
    for chunk in run(lambda part: cut(config, part), text_chunks(texts)):
        chunks.append(chunk)
        n_hashes += len(chunk.ids)
        _check_room(n_hashes * HASH_BYTES, room, n_hashes)
    return chunks


def _nothing_left(config: TokenizerConfig, n_texts: int, n_chosen: int | None) -> DataError:
    if n_chosen is not None:
        return DataError(
            f"none of the {n_chosen:,} features chosen occurs {config.min_count} times in "
            f"{n_texts:,} texts",
            hint="the options that the list was made with, --word-ngrams, --max-n and cleaning",
        )
    if config.min_count == 1:
        return DataError(f"no words are left in {n_texts} texts")
    return DataError(
        f"no word occurs {config.min_count} times in {n_texts} texts", hint="a lower --min-count"
    )


def _put_together(parts: Sequence[Counts], weights: Sequence[F32]) -> Bags:
    """The bags of consecutive texts."""
    sizes = np.concatenate([np.zeros(1, np.int64), *(part.sizes for part in parts)])
    ids = np.concatenate([np.empty(0, np.int32), *(part.ids for part in parts)])
    return Bags(np.cumsum(sizes), ids, np.concatenate([np.empty(0, np.float32), *weights]))


def _check_room(needed: int, room: int | None, n_hashes: int) -> None:
    if room is not None and needed > room:
        raise Unavailable(
            f"{n_hashes:,} words and n-grams need about {needed / 1e9:,.1f} GB more memory, "
            f"{room / 1e9:,.1f} GB are free",
            hint="a lower --word-ngrams or --max-n, or fewer rows",
        )


def _idf(frequency: npt.NDArray[np.float64], n_texts: int) -> F32:
    """Smooth inverse document frequency, as in scikit-learn: ln((1 + n) / (1 + df)) + 1."""
    return (np.log((1 + n_texts) / (1 + frequency)) + 1).astype(np.float32)
