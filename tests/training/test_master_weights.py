from __future__ import annotations

import numpy as np
import pytest
import torch

from nlpcli.models.bert_config import BertConfig
from nlpcli.models.pretraining import PretrainingBert
from nlpcli.training.master_weights import MasterWeights

SIZES = BertConfig(
    vocab_size=20, n_layers=1, hidden=8, heads=2, intermediate=12, max_positions=6, dropout=0.0,
    attention_dropout=0.0,
)  # fmt: skip
QUERY, KEY = (f"encoder.layer.0.attention.self.{name}.weight" for name in ("query", "key"))


def made(precision: torch.dtype) -> tuple[PretrainingBert, MasterWeights]:
    model = PretrainingBert(SIZES, span_boundary=True)
    model.begin(1)
    return model, MasterWeights(model, precision)


def backward(model: PretrainingBert, seed: int = 0) -> None:
    ids = torch.randint(0, 20, (2, 6), generator=torch.Generator().manual_seed(seed))
    model.bert.pooled(model.bert(ids)).float().square().sum().backward()


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_they_are_the_models_weights(precision: torch.dtype) -> None:
    before = PretrainingBert(SIZES, span_boundary=True)
    before.begin(1)
    model, masters = made(precision)
    assert {parameter.dtype for parameter in model.parameters()} == {precision}
    wanted = {part.name: part.view for part in before.all_parts()}
    assert list(masters.tensors) == list(wanted)
    for name, tensor in masters.tensors.items():
        assert tensor.dtype == torch.float32 and tensor.requires_grad and tensor.is_leaf
        assert torch.equal(tensor.detach(), wanted[name])


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_what_is_handed_down_is_what_the_model_has(precision: torch.dtype) -> None:
    model, masters = made(precision)
    with torch.no_grad():
        for number, tensor in enumerate(masters.tensors.values()):
            tensor.add_(0.001 * number)
    masters.hand_down()
    for part in model.all_parts():
        assert torch.equal(part.view, masters.tensors[part.name].detach().to(precision)), part.name
    shares = model.bert.words.data_ptr() == masters.tensors[
        "embeddings.word_embeddings.weight"
    ].data_ptr()  # fmt: skip
    assert shares == (precision == torch.float32)


def test_small_moves_add_up_behind_bf16() -> None:
    model, masters = made(torch.bfloat16)
    master, name = masters.tensors[QUERY], QUERY
    with torch.no_grad():
        master.fill_(1.0)
        for _ in range(64):
            master.add_(2**-12)
            masters.hand_down()
    assert (master == 1 + 2**-6).all()
    part = next(part for part in model.parts() if part.name == name)
    assert (part.view.float() == 1 + 2**-6).all()


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_gradients_of_several_backward_passes_add_up(precision: torch.dtype) -> None:
    model, masters = made(precision)
    alone = []
    for seed in (1, 2):
        backward(model, seed)
        masters.collect()
        assert all(parameter.grad is None for parameter in model.parameters())
        alone.append({n: None if t.grad is None else t.grad.clone()
                      for n, t in masters.tensors.items()})  # fmt: skip
        masters.clear()
        assert masters.gradients() == []
    for seed in (1, 2):
        backward(model, seed)
        masters.collect()
    for name, tensor in masters.tensors.items():
        one, other = alone[0][name], alone[1][name]
        if one is None or other is None:
            assert tensor.grad is None and name.startswith(("cls", "span_boundary"))
            continue
        assert tensor.grad is not None and tensor.grad.dtype == torch.float32
        assert torch.equal(tensor.grad, one + other)
    assert not torch.equal(*(masters.tensors[name].grad for name in (QUERY, KEY)))  # type: ignore[arg-type]
    given = [gradient for gradient in alone[0].values() if gradient is not None]
    assert len(masters.gradients()) < len(given)  # neighbours are one
    both = sum(float(t.grad.square().sum()) for t in masters.tensors.values() if t.grad is not None)
    assert sum(float(g.square().sum()) for g in masters.gradients()) == pytest.approx(both)


def test_a_model_that_comes_in_bf16() -> None:
    model = PretrainingBert(SIZES)
    model.begin(1)
    model.to(torch.bfloat16)
    rounded = model.weights()
    for precision in (torch.bfloat16, torch.float32):
        masters = MasterWeights(model, precision)
        for name, tensor in masters.tensors.items():
            assert tensor.dtype == torch.float32
            np.testing.assert_array_equal(tensor.detach().numpy(), rounded[name])


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_what_is_frozen_or_apart_is_left_alone(precision: torch.dtype) -> None:
    model = PretrainingBert(SIZES, span_boundary=True)
    model.begin(1)
    words, frozen = (
        "embeddings.word_embeddings.weight",
        {QUERY, KEY, QUERY.replace("query", "value")},
    )
    before = {part.name: part.view.numpy().copy() for part in model.all_parts()}
    masters = MasterWeights(model, precision, frozen=frozen, apart=words)
    assert set(masters.moving.tensors) == set(masters.tensors) - frozen - {words}
    for name, tensor in masters.tensors.items():
        np.testing.assert_array_equal(tensor.detach().numpy(), before[name])
    backward(model)
    assert model.bert.words.grad is not None
    masters.collect()
    assert model.bert.words.grad is not None  # is for somebody else
    assert all(masters.tensors[name].grad is None for name in (*frozen, words))
    with torch.no_grad():
        for tensor in masters.tensors.values():
            tensor.add_(1.0)
    masters.hand_down()
    views = {part.name: part.view.float() for part in model.all_parts()}
    for name, tensor in masters.tensors.items():
        there = torch.equal(views[name], tensor.detach().to(precision).float())
        assert there == (name not in {*frozen, words} or precision == torch.float32), name
    masters.hand_down(everything=True)
    for part in model.all_parts():
        assert torch.equal(part.view, masters.tensors[part.name].detach().to(precision))
