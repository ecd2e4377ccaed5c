"""Word vectors on a plane, for people to look at."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from nlpcli.models.word_vectors import F32, unit_rows

F64 = npt.NDArray[np.float64]
Method = Literal["pca", "tsne"]
METHODS: dict[Method, str] = {"pca": "PCA", "tsne": "t-SNE"}
"""For people."""
_PERPLEXITY = 30
_FEWEST = 5
"""Of points: t-SNE of fewer has nothing to arrange."""


def project(vectors: F32, method: Method, seed: int) -> F64:
    """The rows, at length one, as points from -1 to 1, float64 [N, 2]; by scikit-learn.

    ``pca``: the two directions of the largest variance (Pearson 1901), one scale for both.
    ``tsne``: t-SNE (van der Maaten and Hinton 2008) from PCA's points, perplexity 30, or less where
    there are few; each axis has its own scale. Fewer than five rows are always by PCA.
    """
    units = unit_rows(vectors).astype(np.float64)
    flat = _two_columns(units, seed)
    if method == "pca" or len(units) < _FEWEST or not flat.any():
        return _scaled(flat, max(float(np.abs(flat).max(initial=0)), 1e-12))
    from sklearn.manifold import TSNE

    perplexity = min(_PERPLEXITY, (len(units) - 1) / 3)
    start = flat / max(float(flat[:, 0].std()), 1e-12) * 1e-4
    points = TSNE(perplexity=perplexity, init=start, random_state=seed).fit_transform(units)
    found: F64 = points.astype(np.float64)
    found -= (found.max(axis=0) + found.min(axis=0)) / 2
    return _scaled(found, np.maximum(np.abs(found).max(axis=0), 1e-12))


def _two_columns(units: F64, seed: int) -> F64:
    """The first two principal components; zeros where there are not as many."""
    from sklearn.decomposition import PCA

    found = np.zeros((len(units), 2))
    columns = min(2, *units.shape)
    if np.ptp(units, axis=0).any():
        found[:, :columns] = PCA(columns, random_state=seed).fit_transform(units)
    return found


def _scaled(points: F64, scale: float | F64) -> F64:
    found: F64 = points / scale
    return found
