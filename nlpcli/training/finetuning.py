"""The training loop of fine-tuning: rows of about one length, and the best epoch kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nlpcli.batching.framing import Padded, Rows, Specials, padded, shuffled_batches
from nlpcli.errors import NegativeAnswer
from nlpcli.models.encoder_heads import EncoderModel
from nlpcli.training.encoder_optimizers import EncoderOptimizer
from nlpcli.training.finetuning_config import ALL, FinetuneConfig
from nlpcli.training.lazy_rows import LazyRows
from nlpcli.training.master_weights import MasterWeights

WORDS = "embeddings.word_embeddings.weight"
ENCODER = ("embeddings.", "encoder.", "pooler.")
MICRO_TOKENS = {"cpu": 4096, "cuda": 65_536}
"""Of a batch that are computed at once."""
MOST_BAD = 5
"""Steps in a row without finite gradients."""

F64 = npt.NDArray[np.float64]
Score = Callable[[], float]
"""How good the model is on dev rows, as it is now; more is better."""


class Objective(Protocol):
    """What a model is to learn about the training rows."""

    def loss(self, outputs: Tensor, chosen: npt.NDArray[np.int64]) -> Tensor:
        """The mean loss of the rows ``chosen`` int64 [B], of which ``outputs`` [B, ...] are what
        the model says; float32."""


@dataclass(frozen=True)
class FinetuneStep:
    """Where training stands: ``step`` of ``total``, ``epoch`` from 1, mean ``loss`` of this
    epoch's steps that were taken; ``dev_score`` at its end, where there are dev rows. ``rows``
    seen in all."""

    step: int
    total: int
    epoch: int
    loss: float
    rows: int
    dev_score: float | None = None


class Finetuning:
    """Trains ``model``, which computes in ``precision``, in place; iterate it.

    With dev rows the weights of the best epoch are kept, and after ``patience`` epochs without a
    better one it ends. On the CPU the result has the same bits for the same seed, rows,
    configuration and threads. Raises NegativeAnswer when gradients are not finite.
    """

    def __init__(
        self, model: EncoderModel, rows: Rows, objective: Objective, specials: Specials,
        config: FinetuneConfig, *, seed: int, device: torch.device, precision: torch.dtype,
        score: Score | None = None, patience: int | None = None,
    ) -> None:  # fmt: skip
        self.model, self.config = model.to(device), config
        self._rows, self._objective = rows, objective
        self._specials, self._seed = specials, seed
        self._score, self._patience = score, patience
        self.device, self.precision = device, precision
        frozen = self._frozen()
        self.masters = MasterWeights(model, precision)
        moving = {n: t for n, t in self.masters.tensors.items() if n not in frozen}
        words = moving.pop(WORDS, None)
        self._words = None if words is None else LazyRows(words.detach())
        model.bert.sparse_words = True
        self._optimizer = EncoderOptimizer(moving, config, self._scale)
        self._moving = moving
        self.steps_per_epoch = -(-len(rows) // config.batch_size)
        self.total = config.epochs * self.steps_per_epoch
        self._step = self._bad = self._since_best = 0
        self._sum, self._seen, self._counted = 0.0, 0, 0
        self.best: float | None = None
        self.best_epoch = 0
        self._kept: dict[str, Tensor] | None = None
        self._plan: tuple[int, list[npt.NDArray[np.int64]]] | None = None

    def _frozen(self) -> set[str]:
        """Names of parameters that stay; their tensors ask for no gradient."""
        below = self.config.frozen_layers(self.model.bert.config.n_layers)
        found = set()
        for part in self.model.parts():
            layer = layer_of(part.name, self.model.bert.config.n_layers)
            stays = layer < below or (layer == -1 and below >= 0)
            if self.config.freeze == ALL:
                stays = part.name.startswith(ENCODER)
            if stays:
                found.add(part.name)
        for part in self.model.parts():
            if part.name in found:
                part.parameter.requires_grad_(False)
        return found

    def _scale(self, name: str) -> float:
        """Of the rate: less for layers below."""
        n_layers = self.model.bert.config.n_layers
        below = n_layers - layer_of(name, n_layers)
        own = self.model.rate(name, self.config.lr) / self.config.lr
        return float(self.config.layer_decay**below) * own

    @property
    def steps_done(self) -> int:
        """Steps so far."""
        return self._step

    @property
    def epochs_done(self) -> int:
        """Whole epochs so far."""
        return self._step // self.steps_per_epoch

    def __iter__(self) -> Iterator[FinetuneStep]:
        self.masters.hand_down()
        while self._step < self.total and not self._is_over():
            epoch, at = divmod(self._step, self.steps_per_epoch)
            if not at:
                self._sum, self._seen, self._counted = 0.0, 0, 0
            rows = self._batch(epoch, at)
            loss = self._learn(rows)
            self._seen += len(rows)
            if math.isfinite(loss):
                self._sum += loss * len(rows)
                self._counted += len(rows)
            self._step += 1
            ended = self._step % self.steps_per_epoch == 0
            found = self._look(epoch + 1) if ended else None
            yield FinetuneStep(
                self._step, self.total, epoch + 1, self._sum / max(self._counted, 1),
                epoch * len(self._rows) + self._seen, found,
            )  # fmt: skip
        if self._kept is not None:
            self._put_back(self._kept)

    def _is_over(self) -> bool:
        if self._patience is None or self.best is None:
            return False
        return self._since_best >= self._patience

    def _batch(self, epoch: int, at: int) -> npt.NDArray[np.int64]:
        if self._plan is None or self._plan[0] != epoch:
            lengths = self._rows.lengths
            batches = shuffled_batches(lengths, self.config.batch_size, self._seed, epoch)
            self._plan = epoch, batches
        return self._plan[1][at]

    def _learn(self, chosen: npt.NDArray[np.int64]) -> float:
        """One step; gives the mean loss of its rows."""
        batch = padded(self._rows, chosen, self._specials)
        per_micro = max(1, MICRO_TOKENS.get(self.device.type, 4096) // batch.ids.shape[1])
        torch.manual_seed(
            int(np.random.SeedSequence((self._seed, self._step)).generate_state(1)[0])
        )
        self.model.train()
        loss = 0.0
        for first in range(0, len(chosen), per_micro):
            part = slice(first, first + per_micro)
            share = len(chosen[part]) / len(chosen)
            ids, segments, mask = self._tensors(batch, part)
            found = share * self._objective.loss(self.model(ids, segments, mask), chosen[part])
            found.backward()  # type: ignore[no-untyped-call]
            self.masters.collect(without=WORDS)  # sums of several are float32
            loss += float(found.detach())
        rate = self.config.lr * self.config.share_of_rate(self._step, self.total)
        self._move(rate)
        return loss

    def _tensors(self, batch: Padded, part: slice) -> tuple[Tensor, Tensor, Tensor]:
        ids, segments, mask = (
            torch.from_numpy(array[part]).to(self.device, non_blocking=True)
            for array in (batch.ids, batch.segments, batch.mask)
        )
        return ids, segments, mask

    def _move(self, rate: float) -> None:
        """Clips the gradients and takes a step, unless they are not finite."""
        rows, values = self._rows_of_words()
        gradients = [t.grad for t in self._moving.values() if t.grad is not None]
        gradients += [] if values is None else [values]
        norm = torch.nn.utils.get_total_norm(gradients)
        if not math.isfinite(float(norm)):
            self._bad += 1
            self.masters.clear()
            if self._bad >= MOST_BAD:
                raise NegativeAnswer(
                    f"training diverged at step {self._step + 1}: gradients are not finite",
                    hint=f"--lr {self.config.lr / 4:g}",
                )
            return
        self._bad = 0
        shrink = min(1.0, self.config.clip / (float(norm) + 1e-6))
        for gradient in gradients:
            gradient.mul_(shrink)
        self._optimizer.step(rate)
        if self._words is not None and rows is not None and values is not None:
            self._words.step(rows, values, rate * self._scale(WORDS))
        self.masters.clear()
        self._hand_down(rows)

    def _rows_of_words(self) -> tuple[Tensor | None, Tensor | None]:
        """Rows of the table of pieces that occurred, distinct, and their gradients, float32."""
        gradient = self.model.bert.words.grad
        self.model.bert.words.grad = None
        if gradient is None or self._words is None:
            return None, None
        rows, place = torch.unique(gradient._indices()[0], return_inverse=True)
        values = gradient._values().float()
        summed = torch.zeros(len(rows), values.shape[1], device=values.device)
        summed.index_add_(0, place, values)
        return rows, summed

    @torch.no_grad()
    def _hand_down(self, rows: Tensor | None) -> None:
        """The model's parameters become the masters, of the pieces the rows that moved."""
        if rows is not None:
            table, master = self.model.bert.words, self.masters.tensors[WORDS]
            if table.dtype != torch.float32:
                table[rows] = master[rows].to(table.dtype)
        self.masters.hand_down(without=WORDS)

    def _look(self, epoch: int) -> float | None:
        """Score of the dev rows; the weights are kept when it is the best."""
        if self._score is None:
            return None
        self.model.eval()
        found = self._score()
        if self.best is None or found > self.best:
            self.best, self.best_epoch, self._since_best = found, epoch, 0
            self._kept = {n: t.detach().clone() for n, t in self.masters.tensors.items()}
        else:
            self._since_best += 1
        return found

    @torch.no_grad()
    def _put_back(self, kept: dict[str, Tensor]) -> None:
        for name, tensor in self.masters.tensors.items():
            tensor.copy_(kept[name])
        self.masters.hand_down()

    def weights(self) -> dict[str, npt.NDArray[np.float32]]:
        """In float32."""
        return {n: t.detach().cpu().numpy().copy() for n, t in self.masters.tensors.items()}

    def state(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """What ``load`` needs; take it after a step."""
        arrays: dict[str, npt.NDArray[Any]] = dict(self.weights())
        arrays |= {f"optimizer/{n}": a.copy() for n, a in self._optimizer.state().items()}
        if self._words is not None:
            arrays |= {f"words/{n}": a.copy() for n, a in self._words.state().items()}
        if self._kept is not None:
            arrays |= {f"best/{n}": t.cpu().numpy() for n, t in self._kept.items()}
        return arrays, {
            "step": self._step, "sum": self._sum, "seen": self._seen, "counted": self._counted,
            "best": self.best, "best_epoch": self.best_epoch, "since_best": self._since_best,
            "bad": self._bad,
        }  # fmt: skip

    def load(self, arrays: dict[str, npt.NDArray[Any]], numbers: dict[str, Any]) -> None:
        """Takes up where ``state`` was taken. Raises ValueError, KeyError, TypeError."""
        parts: dict[str, dict[str, npt.NDArray[Any]]] = {}
        for name, array in arrays.items():
            group, slash, rest = name.partition("/")
            parts.setdefault(group if slash else "", {})[rest or name] = array
        own = parts[""]
        for name, tensor in self.masters.tensors.items():
            if name not in own or own[name].shape != tuple(tensor.shape):
                raise ValueError(f"{name} is missing or of another shape")
        self._put_back({n: torch.from_numpy(a) for n, a in own.items()})
        self._optimizer.load(parts.get("optimizer", {}))
        if self._words is not None:
            self._words.load(parts["words"])
        if "best" in parts:
            self._kept = {n: torch.from_numpy(a).to(self.device) for n, a in parts["best"].items()}
        self._step, self._seen = int(numbers["step"]), int(numbers["seen"])
        self._sum, self._counted = float(numbers["sum"]), int(numbers["counted"])
        self._bad = int(numbers["bad"])
        self.best = None if numbers["best"] is None else float(numbers["best"])
        self.best_epoch = int(numbers["best_epoch"])
        self._since_best = int(numbers["since_best"])


def layer_of(name: str, n_layers: int) -> int:
    """Number of a parameter's layer; -1 for embeddings, ``n_layers`` for what is above."""
    if name.startswith("embeddings."):
        return -1
    return int(name.split(".")[2]) if name.startswith("encoder.layer.") else n_layers
