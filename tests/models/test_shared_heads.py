"""Heads of several tasks above one encoder: each as if it were alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nlpcli.models.bert_config import BertConfig
from nlpcli.models.encoder_heads import SequenceModel
from nlpcli.models.sequence_head import head_shapes, of_task
from nlpcli.models.shared_heads import SharedHeads

SMALL = BertConfig(
    vocab_size=40, n_layers=2, hidden=16, heads=2, intermediate=32, max_positions=16,
    dropout=0.0, attention_dropout=0.0,
)  # fmt: skip
TASKS = {"topics": 3, "LayerNorm": 2}


@pytest.mark.parametrize("head", ["linear", "mlp"])
@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_each_head_as_if_it_were_alone(head: str, pooling: str) -> None:
    model = SharedHeads(SMALL, TASKS, 0.1, head=head, pooling=pooling).eval()
    model.initialize(0.2, torch.Generator().manual_seed(1))
    weights = model.weights()
    ids = torch.randint(5, 40, (3, 8), generator=torch.Generator().manual_seed(2))
    segments, mask = torch.zeros_like(ids), torch.ones_like(ids, dtype=torch.bool)
    mask[1, 5:] = False
    with torch.no_grad():
        vectors = model(ids, segments, mask)
        for task, count in TASKS.items():
            alone = SequenceModel(SMALL, count, 0.0, head=head, pooling=pooling).eval()
            own = {n: weights[of_task(task, n)] for n in head_shapes(16, count, head)}
            alone.load({**weights, **own})
            found = model.logits(vectors, task)
            assert found.shape == (3, count) and found.dtype == torch.float32
            torch.testing.assert_close(found, alone(ids, segments, mask), rtol=0, atol=1e-6)
            assert {alone.rate(n, 5e-5) for n in own} == {
                model.rate(of_task(task, n), 5e-5) for n in own
            }
    assert model.rate("encoder.layer.0.output.dense.weight", 5e-5) == 5e-5
    for name, array in weights.items():
        if "_head." in name and array.ndim == 2:  # none is taken for a norm
            assert 0 < np.abs(array).mean() < 0.5, name


def test_a_vector_is_dropped_out_while_it_learns() -> None:
    model = SharedHeads(SMALL, TASKS, 0.5)
    features = torch.ones(4, 16)
    assert torch.equal(model.eval().head(features), features)
    dropped = model.train().head(features)
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
