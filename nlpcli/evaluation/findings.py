"""What is found in labelled rows, one finding a row and problem; rows are numbered from 0 here."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nlpcli.evaluation.duplicates import Duplicates, SimilarPairs

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

    Each row comes once for each of the two, with the row that is most like it; copies of a text
    with the same labels are alike to the same rows, and behind those that the first of them is.
    """
    copies, one, other, similarity = _near_copies(found, labels)
    first = np.array([rows[0] for rows in copies], dtype=np.int64)
    numbers: dict[frozenset[str], int] = {}
    keys = [numbers.setdefault(_key(labels[rows[0]]), len(numbers)) for rows in copies]
    key = np.array(keys, dtype=np.int64)
    same = key[one] == key[other]
    behind = same & (first[other] < first[one])
    return [
        Finding(row, problem, score, None, at)
        for problem, of in (("near-conflict", ~same), ("near-duplicate", behind))
        for group, at, score in _most_alike(one[of], first[other[of]], similarity[of])
        for row in copies[group]
    ]


def _near_copies(found: Duplicates, labels: Labels) -> tuple[list[list[int]], I64, I64, Floats]:
    """Rows of texts that are like another, those of one text and the same labels together, and
    pairs of such groups, each from either side: one, the other, how much alike."""
    groups: dict[int, dict[frozenset[str], list[int]]] = defaultdict(lambda: defaultdict(list))
    alike = np.isin(found.first, np.union1d(found.near.left, found.near.right))
    for i in np.flatnonzero(alike).tolist():
        groups[int(found.first[i])][_key(labels[i])].append(i)
    copies = [rows for each in groups.values() for rows in each.values()]
    numbers: dict[int, list[int]] = defaultdict(list)
    for number, rows in enumerate(copies):
        numbers[int(found.first[rows[0]])].append(number)
    pairs = [
        (a, b, at)
        for at, (left, right) in enumerate(
            zip(found.near.left.tolist(), found.near.right.tolist(), strict=True)
        )
        for a in numbers[left]
        for b in numbers[right]
    ]
    left, right, at = np.array(pairs, dtype=np.int64).reshape(-1, 3).T
    spread = SimilarPairs(left, right, found.near.similarity[at])
    return copies, *spread.both_ways()


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
    near = {
        text: (at, score)
        for text, at, score in _most_alike(one[leaky], test_row[other[leaky]], similarity[leaky])
    }
    return exact + [
        Finding(i, "near-leak", score, None, at - n_train, _elsewhere(labels, i, at))
        for i in np.flatnonzero(np.isin(found.first[:n_train], list(near))).tolist()
        for at, score in (near[int(found.first[i])],)
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
