"""What to do about a step that went wrong: leave it out, or go back to where all was well."""

from __future__ import annotations

import math
from collections import deque
from enum import Enum

WINDOW = 50
"""Steps whose losses are remembered."""
SPIKE = 1.25
"""Times the median of these: a loss above is a spike."""
PATIENCE = 5
"""Bad steps, of the last WINDOW, after which weights are taken back."""


class Verdict(Enum):
    """On a step whose gradients are there but have not been used."""

    good = "good"
    skip = "skip"
    back = "back"


class Guard:
    """Judges steps by their loss and the norm of their gradients."""

    def __init__(self) -> None:
        self._losses: deque[float] = deque(maxlen=WINDOW)
        self._bad: deque[int] = deque(maxlen=WINDOW)

    def judge(self, loss: float, norm: float) -> Verdict:
        """A loss or norm that is not finite, or a loss that jumped up, is not to be used."""
        finite = math.isfinite(loss) and math.isfinite(norm)
        bad = not finite or (len(self._losses) == WINDOW and loss > SPIKE * self._usual())
        self._bad.append(bad)
        if not bad:
            self._losses.append(loss)
            return Verdict.good
        if sum(self._bad) < PATIENCE:
            return Verdict.skip
        self._bad.clear()
        self._losses.clear()
        return Verdict.back

    def _usual(self) -> float:
        return sorted(self._losses)[len(self._losses) // 2]

    def state(self) -> dict[str, list[float]]:
        """All that ``load`` needs."""
        return {"losses": list(self._losses), "bad": [float(flag) for flag in self._bad]}

    def load(self, state: dict[str, list[float]]) -> None:
        """Goes on from a state."""
        self._losses = deque((float(loss) for loss in state["losses"]), maxlen=WINDOW)
        self._bad = deque((int(flag) for flag in state["bad"]), maxlen=WINDOW)
