"""The rows that a model was measured on, as statistics beside its weights: ``reference.json``."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from nlpcli.errors import DataError
from nlpcli.store.draft import Draft
from nlpcli.store.folder import ModelFolder
from nlpcli.store.recalibration import KINDS, WANTED
from nlpcli.text.known_words import KnownWords
from nlpcli.text.row_cells import FEATURES, UNKNOWN_BOUNDS, Reference
from nlpcli.text.strict_json import parse_object

FILE = "reference.json"
SHARE = 20
"""Of a model of limited size it takes one part in so many at most; else it is left out."""


def write_reference(draft: Draft, reference: Reference, limit: int | None = None) -> None:
    """Writes it into a draft, unless a model of ``limit`` bytes has no room for it."""
    document = {
        "counts": {name: list(cells) for name, cells in reference.counts.items()},
        "labels": list(reference.labels),
        "bounds": {name: list(values) for name, values in reference.bounds.items()},
        "known_words": base64.b64encode(reference.known.bits).decode("ascii"),
    }
    data = json.dumps(document, ensure_ascii=False).encode()
    if limit is None or SHARE * len(data) <= limit:
        draft.write(FILE, data)


def read_reference(folder: ModelFolder) -> Reference:
    """Of a verified model. Raises DataError when it has none, or one that does not add up."""
    where = f"{folder.path}/{FILE}"
    kind = folder.manifest.kind
    if kind not in KINDS:
        raise DataError(
            f"{folder.path}: a model of kind {kind} keeps no statistics of rows, wanted {WANTED}"
        )
    if FILE not in folder.manifest.files:
        raise DataError(
            f"{folder.path}: no statistics of the rows it was measured on",
            hint="train it again with 50 dev rows or more",
        )
    document = parse_object(folder.read(FILE), where)
    try:
        reference = Reference(
            {name: tuple(document["counts"][name]) for name in FEATURES},
            tuple(document["labels"]),
            {name: tuple(document["bounds"][name]) for name in ("confidence", "length")},
            KnownWords(base64.b64decode(document["known_words"], validate=True)),
        )
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise DataError(f"{where}: {type(error).__name__}: {error}") from None
    _check(reference, where)
    return reference


def _check(reference: Reference, where: str) -> None:
    """Raises DataError for the first part that cannot be."""
    sizes = {
        "label": len(reference.labels), "unknown_words": len(UNKNOWN_BOUNDS) + 1,
        **{name: len(values) + 1 for name, values in reference.bounds.items()},
    }  # fmt: skip
    total = reference.counts["length"]
    for name, counts in reference.counts.items():
        good = all(type(n) is int and n >= 0 for n in counts) and len(counts) == sizes[name]
        if not good or sum(counts) != sum(total) or not sum(counts):
            raise DataError(f"{where}: counts of {name} do not add up")
    for name, values in reference.bounds.items():
        if not all(_is_number(v) for v in values) or list(values) != sorted(set(values)):
            raise DataError(f"{where}: bounds of {name} do not rise")
    if not all(isinstance(name, str) for name in reference.labels):
        raise DataError(f"{where}: a label is no text")


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e300
