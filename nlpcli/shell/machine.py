"""What the libraries are told about the machine before they are loaded."""

from __future__ import annotations

import gc
import os
import re

CPU_INFO = "/proc/cpuinfo"
_HEAD = 8192
_PRODUCTS, _FEW, _MANY = "ONEDNN_PRIMITIVE_CACHE_CAPACITY", "32", "1024"
"""Shapes of products for which oneDNN keeps its code."""
_TURNS, _SHORT, _LONG = "GOMP_SPINCOUNT", "1000", "10000"
"""How often a thread that waits for the next operation turns in a circle before it sleeps. Turns
for milliseconds, as is usual, make training on a busy machine many times as slow; short ones make
encoders a fifth slower, whose thousands of operations wake it each time (benchmarks/LOG.md)."""
_ZEN4 = re.compile(r"^cpu family\s*: 25$", re.MULTILINE)


def prepare() -> None:
    """Settings of this process; those in the environment already stay."""
    os.environ.setdefault(_TURNS, _LONG)
    # Each shape of a product that oneDNN has seen keeps megabytes: with batches of many lengths
    # half of a process.
    os.environ.setdefault(_PRODUCTS, _FEW)
    os.environ.setdefault("LRU_CACHE_CAPACITY", "16")
    if slow_wide_sort():
        os.environ.setdefault("NPY_DISABLE_CPU_FEATURES", "X86_V4 AVX512_SKX AVX512_ICL")
    # Rows are freed by counting references; looking for cycles in them took a sixth of a run.
    gc.set_threshold(1_000_000, 20, 100)


def keep_products() -> None:
    """To be called before an encoder learns: a step has dozens of shapes of products, which come
    again in other steps, and each takes half a millisecond to make (benchmarks/LOG.md). oneDNN
    reads how many it may keep at its first product."""
    if os.environ.get(_PRODUCTS) == _FEW:
        os.environ[_PRODUCTS] = _MANY


def expect_small_operations() -> None:
    """To be called before torch is loaded for a model that is no encoder."""
    if os.environ.get(_TURNS) == _LONG:
        os.environ[_TURNS] = _SHORT


def slow_wide_sort(cpu_info: str = CPU_INFO) -> bool:
    """Whether numpy would sort with an instruction that is microcoded here.

    AMD's fourth generation (Zen 4) stores compressed vectors so slowly that sorting with AVX-512
    takes five times as long as with AVX2 (github.com/numpy/x86-simd-sort, issue 6).
    """
    try:
        with open(cpu_info, encoding="ascii", errors="replace") as stream:
            head = stream.read(_HEAD)
    except OSError:
        return False
    return "AuthenticAMD" in head and " avx512f" in head and bool(_ZEN4.search(head))
