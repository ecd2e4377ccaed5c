import gc
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nlpcli.shell.machine import expect_small_operations, keep_products, prepare, slow_wide_sort

INFO = """processor	: 0
vendor_id	: {vendor}
cpu family	: {family}
model name	: some
flags		: fpu sse2 {flags}
"""


@pytest.mark.parametrize(
    ("vendor", "family", "flags", "slow"),
    [
        ("AuthenticAMD", 25, "avx2 avx512f avx512bw", True),
        ("AuthenticAMD", 25, "avx2", False),
        ("AuthenticAMD", 26, "avx2 avx512f", False),
        ("GenuineIntel", 25, "avx2 avx512f", False),
    ],
)
def test_which_processors_sort_slowly(
    tmp_path: Path, vendor: str, family: int, flags: str, slow: bool
) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text(INFO.format(vendor=vendor, family=family, flags=flags) * 3)
    assert slow_wide_sort(str(path)) is slow


def test_a_machine_that_says_nothing(tmp_path: Path) -> None:
    assert not slow_wide_sort(str(tmp_path / "none"))


TURNS = "GOMP_SPINCOUNT"
PRODUCTS = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"
SHAPES = """
import torch
for _ in range(2):
    for n in range(64, 64 + 60):
        torch.mm(torch.ones(n, 64, dtype=torch.bfloat16), torch.ones(64, 64, dtype=torch.bfloat16))
"""


@pytest.mark.parametrize(
    ("name", "given", "before", "told", "after"),
    [
        (PRODUCTS, None, "32", keep_products, "1024"),
        (PRODUCTS, "7", "7", keep_products, "7"),
        (TURNS, None, "10000", expect_small_operations, "1000"),
        (TURNS, "7", "7", expect_small_operations, "7"),
    ],
)
def test_what_is_set_already_stays(
    monkeypatch: pytest.MonkeyPatch, name: str, given: str | None, before: str,
    told: Callable[[], None], after: str,
) -> None:  # fmt: skip
    """The cache of products is small but for learning, and threads wait longer for encoders than
    for others, unless somebody has said otherwise."""
    cycles = gc.get_threshold()
    monkeypatch.setattr(os, "environ", {} if given is None else {name: given})
    try:
        prepare()
    finally:
        gc.set_threshold(*cycles)
    assert os.environ[name] == before
    told()
    assert os.environ[name] == after


@pytest.mark.parametrize("command", ["train-fasttext", "train-w2v"])
def test_how_long_when_torch_is_loaded(tmp_path: Path, command: str) -> None:
    """Its threads read it then."""
    text = tmp_path / "rows.csv"
    text.write_text("text,label\n" + "good day,yes\nbad night,no\n" * 20)
    code = f"""
import os, sys
class Watch:
    def find_spec(self, name, *rest):
        if name == "torch":
            print("turns", os.environ["{TURNS}"], flush=True)
sys.meta_path.insert(0, Watch())
sys.argv = {["nlpcli", command, str(text), "-o", str(tmp_path / "m")]}
from nlpcli.__main__ import main
main()
"""
    given = {k: v for k, v in os.environ.items() if k != TURNS}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env=given
    )
    assert done.stdout.split()[:2] == ["turns", "1000"], done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("learning", "made"), [(True, 60), (False, 120)])
def test_the_library_heeds_it(learning: bool, made: int) -> None:
    """Of 60 shapes that come twice, each is made once while learning."""
    code = "from nlpcli.shell.machine import keep_products, prepare\nprepare()\n"
    code += ("keep_products()\n" if learning else "") + SHAPES
    given = {k: v for k, v in os.environ.items() if k != PRODUCTS}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True,
        env={**given, "ONEDNN_VERBOSE": "profile_create"},
    )  # fmt: skip
    lines = done.stdout.splitlines()
    products = [line for line in lines if "create:" in line and "matmul" in line]
    if not products:
        pytest.skip("this processor has no such products by oneDNN")
    assert sum("cache_miss" in line for line in products) == made
