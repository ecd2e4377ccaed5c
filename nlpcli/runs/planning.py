"""What a training run will need, known before it begins: refused early, or shown by --dry-run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from nlpcli.errors import Unavailable
from nlpcli.formats.fasttext_training import TrainingCutter
from nlpcli.runs.memory import free_memory

if TYPE_CHECKING:
    from nlpcli.runs.request import Parts, Request
    from nlpcli.store.draft import Draft
    from nlpcli.text.tokenizer import Bags, Tokenizer

_COPIES = 3
"""Of the tables, at the worst moment: in training, kept for saving, and as bytes of the file."""
_WHOLE = 3
"""Copies of a file in fastText's format, of which only the rows that are used are trained."""
_ENTRY_BYTES = 44
"""Of one feature of one text while batches are made."""
_DUAL_BYTES = 4
"""Of one text and label, with the squared hinge."""


@dataclass(frozen=True)
class Plan:
    """Sizes of a run; ``memory_bytes`` comes on top of what is held when it is made."""

    output: str
    rows: int
    dev_rows: int
    labels: int
    features: int
    entries: int
    epochs: int
    steps: int
    parameters: int
    model_bytes: int
    memory_bytes: int

    def lines(self) -> str:
        """For people: one line a value."""
        return "\n".join(
            f"{k.replace('_', ' '):<13} {v:,}" if isinstance(v, int) else f"{k:<13} {v}"
            for k, v in asdict(self).items()
        )


def make_plan(
    request: Request, parts: Parts, tokenizer: Tokenizer | TrainingCutter, bags: Bags
) -> Plan:
    """From the data as it was read and cut."""
    from nlpcli.batching.bags import good_batch_size, n_held_out

    config, n_labels, n_features = request.config, len(parts.names), tokenizer.n_features
    width = config.dim or n_labels
    parameters = n_features * width + n_labels * ((config.dim or 0) + 1)
    if isinstance(tokenizer, TrainingCutter):
        model_bytes = whole = tokenizer.file_bytes
    else:
        words = sum(len(word) + 4 for word in tokenizer.words)
        model_bytes = 4 * (parameters + n_features + n_labels) + 12 * n_features + words
        whole = 0
    entries = len(bags.ids)
    copies = _COPIES + (parts.dev is not None)
    n_texts, hinge = len(parts.train.texts), config.loss == "squared-hinge"
    batch_size = config.batch_size or good_batch_size(n_texts, entries)
    n_batches = -(-n_texts // batch_size)
    held_out = n_held_out(n_batches, batch_size) if hinge and parts.dev is None else 0
    return Plan(
        output=request.output,
        rows=len(parts.train.texts),
        dev_rows=0 if parts.dev is None else len(parts.dev.texts),
        labels=n_labels,
        features=n_features,
        entries=entries,
        epochs=config.epochs,
        steps=config.epochs * n_batches - config.epochs // 2 * held_out,
        parameters=parameters,
        model_bytes=min(model_bytes, request.model_size or model_bytes),
        memory_bytes=copies * 4 * parameters
        + _WHOLE * whole
        + _ENTRY_BYTES * entries
        + _DUAL_BYTES * hinge * n_texts * n_labels,
    )


def check_plan(plan: Plan, draft: Draft | None) -> None:
    """Raises Unavailable when memory, CannotCreate when the disk is too small for the run."""
    free = free_memory()
    if free is not None and plan.memory_bytes > free:
        raise Unavailable(
            f"{plan.features:,} features x {plan.labels:,} labels need about "
            f"{plan.memory_bytes / 1e9:,.1f} GB more memory, {free / 1e9:,.1f} GB are free",
            hint="--dim 64, a higher --min-count, or --buckets 1000000",
        )
    if draft is not None:
        draft.need(plan.model_bytes)
