"""A page of n-grams: rank and frequency, the most frequent, the most typical of each label."""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt

from nlpcli.data.ngram_table import NgramTable, Part
from nlpcli.text.counted import in_order

TEMPLATE = "ngram_page.html"
TOP = 15
"""N-grams in each list."""
MOST_LABELS = 40
_POINTS = 120
"""Of a curve."""
_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 640, 360, 92, 40
"""Of the drawing, and what its axes take of it."""

I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Axes:
    """Logarithmic axes up to so many powers of ten."""

    ranks: int
    counts: int

    def x(self, rank: float) -> float:
        return round(_LEFT + (_WIDTH - _LEFT) * math.log10(rank) / self.ranks, 1)

    def y(self, count: float) -> float:
        return round((_HEIGHT - _BOTTOM) * (1 - math.log10(count) / self.counts) + 8, 1)


def ngram_page(table: NgramTable, title: str) -> str:
    """The page, as HTML; texts are escaped, nothing is loaded from anywhere.

    The curve is the count of each n-gram against its rank, both logarithmic (Zipf 1949, Human
    Behavior and the Principle of Least Effort). N-grams are typical of a label by chi-square, of
    those that it has more of than its share.
    """
    from jinja2 import Environment, StrictUndefined

    source = files("nlpcli.evaluation").joinpath(TEMPLATE).read_text(encoding="utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    ranked = [in_order((-part.counts).view(np.uint64))[1] for part in table.parts]
    labels = table.typical(TOP, MOST_LABELS) if table.labels else []
    return environment.from_string(source).render(
        title=title,
        n_documents=table.n_documents,
        curves=_curves(table, ranked),
        tops=[
            {"title": f"{part.n}-grams", "rows": _rows(part, order[:TOP], table.joiner)}
            for part, order in zip(table.parts, ranked, strict=True)
            if len(order)
        ],
        labels=labels,
        n_labels=len(table.labels),
        width=_WIDTH,
        height=_HEIGHT,
        left=_LEFT,
        bottom=_BOTTOM,
    )


def _rows(part: Part, chosen: I64, joiner: str) -> list[dict[str, Any]]:
    counts = part.counts[chosen].tolist()
    names = part.names(chosen, joiner)
    most = max(counts, default=1)
    return [
        {"name": name, "count": count, "share": round(100 * count / most, 1)}
        for name, count in zip(names, counts, strict=True)
    ]


def _curves(table: NgramTable, ranked: list[I64]) -> dict[str, Any]:
    """Points of each order's curve, and the ticks of the axes."""
    longest = max((len(order) for order in ranked), default=1)
    most = max((int(part.counts.max(initial=1)) for part in table.parts), default=1)
    axes = _Axes(
        max(1, math.ceil(math.log10(max(longest, 2)))), max(1, math.ceil(math.log10(most + 1)))
    )
    lines = []
    for part, order in zip(table.parts, ranked, strict=True):
        if not len(order):
            continue
        ranks = np.unique(np.geomspace(1, len(order), _POINTS).round().astype(np.int64))
        chosen = order[ranks - 1]
        points = [
            {"x": axes.x(rank), "y": axes.y(row["count"]), "rank": rank, **row}
            for rank, row in zip(ranks.tolist(), _rows(part, chosen, table.joiner), strict=True)
        ]
        lines.append({"n": part.n, "kept": len(order), "points": points})
    return {
        "lines": lines,
        "ranks": [{"at": axes.x(10**k), "text": f"{10**k:,}"} for k in range(axes.ranks + 1)],
        "counts": [{"at": axes.y(10**k), "text": f"{10**k:,}"} for k in range(axes.counts + 1)],
    }
