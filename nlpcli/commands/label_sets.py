"""predict --label-set: the labels among which the true one is so often."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nlpcli.commands.opening import of_another_program, open_model
from nlpcli.errors import UsageError, shown
from nlpcli.shell.console import Console

if TYPE_CHECKING:
    from nlpcli.store.classifier import Classifier

LabelSet = Annotated[
    float | None,
    typer.Option(min=0.5, max=0.999, help="Add the labels among which the true one is so often."),
]


def kept_quantile(model: Classifier, level: float, flag: str, hint: str) -> tuple[float, int]:
    """Of the scores that --calibrate kept with a model, and of how many rows these were. Raises
    UsageError where there are none, or too few for the level."""
    kept = getattr(model, "recalibration", None)
    if kept is None or not kept.levels:
        raise UsageError(
            f"{flag} {level:g}: the model kept no scores of labelled rows",
            hint=hint,
        )
    quantile = kept.quantile(level)
    if quantile is None:
        raise UsageError(
            f"{flag} {level:g}: the model was calibrated on {kept.rows:,} rows, enough for "
            f"{kept.levels[-1][0]:g} at most"
        )
    return quantile, kept.rows


def label_set_from(model: Classifier, options: dict[str, Any]) -> float | None:
    """The score up to which a label is in the set of predict --label-set; None without it.
    Raises UsageError, also for labels of which a set could not be told apart."""
    level = options["label_set"]
    if level is None:
        return None
    if model.multi_label:
        raise UsageError(f"--label-set {level:g}: the model gives any number of labels, or none")
    if options["cascade"] is not None:
        raise UsageError(f"--label-set {level:g}: not with --cascade, two models answer")
    from nlpcli.runs.answer_columns import JOINER

    for label in model.labels:
        if JOINER in label:
            raise UsageError(
                f"--label-set {level:g}: the label {shown(label, 40)} holds {JOINER}, which joins "
                "labels"
            )
    if getattr(model, "recalibration", None) is None:
        _refuse_uncalibrated(options["model"], options["store"], level)
    hint = "eval -m MODEL DEV --calibrate temperature"
    return kept_quantile(model, level, "--label-set", hint)[0]


def _refuse_uncalibrated(name: str, store: Path | None, level: float) -> None:
    """Raises UsageError for a model that cannot be calibrated either."""
    from nlpcli.store.recalibration import KINDS, WANTED

    quiet = Console(quiet=True)  # what there is to say of its versions has been said
    if of_another_program(name, store) or open_model(name, store, quiet).manifest.kind not in KINDS:
        raise UsageError(
            f"--label-set {level:g}: {name} has no place for scores of labelled rows, wanted "
            f"{WANTED}, after eval --calibrate"
        )
