"""A classifier's probabilities fitted again to labelled rows of a user, as a new model.

How well that does is told by five folds: each row's probabilities come from a fit that has not seen
it, and so do the curve of errors and the scores of label sets that the model keeps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nlpcli.errors import DataError, UsageError
from nlpcli.store.recalibration import KEY, WANTED, Recalibration, moved

if TYPE_CHECKING:
    from pathlib import Path

    from nlpcli.data.labelled import Labelled
    from nlpcli.store.classifier import Classifier
    from nlpcli.store.draft import Draft
    from nlpcli.store.folder import ModelFolder

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Truth = npt.NDArray[Any]

FEWEST = 30
FOLDS = 5
ENCODER = "bert-classifier"
"""A kind of model, as in store/encoder_classifier.py."""


@dataclass(frozen=True)
class Fit:
    """Probabilities are those of ``scale * logits + offset``, the top one moved by ``points``."""

    scale: float
    offset: float
    points: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Judged:
    """Logits [B, K] of labelled rows. ``truth``: [B] the label's number, K for one that the model
    does not know, or bool [B, K] where a row has any number. ``logistic``: each label for itself.
    ``now``: how the model answers."""

    logits: F64
    truth: Truth
    logistic: bool
    now: Fit

    @property
    def several(self) -> bool:
        """Whether a row has any number of labels."""
        return self.truth.ndim == 2

    def targets(self) -> F64:
        """1 at each true label, [B, K]."""
        if self.several:
            return self.truth.astype(np.float64)
        found: F64 = np.eye(self.logits.shape[1] + 1)[self.truth][:, :-1]
        return found

    def part(self, rows: I64) -> Judged:
        """Some of the rows."""
        return replace(self, logits=self.logits[rows], truth=self.truth[rows])

    def probabilities(self, fit: Fit) -> F64:
        """[B, K], as the model will give them."""
        from nlpcli.models.additive import sigmoid, softmax

        scaled = fit.scale * self.logits + fit.offset
        found = sigmoid(scaled) if self.logistic else softmax(scaled)
        return moved(found, Recalibration("", 0, points=fit.points))


def judged(model: Classifier, rows: Labelled, name: str) -> Judged:
    """Of a model called ``name``. Raises UsageError for one that keeps no scale, DataError for too
    few rows with a label that it knows."""
    from nlpcli.store.classifier import TextClassifier

    n_rows, strange = len(rows.texts), len(rows_of_unknown(model, rows))
    if n_rows - strange < FEWEST:
        known = f" of {n_rows} with a label that {name} knows" if strange else ""
        raise DataError(f"--calibrate: {n_rows - strange} rows{known}, wanted {FEWEST} or more")
    kept = getattr(model, "recalibration", None)
    points = () if kept is None else kept.points
    if isinstance(model, TextClassifier):
        bags = model.tokenizer.bags(rows.texts)
        logits = model.scorer.logits(bags.indptr, bags.ids, bags.weights)
        now = Fit(model.scorer.scale, model.scorer.offset, points)
        return Judged(logits, _truth(model, rows), model.scorer.one_vs_all, now)
    answering = getattr(model, "answering", None)
    if answering is None:
        raise refusal(name)
    now = Fit(answering.scale, answering.offset, points)
    logits = model.logits(rows.texts)  # type: ignore[attr-defined]
    return Judged(logits, _truth(model, rows), model.multi_label, now)


def rows_of_unknown(model: Classifier, rows: Labelled) -> list[int]:
    """Numbers of the rows that have labels, and none that the model knows."""
    known = set(model.labels)
    return [i for i, names in enumerate(rows.labels) if names and known.isdisjoint(names)]


def refusal(name: str) -> UsageError:
    """Of a model that is no classifier whose probabilities can be fitted."""
    return UsageError(f"--calibrate: {name} has no place for a calibration, wanted {WANTED}")


def _truth(model: Classifier, rows: Labelled) -> Truth:
    place = {label: i for i, label in enumerate(model.labels)}
    if not model.multi_label:
        return np.array([place.get(names[0], len(place)) for names in rows.labels], np.int64)
    found = np.zeros((len(rows.labels), len(place)), dtype=bool)
    for row, names in zip(found, rows.labels, strict=True):
        row[[place[name] for name in names if name in place]] = True
    return found


def fitted(rows: Judged, method: str) -> Fit:
    """``temperature``: a scale, and for logistic functions an offset, near those of now;
    ``isotonic``: points for the top label's probability, at the scale of now."""
    from nlpcli.evaluation.isotonic import fit_isotonic
    from nlpcli.evaluation.temperature import fit_logistic, fit_softmax

    if method == "temperature":
        fit = fit_logistic if rows.logistic else fit_softmax
        found = fit(rows.logits, rows.targets(), rows.now.scale)
        return Fit(found.scale, found.offset)
    plain = replace(rows.now, points=())
    p = rows.probabilities(plain)
    return replace(plain, points=fit_isotonic(p.max(axis=1), p.argmax(axis=1) == rows.truth))


def cross_fitted(rows: Judged, method: str, seed: int) -> F64:
    """Probabilities [B, K] of each row by a fit on the other folds."""
    n_rows = len(rows.logits)
    fold = np.random.default_rng(seed).permutation(n_rows) % FOLDS
    found = np.empty(rows.logits.shape)
    for k in range(FOLDS):
        held = np.flatnonzero(fold == k)
        fit = fitted(rows.part(np.flatnonzero(fold != k)), method)
        found[held] = rows.part(held).probabilities(fit)
    return found


