"""Losses of the objectives, on targets that are made by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from nlpcli.batching.pretraining_targets import Targets
from nlpcli.models.bert_config import BertConfig
from nlpcli.models.pretraining import SPAN_PLACES, PretrainingBert, n_pretraining_parameters

V, T, D = 30, 9, 16
SIZES = BertConfig(
    vocab_size=V, n_layers=1, hidden=D, heads=2, intermediate=20, max_positions=T
)  # fmt: skip


def model(*, spans: bool = True, activation: str = "gelu") -> PretrainingBert:
    sizes = BertConfig(**{**SIZES.to_json(), "activation": activation, "initializer_range": 0.4})
    made = PretrainingBert(sizes, span_boundary=spans)
    made.begin(1)
    return made.eval()


def batch() -> tuple[Tensor, Tensor, Targets]:
    ids = torch.randint(5, V, (2, T), generator=torch.Generator().manual_seed(0))
    segments = (torch.arange(T) > 4).long().expand(2, T)
    masked = torch.tensor([2, 3, 12])
    targets = Targets(
        masked, torch.tensor([7, 8, 9]), torch.tensor([1, 0]),
        left=torch.tensor([1, 1, 11]), right=torch.tensor([4, 4, 13]),
        place=torch.tensor([0, 1, 0]), span_pieces=torch.tensor([7, 8, 9]),
    )  # fmt: skip
    return ids, segments, targets


def test_each_loss_is_a_sum_of_cross_entropies() -> None:
    made = model()
    ids, segments, targets = batch()
    found = made.losses(ids, segments, targets)
    assert list(found) == ["mlm", "nsp", "sbo"]
    hidden = made.bert(ids, segments)
    flat = hidden.reshape(-1, D)
    table = made.bert.words

    logits = made.masked(flat[targets.masked]) @ table.T + made.masked.bias
    wanted = functional.cross_entropy(logits, targets.pieces, reduction="sum")
    torch.testing.assert_close(found["mlm"], wanted)

    follows = made.next(torch.tanh(made.bert.pooler(hidden[:, 0])))  # type: ignore[misc]
    assert targets.is_next is not None and targets.span_pieces is not None
    wanted = functional.cross_entropy(follows, targets.is_next, reduction="sum")
    torch.testing.assert_close(found["nsp"], wanted)

    spans = made.spans
    assert spans is not None
    x = torch.cat([flat[targets.left], flat[targets.right], spans.places[targets.place]], 1)
    x = spans.first_norm(functional.gelu(spans.first(x)))
    x = spans.second_norm(functional.gelu(spans.second(x)))
    wanted = functional.cross_entropy(
        x @ table.T + spans.bias, targets.span_pieces, reduction="sum"
    )
    torch.testing.assert_close(found["sbo"], wanted)


def test_gradients_are_those_of_the_logits() -> None:
    ids, segments, targets = batch()
    gradients = []
    for whole in (False, True):
        made = model()
        if whole:
            hidden = made.bert(ids, segments)
            flat = hidden.reshape(-1, D)
            assert made.spans is not None and targets.place is not None
            said = made.spans(flat[targets.left], flat[targets.right], targets.place)
            assert targets.is_next is not None and targets.span_pieces is not None
            logits = made.masked(flat)[targets.masked] @ made.bert.words.T + made.masked.bias
            by_spans = said @ made.bert.words.T + made.spans.bias
            losses = [
                functional.cross_entropy(logits, targets.pieces, reduction="sum"),
                functional.cross_entropy(
                    made.next(made.bert.pooled(hidden)), targets.is_next, reduction="sum"
                ),
                functional.cross_entropy(by_spans, targets.span_pieces, reduction="sum"),
            ]
        else:
            losses = list(made.losses(ids, segments, targets).values())
        sum(losses[1:], losses[0]).backward()
        gradients.append({part.name: part.gradient for part in made.all_parts()})
    for name, gradient in gradients[1].items():
        torch.testing.assert_close(gradients[0][name], gradient, rtol=1e-4, atol=1e-5, msg=name)


def test_only_what_is_asked_for_is_said() -> None:
    ids, _, targets = batch()
    alone = Targets(targets.masked, targets.pieces)
    assert list(model().losses(ids, None, alone)) == ["mlm"]
    assert list(model(spans=False).losses(ids, None, targets)) == ["mlm", "nsp"]
    assert list(model(spans=False).scores(ids, None, targets)) == ["mlm", "nsp"]
    one = model().losses(ids, None, alone)["mlm"]
    torch.testing.assert_close(one, model().losses(ids, None, targets)["mlm"])
    nothing = torch.empty(0, dtype=torch.int64)
    assert model().losses(ids, None, Targets(nothing, nothing))["mlm"] == 0


@pytest.mark.parametrize("spans", [False, True])
def test_scores_add_up_to_losses(spans: bool) -> None:
    made = model(spans=spans)
    ids, segments, targets = batch()
    losses, scores = made.losses(ids, segments, targets), made.scores(ids, segments, targets)
    assert list(losses) == list(scores)
    for name, (each, right) in scores.items():
        torch.testing.assert_close(each.sum(), losses[name].detach())
        assert each.shape == right.shape and right.dtype == torch.bool
        assert not each.requires_grad


@pytest.mark.parametrize("spans", [False, True])
def test_parameters_are_counted_without_making_them(spans: bool) -> None:
    n = sum(parameter.numel() for parameter in model(spans=spans).parameters())
    assert n_pretraining_parameters(SIZES, span_boundary=spans) == n


def test_places_beyond_the_table_are_its_last() -> None:
    made = model()
    spans = made.spans
    assert spans is not None
    border = torch.randn(1, D)
    last, beyond = (spans(border, border, torch.tensor([n])) for n in (SPAN_PLACES - 1, 5000))
    assert torch.equal(last, beyond)
    assert not torch.equal(last, spans(border, border, torch.tensor([0])))
