"""torchrun, or whoever else starts a process several times: which of them this one is."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass

from nlpcli.errors import UsageError

SHARED = ("train-w2v", "pretrain-bert", "finetune")
"""Commands that several processes run as one; to all others their number means nothing."""
_NEEDED = ("MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Place:
    """Number ``rank`` of ``size`` processes."""

    rank: int = 0
    size: int = 1


def place() -> Place:
    """By RANK and WORLD_SIZE; alone without them. Raises UsageError for what makes no sense."""
    if not os.environ.get("RANK") or not os.environ.get("WORLD_SIZE"):
        return Place()
    rank, size = _number("RANK"), _number("WORLD_SIZE")
    if rank >= size:
        raise UsageError(f"RANK {rank}: not below WORLD_SIZE {size}")
    if size == 1:
        return Place()
    for name in _NEEDED:
        if not os.environ.get(name):
            raise UsageError(f"WORLD_SIZE is {size}, and {name} is not set", hint="torchrun")
    here = _number("LOCAL_WORLD_SIZE") if os.environ.get("LOCAL_WORLD_SIZE") else size
    if here != size:
        raise UsageError(f"{here} of {size} ranks are on this machine: all must be")
    return Place(rank, size)


def silence_others(arguments: list[str]) -> None:
    """Rank 0 alone talks: what the others write goes nowhere."""
    if "".join(arguments[:1]) not in SHARED or os.environ.get("RANK", "0") == "0":
        return
    with contextlib.suppress(UsageError):  # which the command raises too
        if not place().rank:
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):
            os.dup2(nowhere, stream)
        os.close(nowhere)


def _number(name: str) -> int:
    text = os.environ[name]
    if not (text.isascii() and text.isdigit()):
        raise UsageError(f"{name} is {text!r}: not a whole number")
    return int(text)
