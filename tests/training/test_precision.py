"""Precisions that a machine has, and models that answer in them."""

from __future__ import annotations

import pytest
import torch

from nlpcli.errors import Unavailable
from nlpcli.models.int8_linear import Int8Linear
from nlpcli.training import precision
from nlpcli.training.precision import choose_precision, has_fast_int8, prepared

from .small_bert import small_model

CPU = torch.device("cpu")


def units(monkeypatch: pytest.MonkeyPatch, **found: bool) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found)


@pytest.mark.parametrize("unit", ["avx512_vnni", "avx_vnni", "amx_int8"])
def test_units_that_multiply_bytes(monkeypatch: pytest.MonkeyPatch, unit: str) -> None:
    units(monkeypatch, **{unit: True})
    assert choose_precision("int8", CPU) == torch.float32  # of all that is no product
    units(monkeypatch, **{unit: True, "avx512_bf16": True})
    assert choose_precision("int8", CPU) == torch.bfloat16


def test_machines_without_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    for device in (torch.device("cuda"), torch.device("mps")):
        with pytest.raises(Unavailable, match=f"int8: no fast products of bytes on this {device}"):
            choose_precision("int8", device)
    units(monkeypatch, avx2=True)
    with pytest.raises(Unavailable):
        choose_precision("int8", CPU)
    units(monkeypatch, avx512_vnni=True)
    monkeypatch.setattr(precision, "has_int8_products", lambda: False)
    with pytest.raises(Unavailable):
        choose_precision("int8", CPU)


@pytest.mark.skipif(not has_fast_int8(CPU), reason="this processor has no products of bytes")
@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_a_model_that_is_prepared_says_nearly_the_same(pooling: str) -> None:
    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(5, 40, (6, 12), generator=generator)
    given = ids, torch.zeros_like(ids), torch.ones_like(ids, dtype=torch.bool)
    found = {}
    for name in ("fp32", "int8"):
        model = prepared(small_model(3, pooling=pooling), name, CPU)
        assert not model.training
        quick = [m for m in model.modules() if isinstance(m, Int8Linear)]
        assert len(quick) == (4 * len(model.bert.layers) if name == "int8" else 0)
        with torch.no_grad():
            found[name] = model(*given).float()
    off = float((found["fp32"] - found["int8"]).norm() / found["fp32"].norm())
    assert 0 < off < 0.05
