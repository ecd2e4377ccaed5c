"""What tests of word vectors share."""

from __future__ import annotations

import pytest

from nlpcli.batching import windows
from nlpcli.models import overlap
from nlpcli.models import word2vec as models
from nlpcli.training import word2vec as training


@pytest.fixture
def small_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks, spans and chunks of a few words, and a report after each step."""
    monkeypatch.setattr(overlap, "LEAST", 4)
    for module in (models, training):
        monkeypatch.setattr(module, "POOLS", {"skipgram": (4, 4), "cbow": (8, 4)})
    monkeypatch.setattr(training, "SPAN", 16)
    monkeypatch.setattr(training, "TREE_SPAN", 16)
    monkeypatch.setattr(training, "REPORT_SECONDS", 0)
    monkeypatch.setattr(windows, "CHUNK", 400)
