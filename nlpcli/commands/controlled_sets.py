"""eval --conformal of a model that gives several labels a text: a threshold that finds a share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nlpcli.errors import DataError, UsageError

if TYPE_CHECKING:
    from nlpcli.data.labelled import Labelled
    from nlpcli.store.classifier import Classifier

Options = dict[str, Any]


def decided_labels(
    model: Classifier, data: Labelled, probabilities: Any, options: Options,
    rows_in: Callable[[str], Labelled],
) -> tuple[dict[str, Any], str]:  # fmt: skip
    """Parts of the document, and lines of the table; ``rows_in``: reads labelled rows of a file.
    Raises UsageError, InputMissing, DataError."""
    from nlpcli.runs import deciding

    level, path, outside = (
        options[name] for name in ("conformal", "calibration_file", "out_of_scope")
    )
    if outside is not None:
        raise UsageError(f"--out-of-scope {outside}: the model gives any number of labels, or none")
    if level is None:
        return {}, ""
    if path is None:
        raise UsageError(
            f"--conformal {level:g}: a model of several labels a text keeps no scores of rows",
            hint="--calibration-file CAL",
        )
    rows = rows_in(path)
    calibration = deciding.Answered(rows.labels, model.probabilities(rows.texts))
    drawing = {name: options[name] for name in ("resamples", "seed")}
    test = deciding.Answered(data.labels, probabilities)
    document = deciding.controlled_sets_document(model, test, calibration, level, drawing)
    if document is None:
        raise too_few(level, path, len(rows.labels))
    return document, _lines(document)


def too_few(level: float, path: str, rows: int) -> DataError:
    """For a calibration file that allows no promise at this level."""
    from nlpcli.evaluation.conformal import fewest_rows

    return DataError(
        f"--conformal {level:g}: {path} has {rows} rows, wanted {fewest_rows(level)} or more"
    )


def _lines(document: dict[str, Any]) -> str:
    about, held = document["conformal"], document["conformal_coverage"]
    found = f"{held['value']:.1%} of them"
    if held["low"] is not None:
        found += f" ({held['low']:.1%} – {held['high']:.1%})"
    lines = [
        "", f"--threshold {about['from_probability']:g} for {about['level']:.1%} of a row's "
        f"labels, by {about['rows']:,} labelled rows:", f"  finds {found}",
        f"  {about['mean_set_size']:.2f} labels on average; {about['empty']:.1%} of the rows have "
        "none",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"
