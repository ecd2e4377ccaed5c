from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch

from nlpcli.batching import windows
from nlpcli.errors import NegativeAnswer
from nlpcli.models.word2vec import Word2Vec
from nlpcli.models.word2vec_config import Word2VecConfig
from nlpcli.training import word2vec as training
from nlpcli.training.ranks import SharedTable
from nlpcli.training.word2vec import Word2VecTraining, WordStep

from .seats import Seat, Table

V, SENTENCE, RANKS = 12, 10, 2


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch, small_spans: None) -> None:
    monkeypatch.setattr(training, "MEETING_WORDS", 100)


def together(
    work: Callable[[Word2VecTraining], list[WordStep]] = list, *, epochs: int = 2,
    n_words: int = 1000, size: int = RANKS, stop: Callable[[int], bool] | None = None,
) -> tuple[list[list[WordStep]], list[Word2VecTraining]]:  # fmt: skip
    """What ``work`` makes of each rank's run, and the runs; words 0-5 and 6-11 stand together."""
    table = Table(size)
    generator = np.random.default_rng(0)
    lines = n_words // SENTENCE
    ids = generator.integers(0, 6, (lines, SENTENCE)) + 6 * (np.arange(lines) % 2)[:, None]
    counts = np.full(V, n_words)
    starts, keep = np.arange(0, n_words + 1, SENTENCE), np.full(V, 0.9, np.float32)
    runs = []
    for rank in range(size):
        config = Word2VecConfig(dim=8, window=3, epochs=epochs, lr=0.2)
        noise = windows.NoiseWords(counts, 0.75)
        model = Word2Vec(config, counts, noise_shares=noise.shares, seed=3)
        flat = ids.ravel().astype(np.int32)
        cut = windows.Windows(flat, starts, keep, 3, multiple=16, seed=3, ranks=size)
        seat: Any = Seat(table, rank, size)
        wish = bool if stop is None else (lambda rank=rank: stop(rank))
        runs.append(Word2VecTraining(model, cut, noise, threads=1, ranks=seat, stop=wish))
    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(work, runs)), runs


def tables(run: Word2VecTraining) -> list[np.ndarray]:  # type: ignore[type-arg]
    return [run._model.input.weight.numpy(), run._model.output.weight.numpy()]


def same(one: Word2VecTraining, other: Word2VecTraining) -> bool:
    return all(map(np.array_equal, tables(one), tables(other)))


def test_a_row_moves_by_what_all_ranks_moved_it_by() -> None:
    moved = [{0: 2.0, 1: 4.0}, {1: 5.0, 2: 0.0}]
    table, at = Table(2), [torch.tensor([[1.0], [2], [3], [4]]) for _ in range(2)]

    def work(rank: int) -> tuple[int, int]:
        shared, seat = SharedTable(at[rank]), Seat(table, rank, 2)
        for row, value in moved[rank].items():
            at[rank][row] = value
        shared.touch(torch.tensor(list(moved[rank]), dtype=torch.int32))
        return shared.add_up(seat), shared.add_up(seat)  # type: ignore[arg-type]

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(work, range(2))) == [(3, 0), (3, 0)]
    for weight in at:
        assert weight.view(-1).tolist() == [2, 7, 0, 4]


@pytest.mark.parametrize("size", [2, 3])
def test_ranks_find_what_stands_together_and_end_alike(size: int) -> None:
    steps, runs = together(epochs=12, size=size)
    assert all(same(runs[0], run) for run in runs[1:])
    found = runs[0]._model.vectors()
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    cosines = found @ found.T
    inside = (cosines[:6, :6].mean() + cosines[6:, 6:].mean()) / 2
    assert inside > cosines[:6, 6:].mean() + 0.5
    assert steps[0][-1].words == steps[0][-1].total == 12_000
    assert same(runs[0], together(epochs=12, size=size)[1][0])


@pytest.mark.parametrize("n_words", [10, 420, 1590])
def test_every_word_is_read_by_one_rank(n_words: int) -> None:
    seen: list[tuple[int, int]] = []

    def work(run: Word2VecTraining) -> list[WordStep]:
        real = run._windows.chunk

        def chunk(epoch: int, number: int) -> windows.Chunk:
            made = real(epoch, number)
            seen.append((number, made.n_read))
            return made

        run._windows.chunk = chunk  # type: ignore[method-assign]
        return list(run)

    together(work, n_words=n_words, epochs=1)
    assert sum(size for _, size in seen) == n_words
    assert len({number for number, _ in seen}) == len(seen)
    sizes = [sum(size for number, size in seen if number % RANKS == rank) for rank in range(RANKS)]
    assert max(sizes) - min(sizes) <= len(seen)


def test_a_run_taken_up_by_rank_0_ends_in_the_same_bits() -> None:
    whole = together()[1][0]
    asked = iter([False] * 5 + [True] * 100)

    def until_stop(run: Word2VecTraining) -> list[WordStep]:
        done = []
        for now in run:
            done.append(now)
            if now.stop:
                break
        return done

    steps, runs = together(until_stop, stop=lambda rank: rank == 1 and next(asked))
    assert [now.stop for now in steps[0]] == [False] * (len(steps[0]) - 1) + [True]
    assert 0 < steps[0][-1].words < steps[0][-1].total and len(steps[0]) == len(steps[1])
    arrays, numbers = runs[0].state()
    arrays = {name: array.copy() for name, array in arrays.items()}

    def go_on(run: Word2VecTraining) -> list[WordStep]:
        if run._rank == 0:
            run.load(arrays, numbers)
        return list(run)

    _, again = together(go_on)
    assert all(same(run, whole) for run in again)
    assert again[0].loss == whole.loss


def test_all_ranks_stop_when_one_diverges() -> None:
    def work(run: Word2VecTraining) -> list[WordStep]:
        if run._rank == 1:
            lane: Any = run._lanes[0]
            real, n = lane.learn, iter(range(100))

            def learn(span: Any, *, measured: bool) -> Any:
                if next(n) == 3:
                    run._model.output.weight[:] = torch.nan
                return real(span, measured=measured)

            lane.learn = learn
        with pytest.raises(NegativeAnswer, match=r"epoch 1, .* not finite") as caught:
            list(run)
        assert ("in another rank" in caught.value.message) == (run._rank == 0)
        return []

    _, runs = together(work)
    assert np.isfinite(tables(runs[0])[0]).all()
