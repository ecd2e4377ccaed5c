"""What predict and eval share about models that answer with a number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nlpcli.commands.embedding import refuse_options

if TYPE_CHECKING:
    from typing_extensions import TypeIs

    from nlpcli.runs.encoder_regressor import EncoderRegressor, ScoreColumn


def is_regressor(opened: object) -> TypeIs[EncoderRegressor]:
    """Whether a model answers with a number; by its name, so that nothing is imported to see it."""
    return type(opened).__name__ == "EncoderRegressor"


def score_column(
    regressor: EncoderRegressor, options: dict[str, Any], for_labels: dict[str, Any]
) -> ScoreColumn:
    """The column of predict. Raises UsageError for an option ``for_labels``."""
    from nlpcli.runs.encoder_regressor import ScoreColumn

    unused = {name: value for name, value in for_labels.items() if name != "explain"}
    refuse_options(options, unused, "the model answers with a number, it has no labels")
    return ScoreColumn(regressor, options["prefix"], options["explain"])


def number_table(document: dict[str, Any]) -> str:
    """The document of eval for people: a line a metric."""
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
