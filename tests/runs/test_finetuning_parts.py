"""What a fine-tuning will need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from nlpcli.batching.framing import Rows
from nlpcli.batching.span_rows import SpanRows
from nlpcli.batching.word_rows import WordRows
from nlpcli.data.labelled import Labelled
from nlpcli.data.rows import RowFormat
from nlpcli.data.spanned import Spanned
from nlpcli.errors import DataError, Unavailable
from nlpcli.models.span_config import SpanConfig
from nlpcli.runs import encoder_planning
from nlpcli.runs.conditions import parse_condition
from nlpcli.runs.finetuning_parts import FinetuneRequest, make_plan
from nlpcli.runs.multitask_parts import MultitaskRequest, SeveralParts, TaskRows
from nlpcli.runs.request import Parts
from nlpcli.runs.span_finetuning import SpanRequest, SpanRun
from nlpcli.runs.token_finetuning import TokenRequest, TokenRun
from nlpcli.store.encoder import OpenedEncoder
from nlpcli.training import frozen_features
from nlpcli.training.finetuning_config import FinetuneConfig

from .encoders import tiny_encoder

N_READ, PIECES, HIDDEN = 12, 60, 32


def request(
    kind: Callable[..., FinetuneRequest] = FinetuneRequest, **config: Any
) -> FinetuneRequest:
    names = ("text_column", "text_b_column", "label_column", "weight_column", "label_separator")
    return kind(
        output="m", train="t.csv", dev=None, dev_fraction=0.1, fmt=RowFormat(),
        columns=dict.fromkeys(names), pair=False,
        base=OpenedEncoder(tiny_encoder(), Path("e"), None, []),
        config=FinetuneConfig(max_length=16, batch_size=5, epochs=2, **config), class_weight=None,
        threshold=None, patience=None, seed=1, threads=None, device="cpu", precision="fp32",
        resume=False, save_every=5.0, gate=[], if_changed=False,
    )  # fmt: skip


def labelled(n: int) -> Labelled:
    return Labelled(["a"] * n, [("x",)] * n, None, list(range(n)), "", n, 0, 0, 0)


def planned(of: FinetuneRequest, parts: Parts | None = None, head_bytes: int = 0) -> dict[str, Any]:
    """For rows that are read as 12: 10 of them, and 5 dev rows, unless others are given."""
    parts = parts or Parts(labelled(10), labelled(5), "dev", ["x", "y"], None)
    bounds = np.arange(0, PIECES + 1, PIECES // N_READ)
    rows = Rows(np.zeros(PIECES, np.int32), bounds, np.full(N_READ, 5), 0)
    return make_plan(of, parts, n_cut=0, read=[rows], head_bytes=head_bytes)


def test_features_that_are_kept_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = planned(request())
    assert plain["rows"] == 10 and plain["steps"] == 2 * 3
    frozen = planned(request(freeze="all"))["memory_bytes"] - plain["memory_bytes"]
    assert frozen == 4 * HIDDEN * (N_READ + N_READ // 2)
    by_position = planned(request(TokenRequest, freeze="all"))["memory_bytes"]
    kept = by_position - planned(request(TokenRequest))["memory_bytes"]
    assert kept == 4 * HIDDEN * (PIECES + PIECES // 2)
    monkeypatch.setattr(frozen_features, "FEATURE_BYTES", 4 * HIDDEN * N_READ)
    assert planned(request(freeze="all"))["memory_bytes"] - plain["memory_bytes"] == (
        4 * HIDDEN * N_READ
    )
    free = plain["memory_bytes"] + 1
    monkeypatch.setattr(encoder_planning, "free_memory", lambda: free)
    assert planned(request())["memory_bytes"] == plain["memory_bytes"]
    with pytest.raises(Unavailable, match="GB more memory"):
        planned(request(freeze="all"))


def test_spans_of_a_micro_batch_are_counted() -> None:
    """8 rows of 512 positions are computed at once on a CPU, and 2 of them stand here."""
    words = np.arange(0, 2 * 510 + 1, 510)
    bounds = np.arange(0, 2 * 512 + 1, 512)
    rows = Rows(np.zeros(1024, np.int32), bounds, np.full(2, 512), 0)
    firsts = np.concatenate([np.arange(510) + 1, np.arange(510) + 513])
    read = WordRows(rows, words, firsts, np.ones(1020, np.int64), words, np.zeros(2, bool), words)
    spans = 64 * 510 - 64 * 63 // 2

    def needed(head: str = "boundary", size: int = 256, **more: Any) -> int:
        given = {"n_labels": 2, "batch_size": 16, "most_learnt": None, "looks": False, **more}
        config = SpanConfig(head=head, max_span=64, size=size)
        place = torch.device("cpu")
        return encoder_planning.span_memory(config, SpanRows.of(read, 64), place, **given)

    assert needed() == 4 * 8 * spans * (6 * 256 + 4 * 3)
    assert needed(batch_size=1) * 8 == needed()
    assert needed("attention") - needed() == 4 * 8 * spans * 3 * 512
    assert needed(most_learnt=100) * spans == needed() * 100
    rows_asked = frozen_features.ANSWER_TOKENS["cpu"] // 512
    asked = 4 * rows_asked * spans * (3 * 256 + 4 * 3)
    assert needed(most_learnt=100, looks=True) == asked
    assert planned(request(), head_bytes=10**6)["memory_bytes"] == (
        planned(request())["memory_bytes"] + 10**6
    )


@pytest.mark.parametrize("kind", [FinetuneRequest, TokenRequest])
def test_what_needs_dev_rows_is_refused_without_any(kind: type[FinetuneRequest]) -> None:
    parts = Parts(labelled(2), None, "none", ["x", "y"], None)
    assert planned(request(kind), parts)["dev_rows"] == 0
    for option, more in (("--publish-if", {"gate": [None]}), ("--patience", {"patience": 1})):
        asked = replace(request(kind), **more)
        assert planned(asked)["dev_rows"] == 5
        with pytest.raises(DataError, match=f"{option} needs rows .*0.1 of 2 set none apart"):
            planned(asked, parts)


def test_metrics_that_there_will_not_be_are_refused() -> None:
    spans = replace(request(partial(SpanRequest, spans=SpanConfig())), gate=gate("relation_f1>=0"))
    with pytest.raises(DataError, match=r"relation_f1>=0.0: no relations in the training rows"):
        planned(spans)
    assert planned(replace(spans, n_relations=1)) and planned(
        replace(spans, gate=gate("span_f1>0"))
    )
    one, several = (
        TaskRows(Parts(labelled(5), dev, "dev", ["x", "y"], None), False, several=several)
        for dev, several in ((None, False), (labelled(5), True))
    )
    parts = SeveralParts(
        labelled(10), labelled(5), "dev", ["x", "y"], None, tasks={"a": one, "b": several}
    )
    tasks = request(partial(MultitaskRequest, tasks={"a": "a", "b": "b"}, devs={}, sampling="even"))
    for asked, said in (
        ("a.accuracy>=0", "no dev rows of a, wanted --dev a=FILE"),
        ("b.accuracy>=0", "no metric accuracy of b, whose rows have any number of labels"),
    ):
        with pytest.raises(DataError, match=said):
            planned(replace(tasks, gate=gate(asked)), parts)
    assert planned(replace(tasks, gate=[*gate("b.micro_f1>0"), *gate("mean_score>0")]), parts)


def gate(text: str) -> list[Any]:
    return [parse_condition(text, "--publish-if")]


@pytest.mark.parametrize(
    ("kind", "run", "model", "reader"),
    [
        (TokenRequest, TokenRun, "TokenTagger", "token_tagger.read_token_tagger"),
        (partial(SpanRequest, spans=SpanConfig()), SpanRun, "SpanFinder",
         "span_model.read_span_model"),
    ],
)  # fmt: skip
def test_a_model_and_its_rival_are_measured_as_it_was_learnt(
    monkeypatch: pytest.MonkeyPatch, kind: Any, run: Any, model: str, reader: str
) -> None:
    computed: list[dict[str, Any]] = []
    monkeypatch.setattr(f"nlpcli.store.{reader}", lambda folder: None)
    monkeypatch.setattr(f"{run.__module__}.version_in_use", lambda *_: "m/1")
    like = SimpleNamespace(
        scheme="BIO", stored=SimpleNamespace(spanning=SimpleNamespace(identify=False))
    )
    monkeypatch.setattr(f"{run.__module__}.{model}", lambda _, **how: computed.append(how) or like)
    monkeypatch.setattr(run, "_metrics", lambda *_: {})
    made = run(replace(request(kind), threads=1), None, None, None)
    made._scheme, made._decoding, made._relations = "BIO", "flat", []
    rows = labelled(2)
    dev = Spanned(**vars(rows), words=[], spans=[], relations=[], has_relations=False)
    parts = Parts(rows, dev, "dev", ["x", "y"], None)
    training: Any = SimpleNamespace(weights=dict)
    made._measured(training, None, parts, None, {})
    made._rival(parts)
    assert computed == [{"device": "cpu", "precision": "fp32", "threads": 1}] * 2
