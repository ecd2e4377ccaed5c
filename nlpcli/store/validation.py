"""Whether the parts of a stored classifier add up: types, shapes and values against each other.

The hashes in the manifest tell damage; these checks are for a folder that somebody made.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nlpcli.errors import DataError
from nlpcli.models.heads import HEADS, Head

LARGEST = 1e30
"""Sums of a text's rows must stay within float32."""
LARGEST_SCALE = 1e6
_TYPES = {
    "hashes": "uint64", "idf": "float32", "weight": "float32", "bias": "float32",
    "output": "float32",
}  # fmt: skip
_OPTIONAL = {"output"}


def check_output_options(config: dict[str, Any], where: str) -> tuple[float | None, str | None]:
    """Threshold and label separator of a manifest's configuration. Raises DataError."""
    if type(config.get("one_vs_all")) is not bool:
        raise DataError(f"{where}: one_vs_all is missing, or not true or false")
    threshold, separator = config.get("threshold"), config.get("label_separator")
    if threshold is not None and not (type(threshold) in (int, float) and 0 <= threshold <= 1):
        raise DataError(f"{where}: the threshold is not a number from 0 to 1")
    if separator is not None and not (isinstance(separator, str) and separator):
        raise DataError(f"{where}: label_separator is not a text")
    return (None if threshold is None else float(threshold)), separator


def check_calibration(config: dict[str, Any], where: str) -> tuple[float, float]:
    """Scale and offset of the logits; models of before have neither. Raises DataError."""
    found = config.get("calibration", {"scale": 1.0, "offset": 0.0})
    if not isinstance(found, dict) or set(found) != {"scale", "offset"}:
        raise DataError(f"{where}: calibration is not a scale and an offset")
    scale, offset = found["scale"], found["offset"]
    if type(scale) not in (int, float) or not 0 < scale <= LARGEST_SCALE:
        raise DataError(f"{where}: the scale of the logits is not a number above 0")
    if type(offset) not in (int, float) or not -LARGEST_SCALE <= offset <= LARGEST_SCALE:
        raise DataError(f"{where}: the offset of the logits is not a number")
    return float(scale), float(offset)


def check_abstention(config: dict[str, Any], where: str) -> tuple[tuple[float, float, float], ...]:
    """Probability, share and error of each point; older models have none. Raises DataError."""
    found = config.get("abstention", [])
    good = isinstance(found, list) and all(
        isinstance(point, list)
        and len(point) == 3
        and all(type(x) in (int, float) and 0 <= x <= 1 for x in point)
        for point in found
    )
    if not good:
        raise DataError(f"{where}: abstention is not a list of three numbers from 0 to 1 each")
    return tuple((float(a), float(b), float(c)) for a, b, c in found)


def check_abstention_rows(config: dict[str, Any], where: str) -> int | None:
    """How many texts that is from; older models do not say. Raises DataError."""
    found = config.get("abstention_rows")
    if found is not None and not (type(found) is int and found > 0):
        raise DataError(f"{where}: abstention_rows is not a number of rows")
    return found


def check_tokenizer(
    document: dict[str, Any], config: dict[str, Any], n_features: int, where: str
) -> dict[str, Any]:
    """tokenizer.json against the manifest's configuration and the tensors. Raises DataError."""
    if set(document) != {"config", "n_texts", "words"}:
        raise DataError(f"{where}: wanted config, n_texts and words, seen {len(document)} keys")
    words, n_texts = document["words"], document["n_texts"]
    if not isinstance(document["config"], dict) or document["config"] != config.get("tokenizer"):
        raise DataError(f"{where}: another configuration than the manifest's")
    if type(n_texts) is not int or not 0 <= n_texts < 2**53:
        raise DataError(f"{where}: n_texts is not a whole number of 0 or more")
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise DataError(f"{where}: words is not a list of texts")
    if len(set(words)) != len(words) or len(words) > n_features:
        raise DataError(f"{where}: {len(words):,} words, {n_features:,} features, or a word twice")
    if (config.get("n_features"), config.get("n_words")) != (n_features, len(words)):
        raise DataError(f"{where}: n_features or n_words of the manifest is another number")
    return document


def check_head(
    structure: npt.NDArray[Any] | None, config: dict[str, Any], n_labels: int, where: str
) -> Head | None:
    """What makes logits of scores; models of before say nothing of it. Raises DataError."""
    name = config.get("head")
    if name is None and structure is None:
        return None
    kind = HEADS.get(name) if isinstance(name, str) else None
    if kind is None or structure is None:
        raise DataError(f"{where}: head is none of {', '.join(HEADS)}, or its tensor is missing")
    if structure.shape != (n_labels,) or str(structure.dtype) != "int64":
        raise DataError(f"{where}: tensor head is not one int64 a label")
    try:
        return kind(structure)
    except ValueError as error:
        raise DataError(f"{where}: tensor head: {error}") from None


def check_tensors(
    arrays: dict[str, npt.NDArray[Any]], n_labels: int, where: str, n_rows: int | None = None
) -> None:
    """Names, types, shapes and values. Raises DataError naming the tensor.

    ``n_rows``: of the output matrix, where they are not the labels.
    """
    n_rows = n_labels if n_rows is None else n_rows
    for name, wanted in _TYPES.items():
        if name in _OPTIONAL and name not in arrays:
            continue
        if name not in arrays or str(arrays[name].dtype) != wanted:
            raise DataError(f"{where}: tensor {name} is missing or not {wanted}")
    hashes, weight, output = arrays["hashes"], arrays["weight"], arrays.get("output")
    if hashes.ndim != 1 or weight.ndim != 2 or not len(hashes):
        raise DataError(f"{where}: tensor hashes or weight is empty or of the wrong dimension")
    width = weight.shape[1]
    shapes: dict[str, tuple[int, ...]] = {
        "hashes": (len(hashes),),
        "idf": (len(hashes),),
        "weight": (len(hashes), n_rows if output is None else width),
        "bias": (n_rows,),
        "output": (n_rows, width),
    }
    for name, array in arrays.items():
        if array.shape != shapes.get(name):
            raise DataError(
                f"{where}: tensor {name} has shape {array.shape}, wanted {shapes.get(name)}"
            )
        if array.dtype.kind == "f":
            _check_values(name, array, where)
    ordered = bool((hashes[1:] > hashes[:-1]).all())
    if not ordered and len(np.unique(hashes)) != len(hashes):
        raise DataError(f"{where}: tensor hashes holds a value twice")


def check_head_tensors(
    tensors: dict[str, npt.NDArray[Any]], shapes: dict[str, tuple[int, ...]], where: str
) -> None:
    """The tensors of an encoder's second file: just these, float32. Raises DataError."""
    if tensors.keys() != shapes.keys():
        raise DataError(f"{where}: wanted the tensors {', '.join(shapes)}")
    for name, shape in shapes.items():
        array = tensors[name]
        if array.shape != shape or array.dtype != np.float32:
            raise DataError(
                f"{where}: tensor {name}: {array.dtype} {array.shape}, wanted float32 {shape}"
            )
        _check_values(name, array, where)


def _check_values(name: str, array: npt.NDArray[Any], where: str) -> None:
    low, high = float(array.min(initial=np.inf)), float(array.max(initial=-np.inf))
    if not (low >= -LARGEST and high <= LARGEST):  # NaN is passed on by both
        raise DataError(f"{where}: tensor {name} holds a value that is not finite, or too large")
    if name == "idf" and low <= 0:
        raise DataError(f"{where}: tensor idf holds a value that is not above 0")
