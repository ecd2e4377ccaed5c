"""How eval measures a file of predictions that were made elsewhere, whatever they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nlpcli.commands.asking import answer_table
from nlpcli.commands.eval_measured import (
    Measured,
    Options,
    PlainRows,
    drawing,
    judged,
    row_format,
    sliced_by,
)
from nlpcli.commands.eval_tables import rows_table, slices_table
from nlpcli.commands.regression import number_table
from nlpcli.errors import DataError, UsageError
from nlpcli.shell.console import RejectFile

if TYPE_CHECKING:
    from nlpcli.data.rows import RowFormat, RowStream

UNUSED = ("threshold", "vocab_limit", "conformal", "out_of_scope")
"""Options that a file has no use for."""


def measure_file(path: str, options: Options, reject: RejectFile) -> tuple[str, Measured]:
    """The file's name, and what eval says of it. Raises UsageError, InputMissing, DataError."""
    from nlpcli.data.rows import open_rows
    from nlpcli.runs.predicted_tasks import kind_of_column, predicted_column

    for name in UNUSED:
        if options[name] is not None and not options["model"]:
            raise UsageError(f"--{name.replace('_', '-')} has no meaning for --predictions")
    separator = options["label_separator"]
    fmt = row_format(options, label_separator=separator)
    rows = open_rows(path, fmt, reject)
    usual = "predicted_label" if separator is None else "predicted_labels"
    column = predicted_column(rows.header, options["predicted_column"], usual)
    kind = kind_of_column(column) if separator is None else None
    if kind is None:
        return rows.name, _labels(rows, fmt, column, options, reject)
    if options["probability_column"] is not None:
        raise UsageError(
            f"--probability-column {options['probability_column']}: {rows.name} has {column}, "
            "wanted predictions that are labels"
        )
    if kind == "score" and (options["slice_by"] or options["slices"]):
        flag = "--slice-by" if options["slice_by"] else "--slices"
        raise UsageError(f"{flag}: {rows.name} has {column}, wanted what is right or wrong")
    return rows.name, _others(rows, fmt, column, kind, options, reject)


def _labels(
    rows: RowStream, fmt: RowFormat, column: str, options: Options, reject: RejectFile
) -> Measured:
    from nlpcli.data.predictions import predictions_in
    from nlpcli.runs.comparing import answered_before
    from nlpcli.runs.predictions import confidence_of, score_predictions

    separator = options["label_separator"]
    sliced = bool(options["slices"] or options["slice_by"])
    texts = _text_columns(rows, options, needed=sliced)
    found = predictions_in(
        rows, fmt, label_column=options["label_column"], predicted_column=column,
        probability_column=options["probability_column"],
        other_columns=list(dict.fromkeys([*texts, *(options["slice_by"] or ())])),
        on_reject=reject,
    )  # fmt: skip
    document = score_predictions(found, separator=separator, **drawing(options))
    table, answers = rows_table(document), answered_before(found, separator)
    parts = zip(*(found.columns[name] for name in texts), strict=True)
    joined = ["\n".join(cells) for cells in parts]
    if sliced:
        assert answers.guess is not None
        columns = {name: found.columns[name] for name in options["slice_by"] or ()}
        right = answers.right()
        document["slices"] = sliced_by(right, joined, columns, answers.metric, options)
        table += slices_table(document["slices"])
    seen = PlainRows(joined, found.lines) if joined else None
    sure = confidence_of(found) if separator is None else None
    return Measured(document, table, seen, confidence=sure, answered=answers)


def _text_columns(rows: RowStream, options: Options, *, needed: bool) -> list[str]:
    """Columns of the texts that are to be shown or cut: those asked for, and ``text`` if it is
    there. Raises DataError where they are ``needed`` and not there."""
    first, second = options["text_column"], options["text_b_column"]
    names = [first, *([] if second is None else [second])]
    asked = needed or first != "text" or second is not None
    if not needed and options["report"] is None:
        return []
    if asked:
        for name in names:
            rows.column(name)
        return names
    return [name for name in names if name in rows.header]


def _others(
    rows: RowStream, fmt: RowFormat, column: str, kind: str, options: Options, reject: RejectFile
) -> Measured:
    from nlpcli.runs.judging import Drawing
    from nlpcli.runs.predicted_tasks import Asked, judge_file

    truth, text = options["label_column"], options["text_column"]
    asked = Asked(
        column, None if truth == "label" else truth, None if text == "text" else text,
        options["text_b_column"], fmt, Drawing(**drawing(options)), reject,
        tuple(dict.fromkeys(options["slice_by"] or ())),
    )  # fmt: skip
    tables: dict[str, Any] = {"score": number_table, "answer": answer_table}
    try:
        found = judge_file(rows, asked)
    except DataError as error:  # of what is measured: it knows no file
        if error.message.startswith(rows.name):
            raise
        raise DataError(f"{rows.name}: {error.message}", hint=error.hint) from None
    return judged(found, tables.get(kind, rows_table), None, options)
