"""The training loop of an encoder: steps of so many rows, from micro-batches, on one or more
ranks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nlpcli.batching.pretraining_rows import PretrainingRows
from nlpcli.batching.pretraining_targets import OBJECTIVES, Targets, as_tensors, count
from nlpcli.errors import NegativeAnswer
from nlpcli.models.bert import Weights
from nlpcli.models.pretraining import PretrainingBert
from nlpcli.training.device import seed_draws
from nlpcli.training.encoder_optimizers import EncoderOptimizer, clip, norm_of
from nlpcli.training.guard import Guard, Verdict
from nlpcli.training.master_weights import MasterWeights
from nlpcli.training.pretraining_config import PretrainingConfig
from nlpcli.training.ranks import Ranks, from_first_rank, sum_gradients

QUANTUM = 8
"""Rows that are drawn together, so that masks do not depend on ranks or micro-batches."""
MICRO_TOKENS = {"cpu": 4096, "cuda": 65_536}
"""Pieces that are computed at once: the activations of more do not fit a processor's cache."""
TIMED_STEPS = 3
"""Steps that are timed before a run of so many minutes begins."""
SNAPSHOT_STEPS = 200
MOST_RETURNS = 5


@dataclass(frozen=True)
class PretrainStep:
    """After ``step`` of ``total`` steps (None while that is not known): mean ``losses`` by
    objective, the learning ``rate``, ``tokens`` seen in all. ``held_out``: loss and accuracy of
    each objective on rows kept apart, where they were looked at. ``note``: what went wrong.
    ``stop``: this rank, or another one, is asked to end."""

    step: int
    total: int | None
    losses: dict[str, float]
    rate: float
    norm: float
    tokens: int
    seconds: float
    held_out: dict[str, float] = field(default_factory=dict)
    note: str | None = None
    stop: bool = False
    tokens_per_second: float = 0.0


