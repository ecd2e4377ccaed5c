"""eval --calibrate, --conformal and --out-of-scope: from probabilities to decisions."""

from __future__ import annotations

import functools
import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nlpcli.commands.eval_tables import calibrated_table, worse_after
from nlpcli.commands.label_sets import kept_quantile
from nlpcli.commands.opening import check_asked, for_encoders, of_another_program, open_model
from nlpcli.errors import CannotCreate, DataError, UsageError, shown
from nlpcli.shell.console import Console, RejectFile
from nlpcli.shell.options import store_root

if TYPE_CHECKING:
    from nlpcli.data.labelled import Labelled
    from nlpcli.data.rows import Reject
    from nlpcli.store.classifier import Classifier
    from nlpcli.store.folder import ModelFolder

Options = dict[str, Any]


class Method(StrEnum):
    """How probabilities are fitted."""

    temperature = "temperature"
    isotonic = "isotonic"


Calibrate = Annotated[
    Method | None,
    typer.Option(
        "--calibrate", help="Fit the probabilities to TEST (dev rows); saves a new version."
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output", "-o", help="Of --calibrate [default: the model's name, if it has one]."
    ),
]
Conformal = Annotated[
    float | None,
    typer.Option(min=0.5, max=0.999, help="Label sets that hold the true label so often."),
]
CalibrationFile = Annotated[
    str | None,
    typer.Option(help="Of --conformal: labelled rows to set it by [default: those of the model]."),
]
OutOfScope = Annotated[
    str | None, typer.Option(help="Texts of no known label: how well these are told apart.")
]

ONLY_MEASURING: Options = {
    "predictions": None, "threshold": None, "fail_under": None, "require_better": False,
    "measure_cost": None, "report": None, "robustness": False, "slices": False, "slice_by": None,
    "conformal": None, "calibration_file": None, "out_of_scope": None, "vocab_limit": None,
}  # fmt: skip
"""What does not go with --calibrate, as it is where it is not given."""


def check_calibrating(options: Options) -> None:
    """Raises UsageError for options that do not go together."""
    if options["calibration_file"] is not None and options["conformal"] is None:
        raise UsageError(f"--calibration-file {options['calibration_file']}: only with --conformal")
    read = [options[name] for name in ("test", "calibration_file", "out_of_scope")]
    if read.count("-") > 1:
        raise UsageError("- stands for stdin, which can be read once")
    if options["calibrate"] is None:
        if options["output"] is not None:
            raise UsageError(f"--output {options['output']}: only with --calibrate")
        return
    for name, value in ONLY_MEASURING.items():
        if options[name] not in (value, (), []):
            raise UsageError(f"--{name.replace('_', '-')}: not with --calibrate, which only fits")
    if len(options["model"] or ()) != 1:
        raise UsageError("--calibrate: wanted one model")
    if options["test"] is None:
        raise UsageError("missing argument TEST: labelled rows to calibrate the model on")


def calibrate_model(
    context: typer.Context, console: Console, reject: RejectFile
) -> tuple[dict[str, Any], str]:
    """Fits, saves a new version, and says what that changed: a document and a table. Raises
    UsageError, InputMissing, DataError, CannotCreate, OutputFailed, Busy."""
    from nlpcli.runs.answering import open_answering
    from nlpcli.runs.drift import FEWEST as FEWEST_OF_REFERENCE
    from nlpcli.runs.recalibrating import (
        calibrate,
        judged,
        loses_reference,
        refusal,
        write_calibrated,
    )
    from nlpcli.store.recalibration import KINDS
    from nlpcli.store.store import Store

    options = context.params
    (name,) = options["model"]
    target = _target(name, options["output"])
    folder = _opened(name, options["store"], console)
    if folder.manifest.kind not in KINDS:
        raise refusal(name)
    store = Store(store_root(options["store"]))
    with store.begin(target) as draft:
        folder.verify()
        model = open_answering(folder, **for_encoders(options))
        check_asked(model, name, context)
        data = rows_for(options["test"], model, options, reject)
        reject.close()
        rows = judged(model, data, name)
        _tell_unknown(model, data, console)
        if loses_reference(folder, data):
            console.warn(
                f"predict --drift will have nothing to go by: {len(data.texts)} rows, wanted "
                f"{FEWEST_OF_REFERENCE} or more"
            )
        found = calibrate(
            rows, str(options["calibrate"]), resamples=options["resamples"], seed=options["seed"]
        )
        folder.verify()  # the files are read once more, to be written
        path = write_calibrated(draft, folder, model, data, rows, found)
        versioned = draft.versioned
    pinned = store.pinned(target) if versioned else None
    if pinned is not None:
        console.warn(f"{target} stays at the pinned version {pinned}: nlpcli models unpin {target}")
    document = {**found.document, "path": str(path)}
    for line in worse_after(document):
        console.warn(line)
    return document, calibrated_table(document)


def _tell_unknown(model: Classifier, data: Labelled, console: Console) -> None:
    """Warns of labels that the model does not know, and of what the fit makes of them."""
    from nlpcli.runs.recalibrating import rows_of_unknown

    unknown = sorted({name for names in data.labels for name in names} - set(model.labels))
    if unknown:
        some, rows = ", ".join(map(shown, unknown[:5])), len(rows_of_unknown(model, data))
        console.warn(
            f"{len(unknown)} labels the model does not know: {some}"
            + (f"; every answer to {rows:,} of {len(data.texts):,} rows is wrong" if rows else "")
        )


def _opened(name: str, store: Path | None, console: Console) -> ModelFolder:
    """Raises UsageError for a file, or a folder, of another program."""
    from nlpcli.runs.recalibrating import refusal

    if of_another_program(name, store):
        raise refusal(name)
    return open_model(name, store, console)


def _target(name: str, output: str | None) -> str:
    """What the new model is called. Raises UsageError, CannotCreate for a path that is taken."""
    from nlpcli.store.store import parse_spec

    spec = parse_spec(name)
    if output is None:
        if spec.name is None:
            raise UsageError(
                f"--calibrate: {name} is a path, which is never changed: --output is missing",
                hint="--output NEW",
            )
        return spec.name
    place = parse_spec(output).path
    if place is not None and os.path.lexists(place):
        raise CannotCreate(f"{output}: exists already, wanted a new place")
    return output


def rows_for(path: str, model: Classifier, options: Options, reject: Reject | None) -> Labelled:
    """Labelled rows as eval reads those of a classifier. Raises InputMissing, DataError."""
    from nlpcli.data.labelled import read_labelled
    from nlpcli.data.rows import RowFormat

    separator = (options["label_separator"] or model.separator) if model.multi_label else None
    fmt = RowFormat(
        format=options["format"], header=options["header"], on_error=options["on_error"],
        max_field=options["max_field"] << 20, label_separator=separator,
        label_prefix=options["label_prefix"],
    )  # fmt: skip
    columns = {name: options[name] for name in ("text_column", "text_b_column", "label_column")}
    return read_labelled(
        path, fmt, **columns, label_separator=separator, keep_blank=True, on_reject=reject
    )


def texts_in(path: str, options: Options, reject: Reject | None) -> list[str]:
    """Texts (or pairs) of rows without a label. Raises InputMissing, DataError."""
    from nlpcli.data.pairs import texts_of
    from nlpcli.data.rows import RowFormat, open_rows

    fmt = RowFormat(
        format=options["format"], header=options["header"], on_error=options["on_error"],
        max_field=options["max_field"] << 20, label_prefix=options["label_prefix"],
        label_separator=" " if options["format"] == "fasttext" else None,
    )  # fmt: skip
    rows = open_rows(path, fmt, reject)
    at, second = rows.column(options["text_column"]), options["text_b_column"]
    other = None if second is None else rows.column(second)
    found = [text for batch in rows.batches() for text in texts_of(batch.rows, at, other)]
    if not found:
        raise DataError(f"{path}: no rows")
    return found


def decisions(
    model: Classifier, data: Labelled, probabilities: Any, options: Options,
    reject: RejectFile | None,
) -> tuple[dict[str, Any], str]:  # fmt: skip
    """What eval says of answering only some rows, of label sets, and of rows out of scope: parts
    of the document, and lines of the table. Raises UsageError, InputMissing, DataError."""
    import numpy as np

    from nlpcli.evaluation.abstention import risk_document
    from nlpcli.runs.deciding import label_set_document, true_numbers

    level, outside = options["conformal"], options["out_of_scope"]
    if model.multi_label:
        from nlpcli.commands.controlled_sets import decided_labels

        calibration = functools.partial(rows_for, model=model, options=options, reject=reject)
        return decided_labels(model, data, probabilities, options, calibration)
    true = true_numbers(model, data.labels)
    right = probabilities.argmax(axis=1) == true
    document = risk_document(probabilities.max(axis=1), right, n_rows=len(right))
    if level is not None:
        quantile, rows = _quantile(model, level, options, reject)
        document |= label_set_document(model, probabilities, true, level, quantile, rows)
    if outside is not None:
        from nlpcli.data.rows import naming
        from nlpcli.evaluation.out_of_scope import out_of_scope_metrics

        texts = texts_in(outside, options, naming(reject, outside, options["test"]))
        top = model.probabilities(texts).max(axis=1)
        metrics, about = out_of_scope_metrics(np.asarray(probabilities.max(axis=1)), top)
        document |= {**metrics, "out_of_scope": {"rows": len(texts), **about}}
    return document, _decision_lines(document)


def _quantile(
    model: Classifier, level: float, options: Options, reject: RejectFile | None
) -> tuple[float, int]:
    """Of the scores of the calibration file, or kept by the model; and how many rows these were."""
    from nlpcli.commands.controlled_sets import too_few
    from nlpcli.data.rows import naming
    from nlpcli.evaluation.conformal import conformal_quantile, fewest_rows, true_scores
    from nlpcli.runs.deciding import true_numbers

    path = options["calibration_file"]
    if path is None:
        return kept_quantile(model, level, "--conformal", "--calibration-file CAL")
    rows = rows_for(path, model, options, naming(reject, path, options["test"]))
    scores = true_scores(true_numbers(model, rows.labels), model.probabilities(rows.texts))
    if len(scores) < fewest_rows(level):
        raise too_few(level, path, len(scores))
    return conformal_quantile(scores, level), len(scores)


def _decision_lines(document: dict[str, Any]) -> str:
    lines = []
    if "conformal" in document:
        about, held = document["conformal"], document["conformal_coverage"]
        lines += [
            "", f"label sets for {about['level']:.1%} of the rows, by {about['rows']:,} labelled "
            "rows:",
            f"  hold the true label of {held['value']:.1%} "
            f"({held['low']:.1%} – {held['high']:.1%})",
            f"  {about['mean_set_size']:.2f} labels on average; {about['singletons']:.1%} of the "
            f"sets have one, {about['empty']:.1%} none",
        ]  # fmt: skip
    if "out_of_scope" in document:
        about = document["out_of_scope"]
        area, false = document["out_of_scope_auroc"], document["out_of_scope_fpr95"]
        lines += [
            "", f"{about['rows']:,} rows out of scope against these, by the top probability:",
            f"  AUROC {area['value']:.4f}; {false['value']:.1%} pass where 95 % of the others do "
            f"(from {about['threshold_95_recall']})",
            f"  --abstain-below {about['suggested_threshold']} answers "
            f"{about['in_scope_answered']:.1%} of the rows in scope, "
            f"{about['out_of_scope_answered']:.1%} of those out of it",
        ]  # fmt: skip
    return "\n".join(lines) + "\n" if lines else ""
