"""How spans are told from their pieces, and the tensors that it takes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

HEADS = ("boundary", "attention")
PREFIX = "span_head."
"""Of the names of all tensors."""
MOST_WORDS, MOST_SIZE = 512, 65_536

Shape = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class SpanConfig:
    """``head``: boundary or attention; spans of at most ``max_span`` words; ``size`` numbers of a
    span's vector. Raises ValueError."""

    head: str = "boundary"
    max_span: int = 10
    size: int = 256

    def __post_init__(self) -> None:
        if self.head not in HEADS:
            raise ValueError(f"head: {self.head!r}, not {' or '.join(HEADS)}")
        for name, most in (("max_span", MOST_WORDS), ("size", MOST_SIZE)):
            value = getattr(self, name)
            if type(value) is not int or not 1 <= value <= most:
                raise ValueError(f"{name}: {value!r}, wanted a whole number from 1 to {most:,}")

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


def span_head_shapes(
    config: SpanConfig, hidden: int, n_labels: int, n_relations: int
) -> dict[str, Shape]:
    """Of all tensors by name, over vectors of ``hidden`` numbers; the labels are besides none."""
    size = config.size
    attention = config.head == "attention"
    found: dict[str, Shape] = {}
    if attention:
        for name in ("start_inner", "end_inner", "attention_inner"):
            found |= _affine(name, size, hidden)
        found |= _affine("attention", 1, size)
    below = size if attention else hidden
    found |= _affine("start", size, below) | _affine("end", size, below)
    found |= _affine("inside", size, hidden)
    found[f"{PREFIX}width"] = (config.max_span, size)
    found |= _affine("label", n_labels + 1, size)
    if n_relations:
        found |= _affine("relation_head", size, size) | _affine("relation_tail", size, size)
        found |= _affine("between", size, hidden)
        found[f"{PREFIX}order"] = (3, size)
        found |= _affine("relation", n_relations + 1, size)
    return found


def _affine(name: str, n_out: int, n_in: int) -> dict[str, Shape]:
    return {f"{PREFIX}{name}.weight": (n_out, n_in), f"{PREFIX}{name}.bias": (n_out,)}
