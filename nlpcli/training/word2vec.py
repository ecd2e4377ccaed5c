"""The training loop of word vectors: chunks of a corpus, steps of a span for each thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nlpcli.batching.windows import NoiseWords, Windows
from nlpcli.errors import NegativeAnswer
from nlpcli.models.word2vec import POOLS, Span, SpanMoves, Word2Vec
from nlpcli.models.word2vec_config import LOWEST_RATE, Word2VecConfig
from nlpcli.training.lanes import Lanes
from nlpcli.training.ranks import Ranks, SharedTable

SPAN, SUBWORD_SPAN, TREE_SPAN = 2048, 1024, 1024
"""Words, after sub-sampling, that a thread learns from at once. An n-gram stands in many words of
a span, which should not grow too long for it; with a tree each word has a dozen rows, which are to
stay in the processor's cache."""
MEASURED_EVERY = 64
"""Steps between two of which the loss is computed."""
REPORT_SECONDS = 0.25
MEETING_WORDS = 1 << 16
"""Words of all ranks, before sub-sampling, after which their tables are brought together; four
times as many cost quality, see LOG.md."""


@dataclass(frozen=True)
class WordStep:
    """Where training stands: ``epoch`` from 1, words of the corpus passed and to pass in all
    epochs, mean ``loss`` of a word since the last step that was told. ``stop``: somebody asked
    this rank, or another one, to end."""

    epoch: int
    words: int
    total: int
    loss: float | None
    stop: bool = False


@dataclass(frozen=True)
class _Ready:
    """A chunk on the device, cut into spans."""

    tokens: Tensor
    reach: Tensor
    noise: Tensor


def span_size(config: Word2VecConfig) -> int:
    """Words of a span; a chunk is to be a multiple of that for all threads."""
    if config.loss == "hs":
        return TREE_SPAN
    return SUBWORD_SPAN if config.subwords else SPAN


