from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.batching import cooccurrence
from nlpcli.batching.block_matrix import BlockMatrix
from nlpcli.batching.cooccurrence import Window, term_document_counts, word_context_counts
from nlpcli.batching.subsampling import keep_probabilities
from nlpcli.errors import Unavailable


def dense(matrix: BlockMatrix) -> npt.NDArray[np.float32]:
    found = np.zeros(matrix.shape, np.float32)
    for block in matrix.blocks:
        assert (found[block.rows, block.columns] == 0).all()
        found[block.rows, block.columns] = block.values.toarray()
        assert block.values.has_canonical_format
    return found


def corpus(
    sentences: list[list[int]],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    ids = np.array([i for words in sentences for i in words], np.int32)
    starts = np.cumsum([0, *map(len, sentences)])
    return ids, starts, np.bincount(ids)


def counted(sentences: list[list[int]], window: Window, workers: int = 2) -> BlockMatrix:
    ids, starts, counts = corpus(sentences)
    return word_context_counts(ids, starts, counts, window, seed=1, workers=workers)


def test_a_table_worked_by_hand() -> None:
    # a b c | c a: of b and c, at distance 1, 1; of a and c, at distance 2, half
    found = dense(counted([[0, 1, 2], [2, 0]], Window(size=2, sample=0)))
    assert found.tolist() == [[0, 1, 1.5], [1, 0, 1], [1.5, 1, 0]]
    harmonic = Window(size=2, sample=0, weights="harmonic")
    assert dense(counted([[0, 1, 2], [2, 0]], harmonic))[0, 2] == 1.5
    flat = Window(size=2, sample=0, weights="flat")
    assert dense(counted([[0, 1, 2], [2, 0]], flat))[0, 2] == 2
    # a word beside itself
    assert dense(counted([[0, 0]], Window(size=1, sample=0))).tolist() == [[2]]


SENTENCES = st.lists(
    st.lists(st.integers(0, 6), min_size=1, max_size=12), min_size=1, max_size=12
).filter(lambda found: len({i for words in found for i in words}) == 1 + max(map(max, found)))


@settings(max_examples=40, deadline=None)
@given(SENTENCES, st.integers(1, 4), st.sampled_from(["linear", "harmonic", "flat"]))
def test_counts_are_those_of_a_plain_loop(
    sentences: list[list[int]], size: int, weights: cooccurrence.WindowWeights
) -> None:
    window = Window(size=size, weights=weights, sample=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cooccurrence, "CHUNK", 13)  # longer than a sentence
        found = dense(counted(sentences, window))
    wanted = np.zeros_like(found)
    for words in sentences:
        for i, word in enumerate(words):
            for o in range(1, size + 1):
                if i + o < len(words):
                    wanted[word, words[i + o]] += window.weight(o)
                    wanted[words[i + o], word] += window.weight(o)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_threads_and_sums_change_nothing() -> None:
    rng = np.random.default_rng(1)
    sentences = [rng.integers(0, 50, 9).tolist() for _ in range(300)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cooccurrence, "CHUNK", 100)
        window = Window(sample=0.01)
        one, three = counted(sentences, window, 1), counted(sentences, window, 3)
    assert (dense(one) == dense(three)).all()
    assert one.nnz == np.count_nonzero(dense(one))
    np.testing.assert_allclose(one.row_sums(), dense(one).sum(axis=1), rtol=1e-6)
    np.testing.assert_allclose(one.column_sums(), dense(one).sum(axis=0), rtol=1e-6)
    assert one.filled_columns().tolist() == np.count_nonzero(dense(one), axis=1).tolist()


def test_a_sentence_longer_than_a_chunk_is_cut() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cooccurrence, "CHUNK", 2)
        found = dense(counted([[0, 1, 2, 3]], Window(size=1, sample=0)))
    assert np.argwhere(found).tolist() == [[0, 1], [1, 0], [2, 3], [3, 2]]


