"""--continue-from: a finished model, and the options that must stay as they were in it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nlpcli.errors import DataError, UsageError
from nlpcli.models.config import LOSSES, NEGATIVES, SPARSE, SPARSE_LR, Loss

if TYPE_CHECKING:
    from nlpcli.models.config import FastTextConfig
    from nlpcli.runs.reporting import Reporter
    from nlpcli.store.classifier import TextClassifier
    from nlpcli.store.store import Store
    from nlpcli.store.tensors import Arrays
    from nlpcli.text.config import TokenizerConfig

FREE = "min_count"
"""May differ: it only decides which new words join."""


@dataclass(frozen=True)
class Base:
    """The finished model that a run goes on from: what was typed, its content, its arrays."""

    spec: str
    sha256: str
    classifier: TextClassifier
    arrays: Arrays
    loss: Loss
    negatives: int

    def inherit(
        self,
        tokenizer: TokenizerConfig,
        config: FastTextConfig,
        separator: str | None,
        typed: set[str],
    ) -> tuple[TokenizerConfig, FastTextConfig, str | None]:
        """What was asked for, with this model's way of cutting, width and kind of labels.

        Raises UsageError when an option that was typed says otherwise.
        """
        return (
            self._tokenizer(tokenizer, typed),
            self._config(config, typed),
            self._separator(separator),
        )

    def _tokenizer(self, asked: TokenizerConfig, typed: set[str]) -> TokenizerConfig:
        old = self.classifier.tokenizer.config
        flat_old = {**old.to_json(), **old.to_json()["cleaning"]}
        flat_asked = {**asked.to_json(), **asked.to_json()["cleaning"]}
        for name in sorted(typed & flat_old.keys() - {FREE}):
            self._refuse_other(name, flat_old[name], flat_asked[name])
        return replace(old, min_count=asked.min_count)

    def _config(self, asked: FastTextConfig, typed: set[str]) -> FastTextConfig:
        scorer = self.classifier.scorer
        dim = 0 if scorer.output is None else int(scorer.weight.shape[1])
        if "dim" in typed:
            self._refuse_other("dim", dim, asked.dim)
        if "loss" in typed:
            self._refuse_other("loss", self.loss, asked.loss)
        lr = SPARSE_LR if self.loss in SPARSE and "lr" not in typed else asked.lr
        negatives = asked.negatives if "negatives" in typed else self.negatives
        return replace(asked, dim=dim, loss=self.loss, lr=lr, negatives=negatives)

    def _separator(self, asked: str | None) -> str | None:
        multi = self.classifier.multi_label
        if asked is not None and not multi:
            raise UsageError(f"--label-separator: {self.spec} gives one label a row")
        return (asked or self.classifier.separator) if multi else None

    def _refuse_other(self, name: str, old: Any, asked: Any) -> None:
        if old != asked:
            option = name.replace("_", "-")
            raise UsageError(f"--{option} {asked}: {self.spec} has {old}, which cannot change")


def read_base(spec: str, store: Store, console: Reporter) -> Base:
    """The model to go on from. Raises as ``Store.open`` and ``read_classifier``."""
    from nlpcli.store.classifier import read_arrays, read_classifier

    folder, warnings = store.open(spec)
    for warning in warnings:
        console.warn(warning)
    files = sorted((name, entry.sha256) for name, entry in folder.manifest.files.items())
    classifier = read_classifier(folder)
    if classifier.compact is not None:
        raise UsageError(
            f"--continue-from {spec}: its size was limited, so it cannot be gone on from",
            hint="a model that was trained without --model-size",
        )
    digest = hashlib.sha256(repr(files).encode()).hexdigest()
    loss = next((n for n in LOSSES if n == folder.manifest.config.get("loss")), None)
    if loss is None:
        raise DataError(f"{folder.path}: its loss is none of {', '.join(LOSSES)}")
    negatives = folder.manifest.config.get("negatives", NEGATIVES)
    if type(negatives) is not int or not 1 <= negatives <= 10_000:
        raise DataError(f"{folder.path}: negatives is not a whole number from 1 to 10000")
    return Base(spec, digest, classifier, read_arrays(folder, classifier), loss, negatives)
