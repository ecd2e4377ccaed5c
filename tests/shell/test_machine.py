import gc
import os
from pathlib import Path

import pytest

from nlpcli.shell.machine import prepare, slow_wide_sort

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


@pytest.mark.parametrize("given", [None, "7"])
def test_what_is_set_already_stays(monkeypatch: pytest.MonkeyPatch, given: str | None) -> None:
    """The cache of products is small, unless somebody has said otherwise."""
    name, before = "LRU_CACHE_CAPACITY", gc.get_threshold()
    monkeypatch.setattr(os, "environ", {} if given is None else {name: given})
    try:
        prepare()
    finally:
        gc.set_threshold(*before)
    assert os.environ[name] == (given or "16")
