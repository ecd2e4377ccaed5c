"""A model in fastText's format as a model folder, from which the file's bytes can be made again.

The manifest has the arguments and sizes, ``model.safetensors`` the rest: the dictionary (``words``:
the bytes of all entries, ``ends``: where each ends, ``counts``, ``pruned``), and ``input`` and
``output`` as they are, or their ``.codes``, ``.centroids``, ``.norm_codes``, ``.norm_centroids``.
"""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from nlpcli.errors import DataError, shown
from nlpcli.formats.fasttext_bin import Arguments, FastTextFile, check_fasttext
from nlpcli.formats.fasttext_dictionary import LABEL, Dictionary
from nlpcli.formats.fasttext_matrix import (
    DenseMatrix,
    Matrix,
    QuantisedMatrix,
    Quantizer,
)
from nlpcli.formats.fasttext_model import FastTextClassifier
from nlpcli.store.draft import Draft
from nlpcli.store.folder import ModelFolder
from nlpcli.store.tensors import Arrays, load_tensors, write_tensors
from nlpcli.store.validation import check_output_options

KIND = "fasttext-file"
WEIGHTS = "model.safetensors"
LOSS_ONE_VS_ALL = 4
_TYPES = {
    "words": ("uint8", 1), "ends": ("int64", 1), "counts": ("int64", 1), "pruned": ("int32", 2),
    "codes": ("uint8", 2), "centroids": ("float32", 1), "norm_codes": ("uint8", 1),
    "norm_centroids": ("float32", 1),
}  # fmt: skip


def write_fasttext_folder(
    draft: Draft,
    model: FastTextFile,
    *,
    prefix: str = LABEL.decode(),
    threshold: float | None = None,
    separator: str | None = None,
) -> dict[str, Any]:
    """Writes the tensors into a draft; gives what belongs into the manifest's configuration.

    Raises DataError for a model that would not be read again, OutputFailed.
    """
    check_fasttext(model, "the model", prefix.encode())
    dictionary = model.dictionary
    arrays: Arrays = {
        "words": dictionary.text, "ends": dictionary.ends, "counts": dictionary.counts,
    }  # fmt: skip
    if dictionary.pruned is not None:
        arrays["pruned"] = dictionary.pruned.astype(np.int32, copy=False)
    sizes = {}
    for name, matrix in (("input", model.input), ("output", model.output)):
        sizes[name] = _put_matrix(arrays, name, matrix)
    write_tensors(draft, WEIGHTS, arrays)
    return {
        "fasttext": {
            "arguments": asdict(model.arguments),
            "n_words": dictionary.n_words,
            "n_tokens": dictionary.n_tokens,
            "qout": model.qout,
            **sizes,
        },
        "label_prefix": prefix,
        "one_vs_all": model.arguments.loss == LOSS_ONE_VS_ALL,
        "threshold": threshold,
        "label_separator": separator,
    }


def read_fasttext_folder(folder: ModelFolder) -> FastTextFile:
    """The model of a verified folder. Raises DataError when it does not add up."""
    return _read(folder)[0]


def read_fasttext_classifier(folder: ModelFolder) -> FastTextClassifier:
    """The model of a verified folder, ready to answer. Raises DataError."""
    where, config = str(folder.path), folder.manifest.config
    model, prefix = _read(folder)
    threshold, separator = check_output_options(config, where)
    if config["one_vs_all"] != (model.arguments.loss == LOSS_ONE_VS_ALL):
        raise DataError(f"{where}: one_vs_all is not what the loss says")
    return FastTextClassifier(model, where, prefix=prefix, threshold=threshold, separator=separator)


def _read(folder: ModelFolder) -> tuple[FastTextFile, str]:
    """The model and the prefix of its labels."""
    manifest, where = folder.manifest, str(folder.path)
    if manifest.kind != KIND:
        raise DataError(f"{where}: a model of kind {shown(manifest.kind)}, wanted {KIND}")
    values = manifest.config.get("fasttext")
    keys = {"arguments", "n_words", "n_tokens", "qout", "input", "output"}
    if not isinstance(values, dict) or set(values) != keys:
        raise DataError(f"{where}: config.fasttext is missing, or wanted {', '.join(sorted(keys))}")
    prefix = manifest.config.get("label_prefix")
    if not isinstance(prefix, str) or not prefix or not prefix.isprintable():  # half a character
        raise DataError(f"{where}: label_prefix is not a text")
    if type(values["qout"]) is not bool:
        raise DataError(f"{where}: qout is not true or false")
    arrays = _checked(load_tensors(folder, WEIGHTS), where)
    model = FastTextFile(
        _arguments(values["arguments"], where),
        _dictionary(arrays, values, where),
        _take_matrix(arrays, "input", values["input"], where),
        _take_matrix(arrays, "output", values["output"], where),
        values["qout"],
    )
    if arrays:
        raise DataError(f"{where}: unknown tensor {shown(sorted(arrays)[0])}")
    check_fasttext(model, where, prefix.encode())
    if model.dictionary.label_names(prefix.encode()) != manifest.labels:
        raise DataError(f"{where}: the labels of the manifest are not those of the dictionary")
    return model, prefix


