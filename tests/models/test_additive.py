import numpy as np
import pytest
import torch

from nlpcli.models.additive import AdditiveClassifier, bag_sums, sigmoid, softmax
from nlpcli.models.config import FastTextConfig
from nlpcli.models.fasttext import FastText

V, K, B = 50, 7, 40


def _bags(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(0, 9, B)
    sizes[[0, 5, B - 1]] = 0
    indptr = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
    weights = rng.random(indptr[-1]) + 0.01
    weights /= np.sqrt(np.bincount(np.repeat(np.arange(B), sizes), weights**2))[
        np.repeat(np.arange(B), sizes)
    ]
    return (
        indptr,
        rng.integers(0, V, indptr[-1]).astype(np.int32),
        weights.astype(np.float32),
    )


def _model(dim: int, loss: str = "softmax") -> tuple[AdditiveClassifier, FastText]:
    generator = torch.Generator().manual_seed(3)
    model = FastText(FastTextConfig(dim=dim, loss=loss), V, K, generator)  # type: ignore[arg-type]
    model.weight.normal_(generator=generator)
    model.bias.normal_(generator=generator)
    output = None if model.output is None else model.output.numpy()
    return AdditiveClassifier(
        model.weight.numpy(), model.bias.numpy(), output, loss == "one-vs-all"
    ), model


@pytest.mark.parametrize("dim", [0, 5])
def test_numpy_and_torch_agree(dim: int) -> None:
    scorer, model = _model(dim)
    indptr, ids, weights = _bags()
    wanted = model(
        torch.from_numpy(ids),
        torch.from_numpy(indptr[:-1].astype(np.int32)),
        torch.from_numpy(weights),
    )
    assert np.allclose(scorer.logits(indptr, ids, weights), wanted.numpy(), atol=2e-5)


@pytest.mark.parametrize("dim", [0, 5])
@pytest.mark.parametrize("loss", ["softmax", "one-vs-all"])
def test_a_bag_is_answered_alike_in_any_company_to_the_bit(dim: int, loss: str) -> None:
    scorer, _ = _model(dim, loss)
    indptr, ids, weights = _bags()
    together = scorer.probabilities(indptr, ids, weights)
    for i in range(B):
        part = slice(indptr[i], indptr[i + 1])
        alone = scorer.probabilities(
            np.array([0, part.stop - part.start]), ids[part], weights[part]
        )
        assert alone.tobytes() == together[i : i + 1].tobytes()


@pytest.mark.parametrize("block", [1, 10, 1000])
def test_sums_do_not_depend_on_the_block(block: int) -> None:
    indptr, ids, weights = _bags(1)
    table = np.random.default_rng(2).random((V, K), np.float32)
    assert (
        bag_sums(table, indptr, ids, weights, block).tobytes()
        == bag_sums(table, indptr, ids, weights).tobytes()
    )


def test_probabilities_are_safe_at_the_extremes() -> None:
    logits = np.array([[1e4, -1e4, 0.0], [0.0, 0.0, 0.0]])
    assert np.allclose(softmax(logits).sum(axis=1), 1)
    assert sigmoid(logits)[0].tolist() == [1.0, 0.0, 0.5]


@pytest.mark.parametrize("dim", [0, 5])
def test_what_a_text_lacks_weakens_its_answer_and_not_the_order_of_labels(dim: int) -> None:
    scorer, _ = _model(dim)
    indptr, ids, weights = _bags()
    filled = np.flatnonzero(np.diff(indptr))
    whole = scorer.logits(indptr, ids, weights)
    for share in (0.9, 0.5, 0.2):
        less = scorer.logits(indptr, ids, (weights * share).astype(np.float32))
        for i in filled:
            assert np.array_equal(less[i].argsort(), whole[i].argsort())
            assert np.ptp(less[i]) == pytest.approx(share * np.ptp(whole[i]), rel=1e-4)
        empty = np.setdiff1d(np.arange(B), filled)
        assert np.array_equal(less[empty], whole[empty])
        assert np.allclose(whole[empty], scorer.bias)
