"""What is found in labelled rows, one finding a row and problem; rows are numbered from 0 here."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nlpcli.evaluation.duplicates import Duplicates

I64 = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Labels = Sequence[tuple[str, ...]]

PROBLEMS = (
    "label", "doubtful", "conflict", "near-conflict", "leak", "near-leak", "duplicate",
    "near-duplicate", "blank", "unlabelled", "damaged", "long",
)  # fmt: skip
"""All of them, in the order in which they are listed."""


@dataclass(frozen=True)
class Finding:
    """``score``: how sure, or how much alike, 0 to 1; None where there is no degree.

    ``suggested``: labels that the row may have been meant to have, None where nothing is known.
    ``other``: the row that it is the same as, or like; of the test rows for leaks.
    """

    row: int
    problem: str
    score: float | None = None
    suggested: tuple[str, ...] | None = None
    other: int | None = None
    detail: str = ""


def conflicts(first: I64, labels: Labels) -> list[Finding]:
    """Rows whose text stands there with other labels too; suggested: what most of them have.

    ``first`` [N] as in ``Duplicates``; the score is the share of the others that differ.
    """
    found = []
    for rows in _groups(first):
        sets = Counter(_key(labels[i]) for i in rows)
        if len(sets) < 2:
            continue
        (most, times), (_, next_times) = sets.most_common(2)
        suggested = tuple(sorted(most)) if times > next_times else None
        for i in rows:
            mine = _key(labels[i])
            other = next(j for j in rows if _key(labels[j]) != mine)
            share = (len(rows) - sets[mine]) / (len(rows) - 1)
            better = suggested if most != mine else None
            found.append(Finding(i, "conflict", share, better, other))
    return found


def duplicates(first: I64, labels: Labels) -> list[Finding]:
    """Rows that repeat the text and the labels of an earlier one."""
    found = []
    for rows in _groups(first):
        seen: dict[frozenset[str], int] = {}
        for i in rows:
            earlier = seen.setdefault(_key(labels[i]), i)
            if earlier != i:
                found.append(Finding(i, "duplicate", 1.0, None, earlier))
    return found


def near_findings(found: Duplicates, labels: Labels) -> list[Finding]:
    """Rows that are like another: with other labels, or with the same ones and behind it.

    Each row comes once for each of the two, with the row that is most like it.
    """
    pairs = found.near
    same = np.array(
        [_key(labels[a]) == _key(labels[b])
         for a, b in zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)], dtype=np.bool_,
    )  # fmt: skip
    twice = np.tile(~same, 2)
    one, other, similarity = pairs.both_ways()
    differ = _most_alike(one[twice], other[twice], similarity[twice])
    agree = _most_alike(pairs.right[same], pairs.left[same], pairs.similarity[same])
    return [
        *(Finding(row, "near-conflict", score, None, other) for row, other, score in differ),
        *(Finding(row, "near-duplicate", score, None, other) for row, other, score in agree),
    ]


def leaks(found: Duplicates, n_train: int, labels: Labels) -> list[Finding]:
    """Rows before ``n_train`` that stand among the others too, or nearly; ``other`` counts those.

    ``labels`` of all rows: where a copy has other ones, the detail says which.
    """
    behind = np.flatnonzero(np.arange(len(found.first)) >= n_train)
    test_row = np.full(len(found.first), -1)
    # of each text, by its first row, the first test row that is the same
    test_row[found.first[behind[::-1]]] = behind[::-1]
    here = test_row[found.first[:n_train]]
    exact = [
        Finding(i, "leak", 1.0, None, int(here[i]) - n_train, _elsewhere(labels, i, int(here[i])))
        for i in np.flatnonzero(here >= 0).tolist()
    ]
    one, other, similarity = found.near.both_ways()
    # the first row of a text that is in both parts is a training row, and leaks as it is
    leaky = (one < n_train) & (test_row[one] < 0) & (test_row[other] >= 0)
    near = _most_alike(one[leaky], test_row[other[leaky]], similarity[leaky])
    return exact + [
        Finding(i, "near-leak", score, None, at - n_train, _elsewhere(labels, i, at))
        for i, at, score in near
    ]


def leaked_test_rows(found: Duplicates, n_train: int) -> tuple[int, int]:
    """How many test rows stand in the training rows, and how many only nearly."""
    first, n_rows = found.first, len(found.first)
    exact = first[n_train:] < n_train
    near = np.zeros(n_rows, dtype=np.bool_)
    near[found.near.right[found.near.left < n_train]] = True  # training rows have the lower numbers
    return int(exact.sum()), int((~exact & near[first[n_train:]]).sum())


def ranked(findings: list[Finding]) -> list[Finding]:
    """By problem, in the order of PROBLEMS; the highest score first, then the lowest row."""
    at = {name: i for i, name in enumerate(PROBLEMS)}
    return sorted(findings, key=lambda f: (at[f.problem], -(f.score or 0.0), f.row))


def _elsewhere(labels: Labels, row: int, other: int) -> str:
    if _key(labels[row]) == _key(labels[other]):
        return ""
    return f"there: {', '.join(labels[other]) or 'no label'}"


def _key(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(names)


def _groups(first: I64) -> list[list[int]]:
    """Rows of the texts that occur more than once, each group ascending, by its first row."""
    often = np.bincount(first, minlength=len(first)) > 1
    found: dict[int, list[int]] = defaultdict(list)
    for i in np.flatnonzero(often[first]).tolist():
        found[int(first[i])].append(i)
    return [found[at] for at in sorted(found)]


def _most_alike(rows: I64, others: I64, similarity: Floats) -> list[tuple[int, int, float]]:
    """Of each row the other one that is most like it, the first of several: (row, other, score)."""
    order = np.lexsort((others, -similarity, rows))
    kept = order[np.flatnonzero(np.diff(rows[order], prepend=-1))]
    return list(
        zip(rows[kept].tolist(), others[kept].tolist(), similarity[kept].tolist(), strict=True)
    )
