"""A text classifier as a model folder: tokenizer and weights in, answers out; no torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nlpcli.errors import DataError, shown
from nlpcli.models.additive import AdditiveClassifier
from nlpcli.store.draft import Draft
from nlpcli.store.folder import ModelFolder
from nlpcli.text.tokenizer import Tokenizer, TokenizerConfig

KIND = "fasttext"
WEIGHTS = "model.safetensors"
OPTIMIZER = "optimizer.safetensors"
TOKENIZER = "tokenizer.json"
Arrays = dict[str, npt.NDArray[Any]]
_TYPES = {"hashes": "uint64", "idf": "float32", "weight": "float32", "bias": "float32"}


@dataclass(frozen=True)
class TextClassifier:
    """Texts -> probabilities. ``threshold`` and ``separator`` are set for multi-label models."""

    tokenizer: Tokenizer
    scorer: AdditiveClassifier
    labels: list[str]
    threshold: float | None = None
    separator: str | None = None

    @property
    def multi_label(self) -> bool:
        """Whether a text may have any number of labels."""
        return self.scorer.one_vs_all

    def limit(self, asked: float | None) -> float:
        """The threshold in force: the one asked for, else the saved one; 0 is a threshold too."""
        return next((t for t in (asked, self.threshold) if t is not None), 0.5)

    def probabilities(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """Probability of each label, float64 [len(texts), len(labels)]."""
        bags = self.tokenizer.bags(texts)
        return self.scorer.probabilities(bags.indptr, bags.ids, bags.weights)


def write_classifier(draft: Draft, classifier: TextClassifier, optimizer: Arrays) -> dict[str, Any]:
    """Writes the parts into a draft; gives what belongs into the manifest's configuration.

    ``optimizer`` is what training goes on from when rows are added later: the accumulators by the
    name of their table, and ``label_counts``.
    """
    from safetensors.numpy import save

    tokenizer, scorer = classifier.tokenizer, classifier.scorer
    arrays = {
        "hashes": tokenizer.index.keys,
        "idf": tokenizer.idf,
        "weight": scorer.weight,
        "bias": scorer.bias,
    }
    if scorer.output is not None:
        arrays["output"] = scorer.output
    draft.write(WEIGHTS, save({k: np.ascontiguousarray(v) for k, v in arrays.items()}))
    draft.write(OPTIMIZER, save({k: np.ascontiguousarray(v) for k, v in optimizer.items()}))
    document = {
        "config": tokenizer.config.to_json(),
        "n_texts": tokenizer.n_texts,
        "words": tokenizer.words,
    }
    draft.write(TOKENIZER, json.dumps(document, ensure_ascii=False).encode())
    return {
        "tokenizer": tokenizer.config.to_json(),
        "one_vs_all": scorer.one_vs_all,
        "threshold": classifier.threshold,
        "label_separator": classifier.separator,
        "n_features": tokenizer.n_features,
        "n_words": len(tokenizer.words),
    }


def read_classifier(folder: ModelFolder) -> TextClassifier:
    """Loads a verified model. Raises DataError when it is of another kind or does not add up."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    manifest, where = folder.manifest, folder.path
    if manifest.kind != KIND:
        raise DataError(f"{where}: a model of kind {manifest.kind}, wanted a classifier")
    try:
        arrays = load(folder.read(WEIGHTS))
        document = json.loads(folder.read(TOKENIZER))
        config = TokenizerConfig.from_json(document["config"])
        words = [str(word) for word in document["words"]]
        n_texts = int(document["n_texts"])
        threshold = manifest.config.get("threshold")
        one_vs_all = bool(manifest.config["one_vs_all"])
    except (SafetensorError, KeyError, ValueError, TypeError, RecursionError) as error:
        reason = shown(f"{type(error).__name__}: {error}", 200)
        raise DataError(f"{where}: {reason}") from None
    _check(arrays, len(manifest.labels), str(where))
    tokenizer = Tokenizer(config, arrays["hashes"], arrays["idf"], words, n_texts)
    scorer = AdditiveClassifier(arrays["weight"], arrays["bias"], arrays.get("output"), one_vs_all)
    return TextClassifier(
        tokenizer,
        scorer,
        list(manifest.labels),
        None if threshold is None else float(threshold),
        manifest.config.get("label_separator"),
    )


def read_arrays(folder: ModelFolder, classifier: TextClassifier) -> Arrays:
    """What training goes on from: weights, ``squares.NAME`` of each, ``label_counts`` [K].

    Raises DataError when the optimizer's file is missing or does not fit.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    scorer, where = classifier.scorer, folder.path / OPTIMIZER
    tables: Arrays = {"weight": scorer.weight, "bias": scorer.bias}
    if scorer.output is not None:
        tables["output"] = scorer.output
    try:
        found = load(folder.read(OPTIMIZER))
    except SafetensorError as error:
        raise DataError(f"{where}: {shown(str(error), 200)}") from None
    for name, length in {**{n: len(t) for n, t in tables.items()},
                         "label_counts": len(scorer.bias)}.items():  # fmt: skip
        array = found.get(name)
        if array is None or array.shape != (length,) or array.dtype.kind != "f":
            raise DataError(f"{where}: {name} is missing or of another shape")
        if not (np.isfinite(array).all() and (array >= 0).all()):
            raise DataError(f"{where}: {name} holds a value that is not a number of 0 or more")
    squares = {f"squares.{name}": found[name] for name in tables}
    return {**tables, **squares, "label_counts": found["label_counts"]}


def _check(arrays: dict[str, npt.NDArray[Any]], n_labels: int, where: str) -> None:
    """Shapes, types and values of the tensors against each other and the labels."""
    for name, wanted in _TYPES.items():
        if name not in arrays or str(arrays[name].dtype) != wanted:
            raise DataError(f"{where}: tensor {name} is missing or not {wanted}")
    n_features, width = len(arrays["hashes"]), arrays["weight"].shape[-1]
    output = arrays.get("output")
    wanted_shapes: dict[str, tuple[int, ...]] = {
        "hashes": (n_features,),
        "idf": (n_features,),
        "weight": (n_features, n_labels if output is None else width),
        "bias": (n_labels,),
        "output": (n_labels, width),
    }
    for name, array in arrays.items():
        if array.shape != wanted_shapes.get(name):
            raise DataError(
                f"{where}: tensor {name} has shape {array.shape}, wanted {wanted_shapes.get(name)}"
            )
        if array.dtype.kind == "f" and not np.isfinite(array.sum(dtype=np.float64)):
            raise DataError(f"{where}: tensor {name} holds a value that is not finite")
