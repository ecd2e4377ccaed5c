"""How freely weights move: against a table by hand, and the SVM it stands for."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from sklearn.svm import LinearSVC

from nlpcli.batching.labels import LabelSets
from nlpcli.models.config import FastTextConfig
from nlpcli.text.tokenizer import Bags
from nlpcli.training.fit import Examples, Fitting
from nlpcli.training.freedom import LEAST, MOST_LABELS, feature_freedom

TEXTS = [[0, 1], [0], [0, 2], [1], [1, 3], [0, 1]]
LABELS = [0, 0, 0, 1, 1, 2]


def _bags(texts: list[list[int]]) -> Bags:
    indptr = np.cumsum([0, *map(len, texts)])
    ids = np.array([i for text in texts for i in text], np.int32)
    weights = np.concatenate([np.full(len(t), 1 / math.sqrt(len(t)), np.float32) for t in texts])
    return Bags(indptr, ids, weights)


def _sets(labels: list[int], n_labels: int = 3) -> LabelSets:
    return LabelSets(np.arange(len(labels) + 1), np.array(labels, np.int64), n_labels)


def _by_hand(texts: list[list[int]], labels: list[int], feature: int) -> float:
    total, n = 0.0, len(texts)
    for label in set(labels):
        a = sum(feature in t and k == label for t, k in zip(texts, labels, strict=True)) + 0.5
        b = sum(feature in t and k != label for t, k in zip(texts, labels, strict=True)) + 0.5
        c = sum(feature not in t and k == label for t, k in zip(texts, labels, strict=True)) + 0.5
        d = sum(feature not in t and k != label for t, k in zip(texts, labels, strict=True)) + 0.5
        total += labels.count(label) / n * math.log(a * d / (b * c)) ** 2
    return total


def test_it_is_the_mean_square_of_log_odds() -> None:
    found = feature_freedom(_bags(TEXTS), _sets(LABELS), np.arange(6), 5, 0.5)
    assert found is not None
    squares = [_by_hand(TEXTS, LABELS, feature) for feature in range(4)]
    unit = (squares[2] + squares[3]) / 2  # features 2 and 3 are of a single text
    wanted = [max(s / unit, LEAST) ** 0.5 for s in squares]
    assert found.tolist() == pytest.approx([*wanted, 1.0], rel=1e-6)  # nobody has feature 4


def test_only_chosen_texts_are_looked_at() -> None:
    chosen = np.array([0, 1, 3, 4])
    few = feature_freedom(_bags(TEXTS), _sets(LABELS), chosen, 5, 0.25)
    texts, labels = [TEXTS[i] for i in chosen], [LABELS[i] for i in chosen]
    alone = feature_freedom(_bags(texts), _sets(labels), np.arange(4), 5, 0.25)
    assert few is not None and alone is not None
    assert few.tolist() == alone.tolist()
    assert few[2] == 1  # only a text that was not chosen has it


def test_several_labels_a_text() -> None:
    sets = LabelSets(np.array([0, 2, 3, 3]), np.array([0, 1, 0]), 2)
    found = feature_freedom(_bags([[0], [0, 1], [1]]), sets, np.arange(3), 2, 1.0)
    assert found is not None and np.isfinite(found).all() and (found > 0).all()


@pytest.mark.parametrize("case", ["power", "labels", "texts"])
def test_there_may_be_none(case: str) -> None:
    sets = _sets(LABELS, MOST_LABELS + 1 if case == "labels" else 3)
    chosen = np.arange(0 if case == "texts" else 6)
    power = 0.0 if case == "power" else 0.25
    assert feature_freedom(_bags(TEXTS), sets, chosen, 5, power) is None


def test_the_model_is_the_svm_of_scaled_features() -> None:
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 2, 240)
    texts = [
        sorted({int(f) for f in [*rng.integers(0, 6, 2) + 6 * k, *rng.integers(12, 40, 4)]})
        for k in np.where(rng.random(240) < 0.2, 1 - labels, labels)
    ]
    bags, sets = _bags(texts), _sets(labels.tolist(), 2)
    config = FastTextConfig(epochs=80, batch_size=16, freedom=0.5)
    fitting = Fitting(
        config, Examples(bags, sets), None, n_features=40, seed=1, device=torch.device("cpu")
    )
    for _ in fitting:
        pass
    held_out, _ = fitting.held_out()
    assert len(held_out) == 32
    free = feature_freedom(bags, sets, np.setdiff1d(np.arange(240), held_out), 40, 0.5)
    assert free is not None and free.max() / free.min() > 2
    matrix = csr_matrix((bags.weights, bags.ids, bags.indptr), (240, 40))
    scaled = matrix.multiply(np.sqrt(free)).tocsr()
    svm = LinearSVC(intercept_scaling=100, tol=1e-8, max_iter=100_000).fit(scaled, labels)
    weight = fitting.scorer.weight[:, 1]
    # the biases, which are not found in the same way, shift all weights a little
    near = np.corrcoef(weight, svm.coef_[0] * np.sqrt(free))[0, 1]
    assert near > 0.998
    even = LinearSVC(intercept_scaling=100, tol=1e-8, max_iter=100_000).fit(matrix, labels)
    assert np.corrcoef(weight, even.coef_[0])[0, 1] < 0.99
