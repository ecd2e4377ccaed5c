"""The stages of train-fasttext between its options and its answer: read, cut, train, measure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlpcli.errors import DataError, shown
from nlpcli.formats.fasttext_training import FastTextCutting, TrainingCutter
from nlpcli.runs import interrupts
from nlpcli.runs.memory import free_memory
from nlpcli.runs.request import Parts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import numpy.typing as npt

    from nlpcli.batching.labels import LabelSets
    from nlpcli.data.labelled import Labelled
    from nlpcli.runs.reporting import Rejects, Reporter
    from nlpcli.runs.request import Request
    from nlpcli.runs.resuming import Resumption
    from nlpcli.runs.shrinking import Small
    from nlpcli.store.classifier import Classifier
    from nlpcli.store.draft import Draft
    from nlpcli.text.tokenizer import Bags, Tokenizer
    from nlpcli.training.fit import Fitting

MULTI_LABEL_DEV = 0.1
"""A multi-label model needs rows to tune its threshold on, when no dev part is given."""
MOST_DUALS = 2**28
"""Numbers that the squared hinge may keep, one a text and label: a gigabyte."""


@dataclass(frozen=True)
class Prepared:
    """Texts that are cut: the tokenizer, the bags of the training rows."""

    tokenizer: Tokenizer | TrainingCutter
    bags: Bags


@dataclass(frozen=True)
class Outcome:
    """A trained classifier, its kind, what there is to tell; ``write`` puts it into a draft and
    gives what belongs into the manifest's configuration. ``outside``: texts that were not learnt
    from, and their probabilities."""

    classifier: Classifier
    kind: str
    write: Callable[[Draft], dict[str, Any]]
    report: dict[str, Any]
    outside: tuple[Sequence[str], npt.NDArray[np.float64]] | None = None


def read_parts(request: Request, reject: Rejects) -> Parts:
    """Training and dev rows, and vectors; the dev part from a file, or held out, or none. Raises
    InputMissing, DataError for bad rows, too few labels or bad vectors, Unavailable.
    """
    from nlpcli.data.labelled import read_labelled
    from nlpcli.data.rows import told_apart

    columns: dict[str, Any] = request.columns
    reject_train, reject_dev = told_apart(reject, request.train, request.dev)
    rows = read_labelled(request.train, request.fmt, on_reject=reject_train, **columns)
    if request.dev is not None:
        columns = {**columns, "weight_column": None}
        dev = read_labelled(request.dev, request.fmt, on_reject=reject_dev, **columns)
        parts = _with_names(request, rows, dev, request.dev)
    else:
        parts = _with_names(request, *_held_out(rows, request))
    if request.vectors is None:
        return parts
    from nlpcli.runs.pretrained import read_pretrained

    return replace(parts, vectors=read_pretrained(request.vectors, request.tokenizer))


def settle(request: Request, parts: Parts) -> Request:
    """The request with what ``auto`` stands for, now that the rows are known."""
    from nlpcli.batching.bags import gradient_batch_size
    from nlpcli.models.config import SPARSE

    config, multi = request.config, request.separator is not None
    size = len(parts.train.texts) * len(parts.names)
    if config.loss == "squared-hinge" and request.auto_loss and size > MOST_DUALS:
        config = replace(config, loss="one-vs-all" if multi else "softmax")
    if config.batch_size is None and config.loss != "squared-hinge":
        n_texts, n_labels = len(parts.train.texts), len(parts.names)
        dense = n_labels if config.loss not in SPARSE else 1
        config = replace(config, batch_size=gradient_batch_size(n_texts, dense))
    return replace(request, config=config)


def _with_names(request: Request, train: Labelled, dev: Labelled | None, source: str) -> Parts:
    from nlpcli.runs.class_weights import read_class_weights

    names = _all_names(request, train)
    return Parts(train, dev, source, names, read_class_weights(request.class_weight, names))


def _all_names(request: Request, train: Labelled) -> list[str]:
    """The labels: those of the model that is continued, in its order, then new ones."""
    from nlpcli.data.split import label_names

    old = [] if request.base is None else request.base.classifier.labels
    names = [*old, *(n for n in label_names(train.labels) if n not in set(old))]
    if request.base is not None and request.base.classifier.scorer.head and len(names) > len(old):
        raise DataError(
            f"{request.train}: label {shown(names[len(old)])} is new, and none can join a model of "
            f"--loss {request.config.loss}"
        )
    if isinstance(request.tokenizer, FastTextCutting):  # the most frequent first, as in its files
        counts = Counter(name for several in train.labels for name in several)
        names.sort(key=lambda name: -counts[name])
    if len(names) < (1 if request.separator is not None else 2):
        seen = ", ".join(names) or "none"
        raise DataError(f"{request.train}: at least 2 labels are needed, seen: {seen}")
    return names


def _held_out(rows: Labelled, request: Request) -> tuple[Labelled, Labelled | None, str]:
    fraction = request.dev_fraction
    # the squared hinge has held-out rows of its own; what decides on a metric needs a dev part
    needed = request.config.loss != "squared-hinge" or request.gate or request.patience
    if request.separator is not None and needed and not fraction:
        fraction = MULTI_LABEL_DEV
    return split_rows(rows, fraction, request.seed)


def split_rows(rows: Labelled, fraction: float, seed: int) -> tuple[Labelled, Labelled | None, str]:
    """Rows to learn, rows set apart (None when they are too few), and what is said of them."""
    from nlpcli.data.split import holdout

    kept, held = holdout(rows.labels, fraction, seed)
    if not len(held):
        return rows, None, "none"
    return _subset(rows, kept), _subset(rows, held), f"{fraction:g} of the rows"


def _subset(rows: Labelled, chosen: Any) -> Labelled:
    at = chosen.tolist()
    return replace(
        rows,
        texts=[rows.texts[i] for i in at],
        labels=[rows.labels[i] for i in at],
        lines=[rows.lines[i] for i in at],
        weights=None if rows.weights is None else rows.weights[chosen],
    )


def prepare(request: Request, parts: Parts) -> Prepared:
    """Cuts the training texts. Raises DataError when nothing is left, Unavailable: no memory."""
    from nlpcli.text.tokenizer import Tokenizer

    if isinstance(request.tokenizer, FastTextCutting):
        from nlpcli.runs.compatible import cut_compatible

        cutter, bags = cut_compatible(request, request.tokenizer, parts)
        return Prepared(cutter, bags)
    base = None if request.base is None else request.base.classifier.tokenizer
    if parts.vectors is not None:
        base = parts.vectors.vocabulary(request.tokenizer)
    only = None
    if request.features is not None:
        from nlpcli.text.chosen_features import chosen_hashes

        only = chosen_hashes(request.tokenizer, request.features.features)
    tokenizer, bags = Tokenizer.fit(
        request.tokenizer, parts.train.texts, base, room=free_memory(), only=only
    )
    return Prepared(tokenizer, bags)


def make_fitting(request: Request, parts: Parts, prepared: Prepared) -> Fitting:
    """The training run, ready to go. Raises Unavailable for a device that is not there."""
    from nlpcli.batching.labels import LabelSets
    from nlpcli.training.device import choose_device
    from nlpcli.training.fit import Examples, Fitting, Pretrained, class_importance

    device = choose_device(request.device)
    sets = LabelSets.of(parts.train.labels, parts.names)
    importance = class_importance(sets, parts.class_weight, parts.train.weights)
    dev = None
    if parts.dev is not None:
        bags = prepared.tokenizer.bags(parts.dev.texts)
        dev = Examples(bags, LabelSets.of(parts.dev.labels, parts.names))
    pretrained = None
    if parts.vectors is not None:
        rows = parts.vectors.rows(prepared.tokenizer)
        pretrained = Pretrained(rows, parts.vectors.vectors)
    return Fitting(
        request.config,
        Examples(prepared.bags, sets, importance),
        dev,
        n_features=prepared.tokenizer.n_features,
        seed=request.seed,
        device=device,
        patience=request.patience,
        start=None if request.base is None else request.base.arrays,
        label_shift=_label_shift(request, sets),
        multi_label=request.separator is not None,
        head=None if request.base is None else request.base.classifier.scorer.head,
        pretrained=pretrained,
    )


def _label_counts(request: Request, sets: LabelSets) -> npt.NDArray[np.float64]:
    """How many rows had each label before, and have it now: float64 [2, K]."""
    import numpy as np

    counts = np.zeros((2, sets.n_labels))
    if request.base is not None:
        old = request.base.arrays["label_counts"]
        counts[0, : len(old)] = old
    counts[1] = sets.counts()
    return counts


def _label_shift(request: Request, sets: LabelSets) -> npt.NDArray[np.float32] | None:
    from nlpcli.training.fit import prior_shift

    if request.base is None:
        return None
    old, new = _label_counts(request, sets)
    return prior_shift(old, new, one_vs_all=request.base.classifier.scorer.one_vs_all)


def watch(
    fitting: Fitting, epochs: int, parts: Parts, resumption: Resumption, console: Reporter
) -> None:
    """Runs the training to its end, shows how it goes and saves states.

    Raises NegativeAnswer when it diverges; Interrupted after a signal, with a state saved.
    """
    from nlpcli.training.loop import Diverged

    try:
        with console, interrupts.deferred():
            for now in fitting:
                note = f"loss {now.step.loss:.4f}"
                if now.dev_score is not None:
                    note += f"  dev {now.dev_score:.4f}"
                console.progress(
                    f"epoch {now.step.epoch}/{epochs}", now.step.step, now.step.steps, note
                )
                if interrupts.pending():
                    resumption.save(fitting)
                    break
                resumption.save_if_due(fitting)
    except Diverged as error:
        lines = [parts.train.lines[i] for i in sorted(error.texts)]
        if lines:
            shown = ", ".join(map(str, lines[:8])) + (", …" if len(lines) > 8 else "")
            error.message += f" on the rows of lines {shown}"
        raise


def measure(
    request: Request, parts: Parts, prepared: Prepared, fitting: Fitting, report: dict[str, Any],
    small: Small | None,
) -> Outcome:  # fmt: skip
    """The model to keep, with its threshold; loss and dev metrics go into the report.

    ``small``: the model of limited size that takes the place of the one that was trained.
    """
    if isinstance(prepared.tokenizer, TrainingCutter):
        from nlpcli.runs.compatible import measure_compatible

        return measure_compatible(request, parts, prepared.tokenizer, fitting, report)
    from nlpcli.batching.labels import LabelSets
    from nlpcli.runs.calibrating import (
        calibrated,
        dev_evidence,
        held_out_evidence,
        score_evidence,
    )
    from nlpcli.runs.scoring import plain_metrics
    from nlpcli.store.classifier import KIND, TextClassifier, write_classifier

    report |= {"loss": round(fitting.loss, 6), "epochs": fitting.epochs, "metrics": {}}
    optimizer: dict[str, npt.NDArray[Any]] = {}
    if small is not None:
        classifier = small.classifier
        report["features"] = classifier.tokenizer.n_features
        outside = dev_evidence(classifier, parts) or small.held_out
    else:
        arrays = fitting.arrays
        optimizer = {n[8:]: a for n, a in arrays.items() if n.startswith("squares.")}
        optimizer["label_counts"] = _label_counts(
            request, LabelSets.of(parts.train.labels, parts.names)
        ).sum(axis=0)
        classifier = TextClassifier(
            prepared.tokenizer, fitting.scorer, parts.names, None, request.separator
        )
        outside = dev_evidence(classifier, parts) or held_out_evidence(parts, fitting)
    classifier = calibrated(classifier, outside, request.threshold)
    if small is not None:
        classifier = small.thinned(classifier)
    if classifier.multi_label:
        report["threshold"] = classifier.threshold
    if outside is not None:
        document = score_evidence(classifier, outside)
        where = "metrics" if parts.dev is not None else "held_out"
        report[where] = plain_metrics(document)
        report["held_out_rows"] = 0 if parts.dev is not None else len(outside.labels)
    write = partial(write_classifier, classifier=classifier, optimizer=optimizer)
    seen = None if outside is None else (outside.texts, classifier.scorer.activate(outside.logits))
    return Outcome(classifier, KIND, write, report, seen)


def save(
    draft: Draft, outcome: Outcome, parts: Parts, request: Request, record: dict[str, Any],
    *, published: bool,
) -> Path:  # fmt: skip
    """Writes the model; it is served from now on, if it is to be. Raises OutputFailed."""
    from nlpcli import __version__
    from nlpcli.runs.drift import keep_reference

    written = outcome.write(draft)
    train, outside = parts.train, outcome.outside
    if outside is not None:
        keep_reference(draft, train.texts, *outside, outcome.classifier.labels, request.model_size)
    with interrupts.deferred():
        path = draft.publish(
            kind=outcome.kind,
            created_by=f"nlpcli {__version__}",
            config={**request.config.to_json(), **written, "dev": parts.source, "run": record},
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
            published=published,
            limit=request.model_size,
        )
        interrupts.complete()  # a signal now must not make the next run publish it again
    return path
