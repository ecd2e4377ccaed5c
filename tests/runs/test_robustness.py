"""Robustness of whatever has probabilities and labels, and the rows to train on."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nlpcli.data.pairs import joined
from nlpcli.evaluation.truths import F64
from nlpcli.runs.robustness import Measured, Robustness, measure_robustness, write_adversarial


@dataclass(frozen=True)
class Toy:
    """Answers ``yes`` where ``good`` stands in a text; the second of a pair counts for nothing."""

    separator: str | None = None
    labels: tuple[str, ...] = ("no", "yes")

    @property
    def multi_label(self) -> bool:
        return self.separator is not None

    def limit(self, asked: float | None) -> float:
        return 0.5 if asked is None else asked

    def probabilities(self, texts: Sequence[str]) -> F64:
        first = [text.partition("\x1e")[0] for text in texts]
        good = np.array(["good" in text.casefold() for text in first])
        return np.stack([np.where(good, 0.2, 0.7), np.where(good, 0.8, 0.3)], axis=1)


def measured(
    texts: list[str], labels: list[tuple[str, ...]], asked: Robustness, model: Any = None
) -> Measured:
    model = model or Toy()
    return measure_robustness(
        model, texts, labels, model.probabilities(texts), asked, resamples=20,
        tell=lambda *_: None,
    )  # fmt: skip


SOME = Robustness(kinds=("typos", "deletion", "same-shape"), strengths=(0.2, 0.5))
TEXTS = [f"room {i} was good and clean" if i % 2 else f"room {i} was bad" for i in range(30)]
LABELS: list[tuple[str, ...]] = [("yes",) if i % 2 else ("no",) for i in range(30)]


def test_the_document() -> None:
    document = measured(TEXTS, LABELS, SOME).document
    assert set(document["robustness"]) == {"typos", "deletion"}
    assert document["robustness_run"] == {
        "rows": 30, "strengths": [0.2, 0.5], "seed": 1, "without_effect": ["same-shape"],
    }  # fmt: skip
    assert 0 < document["perturbed_accuracy"]["value"] < 1
    attack = document["attack"]
    # the word ``good`` gives way; where none stands there is nothing to find
    assert (attack["rows"], attack["attacked"], attack["flipped"]) == (30, 30, 15)
    assert attack["accuracy"]["value"] == 1
    assert document["attack_accuracy"] == attack["accuracy_under_attack"]
    assert document["attack_accuracy"]["value"] == 0.5
    assert (attack["words_changed"], attack["kinds"]) == (1.0, {"typos": 15})
    assert document["fragile_words"][0]["word"] == "good"
    assert document["fragile_words"][0]["attacks"] == 15


def test_bounds_on_rows_choose_the_same_rows_for_every_model() -> None:
    few = Robustness(SOME.kinds, SOME.strengths, rows=12, attack_rows=5)
    one = measured(TEXTS, LABELS, few)
    other = measured(TEXTS, LABELS, few, Toy(separator=";"))
    assert one.texts == other.texts and len(one.texts) == 12
    assert one.document["attack"]["rows"] == 5
    assert "attack" not in measured(TEXTS, LABELS, Robustness(SOME.kinds, attack_rows=0)).document
    assert "attack" not in measured(TEXTS, LABELS, Robustness(("deletion",))).document


def test_unknown_labels_and_blank_texts() -> None:
    found = measured(["", "good", "good"], [("no",), ("maybe",), ("yes",)], SOME)
    assert found.document["robustness"]["deletion"][0]["accuracy"]["value"] == 2 / 3
    assert found.document["attack"]["attacked"] == 2
    assert found.document["attack_accuracy"]["value"] == 1 / 3


def read(found: Measured, columns: list[str], separator: str | None) -> list[dict[str, str]]:
    stream = io.BytesIO()
    count = write_adversarial(stream, found, columns, separator)
    rows = list(csv.DictReader(io.StringIO(stream.getvalue().decode(), newline="")))
    assert len(rows) == count > 0
    return rows


def test_rows_to_train_on() -> None:
    found = measured(TEXTS, LABELS, SOME)
    rows = read(found, ["review", "stars"], None)
    assert list(rows[0]) == ["review", "stars", "original", "kind"]
    assert {row["kind"] for row in rows} == {"typos", "deletion"}
    assert len({(row["review"], row["original"]) for row in rows}) == len(rows)
    for row in rows:
        assert row["stars"] == "yes" and row["original"] in TEXTS
        assert "good" not in row["review"].casefold()


def test_pairs_and_several_labels() -> None:
    pairs = [joined(text, f"what of {i}?") for i, text in enumerate(TEXTS)]
    labels: list[tuple[str, ...]] = [("yes",) if i % 2 else ("no",) for i in range(30)]
    found = measured(pairs, labels, SOME, Toy(separator="|"))
    point = found.document["robustness"]["typos"][2]
    assert point["subset_accuracy"]["value"] < 1 and point["words_changed"] > 0.3
    rows = read(found, ["a", "b", "labels"], "|")
    assert list(rows[0]) == ["a", "b", "labels", "original", "original_b", "kind"]
    assert all(row["original_b"].startswith("what of") for row in rows)
    assert any(row["b"] != row["original_b"] for row in rows)  # both texts are perturbed
