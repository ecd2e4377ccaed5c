"""Where a fine-tuning stands, what ends it, and what is said of one that went wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

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


class _Stopped(Exception):
    """Asked to end."""


def unless_stopped(
    score: Callable[[], float], encoder: nn.Module, stop: Callable[[], bool]
) -> float | None:
    """The score; None where ``stop`` says so before one of the batches that ``encoder`` reads."""

    def ask(*_: object) -> None:
        if stop():
            raise _Stopped

    asking = encoder.register_forward_pre_hook(ask)
    try:
        return score()
    except _Stopped:
        return None
    finally:
        asking.remove()
