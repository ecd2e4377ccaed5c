"""3CosAdd by hand."""

from __future__ import annotations

import numpy as np

from nlpcli.data.word_questions import Analogies
from nlpcli.evaluation.analogies import evaluate_analogies
from nlpcli.models.word_vectors import WordVectors

# on a grid: second coordinate royal, third female
WORDS = ["man", "woman", "king", "queen", "King", "Berlin"]
VECTORS = np.array(
    [[1, 0, 0], [1, 0, 1], [1, 2, 0], [1, 2, 1], [1, 2.1, 0], [-1, 0, 0]], np.float32
)
MODEL = WordVectors(WORDS, VECTORS)
Question = tuple[str, str, str, str]


def measured(*questions: Question, limit: int | None = None) -> dict:
    return evaluate_analogies(MODEL, Analogies({"s": list(questions)}), limit=limit)


def test_by_hand() -> None:
    right = ("man", "woman", "king", "queen")
    found = measured(right, ("man", "king", "woman", "queen"), ("man", "king", "woman", "Berlin"))
    assert (found["n"], found["correct"], found["questions"]) == (3, 2, 3)
    assert found["accuracy"]["value"] == 2 / 3
    assert 0 <= found["accuracy"]["low"] < 2 / 3 < found["accuracy"]["high"] <= 1
    assert found["per_section"]["s"]["accuracy"]["value"] == 2 / 3
    always = measured(right)["accuracy"]
    assert always["value"] == always["high"] == 1 and 0.2 < always["low"] < 0.3  # of one question


def test_no_spelling_of_a_question_word_is_an_answer() -> None:
    # king lies nearest to woman - woman + King, and is the same word in another case
    found = measured(("Berlin", "berlin", "KING", "queen"))
    assert found["correct"] == 1
    assert measured(("man", "woman", "king", "QUEEN"))["correct"] == 1


def test_unknown_words_are_counted_and_left_out() -> None:
    questions = [("man", "woman", "king", "queen"), ("man", "woman", "king", "prince")]
    found = measured(*questions, ("boy", "girl", "king", "queen"))
    assert (found["n"], found["out_of_vocabulary"], found["correct"]) == (1, 2, 1)
    assert found["unknown_words"] == ["boy", "girl", "prince"]


def test_words_beyond_the_limit_are_unknown_and_no_answer() -> None:
    found = measured(("man", "woman", "king", "queen"), limit=3)
    assert (found["n"], found["vocabulary"]) == (0, 3)
    assert found["accuracy"] == {"value": None, "low": None, "high": None}
    # every known word is one of the question's
    found = measured(("man", "woman", "king", "king"), limit=3)
    assert (found["n"], found["correct"]) == (1, 0)


def test_total_is_over_questions_not_sections() -> None:
    right, wrong = ("man", "woman", "king", "queen"), ("man", "woman", "king", "Berlin")
    found = evaluate_analogies(MODEL, Analogies({"a": [right], "b": [wrong] * 3, "c": []}))
    assert found["accuracy"]["value"] == 0.25
    assert [found["per_section"][s]["correct"] for s in "abc"] == [1, 0, 0]
    assert found["per_section"]["c"]["accuracy"]["value"] is None
