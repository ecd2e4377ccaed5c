from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import sparse

from nlpcli.batching.block_matrix import Block, BlockMatrix
from nlpcli.models.association import positive_pmi, tfidf
from nlpcli.models.count_vectors import CountConfig, count_vectors
from nlpcli.models.truncated_svd import truncated_svd

Matrix = npt.NDArray[np.float32]


def blocks(values: npt.ArrayLike, cut: int = 2) -> BlockMatrix:
    """The same in two blocks of rows."""
    whole = np.array(values, np.float32)
    parts = [(0, whole[:cut]), (cut, whole[cut:])]
    return BlockMatrix(
        (whole.shape[0], whole.shape[1]),
        [Block(row, 0, sparse.csr_matrix(part)) for row, part in parts if len(part)],
    )


def dense(matrix: BlockMatrix) -> Matrix:
    found = np.zeros(matrix.shape, np.float32)
    for block in matrix.blocks:
        found[block.rows, block.columns] += block.values.toarray()
    return found


COUNTS = [[0, 4, 1], [4, 0, 0], [1, 0, 6], [0, 0, 0]]


def test_ppmi_worked_by_hand() -> None:
    # 16 in all; words 5, 4, 7, 0; contexts 5, 4, 7
    found = dense(positive_pmi(blocks(COUNTS)))
    wanted = np.zeros((4, 3))
    wanted[0, 1] = wanted[1, 0] = np.log(4 / 16 / (5 / 16 * 4 / 16))
    wanted[2, 2] = np.log(6 / 16 / (7 / 16 * 7 / 16))
    np.testing.assert_allclose(found, wanted, rtol=1e-5)  # PMI of (0, 2): ln (16 / 35) < 0


def test_ppmi_shifted_and_smoothed() -> None:
    counts = np.random.default_rng(1).poisson(2, (6, 5)).astype(np.float32)
    found = positive_pmi(blocks(counts), shift=1.5, smoothing=0.75)
    joint = counts / counts.sum()
    contexts = counts.sum(axis=0) ** 0.75
    with np.errstate(divide="ignore"):
        chance = joint.sum(axis=1)[:, None] * (contexts / contexts.sum())
        pmi = np.log(joint) - np.log(chance)
    np.testing.assert_allclose(dense(found), np.maximum(0, pmi - np.log(1.5)), atol=1e-5)
    assert found.nnz == np.count_nonzero(dense(found))


def test_tfidf_worked_by_hand() -> None:
    found = dense(tfidf(blocks(COUNTS)))
    # the first word is known to 2 of 3 contexts, the second to 1
    assert found[0, 1] == pytest.approx(np.log(5) * (np.log2(3 / 2) + 1))
    assert found[1, 0] == pytest.approx(np.log(5) * (np.log2(3) + 1))
    assert not found[3].any()


@pytest.mark.parametrize("shape", [(40, 25), (25, 40), (12, 7)])
def test_the_strongest_vectors_are_those_of_the_dense_matrix(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(2)
    whole = rng.standard_normal(shape) @ np.diag(0.8 ** np.arange(shape[1]))
    whole = np.where(rng.random(shape) < 0.6, whole, 0).astype(np.float32)
    found = truncated_svd(blocks(whole), 5, seed=1, workers=2, iterations=8)
    left, values, _ = np.linalg.svd(whole.astype(np.float64))
    np.testing.assert_allclose(found.values, values[:5], rtol=1e-4)
    np.testing.assert_allclose(np.abs((found.left * left[:, :5]).sum(axis=0)), 1, atol=1e-3)
    np.testing.assert_allclose(found.left.T @ found.left, np.eye(5), atol=1e-4)
    assert (found.left[np.abs(found.left).argmax(axis=0), np.arange(5)] > 0).all()


def test_seed_decides_and_threads_do_not() -> None:
    whole = np.random.default_rng(3).random((60, 50)).astype(np.float32)
    once, again = (truncated_svd(blocks(whole), 3, seed=1, workers=n, oversample=2) for n in (1, 2))
    assert (once.left == again.left).all() and (once.values == again.values).all()
    other = truncated_svd(blocks(whole), 3, seed=2, oversample=2)
    assert (once.left != other.left).any()


def test_a_matrix_of_low_rank_leaves_zeros() -> None:
    whole = np.outer(np.arange(6), np.arange(1, 8)).astype(np.float32)
    found = truncated_svd(blocks(whole), 4, seed=1)
    assert found.values.shape == (1,)
    vectors = count_vectors(blocks(whole), CountConfig(dim=4, weighting="raw"), seed=1)
    assert vectors.shape == (6, 4)
    assert np.count_nonzero(vectors, axis=1).tolist() == [0, 1, 1, 1, 1, 1]
    nothing = np.zeros((6, 7), np.float32)
    assert not count_vectors(blocks(nothing), CountConfig(dim=4, weighting="raw"), seed=1).any()


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_vectors_are_scaled_singular_vectors(power: float) -> None:
    whole = np.random.default_rng(4).random((9, 8)).astype(np.float32)
    config = CountConfig(dim=3, weighting="raw", eigen_power=power)
    found = count_vectors(blocks(whole), config, seed=1)
    left, values, _ = np.linalg.svd(whole)
    wanted = left[:, :3] * values[:3] ** power
    wanted /= np.sqrt((wanted**2).sum(axis=1).mean())
    np.testing.assert_allclose(found @ found.T, wanted @ wanted.T, atol=2e-3)


@pytest.mark.parametrize("weighting", ["raw", "tfidf", "ppmi"])
def test_words_in_the_same_company_are_near(weighting: str) -> None:
    """Words 0 and 1 stand beside 4 and 5, words 2 and 3 beside 6 and 7."""
    counts = np.ones((8, 8))
    counts[np.ix_([0, 1], [4, 5])] = counts[np.ix_([2, 3], [6, 7])] = [[20, 30], [30, 20]]
    counts += counts.T
    config = CountConfig(dim=4, weighting=weighting)  # type: ignore[arg-type]
    vectors = count_vectors(blocks(counts), config, seed=1)
    cosines = vectors @ vectors.T
    assert cosines[0, 1] > cosines[0, [2, 3, 6, 7]].max()
    assert cosines[2, 3] > cosines[2, [0, 1, 4, 5]].max()


@pytest.mark.parametrize(
    "wrong", [{"dim": 0}, {"weighting": "x"}, {"shift": 0.5}, {"smoothing": 2}, {"eigen_power": -1}]
)
def test_wrong_recipes_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        CountConfig(**wrong)  # type: ignore[arg-type]
