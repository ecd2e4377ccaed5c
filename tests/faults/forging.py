"""Model folders made by somebody with bad intent: every hash is right, what is inside is not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy.typing as npt
from safetensors.numpy import load, save

Arrays = dict[str, npt.NDArray[Any]]


@dataclass
class Parts:
    """A model taken apart, to be changed; ``raw`` replaces whole files."""

    manifest: dict[str, Any]
    weights: Arrays
    optimizer: Arrays
    tokenizer: dict[str, Any]
    raw: dict[str, bytes] = field(default_factory=dict)

    @property
    def config(self) -> dict[str, Any]:
        """Of the manifest."""
        found: dict[str, Any] = self.manifest["config"]
        return found

    @property
    def cutting(self) -> dict[str, Any]:
        """The configuration of the tokenizer."""
        found: dict[str, Any] = self.tokenizer["config"]
        return found

    def files(self) -> dict[str, bytes]:
        """The files as they are to be written."""
        return {
            "model.safetensors": save(self.weights),
            "optimizer.safetensors": save(self.optimizer),
            "tokenizer.json": json.dumps(self.tokenizer).encode(),
            **self.raw,
        }


def take_apart(folder: Path) -> Parts:
    """The parts of a good model; its arrays may be written to."""
    weights, optimizer = (
        {name: array.copy() for name, array in load((folder / file).read_bytes()).items()}
        for file in ("model.safetensors", "optimizer.safetensors")
    )
    manifest = json.loads((folder / "manifest.json").read_bytes())
    tokenizer = json.loads((folder / "tokenizer.json").read_bytes())
    return Parts(manifest, weights, optimizer, tokenizer)


def seal(manifest: dict[str, Any]) -> bytes:
    """The manifest with its own hash made anew."""
    rest = {key: value for key, value in manifest.items() if key != "manifest_sha256"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()
    document = {**rest, "manifest_sha256": digest}
    try:
        return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(document, indent=1, sort_keys=True).encode()


def entry(data: bytes) -> dict[str, Any]:
    """Size and hash of a file, as a manifest lists them."""
    return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def forge(folder: Path, change: Callable[[Parts], object], *, listed: bool = True) -> None:
    """Changes a model folder in place and seals it; ``listed``: all files get right entries."""
    parts = take_apart(folder)
    change(parts)
    files = parts.files()
    if listed:
        parts.manifest["files"] = {
            **parts.manifest["files"],
            **{name: entry(data) for name, data in files.items()},
        }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    (folder / "manifest.json").write_bytes(seal(parts.manifest))


def tensors(header: Any, body: bytes = b"") -> bytes:
    """A safetensors file with this header: a document, or its text."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def tensor(dtype: str, shape: list[int], begin: int, end: int) -> dict[str, Any]:
    """The entry of one tensor in a header."""
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
