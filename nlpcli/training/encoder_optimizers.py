"""AdamW, and Muon for the matrices within an encoder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nlpcli.errors import Unavailable

BETAS, EPSILON = (0.9, 0.98), 1e-8
"""The decays of Liu et al. 2019 ("RoBERTa", table 9). Their epsilon, 1e-6, holds AdamW on the
plateau of the frequencies of pieces: measured in benchmarks/LOG.md."""
MOMENTUM = 0.95
_ADAMW, _MUON = {"step", "exp_avg", "exp_avg_sq"}, {"momentum_buffer"}
"""What they remember of each parameter."""


class Recipe(Protocol):
    """How parameters are moved: ``adamw`` or ``muon``, the rate, and the decay of matrices."""

    @property
    def optimizer(self) -> str:
        """adamw or muon."""

    @property
    def lr(self) -> float:
        """The highest one."""

    @property
    def weight_decay(self) -> float:
        """Of matrices."""


class EncoderOptimizer:
    """Moves parameters by name. AdamW (Loshchilov & Hutter 2019), no decay of biases and norms.

    ``muon``: the matrices of the layers by Muon instead (Jordan et al. 2024), with its steps
    scaled to AdamW's size (Liu et al. 2025, "Muon is scalable", §2.2), so that one rate serves.
    """

    def __init__(
        self, tensors: dict[str, Tensor], config: Recipe,
        scale: Callable[[str], float] = lambda name: 1.0,
    ) -> None:  # fmt: skip
        """``scale``: of the learning rate, by the name of a parameter."""
        self._names = tensors
        matrices: list[Tensor] = []
        groups: dict[tuple[float, bool], list[Tensor]] = {}
        for name, tensor in tensors.items():
            inside = name.startswith("encoder.layer.") and tensor.ndim == 2
            if config.optimizer == "muon" and inside:
                matrices.append(tensor)
            else:
                groups.setdefault((scale(name), tensor.ndim == 2), []).append(tensor)
        self._optimizers: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(
                [
                    {
                        "params": held,
                        "weight_decay": config.weight_decay if decays else 0.0,
                        "scale": factor,
                    }
                    for (factor, decays), held in groups.items()
                ],
                lr=config.lr,
                betas=BETAS,
                eps=EPSILON,
                fused=True,
            )
        ]
        if matrices:
            if not hasattr(torch.optim, "Muon"):
                raise Unavailable(f"--optimizer muon: torch {torch.__version__} has none")
            self._optimizers.append(
                torch.optim.Muon(
                    matrices,
                    lr=config.lr,
                    weight_decay=config.weight_decay,
                    momentum=MOMENTUM,
                    adjust_lr_fn="match_rms_adamw",
                )
            )

    def step(self, rate: float) -> None:
        """Moves all parameters along their gradients."""
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * group.get("scale", 1.0)
            optimizer.step()

    def _entries(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Name of each parameter and what its optimizer remembers of it."""
        found = {id(t): name for name, t in self._names.items()}
        for optimizer in self._optimizers:
            for tensor, entry in optimizer.state.items():
                yield found[id(tensor)], entry

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """All that ``load`` needs, as arrays; none before the first step."""
        return {
            f"{name}:{key}": value.detach().cpu().numpy()
            for name, entry in self._entries()
            for key, value in entry.items()
            if isinstance(value, Tensor)
        }

    def load(self, arrays: dict[str, npt.NDArray[Any]]) -> None:
        """Goes on from a state. Raises ValueError for one that does not fit."""
        for optimizer in self._optimizers:
            optimizer.state.clear()
        owners = {
            id(tensor): optimizer
            for optimizer in self._optimizers
            for group in optimizer.param_groups
            for tensor in group["params"]
        }
        kept: dict[str, set[str]] = {}
        for full, array in arrays.items():
            name, _, key = full.rpartition(":")
            tensor = self._names.get(name)
            if tensor is None or (array.ndim and array.shape != tuple(tensor.shape)):
                raise ValueError(f"{full} does not fit")
            kept.setdefault(name, set()).add(key)
            value = torch.from_numpy(np.array(array)).to(tensor.device)
            owners[id(tensor)].state[tensor][key] = value
        for name, keys in kept.items():
            is_adamw = isinstance(owners[id(self._names[name])], torch.optim.AdamW)
            wanted = _ADAMW if is_adamw else _MUON
            if keys != wanted:
                raise ValueError(f"{name}: {sorted(keys)}, wanted {sorted(wanted)}")
