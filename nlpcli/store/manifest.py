"""manifest.json: what a model is, and the size and SHA-256 of each of its files."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from typing import Any

from nlpcli.errors import DataError, shown

FORMAT_VERSION = 1
LARGEST = 64 * 2**20
FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,200}")


@dataclass(frozen=True)
class FileEntry:
    """Size in bytes and SHA-256 (hex) of one file."""

    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Everything recorded about a model; ``files`` by name."""

    kind: str
    created_by: str
    config: dict[str, Any]
    labels: list[str]
    data: dict[str, Any]
    seed: int
    metrics: dict[str, Any]
    files: dict[str, FileEntry] = field(default_factory=dict)
    published: bool = True
    name: str | None = None
    version: int | None = None
    created: str = ""

    def to_json(self) -> bytes:
        """Sorted, indented, with a hash over the rest so that a flipped bit shows."""
        document = {"format_version": FORMAT_VERSION, **asdict(self)}
        document["manifest_sha256"] = _digest(document)
        return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False).encode()

    @staticmethod
    def from_json(data: bytes, where: str) -> Manifest:
        """Reads one strictly. Raises DataError naming ``where`` and what is wrong."""
        document = _parse(data, where)
        version = document.pop("format_version", None)
        if not isinstance(version, int) or version < 1:
            raise DataError(f"{where}: format_version {shown(str(version))}, wanted a number")
        if version > FORMAT_VERSION:
            raise DataError(
                f"{where}: format version {version}; this program reads up to {FORMAT_VERSION}",
                hint="a newer nlpcli",
            )
        seal = document.pop("manifest_sha256", None)
        if seal != _digest({"format_version": version, **document}):
            raise DataError(f"{where}: SHA-256 mismatch; the file was changed or damaged")
        return _build(document, where)


def _digest(document: dict[str, Any]) -> str:
    text = json.dumps(document, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _parse(data: bytes, where: str) -> dict[str, Any]:
    if len(data) > LARGEST:
        raise DataError(f"{where}: {len(data):,} bytes, at most {LARGEST:,}")

    def no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("duplicate key")
        return found

    try:
        document = json.loads(data, object_pairs_hook=no_duplicates)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not a manifest, truncated or damaged: {error}") from None
    if not isinstance(document, dict):
        raise DataError(f"{where}: not a manifest: no JSON object")
    return document


def _build(document: dict[str, Any], where: str) -> Manifest:
    types: dict[str, type | tuple[type, ...]] = {
        "kind": str, "created_by": str, "config": dict, "labels": list, "data": dict, "seed": int,
        "metrics": dict, "files": dict, "published": bool, "name": (str, type(None)),
        "version": (int, type(None)), "created": str,
    }  # fmt: skip
    for key, wanted in types.items():
        if key not in document or not isinstance(document[key], wanted):
            raise DataError(f"{where}: {key} is missing or of the wrong type")
    if set(document) != set(types):
        raise DataError(f"{where}: unknown keys {sorted(set(document) - set(types))[:3]}")
    if not all(isinstance(label, str) for label in document["labels"]):
        raise DataError(f"{where}: labels must be text")
    document["files"] = {
        name: _file_entry(name, value, where) for name, value in document["files"].items()
    }
    return Manifest(**document)


def _file_entry(name: str, value: Any, where: str) -> FileEntry:
    if not FILE_NAME.fullmatch(name):
        raise DataError(f"{where}: file name {shown(name)} is not a plain name")
    if (
        not isinstance(value, dict)
        or set(value) != {"size", "sha256"}
        or not isinstance(value["size"], int)
        or not isinstance(value["sha256"], str)
    ):
        raise DataError(f"{where}: entry of {name}: wanted size and sha256")
    return FileEntry(**value)
