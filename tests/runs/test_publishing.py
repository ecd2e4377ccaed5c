"""What --publish-if better compares with."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nlpcli.data.labelled import Labelled
from nlpcli.runs import answering, regression_finetuning, span_finetuning, token_finetuning
from nlpcli.runs.publishing import rival_metrics
from nlpcli.runs.regression_finetuning import RegressionRun
from nlpcli.runs.span_finetuning import SpanRun
from nlpcli.runs.token_finetuning import TokenRun
from nlpcli.store import span_model, token_tagger

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


@pytest.mark.parametrize("other", [False, True])
@pytest.mark.parametrize("asked", [False, True])
def test_regressions_spans_and_taggers_of_another_form_are_no_rivals(
    monkeypatch: pytest.MonkeyPatch, asked: bool, other: bool
) -> None:
    folder = SimpleNamespace(path=Path("m/1"))
    form = ("single texts", "pairs"), ("spans with labels", "spans without labels")
    scheme = "none" if asked else "BIO"
    request: Any = SimpleNamespace(
        output="m", pair=asked, identify=asked, device="cpu", precision="fp32", threads=1
    )
    stored: Any = SimpleNamespace(spanning=SimpleNamespace(identify=other))
    tagger = SimpleNamespace(scheme="none" if other else "BIO")
    monkeypatch.setattr(
        regression_finetuning, "open_regressor", lambda *_, **__: SimpleNamespace(pair=other)
    )
    monkeypatch.setattr(regression_finetuning, "_metrics", lambda *_: {"pearson": 1.0})
    monkeypatch.setattr(span_model, "read_span_model", lambda _: None)
    monkeypatch.setattr(
        span_finetuning, "SpanFinder", lambda *_, **__: SimpleNamespace(stored=stored)
    )
    monkeypatch.setattr(span_finetuning, "_rows", lambda rows: rows)
    monkeypatch.setattr(token_tagger, "read_token_tagger", lambda _: None)
    monkeypatch.setattr(token_finetuning, "TokenTagger", lambda *_, **__: tagger)
    for module, run, said in (
        (regression_finetuning, RegressionRun, f"it answers {form[0][other]}"),
        (span_finetuning, SpanRun, f"it finds {form[1][other]}"),
        (token_finetuning, TokenRun, f"its tags mark {'no ' * other}entities"),
    ):
        console: Any = Heard()
        monkeypatch.setattr(module, "version_in_use", lambda *_: folder)
        monkeypatch.setattr(run, "_metrics", lambda *_: {"f1": 1.0}, raising=False)
        made: Any = run(request, console, console, console)
        made._scheme = scheme
        found = made._rival(SimpleNamespace(dev=DEV))
        if asked == other:
            assert found and not console.warnings
        else:
            assert not found
            assert console.warnings == [f"--publish-if better: m/1 is no rival, {said}"]
