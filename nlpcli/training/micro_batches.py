"""The gradients of a step, from parts of its rows that are computed one after the other."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nlpcli.batching.framing import Padded, Rows, Specials, padded
from nlpcli.errors import Unavailable
from nlpcli.models.encoder_heads import EncoderModel
from nlpcli.training.adversarial import shifted, turn_against
from nlpcli.training.device import seed_draws
from nlpcli.training.finetuning_config import ALL, FinetuneConfig
from nlpcli.training.frozen_features import gathered, remembered
from nlpcli.training.master_weights import MasterWeights

I64 = npt.NDArray[np.int64]


class Objective(Protocol):
    """What a model is to learn about the training rows.

    One whose loss is a mean over something else than rows has a method ``weight`` too: chosen int64
    [B] -> how much these rows count. Then the parts of a batch add up to the whole.
    """

    def loss(self, outputs: Tensor, chosen: I64) -> Tensor:
        """The mean loss of the rows ``chosen`` int64 [B], of which ``outputs`` [B, ...] are what
        the model says; float32."""


def weight_of(objective: Objective, chosen: I64) -> float:
    """How much rows count in the loss of a batch: their number, unless the objective knows."""
    weigh = getattr(objective, "weight", None)
    return float(len(chosen) if weigh is None else weigh(chosen))


class MicroBatches:
    """Computes the rows of a step in parts of ``tokens`` positions; the gradients are left in
    ``masters`` and, of a parameter that these leave apart, in the model.

    Where a GPU has too little memory, parts are half as large from then on, and the step begins
    again with the same draws. Raises Unavailable when a single row does not fit.
    """

    def __init__(
        self, model: EncoderModel, masters: MasterWeights, rows: Rows, specials: Specials,
        config: FinetuneConfig, *, tokens: int, seed: int,
    ) -> None:  # fmt: skip
        self._model, self._masters, self._rows = model, masters, rows
        self._specials, self._seed = specials, seed
        self._fgm, self._is_frozen = config.fgm, config.freeze == ALL
        self._features: Tensor | None = None
        self.tokens = tokens
        self.rank, self.n_ranks = 0, 1

    def look_up(self) -> None:
        """Takes the features of the rows, if the encoder is frozen and they have room."""
        self._features = remembered(self._model, self._rows, self._specials)

    def learn(self, objective: Objective, step: int, chosen: I64) -> float:
        """The gradients of this rank's share of the rows; gives its share of their mean loss."""
        while True:
            try:
                return self._attempt(objective, step, chosen)
            except torch.OutOfMemoryError:
                pass  # tensors of the attempt are held until the exception is gone
            self._be_smaller(chosen[self.rank :: self.n_ranks])

    def _attempt(self, objective: Objective, step: int, chosen: I64) -> float:
        numbers = (self._seed, step, self.rank) if self.rank else (self._seed, step)
        drawn = int(np.random.SeedSequence(numbers).generate_state(1)[0])
        seed_draws(drawn, self._model.bert.words.device)
        self._model.train()
        if self._is_frozen:  # its dropout would only blur what never changes
            self._model.bert.eval()
        whole, loss = weight_of(objective, chosen), 0.0
        mine = chosen[self.rank :: self.n_ranks]
        batch = self._batch(mine)
        size = self._part_size(mine, batch)
        for first in range(0, len(mine), size):
            part = mine[first : first + size]
            share = weight_of(objective, part) / whole if whole else 0.0
            if share:
                inputs = self._inputs(batch, part, slice(first, first + size))
                loss += self._part(objective, inputs, part, share)
        return loss

    def _batch(self, mine: I64) -> Padded | None:
        """None for features of whole rows, which have no width."""
        if not len(mine) or (self._features is not None and not self._model.by_position):
            return None
        return padded(self._rows, mine, self._specials)

    def _inputs(self, batch: Padded | None, chosen: I64, part: slice) -> tuple[Tensor, ...]:
        """Of some rows: the features that are kept, or ids, segments and mask."""
        if self._features is not None or batch is None:
            assert self._features is not None
            return (gathered(self._model, self._features, self._rows, chosen, self._specials),)
        device = self._model.bert.words.device
        return tuple(
            torch.from_numpy(array[part]).to(device, non_blocking=True)
            for array in (batch.ids, batch.segments, batch.mask)
        )

    def _part(
        self, objective: Objective, inputs: tuple[Tensor, ...], chosen: I64, share: float
    ) -> float:
        """Adds the gradients of a part; gives its share of the loss."""
        compute = self._model if len(inputs) > 1 else self._model.head

        def once() -> float:
            return self._back(share * objective.loss(compute(*inputs), chosen))

        if not self._fgm:
            return once()
        with shifted(self._model.bert, inputs[0]) as shift:
            loss = once()
            turn_against(shift, self._fgm)
            once()
        return loss

    def _back(self, loss: Tensor) -> float:
        loss.backward()  # type: ignore[no-untyped-call]
        self._masters.collect()  # sums of several are float32
        return float(loss.detach())

    def _part_size(self, mine: I64, batch: Padded | None) -> int:
        """Rows of a part; one of features alone counts as one position."""
        return max(1, min(len(mine), self.tokens // _width(batch)))

    def _be_smaller(self, mine: I64) -> None:
        """Parts of half the rows, and no gradients of the attempt. Raises Unavailable."""
        batch = self._batch(mine)
        size, width = self._part_size(mine, batch), _width(batch)
        self._masters.clear()
        for parameter in self._model.parameters():
            parameter.grad = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if size == 1:
            raise Unavailable(
                f"the GPU's memory does not hold one row of {width} pieces",
                hint=f"--max-length {max(4, width // 2)}",
            )
        self.tokens = size // 2 * width


def _width(batch: Padded | None) -> int:
    return 1 if batch is None else int(batch.ids.shape[1])
