"""Whether a trained model may be served, and whether it must be trained at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlpcli.errors import DataError, InputMissing, NlpcliError, UsageError
from nlpcli.runs.conditions import Condition, check_metric, parse_condition
from nlpcli.runs.request import BETTER

if TYPE_CHECKING:
    from nlpcli.data.labelled import Labelled
    from nlpcli.runs.reporting import Reporter
    from nlpcli.runs.request import Parts
    from nlpcli.store.folder import ModelFolder
    from nlpcli.store.store import Store


def parse_gate(
    texts: list[str],
    names: Callable[[], Iterable[str]],
    *,
    has_dev: bool,
    hint: str = "--dev-fraction 0.1",
) -> list[Condition | None]:
    """The conditions of --publish-if; None stands for ``better``. Raises UsageError.

    ``names`` of the metrics that there will be; ``hint``: how to have rows to measure on.
    """
    if texts and not has_dev:
        raise UsageError("--publish-if needs rows to measure on", hint=hint)
    found: list[Condition | None] = []
    for text in texts:
        if text.strip() == BETTER:
            found.append(None)
            continue
        condition = parse_condition(text, "--publish-if")
        check_metric(condition.metric, names(), "--publish-if")
        found.append(condition)
    return found


def gate_failures(
    gate: list[Condition | None],
    metrics: dict[str, Any],
    better: tuple[str, str],
    rival: dict[str, Any] | None,
) -> list[str]:
    """Why the model is not to be served; ``rival``: the metrics of the version in use.

    ``better``: the metric that decides on the same dev rows, and ``>`` or ``<``.
    """
    failures: list[str | None] = []
    metric, sign = better
    for condition in gate:
        if condition is not None:
            failures.append(condition.failure(metrics.get(condition.metric)))
        elif rival is not None and rival.get(metric) is not None:
            failure = Condition(metric, sign, rival[metric]).failure(metrics.get(metric))
            failures.append(failure and f"{failure}, which the version in use reaches")
    return [failure for failure in failures if failure]


def version_in_use(store: Store, output: str, console: Reporter) -> ModelFolder | None:
    """What --publish-if better compares with; says so when there is none to be used."""
    try:
        folder, warnings = store.open(output)
    except InputMissing:
        console.say("--publish-if better: no version is in use yet")
        return None
    except DataError as error:
        console.warn(f"--publish-if better: no version in use can be read: {error.message}")
        return None
    for warning in warnings:
        console.warn(warning)
    return folder


def expect_dev_rows(
    path: str, parts: Parts, fraction: float, gate: Sequence[Condition | None],
    patience: int | None,
) -> None:  # fmt: skip
    """Raises DataError for a gate, or patience, where too few rows leave none to measure on."""
    if parts.dev is None and (gate or patience is not None):
        raise DataError(
            f"{path}: {'--publish-if' if gate else '--patience'} needs rows to measure on, and "
            f"{fraction:g} of {len(parts.train.texts):,} set none apart",
            hint="--dev FILE",
        )


def rival_metrics(
    store: Store, output: str, dev: Labelled, console: Reporter, *, several: bool,
    pair: bool = False, **computing: Any,
) -> dict[str, Any]:  # fmt: skip
    """Metrics of the classifier in use on these rows; none when there is none to be used, or it is
    not asked about texts (or ``pair``s) with one label (or ``several``) as they are.
    ``computing`` as ``open_answering``.
    """
    from nlpcli.runs.answering import open_answering
    from nlpcli.runs.scoring import plain_metrics, score

    folder = version_in_use(store, output, console)
    if folder is None:
        return {}
    try:
        model = open_answering(folder, pair=pair, **computing)
    except NlpcliError as error:  # training is over: no reason to lose what it gave
        console.warn(f"--publish-if better: {error.message}")
        return {}
    if (model.multi_label, bool(getattr(model, "pair", False))) != (several, pair):
        console.warn(
            f"--publish-if better: {folder.path} is no rival, it answers "
            f"{'pairs' if getattr(model, 'pair', False) else 'single texts'} with "
            f"{'any number of labels' if model.multi_label else 'one label'}"
        )
        return {}
    return plain_metrics(score(model, model.probabilities(dev.texts), dev.labels, resamples=0))


def find_unchanged(store: Store, output: str, record: dict[str, Any]) -> ModelFolder | None:
    """The newest version that verifies, if it came from the same data, options and program."""
    from nlpcli.store.folder import ModelFolder
    from nlpcli.store.store import parse_spec

    spec = parse_spec(output)
    if spec.name is None:
        assert spec.path is not None
        paths = [Path(os.path.abspath(spec.path))]
    else:
        paths = [store.root / spec.name / str(v) for v in reversed(store.versions(spec.name))]
    for path in paths:
        try:
            folder = ModelFolder(path)
            folder.verify()
        except NlpcliError:
            continue
        return folder if folder.manifest.config.get("run") == record else None
    return None


def unchanged_report(same: ModelFolder) -> dict[str, Any]:
    """What a run says for which there was nothing to do."""
    served = same.manifest.published
    return {
        "path": str(same.path), "unchanged": True, "published": served,
        "refused": [] if served else ["nothing changed since it was not published"],
        "metrics": same.manifest.metrics,
    }  # fmt: skip
