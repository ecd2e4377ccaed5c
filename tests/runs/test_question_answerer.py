"""Answers are stretches of their contexts, whatever is asked with whom."""

from __future__ import annotations

import functools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.errors import DataError
from nlpcli.runs.question_answerer import (
    Answer,
    Candidates,
    QuestionAnswerer,
    chosen_answers,
    plain_answerer,
)
from nlpcli.store.encoder import Encoder
from nlpcli.store.question_answerer import Asking, StoredAnswerer

from ..formats.bert_folder import TINY, TOKENIZER, random_weights

PAIRS = [
    ("the cat?", "a b  the Cat 中 " * 6), ("", "a cat"), ("the?", ""), ("b", " \t\n"),
    ("the cat?", "É́ ß [SEP] 中文 \x1e \u200b x" * 3), ("a " * 40, "cats b" * 9),
    ("中", "\u0130" * 30), ("the cat?", "\u200b\x07"),
]  # fmt: skip


@functools.cache
def answerer(threshold: float | None = None) -> QuestionAnswerer:
    encoder = Encoder(
        config=TINY, weights=random_weights("BertForQuestionAnswering"),
        tokenizer_json=TOKENIZER, architecture="BertForQuestionAnswering",
    )  # fmt: skip
    asking = Asking(20, 6, 5, 4, threshold)
    made = QuestionAnswerer(StoredAnswerer(encoder, asking), device="cpu", precision="fp32")
    made.ready()
    return made


def check(pairs: list[tuple[str, str]], threshold: float | None) -> None:
    for (_, context), answers in zip(pairs, answerer(threshold).answers(pairs, 3), strict=True):
        assert 1 <= len(answers) <= 3 and len({answer.text for answer in answers}) == len(answers)
        assert sum(answer.probability for answer in answers) <= 1 + 1e-9
        for answer in answers:
            assert 0 <= answer.probability <= 1
            if answer.start < 0:
                assert (answer.text, answer.start) == ("", -1)
                assert threshold is not None or len(answers) == 1
            else:
                assert answer.text.strip()
                assert context[answer.start : answer.start + len(answer.text)] == answer.text


def test_silence_above_a_lead_is_as_if_it_was_stored() -> None:
    made = QuestionAnswerer(answerer().stored, device="cpu", precision="fp32")
    made._model = answerer().ready()
    for lead in (-1e3, 0.0, 1e3):
        made.be_silent_above(lead)
        assert made.answers(PAIRS, 3) == answerer(lead).answers(PAIRS, 3)


def test_questions_that_are_cut_are_counted_as_often_as_they_are_asked() -> None:
    made = QuestionAnswerer(answerer().stored, device="cpu")
    made._model = answerer().ready()
    made.answers([PAIRS[0], PAIRS[0]])
    assert made.long_texts.lines() == []
    made.answers([PAIRS[5], PAIRS[1], PAIRS[5]])
    assert made.long_texts.lines() == ["questions that are too long and cut: 2 of 5"]


@pytest.mark.parametrize("threshold", [None, 0.0, -9.0])
def test_answers_are_stretches_of_contexts(threshold: float | None) -> None:
    check(PAIRS, threshold)
    best = [answers[0] for answers in answerer(threshold).answers(PAIRS)]
    nothing = [answer == Answer("", -1, 1.0) for answer in best]
    assert nothing[2] and nothing[3] and nothing[7]
    if threshold == -9:
        assert all(answer.start == -1 for answer in best)


characters = st.sampled_from("ab the cats中 ") | st.characters(exclude_categories=["Cs"])
odd = st.text(characters, max_size=60)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(odd, odd), min_size=1, max_size=3), st.sampled_from([None, 0.0]))
def test_of_any_text(pairs: list[tuple[str, str]], threshold: float | None) -> None:
    check(pairs, threshold)


def test_whoever_is_asked_beside() -> None:
    together = answerer(0.0).answers([*PAIRS, PAIRS[0]])
    assert together[0] == together[-1] and answerer(0.0).answers([]) == []
    for pair, answers in zip(PAIRS, together, strict=False):
        (alone,) = answerer(0.0).answers([pair])
        assert (alone[0].text, alone[0].start) == (answers[0].text, answers[0].start)
        assert alone[0].probability == pytest.approx(answers[0].probability, abs=1e-6)


def test_no_answer_among_the_others() -> None:
    one, two, nothing = Answer("a", 0, 0.5), Answer("b", 2, 0.1), Answer("", -1, 0.3)
    found = Candidates([one, two, nothing], -0.5)
    assert chosen_answers(found, None) == [one, two]
    assert chosen_answers(found, 0.0) == [one, nothing, two]
    assert chosen_answers(found, -0.5) == [one, nothing, two]
    assert chosen_answers(found, -1.0) == [nothing, one, two]
    assert chosen_answers(Candidates([nothing], float("inf")), None) == [nothing]


def test_models_that_cannot_be_asked() -> None:
    encoder = answerer().stored.encoder
    for changes, said in (
        ({"max_positions": 3}, "3 positions"),
        ({"type_vocab": 1}, "one segment"),
    ):
        other = replace(encoder, config=replace(encoder.config, **changes))
        with pytest.raises(DataError, match=said):
            plain_answerer(other, "it")
    assert plain_answerer(encoder, "it").stored.asking == Asking(max_length=24)
