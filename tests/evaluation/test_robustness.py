"""Curves over strengths, against counting by hand, with models simple enough to know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from nlpcli.evaluation import robustness
from nlpcli.evaluation.robustness import (
    Adversarial,
    Found,
    Rows,
    Trials,
    fragile_words,
    measure_perturbed,
)
from nlpcli.evaluation.truths import F64, OneLabel, SeveralLabels, Truths
from nlpcli.text.perturbations import cut, perturb

STRENGTHS = (0.2, 0.5)
TEXTS = [
    f"the {noun} was {word} and the staff was there"
    for noun in ("room", "food", "view", "pool", "bed") for word in ("good", "bad")
] * 3  # fmt: skip


def by_word(texts: Sequence[str]) -> F64:
    """Label 1 where the word ``good`` stands, whatever its case."""
    good = np.array(["good" in text.casefold().split() for text in texts], dtype=np.float64)
    return np.stack([0.9 - 0.8 * good, 0.1 + 0.8 * good], axis=1)


def rows_of(texts: list[str], truths: Truths) -> Rows:
    answers = truths.answers(by_word(texts))
    right = truths.right(answers, np.arange(len(texts)))
    return Rows(texts, [cut(text) for text in texts], truths, answers, right)


def one_label() -> Rows:
    true = np.array(["good" in text for text in TEXTS], dtype=np.int64)
    true[:4] = 1 - true[:4]  # some that the model has wrong
    return rows_of(TEXTS, OneLabel(true, 2))


def measured(rows: Rows, kinds: Sequence[str], ask: Any = by_word) -> Found:
    return measure_perturbed(
        rows, ask, kinds=kinds, strengths=STRENGTHS, resamples=50, seed=1, tell=lambda *_: None
    )


def test_curves_are_what_asking_about_each_text_gives() -> None:
    rows = one_label()
    found = measured(rows, ["typos", "deletion"])
    assert isinstance(rows.truths, OneLabel)
    rights = []
    for kind in ("typos", "deletion"):
        points = found.curves[kind]
        assert [point["strength"] for point in points] == [0.0, *STRENGTHS]
        assert points[0]["flipped"]["value"] == points[0]["drop"]["value"] == 0
        assert points[0]["accuracy"]["value"] == rows.right.mean()
        for k, point in enumerate(points[1:]):
            texts = [perturb(cut(text), kind, STRENGTHS, 1)[k] for text in TEXTS]
            answers = by_word([one.text for one in texts]).argmax(axis=1)
            right = answers == rows.truths.true
            rights.append(right.mean())
            assert point["accuracy"]["value"] == pytest.approx(right.mean())
            assert point["flipped"]["value"] == pytest.approx((answers != rows.answers).mean())
            assert point["drop"]["value"] == pytest.approx(rows.right.mean() - right.mean())
            words = sum(len(one.touched) for one in texts)
            assert point["words_changed"] == words / sum(len(d.words) for d in rows.drafts)
            assert point["rows_changed"] == np.mean([bool(one.touched) for one in texts])
            for name in ("accuracy", "macro_f1", "drop", "flipped"):
                assert point[name]["low"] <= point[name]["value"] <= point[name]["high"]
    assert found.average is not None
    assert found.average["value"] == pytest.approx(np.mean(rights))


def test_what_cannot_hurt_and_what_cannot_be_done() -> None:
    found = measured(one_label(), ["case", "order", "same-sound"])
    assert found.without_effect == ["same-sound"]
    for kind in ("case", "order"):
        assert [point["drop"]["value"] for point in found.curves[kind]] == [0, 0, 0]
        assert found.curves[kind][-1]["rows_changed"] > 0.9
    assert found.adversarial == {}
    nothing = measured(rows_of(["", "!"], OneLabel(np.array([0, 1]), 2)), ["typos"])
    assert (nothing.curves, nothing.average, nothing.words) == ({}, None, {})


def test_texts_that_go_wrong_are_kept_and_the_word_is_found() -> None:
    rows = one_label()
    found = measured(rows, ["typos", "homoglyphs", "deletion"])
    assert len(found.adversarial) > 5
    for one in found.adversarial:
        assert rows.right[one.row] and one.text != TEXTS[one.row]
        assert by_word([one.text]).argmax() != rows.truths.take(np.array([one.row])).true[0]  # type: ignore[attr-defined]
    assert set(found.words) > {"good", "was"}
    assert not any(trials.flips for word, trials in found.words.items() if word != "good")
    first, *others = fragile_words(found.words, 10)
    assert first["word"] == "good" and first["flips"] > 0 and others == []


def test_several_labels() -> None:
    true = np.array([["good" not in text, "good" in text] for text in TEXTS])
    found = measured(rows_of(TEXTS, SeveralLabels(true, 0.5)), ["deletion"])
    points = found.curves["deletion"]
    assert points[0]["subset_accuracy"]["value"] == 1
    assert points[2]["subset_accuracy"]["value"] == 1 - points[2]["flipped"]["value"] < 1


def test_rows_go_in_portions_in_which_no_text_is_asked_about_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = measured(one_label(), ["typos"])
    asked: list[list[str]] = []

    def ask(texts: Sequence[str]) -> F64:
        asked.append(list(texts))
        return by_word(texts)

    monkeypatch.setattr(robustness, "ROWS_AT_ONCE", 7)
    assert measured(one_label(), ["typos"], ask) == whole
    assert len(asked) == 5
    assert all(len(set(part)) == len(part) <= 7 * len(STRENGTHS) for part in asked)


def test_the_most_fragile_words_come_first() -> None:
    words = {
        "rare": Trials({1}, {1}), "often": Trials(set(range(20)), set(range(9))),
        "common": Trials(set(range(300)), set(range(12))), "never": Trials({1, 2}, set()),
        "attacked": Trials(set(), set(), 2),
    }  # fmt: skip
    found = fragile_words(words, 3)
    assert [one["word"] for one in found] == ["often", "attacked", "rare"]
    assert found[0] == {"word": "often", "flips": 9, "tried": 20, "attacks": 0}
    assert Adversarial(0, "a", "typos") == Adversarial(0, "a", "typos")
