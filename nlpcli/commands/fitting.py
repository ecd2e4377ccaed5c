"""What train-fasttext does between reading its options and printing the result."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlpcli.errors import DataError

if TYPE_CHECKING:
    from nlpcli.commands.console import Console, RejectFile
    from nlpcli.data.labelled import Labelled
    from nlpcli.data.rows import RowFormat
    from nlpcli.models.config import FastTextConfig
    from nlpcli.store.classifier import TextClassifier
    from nlpcli.store.draft import Draft
    from nlpcli.text.tokenizer import TokenizerConfig
    from nlpcli.training.fit import Fitting

MULTI_LABEL_DEV = 0.1
"""A multi-label model needs rows to tune its threshold on, when no dev part is given."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """A training run as it was asked for, validated."""

    train: str
    dev: str | None
    dev_fraction: float
    fmt: RowFormat
    columns: dict[str, str | None]
    class_weight: str | None
    threshold: float | None
    patience: int | None
    config: FastTextConfig
    tokenizer: TokenizerConfig
    seed: int
    threads: int | None
    device: str

    @property
    def separator(self) -> str | None:
        """Joins several labels; None for one label a row."""
        return self.columns["label_separator"]


@dataclass(frozen=True)
class Parts:
    """The training and the dev part, and where the dev part came from."""

    train: Labelled
    dev: Labelled | None
    source: str


@dataclass(frozen=True)
class Outcome:
    """A trained classifier with what there is to tell about the run."""

    classifier: TextClassifier
    parts: Parts
    report: dict[str, Any]


def read_parts(request: Request, reject: RejectFile) -> Parts:
    """Training and dev rows; the dev part from a file, or held out, or none.

    Raises InputMissing, and DataError for bad rows or fewer labels than a classifier needs.
    """
    from nlpcli.data.labelled import read_labelled

    columns: dict[str, Any] = request.columns
    rows = read_labelled(request.train, request.fmt, on_reject=reject, **columns)
    if request.dev is not None:
        columns = {**columns, "weight_column": None}
        dev = read_labelled(request.dev, request.fmt, on_reject=reject, **columns)
        parts = Parts(rows, dev, request.dev)
    else:
        parts = _held_out(rows, request)
    names = {name for row in parts.train.labels for name in row}
    if len(names) < (1 if request.separator is not None else 2):
        seen = ", ".join(sorted(names)) or "none"
        raise DataError(f"{request.train}: at least 2 labels are needed, seen: {seen}")
    return parts


def _held_out(rows: Labelled, request: Request) -> Parts:
    from nlpcli.data.split import holdout

    fraction = request.dev_fraction
    if request.separator is not None and not fraction:
        fraction = MULTI_LABEL_DEV
    kept, held = holdout(rows.labels, fraction, request.seed)
    if not len(held):
        return Parts(rows, None, "none")
    return Parts(_subset(rows, kept), _subset(rows, held), f"{fraction:g} of the rows")


def _subset(rows: Labelled, chosen: Any) -> Labelled:
    at = chosen.tolist()
    return replace(
        rows,
        texts=[rows.texts[i] for i in at],
        labels=[rows.labels[i] for i in at],
        lines=[rows.lines[i] for i in at],
        weights=None if rows.weights is None else rows.weights[chosen],
    )


def fit(request: Request, parts: Parts, console: Console) -> Outcome:
    """Cuts the texts, trains, sets the threshold and measures on the dev part."""
    from nlpcli.commands.class_weights import read_class_weights
    from nlpcli.data.split import label_names
    from nlpcli.store.classifier import TextClassifier
    from nlpcli.text.tokenizer import Tokenizer

    names = label_names(parts.train.labels)
    by_class = read_class_weights(request.class_weight, names)
    begun = time.perf_counter()
    tokenizer, bags = Tokenizer.fit(request.tokenizer, parts.train.texts)
    tokenized = time.perf_counter()

    from nlpcli.batching.bags import LabelSets
    from nlpcli.training.device import choose_device, set_threads
    from nlpcli.training.fit import Examples, Fitting, class_importance

    device, threads = choose_device(request.device), set_threads(request.threads)
    sets = LabelSets.of(parts.train.labels, names)
    importance = class_importance(sets, by_class, parts.train.weights)
    dev = None
    if parts.dev is not None:
        dev = Examples(tokenizer.bags(parts.dev.texts), LabelSets.of(parts.dev.labels, names))
    imported = time.perf_counter()
    fitting = Fitting(
        request.config,
        Examples(bags, sets, importance),
        dev,
        n_features=tokenizer.n_features,
        seed=request.seed,
        device=device,
        patience=request.patience,
    )
    report = {
        "rows": len(parts.train.texts),
        "dev_rows": 0 if parts.dev is None else len(parts.dev.texts),
        "labels": len(names),
        "features": tokenizer.n_features,
        "device": str(device),
        "threads": threads,
        **_watch(fitting, request.config.epochs, console),
        "metrics": {},
    }
    trained = time.perf_counter()
    report["rows_per_second"] = round(report["rows"] * report["epochs"] / (trained - imported))
    report["stage_seconds"] = {
        "tokenize": round(tokenized - begun, 3),
        "import_and_prepare": round(imported - tokenized, 3),
        "train": round(trained - imported, 3),
    }
    classifier = TextClassifier(tokenizer, fitting.scorer, names, None, request.separator)
    return Outcome(_measured(classifier, parts, request.threshold, report), parts, report)


def _watch(fitting: Fitting, epochs: int, console: Console) -> dict[str, Any]:
    """Runs the training to its end, showing how it goes; loss and epochs for the report."""
    loss, epoch = 0.0, 0
    with console:
        for now in fitting:
            loss, epoch = now.step.loss, now.step.epoch
            note = f"loss {loss:.4f}"
            if now.dev_score is not None:
                note += f"  dev {now.dev_score:.4f}"
            console.progress(f"epoch {epoch}/{epochs}", now.step.step, now.step.steps, note)
    return {"loss": round(loss, 6), "epochs": epoch}


def _measured(
    classifier: TextClassifier, parts: Parts, threshold: float | None, report: dict[str, Any]
) -> TextClassifier:
    """The classifier with its threshold; the dev metrics go into the report."""
    import numpy as np

    from nlpcli.batching.bags import LabelSets
    from nlpcli.commands.scoring import score
    from nlpcli.evaluation.multilabel import best_threshold

    if parts.dev is None:
        if not classifier.multi_label:
            return classifier
        return replace(classifier, threshold=0.5 if threshold is None else threshold)
    probabilities = classifier.probabilities(parts.dev.texts)
    if classifier.multi_label:
        if threshold is None:
            sets = LabelSets.of(parts.dev.labels, classifier.labels)
            true = sets.dense(np.arange(len(parts.dev.texts))).astype(bool)
            threshold = round(best_threshold(true, probabilities)[0], 6)
        classifier = replace(classifier, threshold=threshold)
        report["threshold"] = threshold
    document = score(classifier, probabilities, parts.dev.labels, resamples=0)
    report["metrics"] = {
        key: value["value"]
        for key, value in document.items()
        if isinstance(value, dict) and "value" in value
    }
    return classifier


def publish(draft: Draft, outcome: Outcome, request: Request) -> Path:
    """Writes the model and publishes it. Raises OutputFailed."""
    from nlpcli import __version__
    from nlpcli.store.classifier import KIND, write_classifier

    written = write_classifier(draft, outcome.classifier)
    train = outcome.parts.train
    return draft.publish(
        kind=KIND,
        created_by=f"nlpcli {__version__}",
        config={**request.config.to_json(), **written, "dev": outcome.parts.source},
        labels=outcome.classifier.labels,
        data={
            "sha256": train.sha256,
            "rows": len(train.texts),
            "dev_rows": outcome.report["dev_rows"],
            "blank_rows": train.n_blank,
            "skipped_rows": train.n_skipped,
            "conflicting_texts": train.n_conflicts,
            "threads": outcome.report["threads"],
        },
        seed=request.seed,
        metrics=outcome.report["metrics"],
    )
