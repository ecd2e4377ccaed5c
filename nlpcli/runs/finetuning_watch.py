"""How a fine-tuning goes, shown while it runs, and what it took."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any

from nlpcli.runs import interrupts
from nlpcli.runs.interrupts import Interrupted

if TYPE_CHECKING:
    from nlpcli.runs.reporting import Reporter
    from nlpcli.runs.resuming import Resumption
    from nlpcli.training.finetuning import Finetuning
    from nlpcli.training.finetuning_steps import FinetuneStep

PEAK_AFTER = 5.0
"""Seconds of training after which it is worth a moment to measure how fast products can be."""


class Watch:
    """Runs ``training`` to its end, shows how it goes and saves states; then tells ``figures``.

    ``n_rows``: of the input, to learn from; the encoder may read one as several.
    """

    def __init__(
        self, training: Finetuning, console: Reporter, *, n_rows: int, ranks: int = 1
    ) -> None:
        self._training, self._console, self._n_ranks = training, console, ranks
        # what was taken up after the last step has nothing more to show
        self._first, self._loss, self._peak = training.rows_done, training.loss, 0.0
        self._flops = 0.0 if training.keeps_features else training.flops_per_row
        """Of a row that the encoder reads; 0 where no encoder is at work."""
        self._whole = n_rows / training.n_rows
        self._seconds = 0.0
        self._encoding: float | None = None

    def run(self, states: Resumption) -> None:
        """Raises Interrupted after a signal, with a state saved; as the training raises."""
        with self._console, interrupts.deferred():
            stopped = self._encode() or self._train(states)
        if stopped:  # no signal came to this rank, but to another one
            raise Interrupted(signal.SIGTERM)

    def _encode(self) -> bool:
        """Lets a frozen encoder read the rows; gives whether that was stopped."""
        begun = time.perf_counter()
        for done, count in self._training.remember():
            self._encoding = time.perf_counter() - begun
            self._console.progress("encoding", done, count)
            if interrupts.pending():
                return True
        return False

    def _train(self, states: Resumption) -> bool:
        begun = time.perf_counter()
        for now in self._training:
            self._seconds = time.perf_counter() - begun
            self._show(now)
            if now.stop:
                states.save(self._training)
                return True
            states.save_if_due(self._training)
        return False

    def _show(self, now: FinetuneStep) -> None:
        self._loss = now.loss
        if not self._peak and self._training.step_seconds > PEAK_AFTER and self._flops:
            from nlpcli.training.precision import matmul_peak

            self._peak = matmul_peak(self._training.device, self._training.precision)
        share = self._share
        note = f"loss {now.loss:.4f}  {self._rate:,.0f} rows/s"
        self._console.progress(
            f"epoch {now.epoch}/{self._training.config.epochs}", now.step, now.total,
            note if share is None else f"{note}  {share:.0%} of peak",
        )  # fmt: skip
        if now.note is not None:
            self._console.warn(now.note)
        if now.dev_score is not None:
            self._console.say(f"epoch {now.epoch}: loss {now.loss:.4f}, dev {now.dev_score:.4f}")

    @property
    def _rate(self) -> float:
        """Rows of the input a second, looks at the dev rows included."""
        read = self._training.rows_done - self._first
        return read * self._whole / max(self._seconds, 1e-9)

    @property
    def _share(self) -> float | None:
        """Of the fastest products, without looks at the dev rows."""
        if not self._peak:
            return None
        rows = self._training.rows_done - self._first
        spent = self._training.step_seconds * self._peak * self._n_ranks
        return rows * self._flops / max(spent, 1e-9)

    def figures(self) -> dict[str, Any]:
        """For the report; ``share_of_peak`` None in a run that was too short to measure it, or in
        which no encoder was at work."""
        training, share = self._training, self._share
        found: dict[str, Any] = {
            "rows_per_second": round(self._rate), "loss": round(self._loss, 6),
            "epochs": training.epochs_done, "steps": training.steps_done,
            "train_seconds": round(self._seconds, 3),
            "share_of_peak": None if share is None else round(share, 4),
        }  # fmt: skip
        if self._encoding is not None:
            found["encoding_seconds"] = round(self._encoding, 3)
        if training.best is not None:
            found["best_epoch"] = training.best_epoch
        if training.device.type == "cuda":
            import torch

            peak = torch.cuda.max_memory_allocated(training.device)
            found["gpu_peak_memory_mb"] = round(peak / (1 << 20))
        return found
