"""What --publish-if better compares with."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nlpcli.data.labelled import Labelled
from nlpcli.runs import answering
from nlpcli.runs.publishing import rival_metrics

DEV = Labelled(["a", "b"], [("x",), ("y",)], None, [2, 3], "", 2, 0, 0, 0)


class InUse:
    """A classifier that is right."""

    def __init__(self, *, several: bool, pair: bool) -> None:
        self.labels = ["x", "y"]
        self.multi_label, self.pair = several, pair

    def limit(self, asked: float | None) -> float:
        return 0.5

    def probabilities(self, texts: list[str]) -> Any:
        return np.eye(2)


class Heard:
    """What a console is told."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("pair", [False, True])
def test_only_a_version_of_the_same_form_is_a_rival(
    monkeypatch: pytest.MonkeyPatch, several: bool, pair: bool
) -> None:
    store: Any = SimpleNamespace(open=lambda name: (SimpleNamespace(path=Path("m/1")), []))
    for one, other in ((several, pair), (not several, pair), (several, not pair)):
        console: Any = Heard()
        model = InUse(several=one, pair=other)
        how: dict[str, Any] = {}

        def opened(folder: Any, model: Any = model, how: Any = how, **more: Any) -> Any:
            how |= more
            return model

        monkeypatch.setattr(answering, "open_answering", opened)
        found = rival_metrics(
            store, "m", DEV, console, several=several, pair=pair, precision="fp32"
        )
        assert how == {"pair": pair, "precision": "fp32"}
        if (one, other) == (several, pair):
            assert found["macro_f1"] == 1 and not console.warnings
        else:
            said = "any number of labels" if one else "one label"
            assert not found and console.warnings[0].endswith(
                f"m/1 is no rival, it answers {'pairs' if other else 'single texts'} with {said}"
            )
