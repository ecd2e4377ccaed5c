"""What learning and answering set for the libraries below."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from nlpcli.training.device import PRODUCTS, keep_products

SHAPES = """
import torch
from nlpcli.training.device import set_threads
set_threads(1, learning={learning})
for _ in range(2):
    for n in range(64, 64 + 60):
        torch.mm(torch.ones(n, 64, dtype=torch.bfloat16), torch.ones(64, 64, dtype=torch.bfloat16))
"""


@pytest.mark.parametrize(("learning", "count"), [(True, "1024"), (False, "32")])
def test_learning_keeps_more_shapes(
    monkeypatch: pytest.MonkeyPatch, learning: bool, count: str
) -> None:
    monkeypatch.setattr(os, "environ", {})
    keep_products(learning=learning)
    keep_products(learning=not learning)  # the first one counts, as for the library
    assert os.environ == {PRODUCTS: count}


def test_what_the_environment_says_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {PRODUCTS: "7"})
    keep_products(learning=True)
    assert os.environ == {PRODUCTS: "7"}


@pytest.mark.slow
@pytest.mark.parametrize(("learning", "made"), [(True, 60), (False, 120)])
def test_the_library_heeds_it(learning: bool, made: int) -> None:
    """Of 60 shapes that come twice, each is made once while learning."""
    given = {k: v for k, v in os.environ.items() if k != PRODUCTS}
    done = subprocess.run(
        [sys.executable, "-c", SHAPES.format(learning=learning)], capture_output=True, text=True,
        env={**given, "ONEDNN_VERBOSE": "profile_create"}, timeout=120, check=True,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    products = [line for line in lines if "create:" in line and "matmul" in line]
    if not products:
        pytest.skip("this processor has no such products by oneDNN")
    assert sum("cache_miss" in line for line in products) == made
