"""What predict and eval share about models that answer with a number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nlpcli.commands.embedding import refuse_options

if TYPE_CHECKING:
    from typing_extensions import TypeIs

    from nlpcli.runs.encoder_regressor import EncoderRegressor
    from nlpcli.shell.console import RejectFile


def is_regressor(opened: object) -> TypeIs[EncoderRegressor]:
    """Whether a model answers with a number; by its name, so that nothing is imported to see it."""
    return type(opened).__name__ == "EncoderRegressor"


def measured_numbers(
    regressor: EncoderRegressor, test: str, options: dict[str, Any], reject: RejectFile
) -> tuple[dict[str, Any], str]:
    """The document of eval, and the same for people. Raises UsageError for an option that wants
    labels, InputMissing, DataError."""
    from nlpcli.data.rows import RowFormat
    from nlpcli.runs.encoder_regressor import score_numbers

    wanting = {"threshold": None, "label_separator": None, "vocab_limit": None}
    refuse_options(options, wanting, "the model answers with a number, it has no labels")
    fmt = RowFormat(
        format=options["format"], header=options["header"], on_error=options["on_error"],
        max_field=options["max_field"] << 20, label_prefix=options["label_prefix"],
    )  # fmt: skip
    names = ("text_column", "text_b_column", "label_column", "resamples", "seed")
    given = {name: options[name] for name in names}
    document = score_numbers(regressor, test, fmt, **given, on_reject=reject)
    return document, _table(document)


def _table(document: dict[str, Any]) -> str:
    """A line a metric."""
    lines = [f"{document['n']:,} rows; 95 % intervals by bootstrap", ""]
    for name, metric in document.items():
        if not isinstance(metric, dict):
            continue
        value, low, high = (metric[part] for part in ("value", "low", "high"))
        cells = "undefined" if value is None else f"{value:11.6g}"
        if low is not None:
            cells += f"  {low:.6g} – {high:.6g}"
        lines.append(f"{name:<9} {cells}")
    return "\n".join(lines) + "\n"
