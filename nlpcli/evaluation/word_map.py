"""A page that shows words as points on a plane: one HTML file, which asks for nothing.

Points are scikit-learn's, the page is filled in by Jinja. A plotting library in the page would take
1 to 5 MB, and finding words and walking along neighbours would still be a script of our own.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np

from nlpcli.evaluation.projection import METHODS, Method, project
from nlpcli.models.word_vectors import WordVectors

TEMPLATE = "word_map.html"
NEIGHBOURS = 10
_DIGITS = 4


@dataclass(frozen=True)
class WordMap:
    """The first ``n_words`` of a model, placed by ``method``."""

    n_words: int = 1000
    method: Method = "tsne"
    seed: int = 1

    def page(self, vectors: WordVectors, title: str) -> str:
        """The page, as HTML; texts are escaped.

        Points are those of ``project``; the neighbours of each word are the nearest by cosine of
        all words of the model, in all dimensions.
        """
        from jinja2 import Environment, StrictUndefined

        source = files("nlpcli.evaluation").joinpath(TEMPLATE).read_text(encoding="utf-8")
        environment = Environment(
            autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        data = self._data(vectors)
        return environment.from_string(source).render(
            title=title,
            n_shown=data["n"],
            n_words=len(vectors.words),
            dim=vectors.vectors.shape[1],
            method=METHODS[self.method],
            data=data,
        )

    def _data(self, vectors: WordVectors) -> dict[str, Any]:
        """Words, the first ``n`` of them with a point; neighbours as numbers of words."""
        n = min(self.n_words, len(vectors.words))
        shown = vectors.vectors[:n]
        rows, cosines = vectors.nearest(shown, NEIGHBOURS, [[i] for i in range(n)])
        others = np.unique(rows[rows >= n]).tolist()
        number = {row: n + i for i, row in enumerate(others)} | {i: i for i in range(n)}
        near = [
            [[number[row], round(cosine, _DIGITS)] for row, cosine in pairs if row >= 0]
            for pairs in map(zip, rows.tolist(), cosines.tolist())
        ]
        points = project(shown, self.method, self.seed)
        return {
            "n": n,
            "words": vectors.words[:n] + [vectors.words[row] for row in others],
            "points": points.round(_DIGITS).tolist(),
            "near": near,
        }
