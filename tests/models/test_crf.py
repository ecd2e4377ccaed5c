"""The field against the sum over, and the best of, all sequences of tags."""

from __future__ import annotations

import math
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nlpcli.models.crf import Crf

K, W = 3, 4


def field(seed: int, forbidden: float = 0.3) -> Crf:
    """Random scores, in double; some steps may not be, but tag 0 may stand anywhere."""
    rng = np.random.default_rng(seed)
    may = [rng.random(shape) >= forbidden for shape in ((K,), (K, K), (K,))]
    may[0][0] = may[1][0, 0] = may[2][0] = True
    made = Crf(*may).double()
    with torch.no_grad():
        for part in made.parts():
            part.view.copy_(torch.from_numpy(rng.normal(size=tuple(part.view.shape))))
    return made


def sentences(seed: int) -> tuple[Tensor, Tensor]:
    """Emissions of sentences of 1 to W words, and the mask; what is padding holds rubbish."""
    generator = torch.Generator().manual_seed(seed)
    emissions = 2 * torch.randn((W, W, K), generator=generator, dtype=torch.float64)
    mask = torch.arange(W) < torch.arange(1, W + 1)[:, None]
    return emissions.masked_fill(~mask[:, :, None], 1e3), mask


def every_path(
    made: Crf, emissions: Tensor, *, opens: bool = True, closes: bool = True
) -> dict[tuple[int, ...], float]:
    """Tags of one sentence [W, K] and their scores, those that may be."""
    start, transitions, end = (scores.detach().tolist() for scores in made.scores(emissions))
    found = {}
    for tags in product(range(K), repeat=len(emissions)):
        score = sum(float(emissions[i, tag]) for i, tag in enumerate(tags))
        score += sum(transitions[a][b] for a, b in pairwise(tags))
        score += start[tags[0]] * opens + end[tags[-1]] * closes
        if score > -1e5:
            found[tags] = score
    return found


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10_000), st.booleans(), st.booleans())
def test_likelihood_and_best_path_are_those_of_all_paths(
    seed: int, opens: bool, closes: bool
) -> None:
    made = field(seed)
    emissions, mask = sentences(seed)
    borders = [torch.full((W,), flag) for flag in (opens, closes)]
    best = made.best(emissions, mask)
    for row in range(W):
        n_words = row + 1
        paths = every_path(made, emissions[row, :n_words], opens=opens, closes=closes)
        total = math.log(sum(math.exp(score) for score in paths.values()))
        chances = 0.0
        for tags, score in paths.items():
            given_tags = torch.zeros((W, W), dtype=torch.int64)
            given_tags[row, :n_words] = torch.tensor(tags)
            log_p = made.log_likelihood(emissions, given_tags, mask, *borders)[row].item()
            assert log_p == pytest.approx(score - total, abs=1e-6)
            chances += math.exp(log_p)
        assert chances == pytest.approx(1.0, abs=1e-9)
        whole = every_path(made, emissions[row, :n_words])
        assert tuple(best[row, :n_words].tolist()) == max(whole, key=whole.__getitem__)
        assert not best[row, n_words:].any()


def test_gradients() -> None:
    made = field(3, forbidden=0.2)
    emissions, mask = sentences(3)
    tags = made.best(emissions, mask)
    emissions.requires_grad_(True)
    parameters = tuple(made.parameters())

    def likelihood(given: Tensor, *scores: Tensor) -> Tensor:
        names = [name for name, _ in made.named_parameters()]
        return torch.func.functional_call(
            _Likelihood(made), {f"field.{n}": s for n, s in zip(names, scores, strict=True)},
            (given, tags, mask),
        )  # fmt: skip

    assert torch.autograd.gradcheck(likelihood, (emissions, *parameters))
    found = likelihood(emissions, *parameters).sum()
    (gradient,) = torch.autograd.grad(found, emissions)
    assert not gradient[~mask].any() and gradient.isfinite().all()


class _Likelihood(torch.nn.Module):
    def __init__(self, field: Crf) -> None:
        super().__init__()
        self.field = field

    def forward(self, emissions: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        return self.field.log_likelihood(emissions, tags, mask)


def test_what_may_not_be_is_never_chosen_whatever_speaks_for_it() -> None:
    none, all_three = np.array([True, True, False]), np.ones((3, 3), bool)
    all_three[1, 2] = False
    made = Crf(none, all_three, np.array([True, False, True]))
    emissions = torch.tensor([[0.0, 30, 60], [0, 30, 60], [0, 90, 1]]).expand(1, 3, 3)
    assert made.best(emissions, torch.ones(1, 3, dtype=torch.bool)).tolist() == [[0, 2, 2]]


def test_parts_come_back() -> None:
    made, other = field(1), field(2)
    weights = made.weights()
    assert [name for name in weights] == ["crf.transitions", "crf.start", "crf.end"]
    other.load(weights)
    assert all(np.array_equal(weights[name], array) for name, array in other.weights().items())
