"""Entities found against entities there, as conlleval counts them (Tjong Kim Sang & Buchholz 2000,
"Introduction to the CoNLL-2000 shared task", §4): right where first word, last word and type are.

Intervals are by bootstrap over sentences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nlpcli.errors import DataError
from nlpcli.evaluation.bootstrap import (
    UNIT,
    affordable,
    estimate,
    generator,
    resampled_sums,
    row_groups,
)
from nlpcli.evaluation.metrics import LabelCounts, averaged_scores, label_table, ratio
from nlpcli.text.tag_schemes import entities

F64 = npt.NDArray[np.float64]
Tags = Sequence[Sequence[str]]
_STREAM = 70
_GROUPS = 5000
"""Groups of sentences that are drawn as one where there are more."""


@dataclass(frozen=True)
class EntityCounts:
    """Of S sentences and E ``types`` of entities: ``hits``, ``truth`` and ``guess`` [S, E];
    ``words`` [S, 3]: words, those whose tag is right, and 1 where all are."""

    types: list[str]
    hits: F64
    truth: F64
    guess: F64
    words: F64


def count_entities(truth: Tags, found: Tags, scheme: str) -> EntityCounts:
    """Counts of each sentence; ``scheme`` as ``entities`` takes it.

    Raises ValueError for sentences that differ in length, and for a tag of no scheme.
    """
    pairs = []
    for true, guessed in zip(truth, found, strict=True):
        if len(true) != len(guessed):
            raise ValueError(f"{len(true)} and {len(guessed)} tags of a sentence")
        pairs.append((set(entities(true, scheme)), set(entities(guessed, scheme))))
    types = sorted({entity[2] for pair in pairs for each in pair for entity in each})
    place = {name: number for number, name in enumerate(types)}
    counts = np.zeros((3, len(pairs), len(types)))
    words = np.zeros((len(pairs), 3))
    for number, (there, guesses) in enumerate(pairs):
        for kind, group in enumerate((there & guesses, there, guesses)):
            for entity in group:
                counts[kind, number, place[entity[2]]] += 1
        right = sum(a == b for a, b in zip(truth[number], found[number], strict=True))
        words[number] = len(truth[number]), right, right == len(truth[number])
    return EntityCounts(types, counts[0], counts[1], counts[2], words)


def evaluate_entities(
    truth: Tags, found: Tags, *, scheme: str = "BIO", resamples: int = 1000, seed: int = 1
) -> dict[str, Any]:
    """The document of ``eval`` for tags: of entities in all precision, recall and F1, the mean F1
    of their types, and the share of words, and of sentences, whose tags are right.

    ``per_label``: of each type. Raises DataError without sentences, ValueError as
    ``count_entities``.
    """
    if not len(truth):
        raise DataError("no sentences to evaluate: 0, wanted at least 1")
    counts = count_entities(truth, found, scheme)
    columns = np.concatenate([counts.hits, counts.truth, counts.guess, counts.words], axis=1)
    order, starts = row_groups(len(columns), _GROUPS, generator(seed, _STREAM))
    sizes = np.diff(np.append(starts, len(columns)))[:, None]
    grouped = np.add.reduceat(columns if order is None else columns[order], starts, axis=0)
    again = {}
    if resamples:
        drawn = affordable(resamples, len(grouped))
        sums = resampled_sums(np.hstack([grouped, sizes]), drawn, generator(seed, _STREAM + 1))
        again = _metrics(sums, len(counts.types))
    whole = np.append(columns.sum(axis=0), len(columns))[None, :]
    values = _metrics(whole, len(counts.types))
    return {
        "task": "token",
        "n": len(truth),
        "words": int(counts.words[:, 0].sum()),
        "entities": int(counts.truth.sum()),
        "entities_found": int(counts.guess.sum()),
        **{
            name: estimate(
                float(value[0]),
                again.get(name, np.empty(0)),
                share_of=len(truth) if name == "sentence_accuracy" else None,
                bounds=UNIT,
            )
            for name, value in values.items()
        },
        "per_label": label_table(_labels(whole, len(counts.types)), counts.types),
    }


def _labels(sums: F64, n_types: int) -> LabelCounts:
    hits, truth, guess = (sums[:, n * n_types : (n + 1) * n_types] for n in range(3))
    return LabelCounts(hits, truth, guess)


def _metrics(sums: F64, n_types: int) -> dict[str, F64]:
    """Of sums over sentences, [R, 3 E + 4], each metric [R]; 0 where there is nothing to divide."""
    counts = _labels(sums, n_types)
    hits, truth, guess = (part.sum(axis=1) for part in (counts.hits, counts.truth, counts.guess))
    words, right, whole, sentences = sums[:, 3 * n_types :].T
    with np.errstate(divide="ignore", invalid="ignore"):
        accuracy = right / words
    return {
        "entity_precision": ratio(hits, guess),
        "entity_recall": ratio(hits, truth),
        "entity_f1": ratio(2 * hits, truth + guess),
        "macro_f1": averaged_scores(counts)["macro_f1"],
        "accuracy": accuracy,
        "sentence_accuracy": whole / sentences,
    }


def entity_f1(truth: Tags, found: Tags, scheme: str) -> float:
    """F1 of all entities together, 0 without any."""
    counts = count_entities(truth, found, scheme)
    both = counts.truth.sum() + counts.guess.sum()
    return float(2 * counts.hits.sum() / both) if both else 0.0