class Pretraining:
    """Trains ``model``, which computes in ``precision``, in place; iterate it.

    On the CPU the result has the same bits for the same seed, rows, configuration, threads and
    number of steps. Raises NegativeAnswer when weights were taken back ``MOST_RETURNS`` times.
    """

    def __init__(
        self, model: PretrainingBert, rows: PretrainingRows, held_out: PretrainingRows | None,
        config: PretrainingConfig, *, seed: int, device: torch.device, precision: torch.dtype,
        ranks: Ranks | None = None, stop: Callable[[], bool] = bool,
    ) -> None:  # fmt: skip
        """``ranks``: each computes its share of every step. ``stop``: whether to end early."""
        self.model = model.to(device)
        self.masters = MasterWeights(model, precision)
        self.config, self._rows, self._held_out = config, rows, held_out
        self._seed, self.device, self.precision = seed, device, precision
        self._ranks, self._stop = ranks, stop
        self._rank, self._n_ranks = (ranks.rank, ranks.size) if ranks else (0, 1)
        self._optimizer = EncoderOptimizer(self.masters.moving, config)
        self._guard = Guard()
        self._asked = [n for n in OBJECTIVES if n != "sbo" or model.spans is not None]
        self._micro = max(1, MICRO_TOKENS.get(device.type, 4096) // rows.length)
        self.steps_per_epoch = len(rows) // config.batch_size
        if not self.steps_per_epoch:
            raise ValueError(f"{len(rows):,} rows, a step has {config.batch_size:,}")
        self._step = self._returns = 0
        self._scale = 1.0
        self.total = config.n_steps(self.steps_per_epoch)
        self._warm = None if self.total is None else max(1, round(config.warmup * self.total))
        self._kept: dict[str, npt.NDArray[Any]] | None = None
        self.history: list[dict[str, Any]] = []
        self.seconds = self.step_seconds = 0.0
        """Since the run began: in all, and in steps, without looks at the rows kept apart."""

    def __iter__(self) -> Iterator[PretrainStep]:
        self._begin_together()
        before, here = self.seconds, time.perf_counter()
        first, then = self.tokens, self.step_seconds
        if self._warm is None:
            self._warm = self._timed_warmup()
        while self.total is None or self._step < self.total:
            if self._step == self._warm and self.total is None:
                self.total = self._steps_left(self.seconds)
            begun = time.perf_counter()
            found = self._one_step()
            self._step += 1
            now = time.perf_counter()
            self.step_seconds += now - begun
            self.seconds = before + now - here
            if self._step % SNAPSHOT_STEPS == 0 and found[3] is None:
                self._kept = self._arrays()
            held_out = self.evaluate() if self._is_due() else {}
            losses, rate, norm, note = found
            yield PretrainStep(
                step=self._step, total=self.total, losses=losses, rate=rate, norm=norm,
                tokens=self.tokens, seconds=self.seconds, held_out=held_out, note=note,
                stop=self._asked_to_stop(),
                tokens_per_second=(self.tokens - first) / (self.step_seconds - then),
            )  # fmt: skip

    @property
    def tokens(self) -> int:
        """Pieces that were seen so far."""
        return self._step * self.config.batch_size * self._rows.length

    @property
    def steps_done(self) -> int:
        """Steps so far."""
        return self._step

    @property
    def flops_per_token(self) -> float:
        """Of products, forward and backward (Kaplan et al. 2020, table 1), the table of pieces
        only for those that are masked."""
        config, width = self.model.bert.config, self.model.bert.config.hidden
        layer = 4 * width * width + 2 * width * config.intermediate
        attention = 2 * self._rows.length * width
        masked = self._rows.masked_share * (width * config.vocab_size + width * width)
        return 6.0 * (config.n_layers * (layer + attention) + masked)

    def weights(self) -> tuple[Weights, Weights | None]:
        """In float32: those of the encoder and its heads, and of span borders."""
        arrays = {n: t.detach().cpu().numpy().copy() for n, t in self.masters.tensors.items()}
        prefix = "span_boundary."
        boundary = {n[len(prefix) :]: a for n, a in arrays.items() if n.startswith(prefix)}
        return {n: a for n, a in arrays.items() if not n.startswith(prefix)}, boundary or None

    @property
    def warmup_steps(self) -> int:
        """Steps of the warm-up; 0 while that is not known."""
        return self._warm or 0

    def _is_due(self) -> bool:
        """Whether the rows kept apart are to be looked at: at the end, and so often before."""
        if self._held_out is None or self.total is None:
            return False
        every = max(1, self.total // max(1, self.config.evaluations))
        return self._step == self.total or self._step % every == 0

    def _timed_warmup(self) -> int:
        """Steps that take the warm-up's share of the minutes; all is as before afterwards."""
        assert self.config.minutes is not None
        times = []
        for at in range(TIMED_STEPS):
            begun = time.perf_counter()
            self._gradients(at)
            self.masters.clear()
            times.append(time.perf_counter() - begun)
        share = self.config.warmup * 60 * self.config.minutes / min(times)
        return int(self._agreed(max(1, round(share))))

    def _steps_left(self, seconds: float) -> int:
        """All steps that the minutes have room for, judged by those of the warm-up; the looks at
        the rows kept apart take their share."""
        assert self.config.minutes is not None and self._warm
        begun = time.perf_counter()
        if self._held_out is not None:
            self.evaluate()
        looks = (self.config.evaluations + 1) * (time.perf_counter() - begun)
        left = 60 * self.config.minutes - seconds - looks
        return int(self._agreed(self._step + max(1, int(left / (seconds / self._warm)))))

    def _agreed(self, number: int) -> int:
        """That of rank 0, in all ranks."""
        if self._ranks is None:
            return number
        return int(self._ranks.from_first(torch.tensor([number])).item())

    def _asked_to_stop(self) -> bool:
        if self._ranks is None:
            return self._stop()
        return bool(self._ranks.sum(torch.tensor([int(self._stop())])).item())

    def _begin_together(self) -> None:
        """All ranks from where rank 0 is, which may have taken up a state."""
        if self._ranks is not None:
            arrays, numbers = self.state()
            shared = from_first_rank(self._ranks, arrays, {**numbers, "history": []})
            if self._rank:
                self.load(*shared)
        if self._kept is None:
            self._kept = self._arrays()
        self.masters.hand_down()

    def _one_step(self) -> tuple[dict[str, float], float, float, str | None]:
        """Losses, rate, norm of the gradients, and what went wrong."""
        losses = self._gradients(self._step)
        gradients = self.masters.gradients()
        norm = norm_of(gradients)
        verdict = self._guard.judge(sum(losses.values()), norm)
        rate = self.config.lr * self._scale * self.config.share_of_rate(
            self._step, self.total or 10**9, self._warm or 1
        )  # fmt: skip
        note = None
        if verdict is Verdict.good:
            clip(gradients, norm, self.config.clip)
            self._optimizer.step(rate)
        else:
            note = f"step {self._step + 1} is left out: loss {sum(losses.values()):.4g}"
            if verdict is Verdict.back:
                note = self._go_back()
        self.masters.clear()
        self.masters.hand_down()
        return losses, rate, norm, note

    def _go_back(self) -> str:
        """To the weights of the last snapshot, at half the rate."""
        self._returns += 1
        self._scale /= 2
        if self._returns > MOST_RETURNS or self._kept is None:
            raise NegativeAnswer(
                f"training diverged at step {self._step + 1}", hint=f"--lr {self.config.lr / 4:g}"
            )
        self._take(self._kept)
        return f"step {self._step + 1}: weights are taken back, the rate is halved"

    def _gradients(self, step: int) -> dict[str, float]:
        """Those of one step, left in the masters; gives the mean losses."""
        batches = self._batches(step)
        counts = self._summed(
            {name: float(sum(count(part[2], name) for part in batches)) for name in self._asked}
        )
        sums = dict.fromkeys(self._asked, 0.0)
        self.model.train()
        for number, batch in enumerate(batches):
            seed_draws(_mixed(self._seed, step, self._rank * 10_000 + number), self.device)
            ids, segments, targets = batch
            losses = self.model.losses(ids, segments, targets)
            total = sum((loss / counts[name] for name, loss in losses.items()), torch.zeros(()))
            assert isinstance(total, Tensor)
            total.backward()  # type: ignore[no-untyped-call]
            self.masters.collect()
            for name, loss in losses.items():
                sums[name] += float(loss.detach())
        if self._ranks is not None:
            sum_gradients(self._ranks, self.masters.moving)
        sums = self._summed(sums)
        return {name: sums[name] / counts[name] for name in self._asked if counts[name]}

    def _summed(self, numbers: dict[str, float]) -> dict[str, float]:
        """Over ranks."""
        if self._ranks is None:
            return numbers
        values = torch.tensor(list(numbers.values()), dtype=torch.float64)
        return dict(zip(numbers, self._ranks.sum(values).tolist(), strict=True))

    def _batches(self, step: int) -> list[tuple[Tensor, Tensor | None, Targets]]:
        """This rank's micro-batches of a step."""
        size = self.config.batch_size
        epoch, at = divmod(step, self.steps_per_epoch)
        quanta = [
            self._rows.batch(epoch, at * size + first, min(QUANTUM, size - first))
            for first in range(0, size, QUANTUM)[self._rank :: self._n_ranks]
        ]
        per_micro = max(1, self._micro // QUANTUM)
        return [
            as_tensors(quanta[i : i + per_micro], self.device)
            for i in range(0, len(quanta), per_micro)
        ]

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """Loss and accuracy of each objective on the rows kept apart, masked always alike."""
        assert self._held_out is not None
        self.model.eval()
        losses: dict[str, list[Tensor]] = {}
        right: dict[str, list[Tensor]] = {}
        size = max(QUANTUM, self._micro // QUANTUM * QUANTUM)
        for first in range(0, len(self._held_out), size):
            batch = self._held_out.batch(0, first, min(size, len(self._held_out) - first))
            ids, segments, targets = as_tensors([batch], self.device)
            for name, (loss, good) in self.model.scores(ids, segments, targets).items():
                losses.setdefault(name, []).append(loss)
                right.setdefault(name, []).append(good)
        found = {}
        for name in losses:
            found[f"{name}_loss"] = float(torch.cat(losses[name]).double().mean())
            found[f"{name}_accuracy"] = float(torch.cat(right[name]).double().mean())
        return found

    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        weights = {n: t.detach().cpu().numpy().copy() for n, t in self.masters.tensors.items()}
        moments = {f"optimizer/{n}": a.copy() for n, a in self._optimizer.state().items()}
        return {**weights, **moments}

    @torch.no_grad()
    def _take(self, arrays: dict[str, npt.NDArray[Any]]) -> None:
        for name, tensor in self.masters.tensors.items():
            if name not in arrays or arrays[name].shape != tuple(tensor.shape):
                raise ValueError(f"{name} is missing or of another shape")
        for name, tensor in self.masters.tensors.items():
            tensor.copy_(torch.from_numpy(arrays[name]))
        at = len("optimizer/")
        self._optimizer.load({n[at:]: a for n, a in arrays.items() if n.startswith("optimizer/")})
        self.masters.hand_down()

    def state(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """What ``load`` needs; take it after a step."""
        return self._arrays(), {
            "step": self._step, "total": self.total, "warm": self._warm, "scale": self._scale,
            "returns": self._returns, "seconds": self.seconds,
            "step_seconds": self.step_seconds, "guard": self._guard.state(),
            "history": self.history,
        }  # fmt: skip

    def load(self, arrays: dict[str, npt.NDArray[Any]], numbers: dict[str, Any]) -> None:
        """Takes up where ``state`` was taken. Raises ValueError, KeyError, TypeError."""
        total, warm = numbers["total"], numbers["warm"]
        self._take(arrays)
        self._kept = {name: array.copy() for name, array in arrays.items()}
        self._step, self._returns = int(numbers["step"]), int(numbers["returns"])
        self.total = None if total is None else int(total)
        self._warm = None if warm is None else int(warm)
        self._scale, self.seconds = float(numbers["scale"]), float(numbers["seconds"])
        self.step_seconds = float(numbers["step_seconds"])
        self._guard.load(numbers["guard"])
        self.history = list(numbers["history"])


def _mixed(*numbers: int) -> int:
    """A seed from several numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)
