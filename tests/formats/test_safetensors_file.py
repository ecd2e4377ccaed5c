"""Headers of safetensors files that lie: told in one line, and nothing large is taken for them."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest

from nlpcli.errors import DataError
from nlpcli.formats.hf_folder import read_hf_bytes

from .bert_folder import bert_files, framed, raw_safetensors

NORM = "embeddings.LayerNorm.bias"


def entry(dtype: Any, shape: Any, offsets: Any, **more: Any) -> bytes:
    values = {"dtype": dtype, "shape": shape, "data_offsets": offsets, **more}
    return json.dumps({NORM: values}).encode()


HUGE = 4_000_000_000
LIES: list[tuple[bytes, str]] = [
    (b"", "truncated: the length of the header"),
    (b"\1\2", "truncated: the length of the header"),
    (framed(b"{}", b"", 3), "truncated: the header wants 3 bytes, 2 are left"),
    (framed(b"{}", b"", 2**63), "at most 4,194,304"),
    (framed(b"{}", b"", HUGE), "at most 4,194,304"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "a pointer of Git LFS"),
    (framed(b"{}", b"xxxx"), "too long: tensors of 0 bytes, there are 4"),
    (framed(b"[]", b""), "no JSON object"),
    (framed(b"{", b""), "no JSON"),
    (framed(b"\xff{}", b""), "no JSON"),
    (framed(b'{"a":NaN}', b""), "NaN is no number"),
    (framed(b'{"a":1,"a":1}', b""), "duplicate key"),
    (framed(b'{"a":' + b"[" * 9999 + b"]" * 9999 + b"}", b""), "nested|no JSON"),
    (framed(b'{"a":1}', b""), "wanted dtype, shape and data_offsets"),
    (framed(entry("F32", [1], [0, 4], more=1), b"1234"), "wanted dtype, shape and data_offsets"),
    (framed(entry("F4", [1], [0, 4]), b"1234"), "type F4 is none"),
    (framed(entry(["F32"], [1], [0, 4]), b"1234"), "is none that is known"),
    (framed(entry("F32", [1.0], [0, 4]), b"1234"), "not whole numbers"),
    (framed(entry("F32", [True], [0, 4]), b"1234"), "not whole numbers"),
    (framed(entry("F32", [-1], [0, -4]), b""), "not whole numbers"),
    (framed(entry("F32", [1] * 99, [0, 4]), b"1234"), "not whole numbers"),
    (framed(entry("F32", 1, [0, 4]), b"1234"), "not whole numbers"),
    (framed(entry("F32", [1], [0, 4, 8]), b"1234"), "not whole numbers"),
    (framed(entry("F32", [1], [4, 0]), b"1234"), "takes 4 bytes, the offsets give it -4"),
    (framed(entry("F32", [HUGE, 8], [0, 32]), b"1" * 32), "takes 128,000,000,000 bytes"),
    (framed(entry("F32", [HUGE], [0, 4 * HUGE]), b"1234"), "truncated: tensors of 16,000,000,000"),
    (framed(entry("F32", [2**40] * 8, [0, 4]), b"1234"), "the offsets give it 4"),
    (framed(entry("F32", [1], [4, 8]), b"12345678"), "begins at 4, the one before it ends at 0"),
    (
        raw_safetensors({"a": ("F32", [2], b"12345678")}).replace(b"}}", b"},") + b"x",
        "no JSON",
    ),
    (
        framed(
            b'{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},'
            b'"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}',
            b"123456",
        ),
        "tensor b begins at 2, the one before it ends at 4",
    ),
    (
        framed(
            b'{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},'
            b'"b":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}',
            b"",
        ),
        r"embeddings\.\S+ is missing",
    ),
]


@pytest.mark.parametrize(("data", "reason"), LIES, ids=[reason[:60] for _, reason in LIES])
def test_a_header_that_lies(data: bytes, reason: str) -> None:
    files = {**bert_files(), "model.safetensors": data}
    tracemalloc.start()
    with pytest.raises(DataError, match=reason) as caught:
        read_hf_bytes(files.__getitem__, set(files), "folder")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 2**20
    assert "\n" not in caught.value.message