def _checked(arrays: Arrays, where: str) -> Arrays:
    """Types and dimensions of the tensors. Raises DataError."""
    for name, array in arrays.items():
        kind, dimensions = _TYPES.get(name.rpartition(".")[2], ("float32", 2))
        if str(array.dtype) != kind or array.ndim != dimensions:
            raise DataError(
                f"{where}: tensor {shown(name)} is {array.dtype} of {array.ndim} dimensions, "
                f"wanted {kind} of {dimensions}"
            )
    return arrays


def _arguments(values: Any, where: str) -> Arguments:
    names = [field.name for field in fields(Arguments)]
    if not isinstance(values, dict) or set(values) != set(names):
        raise DataError(f"{where}: arguments: wanted {', '.join(names)}")
    for name in names:
        wanted = float if name == "t" else int
        if type(values[name]) is not wanted:
            raise DataError(f"{where}: argument {name} is not a number")
        if wanted is int:
            _number(values[name], 32, f"argument {name}", where, low=-(2**31))
    return Arguments(**values)


def _number(value: Any, bits: int, what: str, where: str, *, low: int = 0) -> int:
    if type(value) is not int or not low <= value < 2 ** (bits - 1):
        raise DataError(f"{where}: {what} is not a whole number of {bits} bits")
    return value


def _dictionary(arrays: Arrays, values: dict[str, Any], where: str) -> Dictionary:
    """The dictionary, its tensors taken out of ``arrays``."""
    text, ends, counts = (_take(arrays, name, where) for name in ("words", "ends", "counts"))
    n_words = _number(values["n_words"], 32, "n_words", where)
    n_tokens = _number(values["n_tokens"], 64, "n_tokens", where)
    if len(ends) != len(counts) or not n_words <= len(ends) < 2**31:
        raise DataError(f"{where}: {len(ends)} ends, {len(counts)} counts and {n_words} words")
    total = int(ends[-1]) if len(ends) else 0
    if total != len(text) or (np.diff(ends, prepend=0) < 0).any():
        raise DataError(f"{where}: tensor ends does not cut tensor words into entries")
    if (text == 0).any():
        raise DataError(f"{where}: an entry of the dictionary holds a NUL")
    return Dictionary(text, ends, counts, n_words, n_tokens, arrays.pop("pruned", None))


def _put_matrix(arrays: Arrays, name: str, matrix: Matrix) -> dict[str, int] | None:
    """Adds a matrix; gives its sizes for the manifest, None where it is dense."""
    if isinstance(matrix, DenseMatrix):
        arrays[name] = matrix.values
        return None
    arrays[f"{name}.codes"] = matrix.codes
    arrays[f"{name}.centroids"] = matrix.quantizer.centroids
    sizes = {"columns": matrix.columns, "dsub": matrix.quantizer.dsub}
    if matrix.norm_codes is not None and matrix.norm_quantizer is not None:
        arrays[f"{name}.norm_codes"] = matrix.norm_codes
        arrays[f"{name}.norm_centroids"] = matrix.norm_quantizer.centroids
        sizes["norm_dsub"] = matrix.norm_quantizer.dsub
    return sizes


def _take_matrix(arrays: Arrays, name: str, sizes: Any, where: str) -> Matrix:
    """A matrix, its tensors taken out of ``arrays``. Raises DataError."""
    if sizes is None:
        return DenseMatrix(_take(arrays, name, where))
    keys = {"columns", "dsub"}
    if not isinstance(sizes, dict) or set(sizes) not in (keys, {*keys, "norm_dsub"}):
        raise DataError(f"{where}: {name}: wanted columns and dsub of a quantised matrix")
    for key, value in sizes.items():
        _number(value, 32, f"{key} of {name}", where, low=1)
    columns = sizes["columns"]
    quantizer = _quantizer(columns, sizes["dsub"], _take(arrays, f"{name}.centroids", where))
    codes = _take(arrays, f"{name}.codes", where)
    if "norm_dsub" not in sizes:
        return QuantisedMatrix(columns, codes, quantizer)
    norms = _quantizer(1, sizes["norm_dsub"], _take(arrays, f"{name}.norm_centroids", where))
    return QuantisedMatrix(
        columns, codes, quantizer, _take(arrays, f"{name}.norm_codes", where), norms
    )


def _quantizer(columns: int, dsub: int, centroids: npt.NDArray[np.float32]) -> Quantizer:
    return Quantizer(columns, -(-columns // dsub), dsub, columns % dsub or dsub, centroids)


def _take(arrays: Arrays, name: str, where: str) -> npt.NDArray[Any]:
    if name not in arrays:
        raise DataError(f"{where}: tensor {name} is missing")
    return arrays.pop(name)
