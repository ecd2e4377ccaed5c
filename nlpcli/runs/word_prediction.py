"""A corpus and a recipe -> the training of word vectors, and the vectors when it is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nlpcli.errors import UsageError
from nlpcli.models.word2vec_config import MOST_SOFTMAX, SAMPLED, Word2VecConfig
from nlpcli.models.word_vectors import SubwordVectors, WordVectors

if TYPE_CHECKING:
    from nlpcli.data.id_corpus import IdCorpus
    from nlpcli.models.word2vec import Word2Vec
    from nlpcli.training.ranks import Ranks
    from nlpcli.training.word2vec import Word2VecTraining

I64 = npt.NDArray[np.int64]
F32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class NgramRows:
    """Rows of the input table: V of words, then one for each bucket that the words' n-grams fall
    into. Word i has ``rows[indptr[i] : indptr[i + 1]]``, its own first; ``buckets`` int64 [U]."""

    indptr: I64
    rows: I64
    buckets: I64

    @staticmethod
    def of(words: list[str], config: Word2VecConfig) -> NgramRows:
        """Those of a vocabulary."""
        from nlpcli.batching.subwords import subword_bags

        borders, found = subword_bags(words, config.min_n, config.max_n, config.buckets)
        buckets, places = np.unique(found, return_inverse=True)
        indptr = borders + np.arange(len(borders))
        own = np.zeros(int(indptr[-1]), dtype=bool)
        own[indptr[:-1]] = True
        rows = np.empty(len(own), np.int64)
        rows[own], rows[~own] = np.arange(len(words)), len(words) + places
        return NgramRows(indptr, rows, buckets)


@dataclass(frozen=True)
class Prediction:
    """A training run that is ready to go, and what is made of it."""

    model: Word2Vec
    training: Word2VecTraining
    ngrams: NgramRows | None

    @property
    def device(self) -> str:
        """Where it runs."""
        return str(self.model.input.weight.device)

    @property
    def model_bytes(self) -> int:
        """About how large the stored model will be."""
        return _model_bytes(self.model.n_words, self.model.config)

    def vectors(self, corpus: IdCorpus) -> WordVectors:
        """The words' vectors; with sub-words, also those of their n-grams."""
        found, config = self.model.vectors(), self.model.config
        subwords = None
        if self.ngrams is not None:
            table = np.zeros((config.buckets, config.dim), np.float32)
            table[self.ngrams.buckets] = self.model.input.weight.cpu().numpy()[len(found) :]
            subwords = SubwordVectors(config.min_n, config.max_n, table)
        return WordVectors(corpus.words, found, corpus.counts, subwords)


def _model_bytes(n_words: int, config: Word2VecConfig) -> int:
    rows = n_words + (config.buckets if config.subwords else 0)
    return 4 * rows * config.dim + 20 * n_words


def _check_softmax(n_words: int, config: Word2VecConfig) -> None:
    if config.loss == "softmax" and n_words > MOST_SOFTMAX:
        raise UsageError(
            f"--loss softmax: {n_words:,} words, at most {MOST_SOFTMAX:,}",
            hint="--loss hs, or a higher --min-count",
        )


def training_sizes(n_words: int, config: Word2VecConfig, device: str) -> dict[str, Any]:
    """What training so many words will take, at most. Raises as ``make_prediction``."""
    from nlpcli.training.device import choose_device

    _check_softmax(n_words, config)
    parameters = config.dim * (2 * n_words + (config.buckets if config.subwords else 0))
    return {
        "dim": config.dim, "epochs": config.epochs, "device": str(choose_device(device)),
        "parameters": parameters, "memory_bytes": 4 * parameters,
        "model_bytes": _model_bytes(n_words, config),
    }  # fmt: skip


def make_prediction(
    corpus: IdCorpus, config: Word2VecConfig, *, seed: int, threads: int, device: str,
    ranks: Ranks | None = None, stop: Callable[[], bool] = bool,
) -> Prediction:  # fmt: skip
    """With ``ranks`` this process learns from its share; ``stop`` tells that the run is to end.

    Raises Unavailable for a device that is not there, UsageError for a softmax over too many.
    """
    _check_softmax(len(corpus.words), config)
    from nlpcli.batching.subsampling import keep_probabilities
    from nlpcli.batching.windows import NoiseWords, Windows
    from nlpcli.models.word2vec import Word2Vec
    from nlpcli.training.device import choose_device, set_threads
    from nlpcli.training.word2vec import Word2VecTraining, span_size

    place = choose_device(device)
    set_threads(1)  # a span for each thread is shared out, not a product
    lanes = threads if place.type == "cpu" else 1
    noise = NoiseWords(corpus.counts, config.noise_power) if config.loss in SAMPLED else None
    ngrams = NgramRows.of(corpus.words, config) if config.subwords else None
    bags = None
    if ngrams is not None:
        bags = (ngrams.indptr, ngrams.rows, len(corpus.words) + len(ngrams.buckets))
    shares = None if noise is None else noise.shares
    model = Word2Vec(config, corpus.counts, noise_shares=shares, bags=bags, seed=seed, device=place)
    keep = keep_probabilities(corpus.counts, config.sample, config.sample_formula)
    windows = Windows(
        corpus.ids,
        corpus.starts,
        keep,
        config.window,
        multiple=lanes * span_size(config),
        seed=seed,
        ranks=ranks.size if ranks else 1,
    )
    training = Word2VecTraining(model, windows, noise, threads=lanes, ranks=ranks, stop=stop)
    return Prediction(model, training, ngrams)
