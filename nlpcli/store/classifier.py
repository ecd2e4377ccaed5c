"""A text classifier as a model folder: tokenizer and weights in, answers out; no torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from nlpcli.errors import DataError, UsageError, shown
from nlpcli.models.additive import AdditiveClassifier
from nlpcli.store.compact import KEY, Compact, read_compact
from nlpcli.store.draft import Draft
from nlpcli.store.folder import ModelFolder
from nlpcli.store.recalibration import Recalibration, moved, read_recalibration
from nlpcli.store.tensors import Arrays, load_tensors, write_tensors
from nlpcli.store.validation import (
    check_abstention,
    check_abstention_rows,
    check_calibration,
    check_head,
    check_output_options,
    check_tensors,
    check_tokenizer,
)
from nlpcli.text.config import TokenizerConfig
from nlpcli.text.naming import feature_names
from nlpcli.text.strict_json import parse_object
from nlpcli.text.tokenizer import Tokenizer

KIND = "fasttext"
WEIGHTS = "model.safetensors"
OPTIMIZER = "optimizer.safetensors"
TOKENIZER = "tokenizer.json"


class Classifier(Protocol):
    """What answers texts, wherever its weights come from."""

    @property
    def labels(self) -> list[str]:
        """Label names, in the order of the probabilities."""

    @property
    def multi_label(self) -> bool:
        """Whether a text may have any number of labels."""

    @property
    def separator(self) -> str | None:
        """What several labels are joined by; None where a text has one."""

    def limit(self, asked: float | None) -> float:
        """The threshold in force: the one asked for, else the model's."""

    def probabilities(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """Probability of each label, float64 [len(texts), len(labels)]."""


@dataclass(frozen=True)
class TextClassifier:
    """Texts -> probabilities. ``threshold`` and ``separator`` are set for multi-label models.

    ``abstention``: (probability, share of texts, error) of answering from that probability on, as
    it was on texts that were not learnt from; empty where there were none. ``abstention_rows``: how
    many texts; None where an older model does not say.
    ``compact``: what is written in place of the dense tensors, and nothing to go on from.
    ``recalibration``: what was fitted later, on rows of a user.
    """

    tokenizer: Tokenizer
    scorer: AdditiveClassifier
    labels: list[str]
    threshold: float | None = None
    separator: str | None = None
    abstention: tuple[tuple[float, float, float], ...] = ()
    compact: Compact | None = None
    recalibration: Recalibration | None = None
    abstention_rows: int | None = None

    @property
    def multi_label(self) -> bool:
        """Whether a text may have any number of labels."""
        return self.separator is not None

    def limit(self, asked: float | None) -> float:
        """The threshold in force: the one asked for, else the saved one; 0 is a threshold too."""
        return next((t for t in (asked, self.threshold) if t is not None), 0.5)

    def probabilities(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """Probability of each label, float64 [len(texts), len(labels)]."""
        bags = self.tokenizer.bags(texts)
        found = self.scorer.probabilities(bags.indptr, bags.ids, bags.weights)
        return moved(found, self.recalibration)


def explain(
    classifier: Classifier, texts: Sequence[str], labels: Sequence[int], most: int
) -> list[list[tuple[str, float]]]:
    """For each text the features that move the logit of a label most, by size: name and amount.

    The model is a sum over features, so these are its own terms and no estimate. Raises
    UsageError for another program's model.
    """
    if not isinstance(classifier, TextClassifier):
        raise UsageError("--explain: a model of this kind has no n-grams with names and weights")
    if classifier.scorer.head is not None:
        raise UsageError("--explain: a model of --loss hs or adaptive is no sum of features")
    bags, found = classifier.tokenizer.bags(texts), []
    for i, (text, label) in enumerate(zip(texts, labels, strict=True)):
        mine = slice(int(bags.indptr[i]), int(bags.indptr[i + 1]))
        ids = bags.ids[mine]
        amounts = classifier.scorer.contributions(ids, bags.weights[mine], label)
        names = feature_names(classifier.tokenizer, text)
        order = np.argsort(-np.abs(amounts), kind="stable")[:most].tolist()
        found.append([(names[int(ids[at])], float(amounts[at])) for at in order])
    return found


def write_classifier(draft: Draft, classifier: TextClassifier, optimizer: Arrays) -> dict[str, Any]:
    """Writes the parts into a draft; gives what belongs into the manifest's configuration.

    ``optimizer`` is what training goes on from when rows are added later: the accumulators by the
    name of their table, and ``label_counts``.
    """
    tokenizer, scorer, compact = classifier.tokenizer, classifier.scorer, classifier.compact
    arrays: Arrays = {
        "hashes": tokenizer.index.keys,
        "idf": tokenizer.idf,
        "weight": scorer.weight,
        "bias": scorer.bias,
    }
    if scorer.output is not None:
        arrays["output"] = scorer.output
    if compact is not None:
        arrays = compact.tensors()
    if scorer.head is not None:
        arrays["head"] = scorer.head.structure
    write_tensors(draft, WEIGHTS, arrays)
    if compact is None:
        write_tensors(draft, OPTIMIZER, optimizer)
    document = {
        "config": tokenizer.config.to_json(),
        "n_texts": tokenizer.n_texts,
        "words": tokenizer.words,
    }
    draft.write(TOKENIZER, json.dumps(document, ensure_ascii=False).encode())
    return {
        "tokenizer": tokenizer.config.to_json(),
        "one_vs_all": scorer.one_vs_all,
        "head": None if scorer.head is None else scorer.head.name,
        "calibration": {"scale": scorer.scale, "offset": scorer.offset},
        "threshold": classifier.threshold,
        "label_separator": classifier.separator,
        "abstention": [list(point) for point in classifier.abstention],
        "abstention_rows": classifier.abstention_rows,
        "n_features": tokenizer.n_features,
        "n_words": len(tokenizer.words),
        **({} if compact is None else {KEY: compact.numbers}),
    }


def read_classifier(folder: ModelFolder) -> TextClassifier:
    """Loads a verified model. Raises DataError when it is of another kind or does not add up."""
    manifest, where = folder.manifest, str(folder.path)
    if manifest.kind != KIND:
        raise DataError(f"{where}: a model of kind {shown(manifest.kind)}, wanted a classifier")
    if not manifest.labels:
        raise DataError(f"{where}: no labels")
    config = manifest.config
    threshold, separator = check_output_options(config, where)
    arrays, compact = load_tensors(folder, WEIGHTS), None
    head = check_head(arrays.pop("head", None), config, len(manifest.labels), where)
    n_rows = len(manifest.labels) if head is None else head.n_rows
    if KEY in config:
        compact = read_compact(arrays, config, n_rows, where)
        arrays = compact.dense()
    check_tensors(arrays, len(manifest.labels), where, n_rows)
    document = check_tokenizer(
        parse_object(folder.read(TOKENIZER), f"{where}/{TOKENIZER}"), config, len(arrays["hashes"]),
        f"{where}/{TOKENIZER}",
    )  # fmt: skip
    try:
        tokenizer = Tokenizer(
            TokenizerConfig.from_json(document["config"]), arrays["hashes"], arrays["idf"],
            document["words"], document["n_texts"],
            64 if compact is None else compact.hash_bits,
        )  # fmt: skip
    except (DataError, ValueError) as error:
        raise DataError(f"{where}: {error}") from None
    scale, offset = check_calibration(config, where)
    scorer = AdditiveClassifier(
        arrays["weight"], arrays["bias"], arrays.get("output"), config["one_vs_all"], scale, offset,
        head,
    )  # fmt: skip
    return TextClassifier(
        tokenizer, scorer, list(manifest.labels), threshold, separator,
        check_abstention(config, where), compact, read_recalibration(config, where),
        check_abstention_rows(config, where),
    )  # fmt: skip


def read_arrays(folder: ModelFolder, classifier: TextClassifier) -> Arrays:
    """What training goes on from: weights, ``squares.NAME`` of each, ``label_counts`` [K].

    Raises DataError when the optimizer's file is missing or does not fit.
    """
    scorer, where = classifier.scorer, folder.path / OPTIMIZER
    tables: Arrays = {"weight": scorer.weight, "bias": scorer.bias}
    if scorer.output is not None:
        tables["output"] = scorer.output
    found = load_tensors(folder, OPTIMIZER)
    lengths = {name: len(table) for name, table in tables.items()}
    for name, length in {**lengths, "label_counts": scorer.n_labels}.items():
        array = found.get(name)
        if array is None or array.shape != (length,) or array.dtype.kind != "f":
            raise DataError(f"{where}: {name} is missing or of another shape")
        if not (np.isfinite(array).all() and (array >= 0).all()):
            raise DataError(f"{where}: {name} holds a value that is not a number of 0 or more")
    squares = {f"squares.{name}": found[name] for name in tables}
    return {**tables, **squares, "label_counts": found["label_counts"]}
