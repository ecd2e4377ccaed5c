"""Nearest words and analogies, by name."""

from __future__ import annotations

import numpy as np
import pytest

from nlpcli.errors import DataError
from nlpcli.models.word_vectors import SubwordVectors, WordVectors
from nlpcli.runs.neighbors import Neighbors

WORDS = ["man", "woman", "king", "queen", "north"]
VECTORS = np.array([[2, 0, 0], [1, 0, 1], [3, 3, 0], [1, 1, 1], [0, 0, -1]], np.float32)


def asked(k: int = 3, subwords: SubwordVectors | None = None) -> Neighbors:
    return Neighbors(WordVectors(WORDS, VECTORS, None, subwords), "m", k)


def test_a_word_is_no_neighbour_of_its_own() -> None:
    found = asked().of_word("man")
    assert [word for word, _ in found] == ["woman", "king", "queen"]
    np.testing.assert_allclose([x for _, x in found], [0.5**0.5, 0.5**0.5, 3**-0.5], rtol=1e-6)
    assert len(asked(99).of_word("man")) == 4


def test_lengths_do_not_count_in_an_analogy() -> None:
    # the sum of the vectors as they are would point to another place
    root = 0.5**0.5
    target = np.array([root, 0, root]) - [1, 0, 0] + [root, root, 0]
    found = asked(1).of_analogy("man", "woman", "king")
    wanted = (target @ [1, 1, 1]) / np.linalg.norm(target) / 3**0.5
    assert found == [("queen", pytest.approx(wanted))]
    assert len(asked(99).of_analogy("man", "man", "king")) == 3


def test_a_word_that_is_not_there() -> None:
    with pytest.raises(DataError, match=r"m: no vector for 'kingg', .* its 5 words") as caught:
        asked().of_word("kingg")
    assert caught.value.hint == "did you mean king?"
    with pytest.raises(DataError, match="'QUEEN'") as caught:
        asked().of_analogy("man", "king", "QUEEN")
    assert caught.value.hint == "did you mean queen?"
    with pytest.raises(DataError) as caught:
        asked().of_word("zzzz\n")
    assert caught.value.hint is None and "\n" not in caught.value.message


def test_subwords_answer_for_it() -> None:
    table = np.array([[0, 0, -2]], np.float32)
    found = asked(2, SubwordVectors(3, 3, table)).of_word("norths")
    assert found[0] == ("north", 1.0)
