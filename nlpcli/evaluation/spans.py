"""Spans found against spans there, and relations between them (Zhong & Chen 2021, "PURE", §4.1).

A span is right where its borders and its label are; for flat entities that is what conlleval
counts. A relation is right where its label and the borders of both spans are, strictly also these
spans' labels. Intervals are by bootstrap over rows.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Sequence
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

F64 = npt.NDArray[np.float64]
Span = tuple[int, int, str]
Related = tuple[Span, Span, str]
_STREAM = 80
_GROUPS = 5000
"""Groups of rows that are drawn as one where there are more."""


@dataclass(frozen=True)
class SpanSet:
    """The spans of a row, and its relations as head, tail and label."""

    spans: frozenset[Span]
    relations: frozenset[Related] = frozenset()


def span_set(spans: Sequence[Span], relations: Iterable[tuple[int, int, str]]) -> SpanSet:
    """Of spans, and relations as numbers of two of them and a label."""
    related = ((spans[head], spans[tail], label) for head, tail, label in relations)
    return SpanSet(frozenset(spans), frozenset(related))


def bare(relation: Related) -> Hashable:
    """Without the labels of its spans."""
    head, tail, label = relation
    return head[:2], tail[:2], label


@dataclass(frozen=True)
class _Counts:
    """Of rows: hits, truth and guess of each label, [rows, 3 K]."""

    labels: list[str]
    table: F64


def _by_label(pairs: Sequence[tuple[Collection[Any], Collection[Any]]]) -> _Counts:
    """Of truth and guess of each row; the last part of each item is its label."""
    labels = sorted({item[-1] for pair in pairs for side in pair for item in side})
    place = {name: number for number, name in enumerate(labels)}
    counts = np.zeros((3, len(pairs), len(labels)))
    for row, (there, guessed) in enumerate(pairs):
        for kind, group in enumerate((set(there) & set(guessed), there, guessed)):
            for item in group:
                counts[kind, row, place[item[-1]]] += 1
    return _Counts(labels, np.concatenate(list(counts), axis=1))


def _in_all(pairs: Sequence[tuple[Collection[Any], Collection[Any]]]) -> F64:
    """Hits, truth and guess of each row, [rows, 3]."""
    sizes = [(len(set(a) & set(b)), len(a), len(b)) for a, b in pairs]
    return np.array(sizes, np.float64).reshape(-1, 3)


def span_counts(
    truth: Sequence[SpanSet], found: Sequence[SpanSet], *, relations: bool = False
) -> dict[str, F64]:
    """Hits, truth and guess of each row, [rows, 3], by the F1 of their sums."""
    both = list(zip(truth, found, strict=True))
    counts = {
        "span_f1": _in_all([(a.spans, b.spans) for a, b in both]),
        "identification_f1": _in_all(
            [({s[:2] for s in a.spans}, {s[:2] for s in b.spans}) for a, b in both]
        ),
    }
    if relations:
        counts["relation_f1"] = _in_all(
            [({*map(bare, a.relations)}, {*map(bare, b.relations)}) for a, b in both]
        )
    return counts


def evaluate_spans(
    truth: Sequence[SpanSet], found: Sequence[SpanSet], *, relations: bool = False,
    resamples: int = 1000, seed: int = 1,
) -> dict[str, Any]:  # fmt: skip
    """The document of ``eval`` for spans: precision, recall and F1 of spans in all, whatever their
    labels (identification), and of relations where ``relations``; the mean F1 of labels; the share
    of rows whose spans are all right.

    ``per_label``, and ``per_relation``. Raises DataError without rows, ValueError for other
    numbers of them.
    """
    if not len(truth):
        raise DataError("no rows to evaluate: 0, wanted at least 1")
    both = list(zip(truth, found, strict=True))
    spans = _by_label([(a.spans, b.spans) for a, b in both])
    related = _by_label([({*map(bare, a.relations)}, {*map(bare, b.relations)}) for a, b in both])
    alone = _in_all([({s[:2] for s in a.spans}, {s[:2] for s in b.spans}) for a, b in both])
    strict = _in_all([(a.relations, b.relations) for a, b in both])
    whole = np.array([[a.spans == b.spans, True] for a, b in both], np.float64)
    columns = np.hstack([spans.table, alone, related.table, strict, whole])
    sizes = len(spans.labels), len(related.labels)
    again = {}
    if resamples:
        order, starts = row_groups(len(columns), _GROUPS, generator(seed, _STREAM))
        grouped = np.add.reduceat(columns if order is None else columns[order], starts, axis=0)
        drawn = affordable(resamples, len(grouped))
        again = _metrics(resampled_sums(grouped, drawn, generator(seed, _STREAM + 1)), sizes)
    total = columns.sum(axis=0)[None, :]
    tables = _parts(total, sizes)
    values = {
        name: estimate(
            float(value[0]),
            again.get(name, np.empty(0)),
            share_of=len(truth) if name == "row_accuracy" else None,
            bounds=UNIT,
        )
        for name, value in _metrics(total, sizes).items()
        if relations or not name.startswith("relation")
    }
    document: dict[str, Any] = {
        "task": "span", "n": len(truth), "spans": int(tables[0].truth.sum()),
        "spans_found": int(tables[0].guess.sum()),
    }  # fmt: skip
    if relations:
        document |= {"relations": int(tables[2].truth.sum()),
                     "relations_found": int(tables[2].guess.sum())}  # fmt: skip
    document |= {**values, "per_label": label_table(tables[0], spans.labels)}
    if relations:
        document["per_relation"] = label_table(tables[2], related.labels)
    return document


def _parts(sums: F64, sizes: tuple[int, int]) -> list[LabelCounts]:
    """Of sums [R, C] counts of spans by label, bare spans, relations by label, strict ones."""
    found, at = [], 0
    for size in (sizes[0], 1, sizes[1], 1):
        hits, truth, guess = (sums[:, at + n * size : at + (n + 1) * size] for n in range(3))
        found.append(LabelCounts(hits, truth, guess))
        at += 3 * size
    return found


def _metrics(sums: F64, sizes: tuple[int, int]) -> dict[str, F64]:
    """Each metric [R]; 0 where there is nothing to divide."""
    parts = dict(zip(("span", "identification", "relation", "relation_strict"),
                     _parts(sums, sizes), strict=True))  # fmt: skip
    found: dict[str, F64] = {}
    for name, counts in parts.items():
        hits, truth, guess = (p.sum(axis=1) for p in (counts.hits, counts.truth, counts.guess))
        found[f"{name}_precision"] = ratio(hits, guess)
        found[f"{name}_recall"] = ratio(hits, truth)
        found[f"{name}_f1"] = ratio(2 * hits, truth + guess)
    found["macro_f1"] = averaged_scores(parts["span"])["macro_f1"]
    found["row_accuracy"] = sums[:, -2] / sums[:, -1]
    return found
