"""What stands above an encoder that answers texts: sizes and names, and its last layer written
otherwise; no torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
Shape = tuple[int, ...]

LINEAR, MLP = "linear", "mlp"
HEADS = (LINEAR, MLP)
CLS, MEAN = "cls", "mean"
POOLINGS = (CLS, MEAN)
"""The first position through BERT's pooler, or the mean of the last layer without one."""
PREFIX = "classifier."
MLP_WIDTH = 256
"""Of the layer between the text's vector and the outputs."""


def head_shapes(hidden: int, n_outputs: int, head: str) -> dict[str, Shape]:
    """Of the tensors of a head, by their names."""
    if head == LINEAR:
        return _affine("classifier", n_outputs, hidden)
    return {
        **_affine("classifier.dense", MLP_WIDTH, hidden),
        **_affine("classifier.output", n_outputs, MLP_WIDTH),
    }


def of_task(task: str, name: str) -> str:
    """What a tensor of a head is called where several tasks have one each."""
    return f"{PREFIX}{task}_head.{name.removeprefix(PREFIX)}"


def n_parameters(hidden: int, n_outputs: int, head: str) -> int:
    """Numbers of a head."""
    return sum(int(np.prod(shape)) for shape in head_shapes(hidden, n_outputs, head).values())


def is_plain(head: str, pooling: str) -> bool:
    """Whether transformers has a class for it: ``BertForSequenceClassification``."""
    return head == LINEAR and pooling == CLS


@dataclass(frozen=True, eq=False)
class Folding:
    """Outputs z [K] of a last layer turned into ``matrix`` z + ``shift``, [O], by that layer.

    Trained is what is easy to train, and kept is what other programs expect.
    """

    matrix: F64
    shift: F64

    @staticmethod
    def of_logit() -> Folding:
        """The logit of the second of two labels -> a logit of each, whose softmax is the logistic
        function: (e^(z/2)) / (e^(-z/2) + e^(z/2)) = 1 / (1 + e^-z)."""
        return Folding(np.array([[-0.5], [0.5]]), np.zeros(2))

    @staticmethod
    def of_scale(deviation: float, mean: float) -> Folding:
        """A number in standard deviations from the mean -> the number."""
        return Folding(np.array([[deviation]]), np.array([mean]))

    def outputs(self, outputs: F64) -> F64:
        """Of rows [N, K], float64 [N, O]."""
        found: F64 = outputs @ self.matrix.T + self.shift
        return found

    def weights(self, weights: dict[str, F32]) -> dict[str, F32]:
        """The same weights with the last layer of the head turned."""
        layer = "classifier.output" if "classifier.output.weight" in weights else "classifier"
        weight, bias = (
            weights[f"{layer}.{kind}"].astype(np.float64) for kind in ("weight", "bias")
        )
        return {
            **weights,
            f"{layer}.weight": (self.matrix @ weight).astype(np.float32),
            f"{layer}.bias": (self.matrix @ bias + self.shift).astype(np.float32),
        }


def _affine(name: str, n_out: int, n_in: int) -> dict[str, Shape]:
    return {f"{name}.weight": (n_out, n_in), f"{name}.bias": (n_out,)}
