"""What is learnt about spans, and which ones a model finds."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from nlpcli.batching.span_rows import KnownSpans, SpanRows, known_spans
from nlpcli.batching.word_rows import PiecedWords, word_rows
from nlpcli.models.bert_config import BertConfig
from nlpcli.models.span_config import SpanConfig
from nlpcli.models.span_heads import SpanModel
from nlpcli.training.finetuning import Finetuning
from nlpcli.training.finetuning_config import FinetuneConfig
from nlpcli.training.spans import FoundSpans, SpanObjective, find_spans

from .small_bert import SMALL, SPECIALS

CPU = torch.device("cpu")
OPEN, CLOSE, INNER = 5, 6, 7
Marked = list[tuple[int, int, int]]


def sentences(n: int, seed: int) -> tuple[list[list[int]], list[Marked]]:
    """Of one-piece words; from OPEN to CLOSE is a span of label 1, INNER always one of label 2."""
    rng = np.random.default_rng(seed)
    texts, marks = [], []
    for _ in range(n):
        text = rng.integers(10, 40, rng.integers(6, 12)).tolist()
        begin, width = int(rng.integers(0, 3)), int(rng.integers(3, 5))
        text[begin], text[begin + width - 1] = OPEN, CLOSE
        inner = [int(rng.integers(begin + 1, begin + width - 1))]
        if begin + width < len(text):
            inner.append(begin + width)
        for place in inner:
            text[place] = INNER
        texts.append(text)
        marks.append([(begin, begin + width, 1), *((i, i + 1, 2) for i in inner)])
    return texts, marks


def rows_of(texts: list[list[int]], longest: int = 5) -> SpanRows:
    ids = np.array([piece for text in texts for piece in text], np.int32)
    bounds = np.cumsum([0, *map(len, texts)]).astype(np.int64)
    words = word_rows(PiecedWords(ids, np.ones(len(ids), np.int64), bounds), SPECIALS)
    return SpanRows.of(words, longest)


def known(rows: SpanRows, marks: list[Marked]) -> KnownSpans:
    """With a relation 1 from each outer span to the one within it."""
    offsets = rows.words.indptr[:-1].tolist()
    flat = [(at + a, at + b, label) for at, own in zip(offsets, marks, strict=True)
            for a, b, label in own]  # fmt: skip
    begin, behind, label = np.array(flat, np.int64).T
    heads = np.flatnonzero(label == 1)
    return known_spans(rows.key(begin, behind), label, heads, heads + 1, np.ones_like(heads))


def model_of(kind: str = "boundary", relations: int = 0, config: BertConfig = SMALL) -> SpanModel:
    model = SpanModel(config, SpanConfig(head=kind, max_span=5, size=16), 2, relations, 0.0)
    model.initialize(0.2, torch.Generator().manual_seed(1))
    return model


def tuned(model: SpanModel, rows: SpanRows, objective: SpanObjective, **config: Any) -> Finetuning:
    given = FinetuneConfig(**{"epochs": 5, "batch_size": 8, "dropout": 0.0, "lr": 1e-2, **config})
    return Finetuning(
        model, rows.words.rows, objective, SPECIALS, given, seed=3, device=CPU,
        precision=torch.float32,
    )  # fmt: skip


def as_sets(rows: SpanRows, found: FoundSpans) -> list[set[tuple[int, int, int]]]:
    indptr = rows.words.indptr
    sets: list[set[tuple[int, int, int]]] = [set() for _ in range(len(indptr) - 1)]
    owner = np.searchsorted(indptr, found.begin, side="right") - 1
    for text, a, b, label in zip(
        owner.tolist(), (found.begin - indptr[owner]).tolist(),
        (found.behind - indptr[owner]).tolist(), found.label.tolist(), strict=True,
    ):  # fmt: skip
        sets[text].add((a, b, label + 1))
    return sets


@pytest.mark.parametrize(("kind", "negatives"), [("boundary", None), ("attention", 10)])
def test_nested_spans_and_relations_are_learnt(kind: str, negatives: int | None) -> None:
    texts, marks = sentences(100, 1)
    rows = rows_of(texts)
    model = model_of(kind, relations=1)
    objective = SpanObjective(model.spans, rows, known(rows, marks), negatives)
    for _ in tuned(model, rows, objective, epochs=6):
        pass
    others, truth = sentences(40, 2)
    unseen = rows_of(others)
    found = find_spans(model, unseen, SPECIALS, decoding="nested")
    right = [set(own) == got for own, got in zip(truth, as_sets(unseen, found), strict=True)]
    assert np.mean(right) > 0.9
    spans = [*zip(found.begin.tolist(), found.behind.tolist(), found.label.tolist(), strict=True)]
    related = {(spans[h], spans[t]) for h, t in zip(found.head, found.tail, strict=True)}
    wanted = {(a, b) for a in spans for b in spans
              if a[2] == 0 and b[2] == 1 and a[0] < b[0] and b[1] < a[1]}  # fmt: skip
    assert len(related & wanted) > 0.9 * max(len(wanted), len(related), 36)
    flat = find_spans(model, unseen, SPECIALS, decoding="flat")
    assert (flat.behind[:-1] <= flat.begin[1:]).all() and 0 < len(flat.begin) < len(found.begin)


def test_loss_is_that_of_all_spans_by_word() -> None:
    texts, marks = sentences(3, 4)
    rows = rows_of(texts)
    model = model_of(relations=1).eval()
    objective = SpanObjective(model.spans, rows, known(rows, marks))
    hidden = torch.randn(2, 16, SMALL.hidden, generator=torch.Generator().manual_seed(5))
    chosen = np.array([2, 0])
    with torch.no_grad():
        found = float(objective.loss(hidden, chosen))
        total = 0.0
        for place, number in enumerate(chosen.tolist()):
            one = SpanObjective(model.spans, rows, known(rows, marks))
            whole = float(one.loss(hidden[place : place + 1], np.array([number])))
            total += whole * len(texts[number])
    assert found == pytest.approx(total / sum(len(texts[n]) for n in chosen), rel=1e-5)


def test_sampled_spans_stand_for_all() -> None:
    texts, marks = sentences(4, 6)
    rows = rows_of(texts)
    model = model_of().eval()
    hidden = torch.randn(4, 16, SMALL.hidden, generator=torch.Generator().manual_seed(7))
    chosen = np.arange(4)

    def loss(negatives: int | None) -> float:
        with torch.no_grad():
            return float(
                SpanObjective(model.spans, rows, known(rows, marks), negatives).loss(hidden, chosen)
            )

    torch.manual_seed(1)
    drawn = [loss(4) for _ in range(300)]
    assert np.mean(drawn) == pytest.approx(loss(None), rel=0.03)
    assert np.std(drawn) > 0 and loss(1000) == pytest.approx(loss(None), rel=1e-5)


@pytest.mark.parametrize("kind", ["boundary", "attention"])
def test_no_negatives_are_none(kind: str) -> None:
    texts, marks = sentences(4, 6)
    rows = rows_of([*texts, [10, 11, 12]])  # the last one has no spans at all
    model = model_of(kind).eval()
    hidden = torch.randn(5, 16, SMALL.hidden, generator=torch.Generator().manual_seed(7))
    hidden.requires_grad_()

    def loss(negatives: int | None, chosen: list[int]) -> torch.Tensor:
        objective = SpanObjective(model.spans, rows, known(rows, [*marks, []]), negatives)
        return objective.loss(hidden[chosen], np.array(chosen))

    some, every = loss(0, [0, 1]).item(), loss(None, [0, 1]).item()
    keys = rows.spans(np.array([0, 1]))
    numbers = known(rows, [*marks, []]).numbers(rows.key(keys.begin, keys.behind))
    assert 0 < some < every and (numbers >= 0).any() and (numbers < 0).any()
    without = loss(0, [4])
    without.backward()
    assert without.item() == 0 and hidden.grad is not None and not hidden.grad.any()


def test_the_same_bits_again_and_from_the_middle() -> None:
    texts, marks = sentences(20, 8)
    rows = rows_of(texts)

    def training() -> Finetuning:
        model = model_of(relations=1)
        objective = SpanObjective(model.spans, rows, known(rows, marks), 6)
        return tuned(model, rows, objective, epochs=2)

    def ended(tuning: Finetuning) -> dict[str, npt.NDArray[np.float32]]:
        for _ in tuning:
            pass
        return tuning.weights()

    wanted = ended(training())
    first = training()
    for now in first:
        if now.step == 2:
            break
    arrays, numbers = first.state()
    arrays = {name: array.copy() for name, array in arrays.items()}
    again = training()
    again.load(arrays, numbers)
    found = ended(again)
    assert wanted.keys() == found.keys() and "span_head.relation.weight" in wanted
    assert all(np.array_equal(wanted[name], found[name]) for name in wanted)


def test_answers_do_not_depend_on_what_else_is_asked() -> None:
    texts, _ = sentences(12, 9)
    model = model_of("attention", relations=1).eval()
    model.spans.get_parameter("label_bias").data[0] = 0.0  # so that many are found
    together = find_spans(model, rows_of(texts), SPECIALS, decoding="nested")
    alone = find_spans(model, rows_of(texts[:1]), SPECIALS, decoding="nested")
    n = len(alone.begin)
    assert n and together.begin[:n].tolist() == alone.begin.tolist()
    np.testing.assert_allclose(together.score[:n], alone.score, atol=1e-5)
    pairs = [*zip(together.head.tolist(), together.tail.tolist(), strict=True)]
    mine = [pair for pair in pairs if max(pair) < n]
    assert sorted(mine) == sorted(zip(alone.head.tolist(), alone.tail.tolist(), strict=True))


def test_nothing_to_look_at() -> None:
    found = find_spans(model_of(), rows_of([[]]), SPECIALS, decoding="flat")
    assert len(found.begin) == 0 == len(found.head)
