"""What models of each kind are compared by, from what they, or a file, answered."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nlpcli.errors import DataError
from nlpcli.evaluation.entities import count_entities
from nlpcli.evaluation.paired import f1_sums, ratio_sums
from nlpcli.evaluation.perplexity import Scored
from nlpcli.evaluation.spans import SpanSet, span_counts
from nlpcli.runs.comparing import Answered, Labels, answered_else, answered_right
from nlpcli.text.tag_schemes import NONE

F64 = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Sentences = Sequence[Sequence[str]]


def tags_answered(labels: Labels, truth: Sentences, found: Sentences, scheme: str) -> Answered:
    """Taggers: F1 of entities, of tags that mark none the share that is right, and sentences that
    are right as a whole. ``labels``: the tags as the file has them."""
    counts = count_entities(truth, found, scheme)
    each = [part.sum(axis=1) for part in (counts.hits, counts.truth, counts.guess)]
    of_entities = np.stack(each, axis=1)
    words, right, whole = counts.words.T
    shares = right / np.maximum(words, 1)
    return answered_else(
        labels, metric="accuracy" if scheme == NONE else "entity_f1",
        worth=shares if scheme == NONE else row_f1(of_entities),
        scores={"sentence_accuracy": whole},
        sums={"entity_f1": f1_sums(of_entities), "accuracy": ratio_sums(right, words)},
    )  # fmt: skip


def sentences_right(truth: Sentences, found: Sentences) -> Bools:
    """Whether all tags of each sentence are right."""
    pairs = zip(truth, found, strict=True)
    return np.array([list(a) == list(b) for a, b in pairs], dtype=np.bool_)


def spans_answered(
    labels: Labels, truth: Sequence[SpanSet], found: Sequence[SpanSet], *, relations: bool
) -> Answered:
    """Models of spans: F1 of spans, with any label, and of relations. A row is as good as its own
    F1."""
    counts = span_counts(truth, found, relations=relations)
    return answered_else(
        labels, metric="span_f1", worth=row_f1(counts["span_f1"]),
        sums={name: f1_sums(each) for name, each in counts.items()},
    )  # fmt: skip


def row_f1(counts: F64) -> F64:
    """F1 of each row, of hits, truth and guess (B, 3); 1 where there is nothing to find, and
    nothing was found."""
    both = counts[:, 1] + counts[:, 2]
    return np.asarray(np.where(both > 0, 2 * counts[:, 0] / np.maximum(both, 1), 1.0))


def questions_answered(answers: Labels, scores: F64) -> Answered:
    """Models that answer questions: exact match, and F1; ``scores`` of each question, (Q, 2)."""
    return answered_right(
        answers, scores[:, 0] > 0, metric="exact_match", scores={"f1": scores[:, 1]}
    )


def numbers_answered(truth: F64, found: F64) -> Answered:
    """Regressions: Pearson's correlation, Spearman's, and squared errors."""
    return answered_else(
        [(f"{number:.12g}",) for number in truth.tolist()], metric="pearson",
        numbers=(truth, found), worth=-np.abs(found - truth),
    )  # fmt: skip


def language_answered(scored: Scored) -> Answered:
    """Language models: bits for a character, which is fair where they cut texts differently, and
    perplexity. ``scored``: all texts, blank ones too.

    Raises DataError where a text has the probability 0, so that these are infinite.
    """
    impossible = int(scored.impossible.sum())
    if impossible:
        raise DataError(
            f"{impossible:,} tokens have the probability 0, the perplexity is infinite; "
            "wanted models that smooth, to compare them"
        )
    bits = -scored.log10 / math.log10(2)
    tokens, characters = (each.astype(np.float64) for each in (scored.tokens, scored.characters))
    return answered_else(
        [()] * len(tokens), metric="bits_per_character", worth=scored.log10,
        sums={
            "bits_per_character": ratio_sums(bits, characters, less=True),
            "perplexity": ratio_sums(bits, tokens, less=True, then=np.exp2),
        },
    )  # fmt: skip


def words_answered(task: str, rows: dict[str, Any]) -> Answered:
    """Word vectors, on the rows that all know: analogies by the share of right ones, pairs of words
    by Spearman's correlation."""
    known = rows["known"]
    if task == "analogies":
        right = rows["right"].astype(np.float64)
        return answered_else(
            [()] * len(known), metric="accuracy", scores={"accuracy": right}, known=known
        )
    return answered_else(
        [()] * len(known), metric="spearman", numbers=(rows["truth"], rows["found"]), known=known
    )
