from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch

from nlpcli.batching.windows import NoiseWords, Windows
from nlpcli.errors import NegativeAnswer
from nlpcli.models.word2vec import Word2Vec
from nlpcli.models.word2vec_config import Word2VecConfig
from nlpcli.training.lanes import Lanes
from nlpcli.training.word2vec import Word2VecTraining

pytestmark = pytest.mark.usefixtures("small_spans")
V, SENTENCE = 12, 10


def run(
    *, threads: int = 1, lr: float = 0.2, epochs: int = 2, stop: Callable[[], bool] = bool,
    **options: str,
) -> Word2VecTraining:  # fmt: skip
    """Words 0-5 stand together, and words 6-11 do."""
    generator = np.random.default_rng(0)
    ids = generator.integers(0, 6, (100, SENTENCE)) + 6 * (np.arange(100) % 2)[:, None]
    flat = ids.ravel().astype(np.int32)
    counts = np.sort(np.bincount(flat, minlength=V))[::-1]
    config = Word2VecConfig(dim=8, window=3, epochs=epochs, lr=lr, **options)  # type: ignore[arg-type]
    noise = NoiseWords(counts, 0.75)
    model = Word2Vec(config, counts, noise_shares=noise.shares, seed=3)
    starts = np.arange(0, len(flat) + 1, SENTENCE)
    keep = np.full(V, 0.9, np.float32)
    made = Windows(flat, starts, keep, 3, multiple=16 * threads, seed=3)
    return Word2VecTraining(model, made, noise, threads=threads, stop=stop)


def vectors(run: Word2VecTraining) -> np.ndarray:  # type: ignore[type-arg]
    return run._model.vectors().copy()


@pytest.mark.parametrize("loss", ["ns", "hs", "nce", "softmax"])
@pytest.mark.parametrize("algorithm", ["skipgram", "cbow"])
def test_words_that_stand_together_come_together(algorithm: str, loss: str) -> None:
    made = run(algorithm=algorithm, loss=loss, epochs=12, threads=2)
    steps = list(made)
    found = vectors(made)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    cosines = found @ found.T
    inside = (cosines[:6, :6].mean() + cosines[6:, 6:].mean()) / 2
    assert inside > cosines[:6, 6:].mean() + 0.5
    assert steps[-1].words == steps[-1].total == 12_000
    assert all(a.words <= b.words for a, b in pairwise(steps))
    assert steps[0].loss is not None and steps[-1].loss is not None
    assert steps[-1].loss < steps[0].loss


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_same_threads_same_bits(threads: int) -> None:
    one, other = run(threads=threads), run(threads=threads)
    list(one)
    list(other)
    assert np.array_equal(vectors(one), vectors(other))
    assert one.loss == other.loss


@pytest.mark.parametrize("stop", [0, 3, 8, 20])
def test_a_run_taken_up_again_ends_in_the_same_bits(stop: int) -> None:
    whole = run(threads=2)
    list(whole)
    first = run(threads=2)
    for number, _ in enumerate(first):
        if number == stop:
            break
    arrays, numbers = first.state()
    arrays = {name: array.copy() for name, array in arrays.items()}
    second = run(threads=2)
    second.load(arrays, numbers)
    assert second.steps_done == first.steps_done > 0
    list(second)
    assert np.array_equal(vectors(second), vectors(whole))
    assert second.loss == whole.loss


def test_a_state_of_another_shape_is_refused() -> None:
    made = run()
    arrays, numbers = made.state()
    with pytest.raises(ValueError, match="output"):
        made.load({**arrays, "output": np.zeros((2, 2), np.float32)}, numbers)


def test_it_says_that_it_is_to_stop() -> None:
    assert [now.stop for now in run(stop=lambda: True)] == [True] * len(list(run()))
    assert not any(now.stop for now in run())


def test_it_stops_before_a_step_that_is_not_finite() -> None:
    made = run()
    made._model.output.weight[:] = torch.nan
    before = vectors(made)
    with pytest.raises(NegativeAnswer, match="epoch 1, step 1"):
        list(made)
    assert np.array_equal(vectors(made), before)


def test_lanes_answer_in_order_and_raise() -> None:
    def slow(number: int) -> int:
        time.sleep(0.01 * (3 - number))
        return number

    def bad(number: int) -> int:
        if number == 2:
            raise ValueError("two")
        return number

    with Lanes(3) as lanes:
        assert lanes.run(slow) == [0, 1, 2]
        with pytest.raises(ValueError, match="two"):
            lanes.run(bad)
        assert lanes.run(slow) == [0, 1, 2]
