"""The linear SVM by dual coordinate ascent, against scikit-learn's LIBLINEAR."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from sklearn.svm import LinearSVC

from nlpcli.batching.bags import BagBatches, good_batch_size, n_held_out
from nlpcli.batching.labels import LabelSets
from nlpcli.models.config import FastTextConfig
from nlpcli.models.fasttext import FastText
from nlpcli.text.config import TokenizerConfig
from nlpcli.text.tokenizer import Tokenizer
from nlpcli.training.dual import DualUpdate
from nlpcli.training.fit import Examples, Fitting

CPU = torch.device("cpu")


def _examples(n: int, noise: float = 0.2) -> tuple[Examples, csr_matrix, np.ndarray]:
    rng = np.random.default_rng(3)
    ids = rng.integers(0, 3, n)
    words = [
        [f"c{i}w{j}" for j in rng.integers(0, 12, 4)] + [f"x{j}" for j in rng.integers(0, 30, 4)]
        for i in ids
    ]
    flipped = rng.random(n) < noise
    ids = np.where(flipped, rng.integers(0, 3, n), ids)
    tokenizer, bags = Tokenizer.fit(TokenizerConfig(word_ngrams=1), [" ".join(w) for w in words])
    matrix = csr_matrix((bags.weights, bags.ids, bags.indptr), (n, tokenizer.n_features))
    sets = LabelSets(np.arange(n + 1), ids.astype(np.int64), 3)
    return Examples(bags, sets), matrix, ids


def _trained(examples: Examples, n_features: int, **config: object) -> Fitting:
    more = {"batch_size": 16, "epochs": 80, "freedom": 0.0, **config}
    fitting = Fitting(
        FastTextConfig(**more), examples, None, n_features=n_features, seed=1, device=CPU  # type: ignore[arg-type]
    )  # fmt: skip
    for _ in fitting:
        pass
    return fitting


@pytest.mark.parametrize("cost", [0.1, 1.0, 5.0])
def test_it_is_the_svm_of_liblinear(cost: float) -> None:
    examples, matrix, ids = _examples(300)
    scorer = _trained(examples, matrix.shape[1], cost=cost).scorer
    reference = LinearSVC(C=cost, intercept_scaling=100, tol=1e-8, max_iter=100_000)
    wanted = reference.fit(matrix, ids).decision_function(matrix)
    ours = scorer.logits(examples.bags.indptr, examples.bags.ids, examples.bags.weights)
    assert (ours.argmax(axis=1) == wanted.argmax(axis=1)).mean() > 0.97
    signs = 2 * np.eye(3)[ids] - 1

    def objective(weight: np.ndarray, scores: np.ndarray) -> np.ndarray:
        return (weight**2).sum(0) / 2 + cost * (np.maximum(0, 1 - signs * scores) ** 2).sum(0)

    least = objective(reference.coef_.T, wanted)
    assert (objective(scorer.weight, ours) < 1.02 * least).all()


def test_weights_of_rows_are_costs_of_rows() -> None:
    examples, matrix, ids = _examples(200)
    importance = np.random.default_rng(1).uniform(0.1, 3, 200).astype(np.float32)
    weighted = Examples(examples.bags, examples.labels, importance)
    scorer = _trained(weighted, matrix.shape[1]).scorer
    reference = LinearSVC(C=1, intercept_scaling=100, tol=1e-8, max_iter=100_000)
    wanted = reference.fit(matrix, ids, sample_weight=importance).decision_function(matrix)
    ours = scorer.logits(examples.bags.indptr, examples.bags.ids, examples.bags.weights)
    assert np.corrcoef(ours.ravel(), wanted.ravel())[0, 1] > 0.999


def test_the_weights_are_the_sum_of_what_the_duals_pull() -> None:
    examples, matrix, _ = _examples(60)
    bags = examples.bags
    batches = BagBatches(bags.indptr, bags.ids, bags.weights, examples.labels, batch_size=7, seed=1)
    model = FastText(FastTextConfig(), matrix.shape[1], 3, torch.Generator())
    update = DualUpdate(model, batches)
    with torch.no_grad():
        for number in [*range(len(batches)), 2, 0]:
            batch = batches.batch(number)
            _, move = update.gradient(batch, number)
            update.apply(batch, number, move, 1.0)
    order = np.concatenate([batches.texts(n) for n in range(len(batches))])
    signs = 2 * examples.labels.dense(order) - 1
    wanted = matrix[order].T @ (update.alpha.numpy() * signs)
    assert (update.alpha >= 0).all() and update.alpha.max() > 0
    assert np.allclose(model.weight.numpy(), wanted, atol=1e-5)


def test_the_first_half_does_not_see_the_held_out_texts() -> None:
    examples, matrix, ids = _examples(400, noise=0.0)
    spoiled = np.where(np.arange(400) % 2, (ids + 1) % 3, ids)  # labels nobody can know
    sets = LabelSets(np.arange(401), spoiled.astype(np.int64), 3)
    fitting = _trained(Examples(examples.bags, sets), matrix.shape[1], epochs=41, cost=100.0)
    texts, logits = fitting.held_out()
    assert len(texts) == 2 * 16 and len(set(texts.tolist())) == 32
    bags = examples.bags
    learnt = fitting.scorer.logits(bags.indptr, bags.ids, bags.weights)[texts].argmax(axis=1)
    unseen = logits.argmax(axis=1)
    assert (learnt == spoiled[texts]).mean() > (unseen == spoiled[texts]).mean() + 0.1


def test_sizes_follow_the_data() -> None:
    assert good_batch_size(10_000, 150_000) == 256
    assert good_batch_size(10_000, 5_000_000) == 64
    assert good_batch_size(10_000, 400_000) == 102
    assert good_batch_size(100, 1_500) == 5
    assert good_batch_size(3, 10) == 1
    assert (n_held_out(3, 1), n_held_out(100, 64), n_held_out(100_000, 256)) == (0, 10, 79)