def test_products_are_those_of_the_dense_matrix() -> None:
    rng = np.random.default_rng(1)
    sentences = [rng.integers(0, 30, 9).tolist() for _ in range(40)]
    matrices = [counted(sentences, Window(sample=0))]
    ids, starts, _ = corpus(sentences)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cooccurrence, "CHUNK", 50)
        matrices.append(term_document_counts(ids, starts, 30))
    assert len(matrices[1].blocks) > 1
    for matrix in matrices:
        right = rng.standard_normal((matrix.shape[1], 5), dtype=np.float32)
        back = rng.standard_normal((matrix.shape[0], 5), dtype=np.float32)
        np.testing.assert_allclose(matrix.times(right, 2), dense(matrix) @ right, rtol=1e-4)
        np.testing.assert_allclose(
            matrix.transposed_times(back, 2), dense(matrix).T @ back, rtol=1e-4, atol=1e-4
        )
        assert (matrix.times(right, 1) == matrix.times(right, 3)).all()


def test_words_in_documents() -> None:
    ids, borders, _ = corpus([[0, 1, 0], [2, 2, 1], [0]])
    for chunk in (1, 3, 100):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cooccurrence, "CHUNK", chunk)
            found = dense(term_document_counts(ids, borders, 3))
        assert found.tolist() == [[2, 0, 1], [1, 1, 0], [0, 2, 0]]


def test_too_little_memory_is_told() -> None:
    ids, starts, counts = corpus([[0, 1, 2]])
    with pytest.raises(Unavailable, match="6 counts of word pairs"):
        word_context_counts(ids, starts, counts, Window(sample=0), seed=1, workers=1, room=50)
    with pytest.raises(Unavailable):
        term_document_counts(ids, starts, 3, room=40)


def test_progress_ends_at_the_last_word() -> None:
    ids, starts, counts = corpus([[0, 1, 2]] * 10)
    told: list[tuple[int, int]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cooccurrence, "CHUNK", 7)
        word_context_counts(
            ids, starts, counts, Window(), seed=1, workers=1,
            progress=lambda *seen: told.append(seen),
        )  # fmt: skip
    assert told == [(6, 30), (12, 30), (18, 30), (24, 30), (30, 30)]


@pytest.mark.parametrize(
    "wrong",
    [{"size": 0}, {"weights": "square"}, {"sample": -1.0}, {"sample": 1.0}, {"formula": "x"}],
)
def test_wrong_windows_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        Window(**wrong)  # type: ignore[arg-type]


def test_how_probable_it_is_to_be_kept() -> None:
    counts = np.array([9000, 900, 99, 1])
    assert keep_probabilities(counts, 0, "word2vec").tolist() == [1, 1, 1, 1]
    paper = keep_probabilities(counts, 0.001, "paper")
    np.testing.assert_allclose(paper, [(1 / 900) ** 0.5, (1 / 90) ** 0.5, (10 / 99) ** 0.5, 1])
    both = keep_probabilities(counts, 0.001, "word2vec")
    np.testing.assert_allclose(both[:2], [(1 / 900) ** 0.5 + 1 / 900, (1 / 90) ** 0.5 + 1 / 90])
    assert both[3] == 1


def test_words_are_kept_as_often_as_they_should() -> None:
    sentences = [[0, 1, 0, 0]] * 5000
    keep = keep_probabilities(np.array([15000, 5000]), 0.02, "paper")
    found = dense(counted(sentences, Window(size=1, sample=0.02, formula="paper")))
    # 0 beside 1: on both sides, on one with the next kept, ...: compared with drawing by hand
    rng = np.random.default_rng(5)
    wanted = 0
    for words in sentences:
        kept = [word for word in words if rng.random() < keep[word]]
        wanted += sum(a != b for a, b in pairwise(kept))
    assert found[0, 1] == pytest.approx(wanted, rel=0.15)


def test_a_short_text_keeps_its_rare_words() -> None:
    few, many = np.array([300, 60, 30, 3]), np.array([3_000_000, 90, 30])
    kept = keep_probabilities(few, None, "word2vec")
    assert kept[2:].tolist() == [1, 1]
    assert kept[0] < 0.5
    usual = keep_probabilities(many, 1e-4, "word2vec")
    assert keep_probabilities(many, None, "word2vec").tolist() == usual.tolist()
