"""The encoder against the formulas of the paper in double precision, and against transformers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from nlpcli.models.bert import Bert, Named
from nlpcli.models.bert_config import ACTIVATIONS, SIZES, BertConfig
from nlpcli.models.pretraining import PretrainingBert

V, T = 37, 11


def config(**changes: Any) -> BertConfig:
    sizes = {"vocab_size": V, "n_layers": 2, "hidden": 24, "heads": 3, "intermediate": 40}
    return BertConfig(**{**sizes, "max_positions": 16, **changes})


def filled(model: Named, seed: int = 0, scale: float = 0.3) -> None:
    """All parameters at random, norms and biases too, so that none goes unnoticed."""
    generator = np.random.default_rng(seed)
    model.load(
        {
            part.name: (
                scale * generator.standard_normal(tuple(part.view.shape))
                + part.name.endswith("LayerNorm.weight")
            ).astype(np.float32)
            for part in model.parts()
        }
    )


def batch(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, segments and which positions are no padding."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, V, (3, T), generator=generator)
    segments = (torch.arange(T) >= torch.tensor([4, 0, T])[:, None]).long()
    return ids, segments, torch.arange(T) < torch.tensor([T, 6, 1])[:, None]


def by_the_paper(
    given: dict[str, np.ndarray], sizes: BertConfig, ids: Tensor, segments: Tensor, mask: Tensor
) -> list[Tensor]:
    w = {name: torch.from_numpy(array).double() for name, array in given.items()}

    def affine(name: str, x: Tensor) -> Tensor:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def norm(name: str, x: Tensor) -> Tensor:
        x = x - x.mean(-1, keepdim=True)
        x = x / (x.square().mean(-1, keepdim=True) + sizes.layer_norm_eps).sqrt()
        return x * w[f"{name}.weight"] + w[f"{name}.bias"]

    def act(x: Tensor) -> Tensor:
        if sizes.activation == "relu":
            return x.clamp_min(0)
        if sizes.activation == "gelu":
            return x * (1 + torch.erf(x / math.sqrt(2))) / 2
        return x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2

    x = w["embeddings.word_embeddings.weight"][ids]
    x = x + w["embeddings.position_embeddings.weight"][: ids.shape[1]]
    x = norm("embeddings.LayerNorm", x + w["embeddings.token_type_embeddings.weight"][segments])
    states = [x]
    size = sizes.hidden // sizes.heads
    for number in range(sizes.n_layers):
        at = f"encoder.layer.{number}"
        q, k, v = (affine(f"{at}.attention.self.{n}", x) for n in ("query", "key", "value"))
        heads = []
        for h in range(sizes.heads):
            part = slice(h * size, (h + 1) * size)
            scores = q[..., part] @ k[..., part].transpose(1, 2) / math.sqrt(size)
            scores = scores.masked_fill(~mask[:, None, :], -math.inf)
            heads.append(scores.softmax(-1) @ v[..., part])
        mixed = affine(f"{at}.attention.output.dense", torch.cat(heads, -1))
        x = norm(f"{at}.attention.output.LayerNorm", x + mixed)
        inner = act(affine(f"{at}.intermediate.dense", x))
        x = norm(f"{at}.output.LayerNorm", x + affine(f"{at}.output.dense", inner))
        states.append(x)
    return states


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_it_is_the_paper(activation: str) -> None:
    model = Bert(config(activation=activation)).eval()
    filled(model)
    ids, segments, mask = batch()
    with torch.no_grad():
        found = model.hidden_states(ids, segments, mask)
        wanted = by_the_paper(model.weights(), model.config, ids, segments, mask)
        assert len(found) == len(wanted) == 3
        for one, other in zip(found, wanted, strict=True):
            torch.testing.assert_close(one.double(), other, rtol=0, atol=1e-5)
        assert torch.equal(model(ids, segments, mask), found[-1])
        pooler = {k: torch.from_numpy(a).double() for k, a in model.weights().items()}
        pooled = torch.tanh(
            wanted[-1][:, 0] @ pooler["pooler.dense.weight"].T + pooler["pooler.dense.bias"]
        )
        torch.testing.assert_close(model.pooled(found[-1]).double(), pooled, rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_it_is_transformers(activation: str) -> None:
    reason = "transformers is not installed"
    transformers = pytest.importorskip("transformers", reason=reason)
    ours = PretrainingBert(config(activation=activation)).eval()
    filled(ours)
    sizes = ours.bert.config
    theirs = transformers.BertForPreTraining(
        transformers.BertConfig(
            vocab_size=V, hidden_size=sizes.hidden, num_hidden_layers=sizes.n_layers,
            num_attention_heads=sizes.heads, intermediate_size=sizes.intermediate,
            hidden_act=activation, max_position_embeddings=sizes.max_positions,
            layer_norm_eps=sizes.layer_norm_eps, attn_implementation="eager",
        )
    ).eval()  # fmt: skip
    state = {
        name if name.startswith("cls.") else f"bert.{name}": torch.from_numpy(array)
        for name, array in ours.weights().items()
    }
    result = theirs.load_state_dict(state, strict=False)
    tied = {"cls.predictions.decoder.weight", "cls.predictions.decoder.bias"}
    assert not result.unexpected_keys
    assert set(result.missing_keys) <= {*tied, "bert.embeddings.position_ids"}
    theirs.tie_weights()
    ids, segments, mask = batch()
    with torch.no_grad():
        said = theirs(
            ids, attention_mask=mask.long(), token_type_ids=segments, output_hidden_states=True
        )
        states = ours.bert.hidden_states(ids, segments, mask)
        for one, other in zip(states, said.hidden_states, strict=True):
            torch.testing.assert_close(one[mask], other[mask], rtol=0, atol=1e-5)
        scores = ours.masked(states[-1]) @ ours.bert.words.T + ours.masked.bias
        torch.testing.assert_close(scores[mask], said.prediction_logits[mask], rtol=1e-5, atol=1e-5)
        follows = ours.next(ours.bert.pooled(states[-1]))
        torch.testing.assert_close(follows, said.seq_relationship_logits, rtol=0, atol=1e-5)


def test_without_segments_all_are_the_first() -> None:
    model = Bert(config()).eval()
    filled(model)
    ids, segments, _ = batch()
    with torch.no_grad():
        assert torch.equal(model(ids), model(ids, torch.zeros_like(segments)))
        assert not torch.allclose(model(ids), model(ids, segments))
        assert torch.equal(model(ids), model(ids, None, torch.ones_like(ids, dtype=torch.bool)))


def test_padding_changes_nothing() -> None:
    model = Bert(config()).eval()
    filled(model)
    ids, segments, mask = batch()
    with torch.no_grad():
        together = model(ids, segments, mask)
        for row, length in enumerate(mask.sum(1).tolist()):
            alone = model(ids[row : row + 1, :length], segments[row : row + 1, :length])
            torch.testing.assert_close(together[row, :length], alone[0], rtol=0, atol=1e-5)


def test_names_are_hugging_faces_and_weights_come_back() -> None:
    model = PretrainingBert(config(), span_boundary=True)
    model.begin(3)
    weights = model.weights()
    assert all(array.dtype == np.float32 for array in weights.values())
    assert weights["encoder.layer.1.attention.self.key.weight"].shape == (24, 24)
    assert weights["cls.seq_relationship.weight"].shape == (2, 24)
    assert len(weights) == 5 + 16 * 2 + 2 + 1 + 2 + 2 + 2
    listed = [part.name for part in model.all_parts()]
    assert len(set(listed)) == len(listed) == len(weights) + 10
    n_numbers = sum(part.view.numel() for part in model.all_parts())
    assert n_numbers == sum(parameter.numel() for parameter in model.parameters())
    other = PretrainingBert(config())
    other.begin(4)
    other.load(weights)
    for name, array in other.weights().items():
        np.testing.assert_array_equal(array, weights[name])
    for name in ("encoder.layer.0.attention.self.value.bias", "pooler.dense.weight"):
        for wrong in ({}, {name: weights[name][:-1]}):
            with pytest.raises(ValueError, match=name):
                other.load({k: a for k, a in weights.items() if k != name} | wrong)


@pytest.mark.parametrize("pooler", [True, False])
def test_parameters_are_counted_without_making_them(pooler: bool) -> None:
    sizes = config(n_layers=3, intermediate=28)
    made = Bert(sizes, pooler=pooler)
    n = sum(parameter.numel() for parameter in made.parameters())
    assert sizes.n_parameters == n + (0 if pooler else 24 * 24 + 24)


def test_weights_begin_as_in_the_paper() -> None:
    model = PretrainingBert(config(vocab_size=2000, hidden=48), span_boundary=True)
    model.begin(1)
    again = PretrainingBert(config(vocab_size=2000, hidden=48), span_boundary=True)
    again.begin(1)
    for part, twin in zip(model.all_parts(), again.all_parts(), strict=True):
        assert torch.equal(part.view, twin.view) and part.view.isfinite().all()
        if part.view.ndim == 2:
            assert abs(part.view.std().item() / 0.02 - 1) < 0.25 and abs(part.view.mean()) < 0.01
        else:
            assert (part.view == float(part.name.endswith("LayerNorm.weight"))).all(), part.name
    assert abs(model.bert.words.std().item() / 0.02 - 1) < 0.02
    again.begin(2)
    assert not torch.equal(again.bert.words, model.bert.words)


def test_without_a_pooler() -> None:
    model = Bert(config(), pooler=False)
    filled(model)
    assert not any(part.name.startswith("pooler") for part in model.parts())
    assert model(batch()[0]).shape == (3, T, 24)


def test_dropout_only_while_training() -> None:
    model = Bert(config(dropout=0.5, attention_dropout=0.5))
    filled(model)
    ids = batch()[0]
    with torch.no_grad():
        one, other = model.train()(ids), model(ids)
        assert not torch.allclose(one, other)
        torch.manual_seed(5)
        one = model(ids)
        torch.manual_seed(5)
        assert torch.equal(one, model(ids))
        assert torch.equal(model.eval()(ids), model(ids))


def test_all_parameters_of_the_encoder_learn() -> None:
    model = Bert(config())
    filled(model)
    ids, segments, mask = batch()
    hidden = model(ids, segments, mask)
    functional.mse_loss(model.pooled(hidden), torch.ones(3, 24)).backward()
    for part in model.parts():
        assert part.gradient is not None
        if not part.name.endswith("key.bias"):  # softmax does not see it
            assert part.gradient.abs().max() > 1e-9, part.name


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hidden": 25}, "not divisible by 3 heads"), ({"vocab_size": 0}, "vocab_size"),
        ({"heads": 2.0}, "heads"), ({"n_layers": True}, "n_layers"), ({"pad_id": V}, "pad_id"),
        ({"activation": "silu"}, "activation"), ({"dropout": 1.0}, "dropout"),
        ({"dropout": float("nan")}, "dropout"), ({"layer_norm_eps": 0.0}, "layer_norm_eps"),
        ({"initializer_range": -1.0}, "initializer_range"),
    ],
)  # fmt: skip
def test_sizes_that_make_no_encoder(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        config(**changes)


def test_a_configuration_comes_back() -> None:
    assert BertConfig.from_json(config().to_json(), "x") == config()
    assert [hidden % 64 for _, hidden in SIZES.values()] == [0] * 5
