"""Against scikit-learn, and against tables worked by hand."""

import math

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.feature_selection import chi2 as sklearn_chi2
from sklearn.feature_selection import mutual_info_classif

from nlpcli.text import select


def made(n_labels: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, select.Table]:
    """Counts [documents, features], labels, and the table of both."""
    draws = np.random.default_rng(seed)
    x = draws.poisson(0.4, (60, 25))
    x[:, 0] = 1  # in every document
    y = draws.integers(0, n_labels, 60)
    x[:, 1] = y == 0
    one_hot = np.eye(n_labels, dtype=np.int64)[y]
    table = select.Table(
        x.sum(axis=0), (x > 0).sum(axis=0), x.T @ one_hot, (x.T > 0) @ one_hot,
        one_hot.sum(axis=0), 60,
    )  # fmt: skip
    return x, y, table


@pytest.mark.parametrize("n_labels", [2, 3, 7])
def test_chi2_is_that_of_scikit_learn(n_labels: int) -> None:
    x, y, table = made(n_labels)
    np.testing.assert_allclose(select.chi2(table), sklearn_chi2(x, y)[0], rtol=1e-9, atol=1e-12)
    for label in range(n_labels):
        wanted = sklearn_chi2(x, y == label)[0]
        np.testing.assert_allclose(select.chi2_of_label(table, label), wanted, atol=1e-9)


@pytest.mark.parametrize("n_labels", [2, 3, 7])
def test_information_is_that_of_scikit_learn(n_labels: int) -> None:
    x, y, table = made(n_labels)
    wanted = mutual_info_classif(x > 0, y, discrete_features=True)
    np.testing.assert_allclose(select.mutual_information(table), wanted, atol=1e-9)
    np.testing.assert_allclose(select.entropy(table), wanted / math.log(2), atol=1e-9)
    for label in range(n_labels):
        wanted = mutual_info_classif(x > 0, y == label, discrete_features=True)
        found = select.of_label("mutual-information", table, label)
        np.testing.assert_allclose(found, wanted, atol=1e-9)
        np.testing.assert_allclose(
            select.of_label("entropy", table, label) * math.log(2), found, atol=1e-9
        )


def test_idf_is_that_of_scikit_learn() -> None:
    x, y, table = made(3)
    np.testing.assert_allclose(
        select.overall("idf", table), TfidfTransformer().fit(x).idf_, rtol=1e-9
    )
    inside = TfidfTransformer().fit(x[y == 1]).idf_
    np.testing.assert_allclose(select.of_label("idf", table, 1), inside, rtol=1e-9)


def test_a_table_worked_by_hand() -> None:
    # 4 documents, 2 of each label; the feature is in both of the first and in one of the second
    table = select.Table(
        np.array([3]), np.array([3]), np.array([[2, 1]]), np.array([[2, 1]]), np.array([2, 2]), 4
    )
    assert select.chi2(table)[0] == pytest.approx(0.5**2 / 1.5 * 2, abs=1e-12)
    gain = 1 - 0.75 * (2 / 3 * math.log2(3 / 2) + 1 / 3 * math.log2(3)) - 0.25 * 0
    assert select.entropy(table)[0] == pytest.approx(gain, abs=1e-12)
    assert select.mutual_information(table)[0] == pytest.approx(gain * math.log(2), abs=1e-12)
    assert select.idf(table.documents, 4)[0] == pytest.approx(math.log(5 / 4) + 1, abs=1e-12)


def test_several_labels_a_document_and_one_label_in_all() -> None:
    # 4 documents with labels ab, a, b, none: each label tells 1 bit · something on its own
    counts = np.array([2])
    table = select.Table(
        counts, counts, np.array([[2, 1]]), np.array([[2, 1]]), np.array([2, 2]), 4
    )
    assert select.mutual_information_of_label(table, 0)[0] == pytest.approx(math.log(2))
    assert select.mutual_information_of_label(table, 1)[0] == pytest.approx(0)
    three = select.Table(
        counts, counts, np.array([[2, 1]]), np.array([[2, 1]]), np.array([2, 1]), 4
    )
    of_each = [select.mutual_information_of_label(three, k)[0] for k in (0, 1)]
    wanted = (2 * of_each[0] + of_each[1]) / 3
    assert select.mutual_information(three)[0] == pytest.approx(wanted)
    alone = select.Table(counts, counts, counts[None], counts[None], np.array([4]), 4)
    for name in ("chi2", "entropy", "mutual-information"):
        assert select.overall(name, alone)[0] == 0
        assert select.of_label(name, alone, 0)[0] == 0
