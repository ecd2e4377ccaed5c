"""Vectors of spans against concatenations and loops over their pieces."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from nlpcli.models.span_config import SpanConfig, span_head_shapes
from nlpcli.models.span_heads import NONE_AT_FIRST, SpanHead, SpanModel, SpanPairs, SpanPlaces

from ..formats.bert_folder import TINY, random_weights

D, K, R = 6, 3, 2
FIRST = [[0, 1, 2], [1, 0, 0]]
LAST = [[0, 4, 4], [3, 0, 0]]
WIDTH = [[1, 2, 1], [3, 1, 1]]


def head_of(kind: str, relations: int = R) -> SpanHead:
    head = SpanHead(SpanConfig(head=kind, max_span=3, size=5), D, K, relations, 0.0).eval()
    head.initialize(0.5, torch.Generator().manual_seed(1))
    return head


def places() -> SpanPlaces:
    mask = torch.tensor([[True, True, True], [True, True, False]])
    return SpanPlaces(torch.tensor(FIRST), torch.tensor(LAST), torch.tensor(WIDTH), mask)


def states() -> Tensor:
    return torch.randn(2, 5, D, generator=torch.Generator().manual_seed(2))


def affine(head: SpanHead, name: str, x: Tensor) -> Tensor:
    return functional.linear(
        x, head.get_parameter(f"{name}_weight"), head.get_parameter(f"{name}_bias")
    )


def one_vector(head: SpanHead, hidden: Tensor, first: int, last: int, width: int) -> Tensor:
    """The layer over the concatenation, of one span of one row."""
    pieces = hidden[first : last + 1]
    start, end, middle = pieces[0], pieces[-1], pieces.mean(dim=0)
    if head.config.head == "attention":
        start = functional.gelu(affine(head, "start_inner", start))
        end = functional.gelu(affine(head, "end_inner", end))
        inner = functional.gelu(affine(head, "attention_inner", pieces))
        weights = affine(head, "attention", inner)[:, 0].softmax(dim=0)
        middle = (weights[:, None] * pieces).sum(dim=0)
    names = ("start", "end", "inside")
    weight = torch.cat([head.get_parameter(f"{name}_weight") for name in names], dim=1)
    bias = sum(head.get_parameter(f"{name}_bias") for name in names)
    joined = torch.cat([start, end, middle])
    width_vector = head.get_parameter("width")[width - 1]
    return functional.gelu(weight @ joined + bias + width_vector)


@pytest.mark.parametrize("kind", ["boundary", "attention"])
def test_vectors_are_those_of_the_concatenation(kind: str) -> None:
    head, hidden, spans = head_of(kind), states(), places()
    with torch.no_grad():
        found = head.vectors(hidden, spans)
        for row, slot in spans.mask.nonzero().tolist():
            wanted = one_vector(
                head, hidden[row], FIRST[row][slot], LAST[row][slot], WIDTH[row][slot]
            )
            torch.testing.assert_close(found[row, slot], wanted, atol=1e-5, rtol=1e-4)
        assert head.labels(found).shape == (2, 3, K + 1)
        assert torch.isfinite(found).all()


@pytest.mark.parametrize(
    ("head", "tail", "order", "between"),
    [(0, 2, 0, range(1, 2)), (2, 0, 1, range(1, 2)), (0, 1, 0, range(0)), (1, 2, 2, range(0))],
)
def test_a_pair_is_both_spans_and_what_is_between(
    head: int, tail: int, order: int, between: range
) -> None:
    made, hidden, spans = head_of("boundary"), states(), places()
    with torch.no_grad():
        vectors = made.vectors(hidden, spans)
        pair = SpanPairs(*(torch.tensor([value]) for value in (0, head, tail)))
        found = made.relations(hidden, vectors, spans, pair)
        total = affine(made, "relation_head", vectors[0, head])
        total = total + affine(made, "relation_tail", vectors[0, tail])
        total = total + made.get_parameter("order")[order]
        if between:
            total = total + affine(made, "between", hidden[0, list(between)]).mean(dim=0)
        wanted = affine(made, "relation", functional.gelu(total))
    torch.testing.assert_close(found[0], wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["boundary", "attention"])
@pytest.mark.parametrize("relations", [0, R])
def test_tensors_are_those_that_are_listed(kind: str, relations: int) -> None:
    model = SpanModel(TINY, SpanConfig(head=kind, max_span=4, size=5), K, relations, 0.0)
    model.initialize(0.02, torch.Generator().manual_seed(1))
    listed = span_head_shapes(SpanConfig(head=kind, max_span=4, size=5), TINY.hidden, K, relations)
    shapes = {part.name: tuple(part.view.shape) for part in model.spans.parts()}
    assert shapes == listed
    names = [part.name for part in model.all_parts()]
    assert names == [part.name for part in model.parts()] + list(listed)
    assert model.spans.get_parameter("label_bias").tolist() == [NONE_AT_FIRST, 0, 0, 0]
    assert model.rate("span_head.start.weight", 1e-5) > 1e-5 == model.rate("pooler.x", 1e-5)


def test_a_model_takes_both_kinds_of_weights() -> None:
    model = SpanModel(TINY, SpanConfig(size=5), K, 0, 0.0).eval()
    encoder = random_weights("BertModel")
    head = SpanHead(SpanConfig(size=5), TINY.hidden, K, 0, 0.0)
    head.initialize(0.3, torch.Generator().manual_seed(3))
    model.load_all(encoder, head.weights())
    assert (
        model.spans.weights()["span_head.end.weight"] == head.weights()["span_head.end.weight"]
    ).all()
    ids = torch.tensor([[2, 5, 6, 3]])
    hidden = model(ids, torch.zeros_like(ids), torch.ones_like(ids, dtype=torch.bool))
    assert hidden.shape == (1, 4, TINY.hidden)
    with pytest.raises(ValueError, match=r"span_head\.start\.weight"):
        model.load_all(encoder, {})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"head": "mean"}, "head: 'mean'"),
        ({"max_span": 0}, "max_span: 0"),
        ({"size": True}, "size: True"),
    ],
)
def test_what_cannot_be(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        SpanConfig(**changes)  # type: ignore[arg-type]
