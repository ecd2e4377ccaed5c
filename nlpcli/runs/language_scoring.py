"""Texts under a language model: the columns of ``predict`` and the document of ``eval``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nlpcli.data.rows import Reject, RowFormat, open_rows
from nlpcli.errors import DataError
from nlpcli.evaluation.perplexity import Scored, evaluate_perplexity
from nlpcli.models.ngram_sampling import sample
from nlpcli.store.language_model import LanguageModel
from nlpcli.text.features import text_chunks

LONGEST_SAMPLE = {"word": 100, "char": 500}
"""Words or characters of a sentence that is drawn."""
F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SentenceScores:
    """Texts -> cells of their log10 probability and perplexity; empty where it is 0 or infinite."""

    language: LanguageModel
    prefix: str = ""

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return [f"{self.prefix}log10_probability", f"{self.prefix}perplexity"]

    @property
    def numeric(self) -> list[str]:
        """Those that hold numbers: both."""
        return self.columns

    def __call__(self, texts: list[str]) -> list[list[str]]:
        """One list of cells a column. A text is one sentence; its end is scored too."""
        logs: list[float] = []
        counts: list[int] = []
        for chunk in text_chunks(texts):
            sentences = self.language.coder.encode(chunk)
            found = self.language.model.log10_sums(sentences.tokens, sentences.sizes)[:, 0]
            logs += found.tolist()
            counts += (sentences.words + 1).tolist()
        perplexities = [_power(-log / count) for log, count in zip(logs, counts, strict=True)]
        return [
            [f"{log:.6f}" if math.isfinite(log) else "" for log in logs],
            [f"{value:.6g}" if math.isfinite(value) else "" for value in perplexities],
        ]


def _power(exponent: float) -> float:
    return 10.0**exponent if exponent < 300 else math.inf


def read_texts(
    path: str, fmt: RowFormat, *, text_column: str, on_reject: Reject
) -> tuple[Iterator[list[str]], str]:
    """The texts of a file, some at a time, and its name. Raises InputMissing, DataError."""
    rows = open_rows(path, fmt, on_reject)
    column = rows.column(text_column)
    return ([row[column] for row in batch.rows] for batch in rows.batches()), rows.name


def score_texts(
    language: LanguageModel, texts: Iterable[list[str]], name: str, *, resamples: int, seed: int
) -> dict[str, Any]:
    """Measures on lists of texts that came from ``name``, a sentence each; blank ones are left out.
    Raises DataError where no text is left."""
    return perplexity_of(scored_texts(language, texts), name, resamples=resamples, seed=seed)


def scored_texts(language: LanguageModel, texts: Iterable[list[str]]) -> Scored:
    """All texts, blank ones too."""
    parts = [_scored(language, chunk) for some in texts for chunk in text_chunks(some)]
    return Scored.together(parts)


def perplexity_of(scored: Scored, name: str, *, resamples: int, seed: int) -> dict[str, Any]:
    """The document of ``eval``. Raises DataError where all texts are blank."""
    filled = scored.filled()
    if not len(filled.tokens):
        raise DataError(f"{name}: no texts")
    return evaluate_perplexity(filled, resamples=resamples, seed=seed)


def _scored(language: LanguageModel, texts: Any) -> Scored:
    coder, model = language.coder, language.model
    sentences = coder.encode(texts)
    filled = sentences.words > 0
    logs = model.log10_tokens(sentences.tokens)[:, 0]
    owners = np.repeat(np.arange(len(sentences.sizes)), sentences.sizes)
    first = np.cumsum(sentences.sizes) - sentences.sizes
    logs[first] = 0.0  # <s> is given
    impossible = np.isneginf(logs)

    def summed(values: Any) -> F64:
        sums = np.bincount(owners, weights=values, minlength=len(sentences.sizes))
        found: F64 = np.where(filled, sums, 0.0)  # nan and inf of what is left out are too
        return found

    return Scored(
        tokens=np.where(filled, sentences.words + 1, 0),
        unknown=summed(sentences.unknown).astype(np.int64),
        impossible=summed(impossible).astype(np.int64),
        characters=np.where(filled, coder.characters(texts) + 1, 0),
        log10=summed(logs),
        log10_known=summed(np.where(sentences.unknown, 0.0, logs)),
    )


def samples(language: LanguageModel, count: int, seed: int) -> Iterator[dict[str, str]]:
    """Texts drawn from the model; with labels a label first, by how many texts it had."""
    rng = np.random.default_rng(seed)
    coder, counts = language.coder, language.label_counts
    joiner = " " if coder.level == "word" else ""
    for _ in range(count):
        label = 0 if counts is None else int(rng.choice(len(counts), p=counts / counts.sum()))
        words = sample(language.model, rng, label=label, most=LONGEST_SAMPLE[coder.level])
        found = {"text": joiner.join(coder.words[word] for word in words)}
        yield found if counts is None else {"label": language.labels[label], **found}
