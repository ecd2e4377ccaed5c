"""Word vectors as a model folder: ``words.txt``, a word a line, and the tensors ``vectors``,
``counts`` and ``subwords`` in ``model.safetensors``."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nlpcli.errors import DataError, shown
from nlpcli.models.word_vectors import SubwordVectors, WordVectors
from nlpcli.store.draft import Draft
from nlpcli.store.folder import ModelFolder
from nlpcli.store.tensors import Arrays, load_tensors, write_tensors
from nlpcli.store.validation import LARGEST
from nlpcli.store.word_list import joined_words, split_words

KIND = "word-vectors"
KEY = "vectors"
WEIGHTS = "model.safetensors"
WORDS = "words.txt"
MOST_CHARACTERS = 100
"""Of a sub-word."""
_TYPES = {"vectors": ("float32", 2), "counts": ("int64", 1), "subwords": ("float32", 2)}
_OPTIONAL = {"counts", "subwords"}


def write_word_vectors(
    draft: Draft, vectors: WordVectors, options: dict[str, Any]
) -> dict[str, Any]:
    """Writes the parts into a draft; gives what belongs into the manifest's configuration.

    ``options``: how the vectors were made. Raises DataError for what would not be read again,
    OutputFailed.
    """
    arrays: Arrays = {"vectors": vectors.vectors}
    if vectors.counts is not None:
        arrays["counts"] = vectors.counts
    if vectors.subwords is not None:
        arrays["subwords"] = vectors.subwords.vectors
    about = _about(vectors)
    text = joined_words(vectors.words, "the vectors")
    _check(split_words(text, "the vectors"), arrays, about, "the vectors")
    write_tensors(draft, WEIGHTS, arrays)
    draft.write(WORDS, text)
    return {**options, KEY: about}


def read_word_vectors(folder: ModelFolder) -> WordVectors:
    """Loads a verified model. Raises DataError when it is of another kind or does not add up."""
    manifest, where = folder.manifest, str(folder.path)
    if manifest.kind != KIND:
        raise DataError(f"{where}: a model of kind {shown(manifest.kind)}, wanted word vectors")
    about = manifest.config.get(KEY)
    if not isinstance(about, dict) or set(about) != {"n_words", "dim", "subwords"}:
        raise DataError(f"{where}: config.{KEY} is missing, or wanted n_words, dim and subwords")
    words = split_words(folder.read(WORDS), f"{where}/{WORDS}")
    arrays = load_tensors(folder, WEIGHTS)
    _check(words, arrays, about, where)
    subwords = None
    if about["subwords"] is not None:
        sizes = about["subwords"]
        subwords = SubwordVectors(sizes["min_n"], sizes["max_n"], arrays["subwords"])
    return WordVectors(words, arrays["vectors"], arrays.get("counts"), subwords)


def _about(vectors: WordVectors) -> dict[str, Any]:
    subwords, sizes = vectors.subwords, None
    if subwords is not None:
        sizes = {
            "min_n": subwords.min_n, "max_n": subwords.max_n, "buckets": len(subwords.vectors),
        }  # fmt: skip
    dim = vectors.vectors.shape[1] if vectors.vectors.ndim == 2 else 0
    return {"n_words": len(vectors.words), "dim": dim, "subwords": sizes}


def _check(words: list[str], arrays: Arrays, about: dict[str, Any], where: str) -> None:
    """Words, tensors and sizes against each other. Raises DataError."""
    sizes = _check_subwords(about["subwords"], where)
    for name, (kind, dimensions) in _TYPES.items():
        array = arrays.get(name)
        if array is None and name in _OPTIONAL:
            continue
        if array is None or str(array.dtype) != kind or array.ndim != dimensions:
            raise DataError(f"{where}: tensor {name} is missing, or no {kind} of {dimensions} axes")
    width = arrays["vectors"].shape[1]
    shapes: dict[str, tuple[int, ...]] = {"vectors": (len(words), width), "counts": (len(words),)}
    if sizes is not None:
        shapes["subwords"] = (sizes["buckets"], width)
    if set(arrays) - set(shapes) or (sizes is not None and "subwords" not in arrays):
        raise DataError(f"{where}: wanted the tensors {', '.join(shapes)}")
    for name, array in arrays.items():
        if array.shape != shapes[name]:
            raise DataError(
                f"{where}: tensor {name} has shape {array.shape}, wanted {shapes[name]}"
            )
        _check_values(name, array, where)
    if (about["n_words"], about["dim"]) != (len(words), width) or not words or not width:
        raise DataError(
            f"{where}: {len(words):,} words of {width:,} numbers, the manifest says another number"
        )
    if "" in words or len(set(words)) != len(words):
        raise DataError(f"{where}: a word is empty, or there twice")


def _check_subwords(sizes: Any, where: str) -> dict[str, int] | None:
    if sizes is None:
        return None
    keys = {"min_n", "max_n", "buckets"}
    good = isinstance(sizes, dict) and set(sizes) == keys
    if not good or not all(type(sizes[key]) is int for key in keys):
        raise DataError(f"{where}: subwords: wanted min_n, max_n and buckets")
    if not 1 <= sizes["min_n"] <= sizes["max_n"] <= MOST_CHARACTERS or sizes["buckets"] < 1:
        raise DataError(
            f"{where}: subwords of {sizes['min_n']} to {sizes['max_n']} characters in "
            f"{sizes['buckets']:,} buckets, wanted 1 to {MOST_CHARACTERS} and 1 or more"
        )
    found: dict[str, int] = sizes
    return found


def _check_values(name: str, array: npt.NDArray[Any], where: str) -> None:
    if name == "counts":
        if array.size and array.min() < 0:
            raise DataError(f"{where}: tensor counts holds a value below 0")
        return
    low, high = float(array.min(initial=np.inf)), float(array.max(initial=-np.inf))
    if array.size and not (low >= -LARGEST and high <= LARGEST):  # NaN is passed on by both
        raise DataError(f"{where}: tensor {name} holds a value that is not finite, or too large")
