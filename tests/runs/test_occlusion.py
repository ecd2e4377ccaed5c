"""Words that a label hangs on, against texts in which [MASK] is spelled out."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from nlpcli.data.pairs import joined, parted
from nlpcli.runs import occlusion
from nlpcli.runs.answer_columns import Answers
from nlpcli.runs.encoder_classifier import EncoderClassifier
from nlpcli.runs.occlusion import evidence, occlude

from ..store.encoder_classifiers import TEXTS, small_classifier

WORDS = ["the cats", "", "a b, the cat", "a cats 中 b the cats", "dogs!"]


def model(**answering: Any) -> EncoderClassifier:
    return EncoderClassifier(small_classifier(**answering), precision="fp32", device="cpu")


def by_spelling(asked: EncoderClassifier, text: str, label: int) -> list[tuple[Any, ...]]:
    """Each word of a text that fits replaced by [MASK], one a piece."""
    sides = parted([text]) if asked.answering.pair else ([text], [""])
    whole = evidence(asked.logits([text]), np.array([label]), asked.answering)[0]
    found: list[tuple[Any, ...]] = []
    for side in (0, 1):
        own = sides[side][0]
        pieces = asked.cutter.tokenizer.encode_words([own])
        for word in np.unique(pieces.words).tolist():
            at = np.flatnonzero(pieces.words == word)
            begin, end = int(pieces.spans[at[0], 0]), int(pieces.spans[at[-1], 1])
            masked = f"{own[:begin]} {'[MASK] ' * len(at)}{own[end:]}"
            both = [sides[0][0], sides[1][0]]
            both[side] = masked
            given = joined(*both) if asked.answering.pair else masked
            less = evidence(asked.logits([given]), np.array([label]), asked.answering)[0]
            mark = ("ab"[side],) if asked.answering.pair else ()
            found.append((own[begin:end], pytest.approx(whole - less, abs=1e-4), *mark))
    return sorted(found, key=lambda each: -abs(each[1].expected))


@pytest.mark.parametrize(
    "answering",
    [{"scale": 2.0}, {"separator": ";", "threshold": 0.5, "offset": 0.5}, {"pair": True}],
)
def test_each_word_adds_what_is_missing_without_it(answering: dict[str, Any]) -> None:
    asked = model(**answering)
    texts = [joined(a, b) for a in WORDS for b in WORDS[:3]] if asked.pair else WORDS * 2
    labels = np.arange(len(texts)) % 3
    found = occlude(asked, texts, labels.tolist(), 99)
    n_words = 0
    for text, label, row in zip(texts, labels.tolist(), found, strict=True):
        wanted = by_spelling(asked, text, label)
        assert sorted(row, key=lambda each: -abs(each[1])) == row
        # words that add alike may stand in either order
        assert sorted(row) == sorted(wanted, key=lambda each: (each[0], each[1].expected))
        n_words += len(row)
    assert n_words > 20
    amounts = [abs(each[1]) for row in found for each in row]
    assert max(amounts) > 0.1
    few = occlude(asked, texts, labels.tolist(), 2)
    assert few == [row[:2] for row in found]


def test_words_that_are_not_read_add_nothing() -> None:
    text = "a b the cat a b the cats"
    for long, wanted in (("truncate-tail", "a b the cat"), ("truncate-head", "b the cats")):
        found = occlude(model(max_length=6, long=long), [text], [0], 99)[0]
        assert sorted(name for name, *_ in found) == sorted(wanted.split())


def test_in_windows_a_word_counts_where_it_is_read() -> None:
    asked = model(max_length=6, long="window", window_overlap=1)
    text = "a b the cat b"  # windows: a b the cat, and cat b
    found = {name: amount for name, amount, *_ in occlude(asked, [text], [1], 99)[0]}
    rows = asked.cutter.rows([text])
    assert rows.windows is not None and rows.windows.shares.tolist() == [2 / 3, 1 / 3]

    def said(first: str, second: str) -> float:
        logits = np.array([[2 / 3, 1 / 3]]) @ np.concatenate(
            [model(max_length=6).logits([each]) for each in (first, second)]
        )
        return float(evidence(logits, np.array([1]), asked.answering)[0])

    whole = said("a b the cat", "cat b")
    assert said("a b the cat", "cat b") == pytest.approx(
        float(evidence(asked.logits([text]), np.array([1]), asked.answering)[0]), abs=1e-5
    )
    assert found["the"] == pytest.approx(whole - said("a b [MASK] cat", "cat b"), abs=1e-4)
    assert found["cat"] == pytest.approx(whole - said("a b the [MASK]", "[MASK] b"), abs=1e-4)
    assert len(occlude(asked, [text], [1], 99)[0]) == 5


def test_of_long_texts_runs_of_words_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(occlusion, "MOST_UNITS", 4)
    asked = model()
    names = [name for name, *_ in occlude(asked, ["a b the  cat a, b the cat a"], [0], 99)[0]]
    assert sorted(names) == ["a", "a b the", "b the cat", "cat a,"]
    ends = model(max_length=6, long="head-tail")  # of 8 words the first and the last three
    found = occlude(ends, ["b a a a a a cat the a"], [0], 99)[0]
    assert {name for name, *_ in found} == {"b", "cat", "the", "a"}
    monkeypatch.setattr(occlusion, "MOST_UNITS", 2)
    found = occlude(ends, ["b a a a a a cat the a"], [0], 99)[0]
    assert {name for name, *_ in found} == {"b", "cat the", "a"}  # none over what is left out


def test_in_whatever_company(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = model(max_length=8, long="window", window_overlap=2)
    labels = [n % 3 for n in range(len(TEXTS))]
    wanted = occlude(asked, TEXTS, labels, 5)
    monkeypatch.setattr(occlusion, "AT_ONCE", 2)
    for text, label, row in zip(TEXTS, labels, wanted, strict=True):
        alone = occlude(asked, [text], [label], 5)[0]
        np.testing.assert_allclose([r[1] for r in alone], [r[1] for r in row], atol=1e-5)
    again = occlude(asked, TEXTS, labels, 5)
    assert [len(row) for row in again] == [len(row) for row in wanted]


def test_the_column(monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, Any] = {
        "prefix": "p_", "top_k": 1, "threshold": None, "all_probabilities": False,
        "abstain_below": 0.0, "explain": 2,
    }  # fmt: skip
    answers = Answers(model(pair=True), **options)
    assert answers.columns[-1] == "p_explanation"
    cell = json.loads(answers([joined("the cats", "a")])[-1][0])
    assert len(cell) == 2 and all(len(each) == 3 and each[2] in "ab" for each in cell)


def test_evidence_is_what_makes_the_probability() -> None:
    asked = model(scale=1.7)
    logits = asked.logits(WORDS)
    p = asked.probabilities(WORDS)
    for label in range(3):
        z = evidence(logits, np.full(len(WORDS), label), asked.answering)
        np.testing.assert_allclose(1 / (1 + np.exp(-z)), p[:, label], atol=1e-6)
    far = evidence(np.array([[900.0, -900.0]]), np.array([0]), asked.answering)
    assert far.tolist() == [pytest.approx(1.7 * 1800)]
