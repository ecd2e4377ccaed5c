"""One run of finetune for numbers: from rows with one each to a regression in the store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nlpcli.data.labelled import read_labelled
from nlpcli.data.rows import told_apart
from nlpcli.errors import DataError, NlpcliError
from nlpcli.evaluation.regression import combined_score, evaluate_regression
from nlpcli.models.sequence_head import Folding
from nlpcli.runs.encoder_regressor import EncoderRegressor, numbers_of, open_regressor
from nlpcli.runs.finetuning import FinetuneRun
from nlpcli.runs.finetuning_parts import FinetuneRequest, tuned
from nlpcli.runs.fitting import split_rows
from nlpcli.runs.publishing import gate_failures, version_in_use
from nlpcli.runs.reporting import tell_oddities
from nlpcli.runs.request import Parts
from nlpcli.runs.scoring import plain_metrics
from nlpcli.store.encoder_classifier import REGRESSION, SCORE, Answering, StoredClassifier

if TYPE_CHECKING:
    from nlpcli.batching.framing import Rows
    from nlpcli.data.labelled import Labelled
    from nlpcli.training.answers import SequenceObjective
    from nlpcli.training.finetuning import Finetuning

F64 = npt.NDArray[np.float64]
_STRATA = 10
"""Tenths of the rows by their number, of which all give their share of the dev part."""


@dataclass(frozen=True, kw_only=True)
class RegressionRequest(FinetuneRequest):
    """A run as it was asked for; labels are numbers."""

    @property
    def separator(self) -> str | None:
        """A row has one number."""
        return None

    def answering(self) -> Answering:
        """As of a FinetuneRequest."""
        return replace(super().answering(), regression=True)

    def record(self, parts: Parts, program: str) -> dict[str, Any]:
        """Everything that the model depends on, as plain JSON values."""
        return {**super().record(parts, program), "task": REGRESSION}


class RegressionRun(FinetuneRun):
    """As FinetuneRun, of numbers instead of labels.

    They are learnt in standard deviations from their mean, of the training rows, so that the same
    rates serve whatever they count; the model that is kept says them as they are.
    """

    _request: RegressionRequest

    def _read(self) -> Parts:
        request = self._request
        columns: dict[str, Any] = {**request.columns, "label_separator": None, "numbers": True}
        reject_train, reject_dev = told_apart(self._reject, request.train, request.dev)
        train = read_labelled(request.train, request.fmt, on_reject=reject_train, **columns)
        dev: Labelled | None
        if request.dev is not None:
            columns["weight_column"], source = None, request.dev
            dev = read_labelled(source, request.fmt, on_reject=reject_dev, **columns)
        else:
            train, dev, source = _split(train, request.dev_fraction, request.seed)
        self._reject.close()
        if not _deviation(numbers_of(train)):
            raise DataError(
                f"{request.train}: at least 2 different numbers are needed, seen: "
                f"{numbers_of(train)[0]:g}"
            )
        tell_oddities(train, self._console)
        return Parts(train, dev, source, [SCORE], None)

    def _targets(self, parts: Parts, rows: Rows) -> tuple[SequenceObjective, Folding | None]:
        from nlpcli.batching.text_windows import of_rows
        from nlpcli.training.answers import SequenceObjective
        from nlpcli.training.fit import WEIGHTLESS

        numbers, weights = numbers_of(parts.train), parts.train.weights
        mean, deviation = float(numbers.mean()), _deviation(numbers)
        if weights is not None:
            if not weights.any():
                raise DataError(WEIGHTLESS)
            weights = weights / float(weights.mean())
        targets = ((numbers - mean) / deviation).astype(np.float32)
        targets, weights = of_rows(rows, targets, weights)
        return SequenceObjective(targets, weights), Folding.of_scale(deviation, mean)

    def _dev_scorer(self, parts: Parts, answering: Answering) -> Callable[[F64], float] | None:
        if parts.dev is None:
            return None
        truth = numbers_of(parts.dev)
        return lambda outputs: combined_score(truth, outputs[:, 0])

    def _measured(
        self, training: Finetuning, cutter: Any, parts: Parts, answering: Answering,
        report: dict[str, Any],
    ) -> StoredClassifier:  # fmt: skip
        """The model to keep; its metrics go into the report."""
        base, weights = self._request.base.encoder, self._kept_weights(training)
        stored = tuned(base, weights, answering, parts.names, REGRESSION)
        report |= {"task": REGRESSION, "metrics": {}}
        if parts.dev is not None:
            # as eval will find it: the head computes otherwise than in training
            model = EncoderRegressor(stored, **self._computing)
            report["metrics"] = _metrics(model, parts.dev)
        return stored

    def _refused(self, stored: StoredClassifier, parts: Parts, report: dict[str, Any]) -> list[str]:
        rival = self._rival(parts) if None in self._request.gate else None
        return gate_failures(self._request.gate, report["metrics"], ("pearson", ">"), rival)

    def _rival(self, parts: Parts) -> dict[str, Any]:
        """Metrics of the regression in use on the same rows; none when it reads others."""
        assert parts.dev is not None
        folder = version_in_use(self._store, self._request.output, self._console)
        if folder is None:
            return {}
        try:
            model = open_regressor(folder, pair=self._request.pair, **self._computing)
        except NlpcliError as error:  # training is over: no reason to lose what it gave
            self._console.warn(f"--publish-if better: {error.message}")
            return {}
        if model is None:
            self._console.warn(f"--publish-if better: {folder.path} gives no numbers")
            return {}
        if model.pair != self._request.pair:
            self._console.warn(
                f"--publish-if better: {folder.path} is no rival, it answers "
                f"{'pairs' if model.pair else 'single texts'}"
            )
            return {}
        return _metrics(model, parts.dev)


def _metrics(model: EncoderRegressor, dev: Labelled) -> dict[str, float | None]:
    found = model.scores(dev.texts)
    return plain_metrics(evaluate_regression(numbers_of(dev), found, resamples=0))


def _deviation(numbers: F64) -> float:
    """The standard deviation, 0 for equal numbers."""
    found = float(numbers.std()) if np.ptp(numbers) else 0.0
    return found if found > np.finfo(np.float32).tiny else 0.0


def _split(rows: Labelled, fraction: float, seed: int) -> tuple[Labelled, Labelled | None, str]:
    """As ``split_rows``; each tenth of the rows by their number gives its share."""
    places = np.empty(len(rows.labels), np.int64)
    places[np.argsort(numbers_of(rows), kind="stable")] = np.arange(len(places))
    tenths = (places * _STRATA // len(places)).tolist()
    marked = [(str(tenth), *names) for tenth, names in zip(tenths, rows.labels, strict=True)]
    train, dev, source = split_rows(replace(rows, labels=marked), fraction, seed)
    return _unmarked(train), None if dev is None else _unmarked(dev), source


def _unmarked(rows: Labelled) -> Labelled:
    return replace(rows, labels=[names[1:] for names in rows.labels])
