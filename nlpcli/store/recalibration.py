"""What ``eval --calibrate`` keeps in a model's manifest beside the scale of its logits."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from nlpcli.errors import DataError
from nlpcli.models.top_label import with_top_moved

KEY = "recalibration"
"""Of the manifest's configuration; models that were not calibrated again lack it."""
METHODS = ("temperature", "isotonic")
KINDS = ("fasttext", "bert-classifier")
"""Of models that have a place for it, and for a reference that drift is told by; as in
store/classifier.py and store/encoder_classifier.py."""
WANTED = "a classifier of train-fasttext, or of finetune for one task"
"""What these are called."""


@dataclass(frozen=True)
class Recalibration:
    """Fitted by ``method`` on so many ``rows`` of a file with ``sha256``.

    ``points``: (probability of the top label, probability that is right), rising, lines between
    them; empty where the scale alone was fitted. ``levels``: (share of rows, largest 1 - p of a
    label in the set), rising: ``evaluation/conformal.py``; empty for several labels a text.
    """

    method: str
    rows: int
    sha256: str = ""
    points: tuple[tuple[float, float], ...] = ()
    levels: tuple[tuple[float, float], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "method": self.method, "rows": self.rows, "sha256": self.sha256,
            "points": [list(pair) for pair in self.points],
            "levels": [list(pair) for pair in self.levels],
        }  # fmt: skip

    def quantile(self, level: float) -> float | None:
        """Of the lowest level kept that is not below the one asked for; None without any."""
        return next((found for kept, found in self.levels if kept >= level - 1e-9), None)


def read_recalibration(config: dict[str, Any], where: str) -> Recalibration | None:
    """Of a manifest's configuration; None in models that have none. Raises DataError."""
    about = config.get(KEY)
    if about is None:
        return None
    if not isinstance(about, dict) or set(about) != set(Recalibration("", 0).to_json()):
        raise DataError(f"{where}: config.{KEY} has other keys")
    good = {
        "method": about["method"] in METHODS,
        "rows": type(about["rows"]) is int and about["rows"] >= 0,
        "sha256": isinstance(about["sha256"], str),
        "points": _rising(about["points"]),
        "levels": _rising(about["levels"]),
    }
    for name, fine in good.items():
        if not fine:
            raise DataError(f"{where}: config.{KEY}.{name} cannot be")
    points, levels = (
        tuple((float(x), float(y)) for x, y in about[name]) for name in ("points", "levels")
    )
    return Recalibration(about["method"], about["rows"], about["sha256"], points, levels)


def _rising(pairs: Any) -> bool:
    """Whether it is a list of two numbers from 0 to 1 each, the first rising, the second never
    falling."""
    if not isinstance(pairs, list):
        return False
    for pair in pairs:
        if not isinstance(pair, list) or len(pair) != 2:
            return False
        if not all(type(x) in (int, float) and 0 <= x <= 1 for x in pair):
            return False
    return all(a[0] < b[0] and a[1] <= b[1] for a, b in pairwise(pairs))


def moved(
    probabilities: npt.NDArray[np.float64], kept: Recalibration | None
) -> npt.NDArray[np.float64]:
    """Probabilities [B, K] as they were calibrated again."""
    return probabilities if kept is None else with_top_moved(probabilities, kept.points)
