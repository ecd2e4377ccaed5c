from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nlpcli.batching.windows import NoiseWords, reach_patterns
from nlpcli.models import overlap, word2vec
from nlpcli.models.row_tables import RowMoves
from nlpcli.models.word2vec import Span, Word2Vec
from nlpcli.models.word2vec_config import Word2VecConfig

N, W = 8, 2
COUNTS = np.array([30, 20, 9, 8, 5, 2, 1])
BAGS = (np.array([0, 2, 5, 6, 8, 9, 10, 12]), np.array([0, 7, 1, 7, 8, 2, 3, 8, 4, 5, 6, 9]), 10)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlap, "LEAST", 4)
    monkeypatch.setattr(word2vec, "POOLS", {"skipgram": (4, 3), "cbow": (4, 3)})


def span() -> Span:
    generator = np.random.default_rng(4)
    tokens = generator.integers(0, len(COUNTS), N + 2 * W, dtype=np.int32)
    reach = generator.integers(0, (W + 1) ** 2, N)
    noise = generator.integers(0, len(COUNTS), (2, 3), dtype=np.int32)
    return Span(*(torch.from_numpy(part) for part in (tokens, reach, noise)))


def model(*, subwords: bool = False, **options: object) -> Word2Vec:
    config = Word2VecConfig(dim=3, window=W, **options)  # type: ignore[arg-type]
    shares = NoiseWords(COUNTS, 0.75).shares
    made = Word2Vec(config, COUNTS, noise_shares=shares, bags=BAGS if subwords else None, seed=2)
    draw = torch.Generator().manual_seed(7)
    made.input.weight.copy_(torch.randn(made.input.weight.shape, generator=draw))
    made.output.weight.copy_(torch.randn(made.output.weight.shape, generator=draw))
    return made


def moved(moves: RowMoves, rows: int) -> Tensor:
    found = torch.zeros(rows, 3)
    sizes = 1 if moves.indptr is None else moves.indptr.diff()
    gradient = torch.repeat_interleave(moves.gradient, sizes, dim=0)  # type: ignore[call-overload]
    return found.index_add_(0, moves.rows.long(), gradient)


def words_of(weight: Tensor, *, subwords: bool) -> Tensor:
    """Vectors of all words. Each row of a bag moves along the whole gradient of the mean."""
    if not subwords:
        return weight
    indptr, rows, _ = BAGS
    means = []
    for begin, end in zip(indptr[:-1].tolist(), indptr[1:].tolist(), strict=True):
        part = weight[torch.from_numpy(rows[begin:end])]
        means.append(part.sum(dim=0) + (part.mean(dim=0) - part.sum(dim=0)).detach())
    return torch.stack(means)


@pytest.mark.parametrize("subwords", [False, True])
@pytest.mark.parametrize("algorithm", ["skipgram", "cbow"])
def test_gradients_of_negative_sampling(algorithm: str, subwords: bool) -> None:
    made, given = model(algorithm=algorithm, subwords=subwords), span()
    moves = made.lane(N).learn(given, measured=True)
    into, out = (t.weight.clone().requires_grad_() for t in (made.input, made.output))
    vectors = words_of(into, subwords=subwords)
    mask = torch.from_numpy(reach_patterns(W))[given.reach]
    loss = torch.zeros(())
    for i in range(N):
        around = [int(given.tokens[i + o]) for o in range(2 * W + 1) if mask[i, o]]
        centre = int(given.tokens[i + W])
        if algorithm == "skipgram":
            hidden, targets = vectors[centre], around
        elif around:
            sums = vectors[around].sum(dim=0)
            hidden = sums + (vectors[around].mean(dim=0) - sums).detach()  # as word2vec.c
            targets = [centre]
        else:
            continue
        for target in targets:
            loss = loss - F.logsigmoid(hidden @ out[target])
            for noise in given.noise[i // 4].tolist():
                loss = loss - 5 / 3 * F.logsigmoid(-hidden @ out[noise])
    down = torch.autograd.grad(loss, [into, out])
    assert moves.loss == pytest.approx(float(loss.detach()), rel=1e-5)
    assert torch.allclose(moved(moves.input, len(into)), -down[0], atol=1e-5)
    assert torch.allclose(moved(moves.output, len(out)), -down[1], atol=1e-5)


@pytest.mark.parametrize("loss", ["ns", "hs", "nce", "softmax"])
@pytest.mark.parametrize("algorithm", ["skipgram", "cbow"])
def test_a_step_makes_every_loss_smaller(algorithm: str, loss: str) -> None:
    made, given = model(algorithm=algorithm, loss=loss), span()
    lane = made.lane(N)
    first = lane.learn(given, measured=True)
    assert first.finite and first.loss is not None
    made.input.move([first.input], 0.02)
    made.output.move([first.output], 0.02)
    second = lane.learn(given, measured=True)
    assert second.loss is not None and second.loss < first.loss


def test_a_number_that_is_not_finite_is_seen() -> None:
    made, given = model(), span()
    made.input.weight[int(given.tokens[W])] = torch.inf
    assert not made.lane(N).learn(given, measured=False).finite


def test_vectors_of_words_with_subwords_are_means() -> None:
    made = model(subwords=True)
    wanted = words_of(made.input.weight, subwords=True)
    assert np.allclose(made.vectors(), wanted.numpy(), atol=1e-6)
    assert np.array_equal(model().vectors(), model().input.weight.numpy())


@pytest.mark.parametrize(
    "options",
    [{"dim": 0}, {"loss": "svm"}, {"algorithm": "svd"}, {"lr": 0.0}, {"max_n": 3}, {"window": 0}],
)
def test_configurations_are_checked(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Word2VecConfig(**options)  # type: ignore[arg-type]
