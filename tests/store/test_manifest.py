"""manifest.json: strict, bounded, and every flipped bit found."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.errors import DataError
from nlpcli.store.manifest import FORMAT_VERSION, LARGEST, FileEntry, Manifest

ENTRY = FileEntry(3, hashlib.sha256(b"abc").hexdigest())


def manifest(**changes: Any) -> Manifest:
    base: dict[str, Any] = {
        "kind": "fasttext",
        "created_by": "nlpcli 0.1",
        "config": {"lr": 1e-05, "dim": 10},
        "labels": ["ham", "垃圾", "\x1f"],
        "data": {"rows": 12},
        "seed": 7,
        "metrics": {"macro_f1": 0.5},
        "files": {"weights.bin": ENTRY},
        "name": "spam",
        "version": 3,
        "created": "2026-01-01T00:00:00Z",
    }
    return Manifest(**base | changes)


def sealed(**changes: Any) -> bytes:
    """A manifest with fields changed and the hash made anew, as an attacker would."""
    document = json.loads(manifest().to_json()) | changes
    del document["manifest_sha256"]
    document = {k: v for k, v in document.items() if v != "absent"}
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    document["manifest_sha256"] = hashlib.sha256(text.encode()).hexdigest()
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False).encode()


def test_round_trip() -> None:
    data = manifest().to_json()
    assert Manifest.from_json(data, "m") == manifest()
    assert sealed() == data
    assert "垃圾".encode() in data


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@settings(deadline=None, max_examples=100)
@given(
    st.dictionaries(st.text() | st.integers(), JSON, max_size=12), st.lists(st.text(), unique=True)
)
def test_what_is_written_is_read(config: dict[Any, Any], labels: list[str]) -> None:
    read = Manifest.from_json(manifest(config=config, labels=labels).to_json(), "m")
    assert read.labels == labels
    assert Manifest.from_json(read.to_json(), "m") == read


def test_what_json_lacks_is_made_plain() -> None:
    odd = manifest(
        config={"shape": (1, 2), **{n: n for n in (2, 10, 1)}},
        metrics={"loss": float("nan"), "top": float("inf")},
        data={"path": "\udcff.csv"},
    )
    read = Manifest.from_json(odd.to_json(), "m")
    assert read.config == {"shape": [1, 2], "1": 1, "2": 2, "10": 10}
    assert read.metrics == {"loss": None, "top": None}
    assert read.data == {"path": "\udcff.csv"}


def test_every_flipped_bit_and_every_cut_is_found() -> None:
    data = manifest().to_json()
    for position in range(len(data)):
        with pytest.raises(DataError):
            Manifest.from_json(data[:position], "m")
        for bit in range(8):
            flipped = bytearray(data)
            flipped[position] ^= 1 << bit
            with pytest.raises(DataError):
                Manifest.from_json(bytes(flipped), "m")


@pytest.mark.parametrize(
    "changes",
    [
        {"format_version": 0},
        {"format_version": True},
        {"format_version": "1"},
        {"kind": "absent"},
        {"kind": 3},
        {"seed": True},
        {"seed": 1.5},
        {"published": 1},
        {"labels": [1]},
        {"labels": {}},
        {"version": 0},
        {"version": True},
        {"more": 1},
        {"files": []},
        {"files": {"a": 1}},
        {"files": {"a": {"size": 1}}},
        {"files": {"a": {"size": -1, "sha256": ENTRY.sha256}}},
        {"files": {"a": {"size": True, "sha256": ENTRY.sha256}}},
        {"files": {"a": {"size": 1, "sha256": "00"}}},
    ],
)
def test_wrong_fields(changes: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"^m: "):
        Manifest.from_json(sealed(**changes), "m")


@pytest.mark.parametrize(
    "name", ["..", ".", "", "/etc/passwd", "../x", "a/b", ".x", "a\\b", "a\n", "manifest.json"]
)
def test_file_names(name: str) -> None:
    files = {name: {"size": 3, "sha256": ENTRY.sha256}}
    with pytest.raises(DataError, match="not a plain name"):
        Manifest.from_json(sealed(files=files), "m")


def test_a_newer_format_names_the_version() -> None:
    newer = FORMAT_VERSION + 1
    with pytest.raises(DataError, match=f"format version {newer};.* {FORMAT_VERSION}$"):
        Manifest.from_json(sealed(format_version=newer), "m")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b'{"a": 1, "a": 2}',
        b'{"a": NaN}',
        b"[" * 100_000,
        b"\xff\xfe",
        b"1" * 10_000,
        b"\xef\xbb\xbf" + manifest().to_json(),
        manifest().to_json().decode().encode("utf-16"),
        manifest().to_json() + b"\n",
        b" " * (LARGEST + 1),
    ],
    ids=range(12),
)
def test_no_manifest(data: bytes) -> None:
    with pytest.raises(DataError, match=r"^m: "):
        Manifest.from_json(data, "m")


def test_one_that_could_not_be_read_is_not_written() -> None:
    assert LARGEST == 16 * 2**20
    with pytest.raises(DataError, match="at most"):
        manifest(labels=["x" * LARGEST]).to_json()
