"""The Tokenizer: texts -> bags of feature ids with weights; one object, saved with its model.

A feature is a word, a run of words or a character n-gram, known by its 64-bit hash. Every distinct
feature of the training texts that is frequent enough gets a row of its own; ``buckets`` bounds the
n-grams by the hashing trick instead (Weinberger et al. 2009). A feature's weight in a text is
(1 + ln tf) · idf, and each text has length one (Salton & Buckley 1988, "ltc").
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nlpcli.errors import DataError, Unavailable, shown
from nlpcli.text import hashing
from nlpcli.text.normalize import Cleaning, join_texts
from nlpcli.text.segment import Segmenter, segment_dictionary
from nlpcli.text.vocab import HashIndex, count_hashes

CHUNK_CHARS = 1 << 18
"""Characters hashed at once: the tables of powers and the temporary arrays stay in the cache."""

HASH_BYTES, FEATURE_BYTES = 48, 100
"""Memory that an occurrence takes while features are counted, and a feature afterwards."""

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]


@dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """What a text is cut into. ``word_ngrams`` is the longest run of words; character n-grams
    have ``min_n`` to ``max_n`` characters, none when ``max_n`` is 0."""

    cleaning: Cleaning = field(default_factory=Cleaning)
    segmenter: Segmenter = "char"
    word_ngrams: int = 2
    min_n: int = 0
    max_n: int = 0
    min_count: int = 1
    buckets: int | None = None

    def __post_init__(self) -> None:
        for name in ("word_ngrams", "min_n", "max_n", "min_count", "buckets"):
            value = getattr(self, name)
            if type(value) is not int and not (name == "buckets" and value is None):
                raise ValueError(f"{name}: {value!r}, not a whole number")
        if self.segmenter not in ("char", "jieba"):
            raise ValueError(f"segmenter: {self.segmenter!r}, not char or jieba")
        if not 1 <= self.word_ngrams <= 8:
            raise ValueError(f"word_ngrams: {self.word_ngrams}, not 1 to 8")
        if not 0 <= self.min_n <= self.max_n <= 32:
            raise ValueError(f"min_n, max_n: {self.min_n}, {self.max_n}, not 0 <= min <= max <= 32")
        if self.min_count < 1:
            raise ValueError(f"min_count: {self.min_count}, not 1 or more")
        if self.buckets is not None and not 1 <= self.buckets <= 2**31:
            raise ValueError(f"buckets: {self.buckets}, not 1 to 2^31")

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)

    @staticmethod
    def from_json(values: dict[str, Any]) -> TokenizerConfig:
        """The inverse of ``to_json``; DataError when a value does not fit."""
        try:
            return TokenizerConfig(**{**values, "cleaning": Cleaning(**values["cleaning"])})
        except (TypeError, KeyError, ValueError) as error:
            raise DataError(f"tokenizer configuration: {shown(str(error), 120)}") from None


@dataclass(frozen=True)
class Bags:
    """Features of B texts in CSR form: indptr int64 [B + 1], ids int32 [nnz] ascending in each
    text, weights float32 [nnz]."""

    indptr: I64
    ids: I32
    weights: F32

    def __len__(self) -> int:
        return len(self.indptr) - 1


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


class Tokenizer:
    """Cuts, hashes and weighs; ``fit`` makes one from texts, ``bags`` applies it."""

    def __init__(
        self,
        config: TokenizerConfig,
        hashes: U64,
        idf: F32,
        words: Sequence[str] = (),
        n_texts: int = 0,
    ) -> None:
        self.config = config
        self.index = HashIndex(hashes)
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
    ) -> tuple[Tokenizer, Bags]:
        """Learns features and idf from training texts; gives their bags too, cut only once.

        The features of ``base`` keep their rows, new ones are added behind them, and documents
        are counted on. ``room``: bytes of memory there are. Raises DataError when no feature occurs
        ``min_count`` times, Unavailable when the features need more memory.
        """
        hashes, documents, words = _hash_all(config, texts, room)
        known = np.empty(0, np.uint64) if base is None else base.index.keys
        if base is not None:
            fresh = hashes[base.index.rows(hashes) < 0]
            known = np.concatenate([known, _frequent(fresh, config.min_count)])
        else:
            known = _frequent(hashes, config.min_count)
        if not len(known):
            if config.min_count == 1:
                raise DataError(f"no words are left in {len(texts)} texts")
            raise DataError(
                f"no word occurs {config.min_count} times in {len(texts)} texts",
                hint="a lower --min-count",
            )
        _check_room(len(known) * FEATURE_BYTES, room, len(hashes))
        tokenizer = Tokenizer(config, known, np.ones(len(known), np.float32))
        rows = tokenizer.index.rows(hashes)
        del hashes
        indptr, ids, tf = _count_rows(rows, documents, len(texts))
        frequency = np.bincount(ids, minlength=len(known)).astype(np.float64)
        tokenizer.n_texts = len(texts)
        if base is not None:
            tokenizer.n_texts += base.n_texts
            frequency[: base.n_features] += base.document_frequency()
        tokenizer.idf = _idf(frequency, tokenizer.n_texts)
        old = [] if base is None else base.words
        tokenizer.words = [*old, *_known_words(words, tokenizer.index, set(old))]
        return tokenizer, Bags(indptr, ids, _weigh(indptr, ids, tf, tokenizer.idf))

    def document_frequency(self) -> npt.NDArray[np.float64]:
        """In how many of ``n_texts`` texts each feature occurred, float64 [V]; from ``idf``."""
        return np.rint((1 + self.n_texts) / np.exp(self.idf.astype(np.float64) - 1) - 1)

    def bags(self, texts: Sequence[str]) -> Bags:
        """Bags of any texts; the result for a text does not depend on its neighbours."""
        parts = [self._chunk_bags(chunk) for chunk in text_chunks(texts)]
        if len(parts) == 1:
            return parts[0]
        counts = np.concatenate([np.diff(p.indptr) for p in parts] or [np.empty(0, np.int64)])
        indptr = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
        ids = np.concatenate([p.ids for p in parts] or [np.empty(0, np.int32)])
        weights = np.concatenate([p.weights for p in parts] or [np.empty(0, np.float32)])
        return Bags(indptr, ids, weights)

    def _chunk_bags(self, texts: Sequence[str]) -> Bags:
        hashes, documents, _ = _hash_chunk(self.config, texts)
        rows = self.index.rows(hashes)
        indptr, ids, tf = _count_rows(rows, documents, len(texts))
        return Bags(indptr, ids, _weigh(indptr, ids, tf, self.idf))


def _hash_chunk(config: TokenizerConfig, texts: Sequence[str]) -> tuple[U64, I64, Any]:
    """Hashes and documents of all features of a chunk, kind by kind, and the words found."""
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
    hashes = [words.hashes, *(_bucket(h, config.buckets) for h, _ in parts)]
    documents = [words.documents, *(d for _, d in parts)]
    return np.concatenate(hashes), np.concatenate(documents), (joined, words)


def _bucket(hashes: U64, buckets: int | None) -> U64:
    if buckets is None:
        return hashes
    return hashing.mix(((hashes >> np.uint64(32)) * np.uint64(buckets)) >> np.uint64(32))


def _check_room(needed: int, room: int | None, n_hashes: int) -> None:
    if room is not None and needed > room:
        raise Unavailable(
            f"{n_hashes:,} words and n-grams need about {needed / 1e9:,.1f} GB more memory, "
            f"{room / 1e9:,.1f} GB are free",
            hint="a lower --word-ngrams or --max-n, or fewer rows",
        )


def _hash_all(
    config: TokenizerConfig, texts: Sequence[str], room: int | None
) -> tuple[U64, I64, list[Any]]:
    hashes, documents, words, done, n_hashes = [], [], [], 0, 0
    for chunk in text_chunks(texts):
        found, where, kept = _hash_chunk(config, chunk)
        hashes.append(found)
        documents.append(where + done)
        words.append(kept)
        done += len(chunk)
        n_hashes += len(found)
        _check_room(n_hashes * HASH_BYTES, room, n_hashes)
    return np.concatenate(hashes), np.concatenate(documents), words


def _frequent(hashes: U64, min_count: int) -> U64:
    distinct, counts = count_hashes(hashes)
    return distinct[counts >= min_count]


def _idf(frequency: npt.NDArray[np.float64], n_texts: int) -> F32:
    """Smooth inverse document frequency, as in scikit-learn: ln((1 + n) / (1 + df)) + 1."""
    return (np.log((1 + n_texts) / (1 + frequency)) + 1).astype(np.float32)


def _known_words(chunks: list[Any], index: HashIndex, but: set[str]) -> list[str]:
    """The words (not n-grams) that have a row, most frequent first, then by code point."""
    found: dict[str, int] = {}
    for joined, words in chunks:
        rows = index.rows(words.hashes)
        distinct, first, counts = np.unique(rows, return_index=True, return_counts=True)
        for row, at, count in zip(distinct.tolist(), first.tolist(), counts.tolist(), strict=True):
            if row >= 0:
                word = joined[words.starts[at] : words.ends[at]]
                found[word] = found.get(word, 0) + count
    return sorted(found.keys() - but, key=lambda w: (-found[w], w))


def _count_rows(rows: I32, documents: I64, n_texts: int) -> tuple[I64, I32, I64]:
    """CSR of known rows: indptr [B + 1], distinct ids ascending in each text, counts."""
    known = rows >= 0
    keys = (documents[known].astype(np.uint64) << np.uint64(32)) | rows[known].astype(np.uint64)
    distinct, tf = count_hashes(keys)
    ids = (distinct & np.uint64(0xFFFFFFFF)).astype(np.int32)
    sizes = np.bincount((distinct >> np.uint64(32)).astype(np.int64), minlength=n_texts)
    return np.concatenate(([0], np.cumsum(sizes))).astype(np.int64), ids, tf


def _weigh(indptr: I64, ids: I32, tf: I64, idf: F32) -> F32:
    """(1 + ln tf) · idf, divided by the text's Euclidean norm; float32 [nnz]."""
    weights = idf[ids].astype(np.float64)
    often = np.flatnonzero(tf > 1)
    weights[often] *= 1 + np.log(tf[often])
    filled = np.flatnonzero(np.diff(indptr))
    if len(filled):
        squares = np.add.reduceat(weights * weights, indptr[filled])
        sizes = np.diff(indptr)[filled]
        weights /= np.repeat(np.sqrt(squares), sizes)
    return weights.astype(np.float32)
