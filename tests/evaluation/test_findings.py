"""Findings from duplicates: who is reported, with which other row."""

from __future__ import annotations

from nlpcli.evaluation.duplicates import find_duplicates
from nlpcli.evaluation.findings import (
    PROBLEMS,
    Finding,
    conflicts,
    duplicates,
    leaked_test_rows,
    leaks,
    near_findings,
    ranked,
)

LONG = "the quick brown fox jumps over the lazy dog near the old river bank today"
NEAR = LONG.replace("lazy", "sleepy")


def brief(findings: list[Finding]) -> list[tuple[int, str, int | None]]:
    return [(f.row, f.problem, f.other) for f in findings]


def test_conflicts_and_duplicates_of_one_text() -> None:
    first = find_duplicates(["one", "two", "One", "one ", "three"], None).first
    labels = [("a",), ("a",), ("b",), ("a",), ("c",)]
    found = conflicts(first, labels)
    assert brief(found) == [(0, "conflict", 2), (2, "conflict", 0), (3, "conflict", 2)]
    assert [f.suggested for f in found] == [None, ("a",), None]
    assert [f.score for f in found] == [0.5, 1.0, 0.5]
    assert brief(duplicates(first, labels)) == [(3, "duplicate", 0)]


def test_a_tie_suggests_nothing_and_order_of_labels_does_not_count() -> None:
    first = find_duplicates(["one", "one"], None).first
    assert [f.suggested for f in conflicts(first, [("a",), ("b",)])] == [None, None]
    assert conflicts(first, [("a", "b"), ("b", "a")]) == []


def test_near_ones() -> None:
    found = find_duplicates([LONG, "something else", NEAR, NEAR.replace("old", "new")], 0.6)
    labels = [("a",), ("a",), ("a",), ("b",)]
    near = near_findings(found, labels)
    assert brief(near) == [
        (0, "near-conflict", 3), (2, "near-conflict", 3), (3, "near-conflict", 2),
        (2, "near-duplicate", 0),
    ]  # fmt: skip
    assert all(0.6 <= (f.score or 0) < 1 for f in near)


def test_leaks() -> None:
    train = [LONG, "alone", "shared", "shared"]
    test = ["Shared", NEAR, "nobody", "shared"]
    found = find_duplicates(train + test, 0.7)
    labels = [("a",)] * 4 + [("a",), ("a",), ("a",), ("b",)]
    leaky = leaks(found, 4, labels)
    assert brief(leaky) == [(2, "leak", 0), (3, "leak", 0), (0, "near-leak", 1)]
    assert leaked_test_rows(found, 4) == (2, 1)
    other = [("b",)] * 4 + labels[4:]
    assert leaks(found, 4, other)[0].detail == "there: a"


def test_copies_are_near_to_the_same_rows() -> None:
    texts = [LONG, NEAR, LONG.upper(), NEAR, LONG, "else"]
    found = find_duplicates(texts, 0.7)
    labels = [("a",), ("a",), ("a",), ("b",), ("b",), ("a",)]
    assert brief(near_findings(found, labels)) == [
        (0, "near-conflict", 3), (2, "near-conflict", 3), (4, "near-conflict", 1),
        (1, "near-conflict", 4), (3, "near-conflict", 0),
        (4, "near-duplicate", 3), (1, "near-duplicate", 0),
    ]  # fmt: skip
    assert near_findings(find_duplicates(["one", "two"], 0.7), [("a",)] * 2) == []
    leaky = leaks(find_duplicates([*texts, NEAR.replace("old", "new")], 0.6), 6, [*labels, ("b",)])
    assert brief(leaky) == [(i, "near-leak", 0) for i in range(5)]
    assert [f.detail for f in leaky] == ["there: b"] * 3 + [""] * 2


def test_order() -> None:
    mixed = [
        Finding(5, "blank"), Finding(1, "duplicate", 1.0), Finding(9, "label", 0.9),
        Finding(2, "label", 0.8), Finding(3, "near-conflict", 0.7),
        Finding(0, "near-conflict", 0.9),
    ]  # fmt: skip
    assert [f.row for f in ranked(mixed)] == [9, 2, 0, 3, 1, 5]
    assert {f.problem for f in mixed} <= set(PROBLEMS)
