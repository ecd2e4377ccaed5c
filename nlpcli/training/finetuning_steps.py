"""Where a fine-tuning stands, and what is said of one that went wrong."""

from __future__ import annotations

from dataclasses import dataclass

from nlpcli.errors import NegativeAnswer


@dataclass(frozen=True)
class FinetuneStep:
    """Where training stands: ``step`` of ``total``, ``epoch`` from 1, mean ``loss`` of this
    epoch's steps that were taken; ``dev_score`` at its end, where there are dev rows. ``rows``
    seen in all. ``note``: what went wrong. ``stop``: this rank, or another one, is asked to end.
    """

    step: int
    total: int
    epoch: int
    loss: float
    rows: int
    dev_score: float | None = None
    note: str | None = None
    stop: bool = False


def diverged(step: int, lr: float) -> NegativeAnswer:
    """To be raised at a step from 1, with a learning rate to try instead."""
    return NegativeAnswer(
        f"training diverged at step {step}: gradients are not finite", hint=f"--lr {lr / 4:g}"
    )
