"""The training loop of the additive classifier: one generator of Steps; callers save and show.

Where the loop stands is kept beside it, so that a run can be put away after any Step and taken up
again: the same arithmetic in the same order, hence the same bits on the CPU.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nlpcli.batching.bags import BagBatch, BagBatches
from nlpcli.errors import NegativeAnswer
from nlpcli.models.fasttext import FastText
from nlpcli.models.outputs import Learnt
from nlpcli.training.optim import RowwiseAdagrad

Move = TypeVar("Move")
BIAS_RATE = 0.1
"""The bias moves with every text, so it learns at a tenth of the rate."""
REPORT_STEPS, REPORT_SECONDS = 64, 0.5
"""A Step is yielded at least this often."""


class Diverged(NegativeAnswer):
    """The loss is not finite; ``texts`` are the numbers of the texts in the batch at fault."""

    def __init__(self, message: str, texts: list[int]) -> None:
        super().__init__(message, hint="a lower --lr")
        self.texts = texts


@dataclass(frozen=True)
class Step:
    """Where training stands: ``epoch`` from 1, ``step`` of ``steps``, mean loss of the epoch."""

    epoch: int
    step: int
    steps: int
    loss: float
    end_of_epoch: bool


class FastTextUpdate:
    """One gradient step on one batch."""

    def __init__(self, model: FastText) -> None:
        self.model, self._layer = model, model.output_layer()
        self.rows = RowwiseAdagrad(model.weight)
        self.output = None if model.output is None else RowwiseAdagrad(model.output)
        self.bias = RowwiseAdagrad(model.bias[:, None])

    def gradient(self, batch: BagBatch, number: int) -> tuple[Tensor, Learnt]:
        """Summed loss (scalar), and the gradients for ``apply``."""
        hidden = self.model.hidden(batch.ids, batch.offsets, batch.weights)
        learnt = self._layer.learn(hidden, batch.labels)
        return learnt.loss, learnt

    def apply(self, batch: BagBatch, number: int, move: Learnt, lr: float) -> None:
        """Moves the weights."""
        for part in move.rows:
            if self.output is not None and part.weight is not None:
                self.output.step(part.rows, part.weight, lr)
            if self.model.config.bias:
                self.bias.step(part.rows, part.bias[:, None], lr * BIAS_RATE)
        self.rows.step(batch.rows, self.model.row_gradient(move.hidden, batch), lr)

    def squares(self) -> dict[str, Tensor]:
        """The accumulators by the name of their table."""
        found = {"weight": self.rows.squares, "bias": self.bias.squares}
        return found if self.output is None else {**found, "output": self.output.squares}

    def memory(self) -> dict[str, Tensor]:
        """What the output layer remembers."""
        return self._layer.memory()


class Update(Protocol[Move]):
    """What moves the weights, one batch at a time."""

    def gradient(self, batch: BagBatch, number: int) -> tuple[Tensor, Move]:
        """Summed loss, and what ``apply`` needs; nothing has moved yet."""

    def apply(self, batch: BagBatch, number: int, move: Move, lr: float, /) -> None:
        """Moves the weights."""

    def squares(self) -> dict[str, Tensor]:
        """The accumulators by the name of their table."""

    def memory(self) -> dict[str, Tensor]:
        """What else a run needs to go on."""


class Training:
    """Trains ``model`` in place for its configured epochs; iterate it.

    The first ``held_out`` batches are left out of the first half of the epochs, and their logits
    taken at its end (``held_logits`` [S, K]): an honest look at texts that were not learnt from.
    Raises Diverged before a step whose loss is not finite (on a GPU: at the next report).
    """

    def __init__(
        self,
        model: FastText,
        batches: BagBatches,
        generator: torch.Generator,
        update: Update[Any],
        *,
        held_out: int = 0,
    ) -> None:
        self.update = update
        self.finished_epochs, self.loss = 0, 0.0
        self._joins = model.config.epochs // 2
        self._held_out = held_out if self._joins else 0
        n_held = min(self._held_out * batches.batch_size, batches.n_texts)
        self.held_logits = torch.zeros(n_held, model.n_labels, device=model.weight.device)
        self._model, self._batches, self._generator = model, batches, generator
        self._order_state = generator.get_state()  # draws the order of the running epoch
        self._at, self._seen = 0, 0
        self._total = torch.zeros((), device=model.weight.device)

    def __iter__(self) -> Iterator[Step]:
        config, steps, shown = self._model.config, self.steps, time.monotonic()
        with torch.no_grad():
            while self.finished_epochs < config.epochs:
                numbers = self._numbers()
                for number in numbers[self._at :]:
                    self._step(number, config.lr * (1 - (1 - config.lr_end) * self.done / steps))
                    now = time.monotonic()
                    due = self._at % REPORT_STEPS == 0 or now - shown >= REPORT_SECONDS
                    if due and self._at < len(numbers):
                        shown = now
                        yield self._report(steps, end=False)
                yield self._end_epoch(steps)

    def _numbers(self) -> list[int]:
        """The batches of this epoch, in order."""
        self._generator.set_state(self._order_state)
        numbers = self._batches.order(self._generator)
        left_out = self._held_out if self.finished_epochs < self._joins else 0
        return [number for number in numbers if number >= left_out]

    def _step(self, number: int, lr: float) -> None:
        batch = self._batches.batch(number)
        loss, move = self.update.gradient(batch, number)
        if loss.device.type == "cpu":
            self._refuse_infinite(float(loss), number)
        self.update.apply(batch, number, move, lr)
        self._total += loss
        self._at, self._seen = self._at + 1, self._seen + len(batch.offsets)

    def _report(self, steps: int, *, end: bool) -> Step:
        self.loss = float(self._total) / max(1, self._seen)
        self._refuse_infinite(self.loss, None)
        return Step(self.finished_epochs + 1, self.done, steps, self.loss, end)

    def _end_epoch(self, steps: int) -> Step:
        step = self._report(steps, end=True)
        self.finished_epochs += 1
        if self.finished_epochs == self._joins:
            self._look_at_held_out()
        self._order_state = self._generator.get_state()
        self._at, self._seen = 0, 0
        self._total.zero_()
        return step

    def _refuse_infinite(self, loss: float, number: int | None) -> None:
        if not math.isfinite(loss):
            texts = [] if number is None else self._batches.texts(number).tolist()
            where = f"epoch {self.finished_epochs + 1}, step {self._at + 1} of the epoch"
            raise Diverged(f"training diverged in {where}: the loss is {loss}", texts)

    def _look_at_held_out(self) -> None:
        for number in range(self._held_out):
            batch = self._batches.batch(number)
            first = number * self._batches.batch_size
            logits = self._model(batch.ids, batch.offsets, batch.weights)
            self.held_logits[first : first + len(logits)] = logits

    @property
    def held_texts(self) -> npt.NDArray[np.int64]:
        """Which texts ``held_logits`` are of, int64 [S]; none before half of the epochs."""
        numbers = range(self._held_out if self.finished_epochs >= self._joins else 0)
        return np.concatenate([np.empty(0, np.int64), *map(self._batches.texts, numbers)])

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return self._steps_of(self._model.config.epochs)

    @property
    def done(self) -> int:
        """Steps done so far."""
        return self._steps_of(self.finished_epochs) + self._at

    def _steps_of(self, epochs: int) -> int:
        return epochs * len(self._batches) - min(epochs, self._joins) * self._held_out

    def tables(self) -> dict[str, Tensor]:
        """What is learnt, not copied: weights, and the optimizer's ``squares.NAME``."""
        model = self._model
        found = {"weight": model.weight, "bias": model.bias}
        if model.output is not None:
            found["output"] = model.output
        return {**found, **{f"squares.{name}": s for name, s in self.update.squares().items()}}

    def state(self) -> tuple[dict[str, Tensor], dict[str, int | float]]:
        """What ``load`` needs, as tensors (not copied) and numbers; take it at a Step."""
        numbers = {"finished_epochs": self.finished_epochs, "at": self._at, "seen": self._seen}
        places = {"order_state": self._order_state, "total": self._total}
        more = {"held_logits": self.held_logits, **self.update.memory()}
        return {**self.tables(), **places, **more}, {**numbers, "loss": self.loss}

    def load(self, tensors: dict[str, Tensor], numbers: dict[str, int | float]) -> None:
        """Takes up where ``state`` was taken. Raises ValueError for one of another shape."""
        mine, _ = self.state()
        for name, tensor in mine.items():
            if name not in tensors or tensors[name].shape != tensor.shape:
                raise ValueError(f"{name} is missing or of another shape")
        for name, tensor in mine.items():
            tensor.copy_(tensors[name])
        self.finished_epochs, self._at = int(numbers["finished_epochs"]), int(numbers["at"])
        self._seen, self.loss = int(numbers["seen"]), float(numbers["loss"])


def as_arrays(tensors: dict[str, Tensor]) -> dict[str, npt.NDArray[Any]]:
    """On the CPU, as numpy."""
    return {name: tensor.cpu().numpy() for name, tensor in tensors.items()}
