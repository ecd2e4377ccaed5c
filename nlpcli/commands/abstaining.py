"""From which probability on to answer, for an error that is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nlpcli.errors import UsageError
from nlpcli.shell.console import Console

if TYPE_CHECKING:
    from nlpcli.store.classifier import Classifier


def abstain_from(model: Classifier, error: float, console: Console) -> float:
    """The probability below which not to answer, from what the model kept of held-out texts.

    Raises UsageError where it kept nothing, or no threshold reaches that error.
    """
    from nlpcli.evaluation.abstention import (
        FEWEST,
        Abstention,
        best_abstention,
        highest_error,
    )

    if model.multi_label:
        raise UsageError("--abstain-error: this model gives any number of labels, or none")
    curve = [Abstention(*point) for point in getattr(model, "abstention", ())]
    if not curve:
        raise UsageError(
            "--abstain-error: the model kept no curve of errors: it had fewer than "
            f"{FEWEST} held-out rows, or its format has no place for one",
            hint="--abstain-below, or train-fasttext with a larger --dev-fraction",
        )
    found = best_abstention(curve, error)
    if found is None:
        least = min(point.error for point in curve)
        raise UsageError(f"--abstain-error {error:g}: the least on held-out rows is {least:g}")
    said = f"answers from a probability of {found.below:g} on"
    rows = getattr(model, "abstention_rows", None)
    if rows is None:
        console.detail(
            f"{said}: {found.share:.1%} of the held-out rows, {found.error:.1%} of them wrong"
        )
        return found.below
    # of few rows the best of many thresholds looks better than it is
    console.say(
        f"{said}: of {rows:,} held-out rows {found.share:.1%} answered, {found.error:.1%} of them "
        f"wrong (on others up to {highest_error(found, rows):.1%})"
    )
    return found.below
