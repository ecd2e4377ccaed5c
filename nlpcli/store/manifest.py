"""manifest.json: what a model is, and the size and SHA-256 of each of its files."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from typing import Any

from nlpcli.errors import DataError, shown
from nlpcli.text.strict_json import parse_object

FORMAT_VERSION = 1
LARGEST = 16 * 2**20
MANIFEST_NAME = "manifest.json"
FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,200}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


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
        """Sorted, indented, with a hash over the rest so that a flipped bit shows.

        What JSON lacks becomes what it has: keys become text, tuples lists, NaN and infinity null.
        Raises DataError when it would be larger than a reader takes.
        """
        document = _plain({"format_version": FORMAT_VERSION, **asdict(self)})
        document["manifest_sha256"] = _digest(document)
        data = _encode(document)
        if len(data) > LARGEST:
            raise DataError(f"{MANIFEST_NAME}: {len(data):,} bytes, at most {LARGEST:,}")
        return data

    @staticmethod
    def from_json(data: bytes, where: str) -> Manifest:
        """Reads one strictly. Raises DataError naming ``where`` and what is wrong."""
        document = _parse(data, where)
        version = document.get("format_version")
        if type(version) is not int or version < 1:
            raise DataError(f"{where}: format_version {shown(str(version))}, wanted a number")
        if version > FORMAT_VERSION:
            raise DataError(
                f"{where}: format version {version}; this program reads up to {FORMAT_VERSION}",
                hint="a newer nlpcli",
            )
        rest = {key: value for key, value in document.items() if key != "manifest_sha256"}
        # The bytes are compared too: 1e-5 and 1E-5 are one bit apart and hash the same.
        try:
            same = document.get("manifest_sha256") == _digest(rest) and _encode(document) == data
        except RecursionError:
            raise DataError(f"{where}: nested too deep") from None
        if not same:
            raise DataError(f"{where}: SHA-256 mismatch; the file was changed or damaged")
        del rest["format_version"]
        return _build(rest, where)


def _plain(document: dict[str, Any]) -> dict[str, Any]:
    """The document as a JSON reader will see it. Raises TypeError for what is no JSON."""
    text = json.dumps(document)
    plain: dict[str, Any] = json.loads(text, parse_constant=lambda _: None)
    return plain


def _digest(document: dict[str, Any]) -> str:
    text = json.dumps(document, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _encode(document: dict[str, Any]) -> bytes:
    """The one way in which a manifest is written."""
    try:
        return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # a file name that is not UTF-8
        return json.dumps(document, indent=1, sort_keys=True).encode()


def _parse(data: bytes, where: str) -> dict[str, Any]:
    if len(data) > LARGEST:
        raise DataError(f"{where}: {len(data):,} bytes, at most {LARGEST:,}")
    return parse_object(data, where)


def _build(document: dict[str, Any], where: str) -> Manifest:
    types: dict[str, type | tuple[type, ...]] = {
        "kind": str, "created_by": str, "config": dict, "labels": list, "data": dict, "seed": int,
        "metrics": dict, "files": dict, "published": bool, "name": (str, type(None)),
        "version": (int, type(None)), "created": str,
    }  # fmt: skip
    for key, wanted in types.items():
        value = document.get(key)
        number_meant = wanted is not bool and isinstance(value, bool)
        if key not in document or not isinstance(value, wanted) or number_meant:
            raise DataError(f"{where}: {key} is missing or of the wrong type")
    if set(document) != set(types):
        raise DataError(f"{where}: unknown keys {sorted(set(document) - set(types))[:3]}")
    labels = document["labels"]
    if not all(isinstance(label, str) and _is_text(label) for label in labels):
        raise DataError(f"{where}: labels must be text")
    if len(set(labels)) != len(labels):
        raise DataError(f"{where}: a label occurs twice")
    if document["version"] is not None and document["version"] < 1:
        raise DataError(f"{where}: version {document['version']}, wanted 1 or more")
    document["files"] = {
        name: _file_entry(name, value, where) for name, value in document["files"].items()
    }
    return Manifest(**document)


def _is_text(value: str) -> bool:
    """Whether it can be written as UTF-8: no half of a surrogate pair."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _file_entry(name: str, value: Any, where: str) -> FileEntry:
    if not is_file_name(name):
        raise DataError(f"{where}: file name {shown(name)} is not a plain name")
    if (
        not isinstance(value, dict)
        or set(value) != {"size", "sha256"}
        or type(value["size"]) is not int
        or value["size"] < 0
        or not isinstance(value["sha256"], str)
        or not _SHA256.fullmatch(value["sha256"])
    ):
        raise DataError(f"{where}: entry of {name}: wanted size and sha256")
    return FileEntry(**value)


def is_file_name(name: str) -> bool:
    """Whether a model's file may be called so: no folder, no leading dot, not the manifest."""
    return FILE_NAME.fullmatch(name) is not None and name != MANIFEST_NAME
