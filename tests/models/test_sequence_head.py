"""Last layers written otherwise say the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpcli.models.sequence_head import Folding, head_shapes, n_parameters


@given(st.lists(st.floats(-600, 600), min_size=1))
def test_one_logit_has_the_probabilities_of_two(logits: list[float]) -> None:
    one = np.array(logits)[:, None]
    two = Folding.of_logit().outputs(one)
    raised = np.exp(two - two.max(axis=1, keepdims=True))
    found = raised / raised.sum(axis=1, keepdims=True)
    p = 1 / (1 + np.exp(-one[:, 0]))
    np.testing.assert_allclose(found, np.stack([1 - p, p], axis=1), rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("head", ["linear", "mlp"])
@pytest.mark.parametrize("folding", [Folding.of_logit(), Folding.of_scale(2.5, -1e3)])
def test_a_layer_says_what_is_made_of_its_outputs(head: str, folding: Folding) -> None:
    rng = np.random.default_rng(1)
    weights = {
        name: rng.normal(size=shape).astype(np.float32)
        for name, shape in head_shapes(8, 1, head).items()
    }
    folded = folding.weights(weights)
    last = "classifier.output" if head == "mlp" else "classifier"
    width = weights[f"{last}.weight"].shape[1]
    assert folded.keys() == weights.keys()
    assert {n for n in weights if folded[n] is not weights[n]} == {f"{last}.weight", f"{last}.bias"}
    x = rng.normal(size=(5, width))

    def said(layer: dict[str, np.ndarray]) -> np.ndarray:
        return x @ layer[f"{last}.weight"].T.astype(np.float64) + layer[f"{last}.bias"]

    np.testing.assert_allclose(said(folded), folding.outputs(said(weights)), rtol=1e-5, atol=1e-4)
    assert folded[f"{last}.weight"].dtype == np.float32


def test_sizes() -> None:
    assert n_parameters(768, 1, "mlp") == 768 * 256 + 256 + 256 + 1
    assert n_parameters(8, 3, "linear") == 27
