"""The training loop of fine-tuning: rows of about one length, on one or more ranks, and the best
epoch kept."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nlpcli.batching.epoch_plans import Plan, RowPlan
from nlpcli.batching.framing import Rows, Specials
from nlpcli.models.encoder_heads import EncoderModel
from nlpcli.training.encoder_optimizers import EncoderOptimizer, clip, norm_of
from nlpcli.training.finetuning_config import ALL, FinetuneConfig
from nlpcli.training.finetuning_steps import FinetuneStep, diverged, unless_stopped
from nlpcli.training.flops import flops_per_row
from nlpcli.training.freezing import frozen_names, layer_of
from nlpcli.training.frozen_features import has_room, remembering
from nlpcli.training.lazy_rows import LazyRows
from nlpcli.training.master_weights import MasterWeights
from nlpcli.training.micro_batches import MicroBatches, Objective
from nlpcli.training.ranks import Ranks, from_first_rank, sum_gradients, sum_rows

WORDS = "embeddings.word_embeddings.weight"
MICRO_TOKENS = {"cpu": 4096, "cuda": 65_536}
"""Of a batch that are computed at once."""
MOST_BAD = 5
"""Steps in a row without finite gradients."""

F64 = npt.NDArray[np.float64]
Score = Callable[[], float]
"""How good the model is on dev rows, as it is now; more is better."""


class Finetuning:
    """Trains ``model``, which computes in ``precision``, in place; iterate it.

    With dev rows the weights of the best epoch are kept, and after ``patience`` epochs without a
    better one it ends. On the CPU the result has the same bits for the same seed, rows,
    configuration and threads. Of an encoder that is frozen as a whole features are computed once
    and kept, where ``keeps_features``. Raises NegativeAnswer when gradients are not finite,
    Unavailable when a GPU's memory does not hold a row. ``plan``: the rows of each step; else all
    rows once an epoch.
    """

    def __init__(
        self, model: EncoderModel, rows: Rows, objective: Objective, specials: Specials,
        config: FinetuneConfig, *, seed: int, device: torch.device, precision: torch.dtype,
        score: Score | None = None, patience: int | None = None, plan: Plan | None = None,
    ) -> None:  # fmt: skip
        self.model, self.config = model.to(device), config
        self._rows, self._objective = rows, objective
        self._specials, self._seed = specials, seed
        self._score, self._patience = score, patience
        self.device, self.precision = device, precision
        frozen = frozen_names(model, config)
        self.masters = MasterWeights(model, precision, frozen=frozen, apart=WORDS)
        if config.freeze == ALL and model.splits:
            model.remembered = {}
        words = self.masters.tensors[WORDS].detach()
        self._words = None if WORDS in frozen else LazyRows(words)
        model.bert.sparse_words = True
        self._optimizer = EncoderOptimizer(self.masters.moving, config, self._scale)
        self._plans = plan or RowPlan(rows.lengths, config.batch_size, seed)
        self.steps_per_epoch = self._plans.steps
        self.total = config.epochs * self.steps_per_epoch
        self._step = self._bad = self._since_best = self._looks = 0
        self._sum, self._seen, self._counted = 0.0, 0, 0
        self.best: float | None = None
        self.best_epoch = 0
        self._kept: dict[str, Tensor] | None = None
        self._plan: tuple[int, list[npt.NDArray[np.int64]]] | None = None
        self._micro = MicroBatches(
            model, self.masters, rows, specials, config, seed=seed,
            tokens=MICRO_TOKENS.get(device.type, MICRO_TOKENS["cpu"]),
        )  # fmt: skip
        self._ranks: Ranks | None = None
        self._stop: Callable[[], bool] = bool
        self._stopping = self._together = False
        self.step_seconds = 0.0
        """In steps since it was built, without looks at the dev rows."""

    def join(self, ranks: Ranks | None, stop: Callable[[], bool]) -> None:
        """Before it begins: ``ranks``, of which each computes its share of every step, and the
        first one looks at the dev rows. ``stop``: whether to end early."""
        self._ranks, self._stop = ranks, stop
        if ranks is not None:
            self._micro.rank, self._micro.n_ranks = ranks.rank, ranks.size

    @property
    def keeps_features(self) -> bool:
        """Whether the encoder is frozen, and what it says of the training rows has room."""
        return has_room(self.model, self._rows)

    def remember(self) -> Iterator[tuple[int, int]]:
        """Computes the features of the training rows, if they are kept; yields (rows done, of so
        many). Begin with it to show how it goes; else it is part of the first step."""
        self._begin_together()
        self.masters.hand_down(everything=True)
        every = self._ranks.size if self._ranks else 1
        for done in remembering(self.model, self._rows, self._specials, self._ranks):
            yield min(done * every, len(self._rows)), len(self._rows)

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

    @property
    def loss(self) -> float:
        """Mean of the steps of this epoch, or the last one, that were taken."""
        return self._sum / max(self._counted, 1)

    @property
    def n_rows(self) -> int:
        """Rows that there are to learn from."""
        return len(self._rows)

    @property
    def rows_done(self) -> int:
        """Rows so far, each as often as it was learnt from."""
        within = self._seen if self._step % self.steps_per_epoch else 0
        return self._plans.rows_before(self.epochs_done) + within

    @property
    def flops_per_row(self) -> float:
        """Of products, while the encoder is at work."""
        return flops_per_row(
            self.model.bert.config, self.config, self._rows.lengths,
            reads_first=self.model.reads_first,
        )  # fmt: skip

    def __iter__(self) -> Iterator[FinetuneStep]:
        list(self.remember())
        self._micro.look_up()
        while self._owes_look or (self._step < self.total and not self._is_over()):
            tokens, self._stopping = self._micro.tokens, False
            if not self._owes_look:
                self._take_step()
            found = self._look() if self._owes_look and not self._stopping else None
            yield FinetuneStep(
                self._step, self.total, -(-self._step // self.steps_per_epoch), self.loss,
                self.rows_done, found, self._shrunk(tokens), self._stopping,
            )  # fmt: skip
        if self._step and self._bad == self._step:  # too few to have been told of
            raise diverged(self._step, self.config.lr)
        if self._kept is not None:
            self._put_back(self._kept)

    def _take_step(self) -> None:
        epoch, at = divmod(self._step, self.steps_per_epoch)
        if not at:
            self._sum, self._seen, self._counted = 0.0, 0, 0
        rows, begun = self._batch(epoch, at), time.perf_counter()
        loss = self._learn(rows)
        self.step_seconds += time.perf_counter() - begun
        self._seen += len(rows)
        if math.isfinite(loss):
            self._sum += loss * len(rows)
            self._counted += len(rows)
        self._step += 1

    @property
    def _owes_look(self) -> bool:
        """Whether an epoch has ended whose look at the dev rows is not done, or was stopped."""
        return self._score is not None and self._looks < self.epochs_done

    def _begin_together(self) -> None:
        """All ranks from where rank 0 is, which may have taken up a state; once."""
        if self._ranks is not None and not self._together:
            self._together = True
            shared = from_first_rank(self._ranks, *self.state())
            if self._ranks.rank:
                self.load(*shared)

    def _shrunk(self, before: int) -> str | None:
        """What to say when parts of a batch had to become smaller."""
        if self._micro.tokens == before:
            return None
        return (
            f"step {self._step}: too little GPU memory, {self._micro.tokens:,} pieces are computed "
            "at once from here on"
        )

    def _is_over(self) -> bool:
        if self._patience is None or self.best is None:
            return False
        return self._since_best >= self._patience

    def _batch(self, epoch: int, at: int) -> npt.NDArray[np.int64]:
        if self._plan is None or self._plan[0] != epoch:
            self._plan = epoch, self._plans.batches(epoch)
        return self._plan[1][at]

    def _learn(self, chosen: npt.NDArray[np.int64]) -> float:
        """One step; gives the mean loss of its rows."""
        loss = self._micro.learn(self._objective, self._step, chosen)
        rows, values = self._rows_of_words()
        if self._ranks is None:
            self._stopping = self._stop()
        else:
            loss, wishes = self._ranks.sum(
                torch.tensor([loss, float(self._stop())], dtype=torch.float64)
            ).tolist()
            self._stopping = wishes > 0
            sum_gradients(self._ranks, self.masters.moving)
            if rows is not None and values is not None:
                rows, values = sum_rows(self._ranks, rows, values, len(self.model.bert.words))
        rate = self.config.lr * self.config.share_of_rate(self._step, self.total)
        self._move(rate, rows, values)
        return loss

    def _move(self, rate: float, rows: Tensor | None, values: Tensor | None) -> None:
        """Clips the gradients, ``values`` of ``rows`` of the table of pieces among them, and takes
        a step, unless they are not finite."""
        gradients = [*self.masters.gradients(), *([] if values is None else [values])]
        norm = norm_of(gradients)
        if not math.isfinite(norm):
            self._bad += 1
            self.masters.clear()
            if self._bad >= MOST_BAD:
                raise diverged(self._step + 1, self.config.lr)
            return
        self._bad = 0
        clip(gradients, norm, self.config.clip)
        self._optimizer.step(rate)
        if self._words is not None and rows is not None and values is not None:
            self._words.step(rows, values, rate * self._scale(WORDS))
        self.masters.clear()
        self._hand_down(rows)

    def _rows_of_words(self) -> tuple[Tensor | None, Tensor | None]:
        """Rows of the table of pieces that occurred, distinct, and their gradients, float32."""
        words = self.model.bert.words
        gradient, words.grad = words.grad, None
        if self._words is None:
            return None, None
        if gradient is None:  # this rank has none of the rows of the step
            none = torch.empty(0, dtype=torch.int64, device=words.device)
            return none, torch.empty(0, words.shape[1], device=words.device)
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
        self.masters.hand_down()

    def _look(self) -> float | None:
        """Score of the dev rows; the weights are kept when it is the best. None when the first
        rank is asked to end: all of them look again when they are taken up."""
        assert self._score is not None
        found = None
        if self._ranks is None or self._ranks.rank == 0:
            self.model.eval()
            found = unless_stopped(self._score, self.model.bert, self._stop)
        if self._ranks is not None:
            told = torch.tensor([found or 0.0, float(found is None)], dtype=torch.float64)
            value, stopped = self._ranks.from_first(told).tolist()
            found = None if stopped else value
        if found is None:
            self._stopping = True
            return None
        self._looks = self.epochs_done
        if self.best is None or found > self.best:
            self.best, self.best_epoch, self._since_best = found, self._looks, 0
            names = [*self.masters.moving.tensors, *([] if self._words is None else [WORDS])]
            self._kept = {n: self.masters.tensors[n].detach().clone() for n in names}
        else:
            self._since_best += 1
        return found

    @torch.no_grad()
    def _put_back(self, kept: dict[str, Tensor]) -> None:
        for name, tensor in kept.items():
            self.masters.tensors[name].copy_(tensor)
        self.masters.hand_down(everything=True)

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
            "bad": self._bad, "micro_tokens": self._micro.tokens, "looks": self._looks,
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
        self._put_back({n: torch.from_numpy(own[n]) for n in self.masters.tensors})
        self._optimizer.load(parts.get("optimizer", {}))
        if self._words is not None:
            self._words.load(parts["words"])
        if "best" in parts:
            self._kept = {n: torch.from_numpy(a).to(self.device) for n, a in parts["best"].items()}
        self._step, self._seen = int(numbers["step"]), int(numbers["seen"])
        self._sum, self._counted = float(numbers["sum"]), int(numbers["counted"])
        self._bad, self._micro.tokens = int(numbers["bad"]), int(numbers["micro_tokens"])
        self.best = None if numbers["best"] is None else float(numbers["best"])
        self.best_epoch, self._since_best = int(numbers["best_epoch"]), int(numbers["since_best"])
        self._looks = int(numbers.get("looks", self.epochs_done))  # older states are behind it