class Word2VecTraining:
    """Trains ``model`` in place for its configured epochs; iterate it.

    ``threads`` is part of the recipe: a step is a span for each, all computed from the same
    weights and added in a fixed order, so that the result has the same bits for the same number.
    Raises NegativeAnswer before a step whose gradients are not finite.
    """

    def __init__(
        self, model: Word2Vec, windows: Windows, noise: NoiseWords | None, *, threads: int,
        ranks: Ranks | None = None, stop: Callable[[], bool] = bool,
    ) -> None:  # fmt: skip
        """With ``ranks`` each learns from the chunks whose number modulo their count is its own,
        and WordSteps come after their meetings. ``stop``: whether this process is to end."""
        self._model, self._windows, self._noise = model, windows, noise
        self._threads, self._ranks, self._stop = threads, ranks, stop
        self._rank, self._n_ranks = (ranks.rank, ranks.size) if ranks else (0, 1)
        self._tables = [SharedTable(t.weight) for t in (model.input, model.output)] if ranks else []
        self._stopping = False
        self._span = span_size(model.config)
        self._lanes = [model.lane(self._span) for _ in range(threads)]
        self._epoch = self._chunk = self._at = self._leg = 0
        self._steps = 0
        self._loss, self._measured = 0.0, 0
        self._shown = 0.0
        self.loss: float | None = None

    def __iter__(self) -> Iterator[WordStep]:
        with torch.no_grad(), Lanes(self._threads) as lanes, ThreadPoolExecutor(1) as aside:
            self._shown = time.monotonic()
            if self._ranks is not None:
                self._begin_together(self._ranks)
            ahead = self._prepare(aside)
            while ahead is not None:
                ready = ahead.result()
                ahead = self._prepare(aside, self._next())
                if self._ranks is None:
                    yield from self._alone(lanes, ready)
                else:
                    yield from self._together(lanes, ready, self._ranks)
                self._at, self._leg, (self._epoch, self._chunk) = 0, 0, self._next()
                if ahead is None or self._due():
                    yield self._report(0)

    def _alone(self, lanes: Lanes, ready: _Ready) -> Iterator[WordStep]:
        n_steps = len(ready.noise) // self._threads
        while self._at < n_steps:
            self._step(lanes, ready, self._at / n_steps)
            self._at, self._steps = self._at + 1, self._steps + 1
            if self._at < n_steps and self._due():
                yield self._report(round(self._at / n_steps * self._round_words))

    def _together(self, lanes: Lanes, ready: _Ready, ranks: Ranks) -> Iterator[WordStep]:
        """Steps between meetings, which are as many in each rank."""
        n_steps, n_legs = len(ready.noise) // self._threads, -(-self._round_words // MEETING_WORDS)
        self._at = n_steps * self._leg // n_legs
        while self._leg < n_legs:
            failed = None
            try:
                while self._at < n_steps * (self._leg + 1) // n_legs:
                    self._step(lanes, ready, self._at / n_steps)
                    self._at, self._steps = self._at + 1, self._steps + 1
            except NegativeAnswer as error:  # which the others are to hear of
                failed = error
            self._meet(ranks, failed)
            self._leg += 1
            if self._leg < n_legs and self._due():
                yield self._report(round(self._leg / n_legs * self._round_words))

    def _begin_together(self, ranks: Ranks) -> None:
        """All from where rank 0 is, which may have taken up a state."""
        at = torch.tensor([self._epoch, self._chunk, self._leg, self._steps])
        self._epoch, self._chunk, self._leg, self._steps = ranks.from_first(at).tolist()
        for table in (self._model.input, self._model.output):
            ranks.from_first(table.weight)
        for shared in self._tables:
            shared.settle()

    def _meet(self, ranks: Ranks, failed: NegativeAnswer | None) -> None:
        notes = torch.tensor([failed is not None, self._stop()], dtype=torch.int32)
        n_failed, n_stopping = ranks.sum(notes).tolist()
        if n_failed:
            raise failed or self._diverged("in another rank")
        self._stopping = n_stopping > 0
        for table in self._tables:
            table.add_up(ranks)

    def _due(self) -> bool:
        """Whether a WordStep is to be told."""
        now = time.monotonic()
        if now - self._shown < REPORT_SECONDS and not self._stopping:
            return False
        self._shown = now
        return True

    def _next(self) -> tuple[int, int]:
        last = (self._chunk + 1) * self._n_ranks >= len(self._windows)
        return (self._epoch + 1, 0) if last else (self._epoch, self._chunk + 1)

    def _prepare(
        self, aside: ThreadPoolExecutor, place: tuple[int, int] | None = None
    ) -> Future[_Ready] | None:
        epoch, chunk = place or (self._epoch, self._chunk)
        if epoch >= self._model.config.epochs:
            return None
        return aside.submit(self._ready, epoch, chunk * self._n_ranks + self._rank)

    def _ready(self, epoch: int, number: int) -> _Ready:
        chunk, device = self._windows.chunk(epoch, number), self._model.input.weight.device
        block, pool = POOLS[self._model.config.algorithm]
        shape = (len(chunk.reach) // self._span, self._span // block, pool)
        if self._noise is None:
            noise = np.zeros((shape[0], 1, 1), np.int32)
        else:
            noise = self._noise.draw(shape, self._windows.generator(epoch, number, 1))
        tokens, reach, drawn = (
            torch.from_numpy(part).to(device) for part in (chunk.tokens, chunk.reach, noise)
        )
        return _Ready(tokens, reach, drawn)

    def _step(self, lanes: Lanes, ready: _Ready, share: float) -> None:
        model, first = self._model, self._at * self._threads
        measured = self._steps % MEASURED_EVERY == 0
        halo = len(ready.tokens) - len(ready.reach)

        def learn(lane: int) -> SpanMoves:
            at = (first + lane) * self._span
            span = Span(
                ready.tokens[at : at + self._span + halo],
                ready.reach[at : at + self._span],
                ready.noise[first + lane],
            )
            return self._lanes[lane].learn(span, measured=measured)

        moves = lanes.run(learn)
        if (measured or model.input.weight.device.type == "cpu") and not all(
            move.finite for move in moves
        ):
            raise self._diverged(f"step {self._at + 1} of part {self._chunk + 1}")
        rate = model.config.lr * max(
            LOWEST_RATE, 1 - self._done(share * self._round_words) / self.total
        )
        into, out = [move.input for move in moves], [move.output for move in moves]

        def move(part: int) -> None:
            model.input.move(into, rate, part, self._threads)
            model.output.move(out, rate, part, self._threads)

        lanes.run(move)
        for table, parts in zip(self._tables, (into, out), strict=False):
            for part in parts:
                table.touch(part.rows)
        if measured:
            self._loss += sum(found.loss or 0.0 for found in moves)
            self._measured += self._threads * self._span

    def _diverged(self, where: str) -> NegativeAnswer:
        return NegativeAnswer(
            f"training diverged in epoch {self._epoch + 1}, {where}: a gradient is not finite",
            hint="a lower --lr",
        )

    @property
    def _round_words(self) -> int:
        """Words of the chunks that all ranks are at."""
        size = self._windows.chunk_words * self._n_ranks
        return min(size, self._windows.n_words - self._chunk * size)

    def _done(self, words: float) -> float:
        """Words passed, with so many of this chunk."""
        size = self._windows.chunk_words * self._n_ranks
        return self._epoch * self._windows.n_words + self._chunk * size + words

    def _report(self, words: int) -> WordStep:
        if self._measured:
            self.loss = self._loss / self._measured
            self._loss, self._measured = 0.0, 0
        epoch = min(self._epoch + 1, self._model.config.epochs)
        stop = self._stop() if self._ranks is None else self._stopping
        return WordStep(epoch, int(self._done(words)), self.total, self.loss, stop)

    @property
    def total(self) -> int:
        """Words of the corpus in all epochs."""
        return self._model.config.epochs * self._windows.n_words

    @property
    def steps_done(self) -> int:
        """Steps so far."""
        return self._steps

    def state(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """What ``load`` needs, as arrays and numbers; take it at a WordStep."""
        model = self._model
        arrays = {
            "input": model.input.weight.cpu().numpy(), "output": model.output.weight.cpu().numpy(),
        }  # fmt: skip
        return arrays, {
            "epoch": self._epoch, "chunk": self._chunk, "at": self._at, "leg": self._leg,
            "steps": self._steps,
            "loss_sum": self._loss, "measured": self._measured, "loss": self.loss,
        }  # fmt: skip

    def load(self, arrays: dict[str, npt.NDArray[Any]], numbers: dict[str, Any]) -> None:
        """Takes up where ``state`` was taken. Raises ValueError for one of another shape."""
        for name, table in (("input", self._model.input), ("output", self._model.output)):
            if name not in arrays or arrays[name].shape != tuple(table.weight.shape):
                raise ValueError(f"{name} is missing or of another shape")
        names = ("epoch", "chunk", "at", "leg", "steps", "measured")
        at = {name: int(numbers[name]) for name in names}
        for name, table in (("input", self._model.input), ("output", self._model.output)):
            table.weight.copy_(torch.from_numpy(arrays[name]))
        self._epoch, self._chunk = at["epoch"], at["chunk"]
        self._at, self._leg = at["at"], at["leg"]
        self._steps, self._measured = at["steps"], at["measured"]
        loss = numbers["loss"]
        self._loss, self.loss = float(numbers["loss_sum"]), None if loss is None else float(loss)