def probability_document(
    truth: Truth, probabilities: F64, *, resamples: int, seed: int
) -> dict[str, Any]:
    """Metrics that calibration moves. With several labels a row of all pairs of row and label, and
    without intervals, as these pairs are not independent."""
    from nlpcli.evaluation.calibration import expected_calibration_error, probability_metrics

    if truth.ndim == 1:
        found = probability_metrics(
            truth, probabilities.argmax(axis=1), probabilities, resamples=resamples, seed=seed
        )
        return {name: found[name] for name in ("ece", "ece_adaptive", "log_loss", "brier")}
    p, true = probabilities.ravel(), truth.ravel()
    eps = np.finfo(np.float64).eps
    loss = -np.log(np.clip(np.where(true, p, 1 - p), eps, 1 - eps)).mean()
    values = {
        "ece": expected_calibration_error(p, true), "log_loss": loss,
        "brier": np.square(p - true).mean(),
    }  # fmt: skip
    return {
        name: {"value": float(value), "low": None, "high": None} for name, value in values.items()
    }


@dataclass(frozen=True)
class Calibrated:
    """The ``fit`` on all rows, the ``probabilities`` [B, K] of the folds, and what is said of
    both."""

    fit: Fit
    probabilities: F64
    document: dict[str, Any]


def calibrate(rows: Judged, method: str, *, resamples: int, seed: int) -> Calibrated:
    """Raises UsageError for a method that does not go with the labels."""
    if method == "isotonic" and rows.several:
        raise UsageError(
            "--calibrate isotonic: of the top label, and the model gives any number of labels",
            hint="--calibrate temperature",
        )
    drawing = {"resamples": resamples, "seed": seed}
    found = cross_fitted(rows, method, seed)
    before = probability_document(rows.truth, rows.probabilities(rows.now), **drawing)
    document = {
        "n": len(rows.logits), "method": method, "folds": FOLDS, "before": before,
        "after": probability_document(rows.truth, found, **drawing),
    }  # fmt: skip
    return Calibrated(fitted(rows, method), found, document)


def write_calibrated(
    draft: Draft, folder: ModelFolder, model: Classifier, data: Labelled, rows: Judged,
    found: Calibrated,
) -> Path:  # fmt: skip
    """Publishes the model with the new fit: the same files, another manifest; gives its path.
    Raises OutputFailed."""
    from nlpcli.store import reference

    manifest = folder.manifest
    for name in sorted(manifest.files):
        if name != reference.FILE:
            draft.write(name, folder.read(name))
    if reference.FILE in manifest.files and not loses_reference(folder, data):
        _write_reference(draft, folder, model, data, rows.probabilities(found.fit))
    return draft.publish(
        kind=manifest.kind, created_by=manifest.created_by,
        config=_config(manifest.config, manifest.kind, data, rows, found),
        labels=manifest.labels, data=manifest.data, seed=manifest.seed, metrics=manifest.metrics,
        published=manifest.published,
    )  # fmt: skip


def loses_reference(folder: ModelFolder, data: Labelled) -> bool:
    """Whether drift can be told from the model, but not from these rows, which are too few: the
    confidence that it was told by is another one from now on."""
    from nlpcli.runs.drift import FEWEST as FEWEST_OF_REFERENCE
    from nlpcli.store import reference

    return reference.FILE in folder.manifest.files and len(data.texts) < FEWEST_OF_REFERENCE


def _write_reference(
    draft: Draft, folder: ModelFolder, model: Classifier, data: Labelled, probabilities: F64
) -> None:
    """Drift is told from these rows and the probabilities that they have from now on; the words
    that were known stay."""
    from nlpcli.store.reference import read_reference, write_reference
    from nlpcli.text.row_cells import make_reference

    answers = [model.labels[i] for i in probabilities.argmax(axis=1).tolist()]
    known = read_reference(folder).known
    write_reference(draft, make_reference(data.texts, answers, probabilities.max(axis=1), known))


def _config(
    config: dict[str, Any], kind: str, data: Labelled, rows: Judged, found: Calibrated
) -> dict[str, Any]:
    """The manifest's configuration with the new fit, wherever the kind of model has it."""
    from nlpcli.evaluation.abstention import abstention_curve
    from nlpcli.evaluation.conformal import quantiles, true_scores

    fit = found.fit
    levels: tuple[tuple[float, float], ...] = ()
    curve: list[list[float]] = []
    judged_rows = None if rows.several else len(data.texts)
    if not rows.several:
        p = found.probabilities
        levels = quantiles(true_scores(rows.truth, p))
        points = abstention_curve(p.max(axis=1), p.argmax(axis=1) == rows.truth)
        curve = [[point.below, point.share, point.error] for point in points]
    kept = Recalibration(
        found.document["method"], len(data.texts), data.sha256, fit.points, levels
    ).to_json()
    scale = {"scale": fit.scale, "offset": fit.offset}
    if kind == ENCODER:
        about = {
            **config["classifier"],
            **scale,
            "abstention": curve,
            "abstention_rows": judged_rows,
        }
        about["threshold"] = _threshold(about["threshold"], rows.now, fit)
        return {**config, "classifier": about, KEY: kept}
    return {
        **config, "calibration": scale, "abstention": curve, "abstention_rows": judged_rows,
        KEY: kept,
        "threshold": _threshold(config.get("threshold"), rows.now, fit),
    }  # fmt: skip


def _threshold(before: float | None, now: Fit, fit: Fit) -> float | None:
    """The one that gives the same labels with the new probabilities."""
    if before is None or not 0 < before < 1:
        return before
    logit = (np.log(before / (1 - before)) - now.offset) / now.scale
    return float(1 / (1 + np.exp(-np.clip(fit.scale * logit + fit.offset, -700, 700))))
