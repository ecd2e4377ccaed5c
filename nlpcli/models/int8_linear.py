"""Linear layers whose products are of 8-bit integers, for answering only.

Each row that is read and each output has its own scale, which is found in the numbers themselves:
vector-wise quantisation (Dettmers et al. 2022, "LLM.int8()", §3.1). A row's result does not hang
on the rows beside it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

WEIGHT_LEVELS = 127
ROW_LEVELS = 126
"""One less than fits, as scales of rows are rounded to the precision of the rows."""
_MIDDLE = 128
"""Where 0 lies in an unsigned byte, which torch's kernel wants of the rows."""
_LEAST = 1e-30
"""A scale, so that rows of zeros have one."""
_MAGNITUDE = {torch.bfloat16: (torch.int16, 0x7FFF), torch.float32: (torch.int32, 0x7FFFFFFF)}
"""The bits of a number but for its sign, which are ordered as magnitudes are."""


def has_int8_products() -> bool:
    """Whether this torch has the kernel."""
    built: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return built and hasattr(torch.ops.onednn, "qlinear_pointwise")


class Int8Linear(nn.Module):
    """x W^T + b, rounded: weights int8 [n_out, n_in], rows as bytes when they come."""

    bias: Tensor

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        weight = layer.weight.detach().float()
        self._scale = weight.abs().amax(dim=1).div_(WEIGHT_LEVELS).clamp_(min=_LEAST)
        self._levels = (weight / self._scale[:, None]).round_().to(torch.int8)
        self._packed: dict[tuple[int, int], Tensor] = {}
        self.register_buffer("bias", layer.bias.detach())

    def forward(self, x: Tensor) -> Tensor:
        """``x`` [..., n_in], bfloat16 or float32 -> [..., n_out] of the same precision."""
        return self.part(x, 0, len(self._scale))

    def part(self, x: Tensor, first: int, last: int) -> Tensor:
        """Of the outputs those from ``first`` to before ``last``."""
        rows = x.reshape(-1, x.shape[-1])
        scale = _row_scales(rows)
        levels = (rows * scale.reciprocal()).round_().to(torch.int8)
        found = torch.ops.onednn.qlinear_pointwise(
            levels.view(torch.uint8).bitwise_xor_(_MIDDLE), 1.0, _MIDDLE, self._pack(first, last),
            self._scale[first:last], torch.zeros(last - first, dtype=torch.int64), None,
            1.0, 0, x.dtype, "none", [], "",
        )  # fmt: skip
        return torch.addcmul(self.bias[first:last], found, scale).view(*x.shape[:-1], last - first)

    def _pack(self, first: int, last: int) -> Tensor:
        """The weights as the kernel wants them, made when they are first asked for."""
        if (first, last) not in self._packed:
            self._packed[first, last] = torch.ops.onednn.qlinear_prepack(
                self._levels[first:last].contiguous(), None
            )
        return self._packed[first, last]


def _row_scales(rows: Tensor) -> Tensor:
    """What a level of each row is worth, [N, 1], of the precision of the rows."""
    kind, bits = _MAGNITUDE[rows.dtype]
    largest = rows.view(kind).bitwise_and(bits).amax(dim=1, keepdim=True).view(rows.dtype)
    return largest.float().div_(ROW_LEVELS).clamp_(min=_LEAST).to(rows.dtype)
