"""eval: labelled rows in, metrics out."""

from __future__ import annotations

import json as json_module
from typing import Annotated, Any

import typer

from nlpcli.commands.opening import open_classifier, refuse_same_file
from nlpcli.errors import NegativeAnswer
from nlpcli.runs.conditions import Condition, check_metric, parse_condition
from nlpcli.shell import options as opt
from nlpcli.shell.console import Console, RejectFile

EXAMPLES = """\b
Examples:
  nlpcli eval -m reviews sample_data/reviews_en_test.csv
  nlpcli eval -m reviews sample_data/reviews_en_test.csv --json \\
      --fail-under 'macro_f1=0.5'
"""
_HEADLINE = (
    "accuracy", "macro_precision", "macro_recall", "macro_f1", "micro_f1", "weighted_f1", "mcc",
    "log_loss", "ece", "ece_uncalibrated", "subset_accuracy", "hamming_loss", "precision_at_1",
    "recall_at_1", "precision_at_3", "recall_at_3", "precision_at_5", "recall_at_5",
)  # fmt: skip
_LONGEST_TABLE = 40


def evaluate(
    test: Annotated[str, typer.Argument(help="Labelled rows; - for stdin.")],
    *,
    model: opt.Model,
    store: opt.Store = None,
    text_column: opt.TextColumn = "text",
    label_column: opt.LabelColumn = "label",
    label_separator: opt.LabelSeparator = None,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Multi-label [default: the tuned one].")
    ] = None,
    fail_under: Annotated[
        list[str] | None, typer.Option(help="METRIC=X: exit 1 below X; may be repeated.")
    ] = None,
    resamples: Annotated[
        int, typer.Option(min=10, max=100000, help="Of the bootstrap intervals.")
    ] = 1000,
    seed: opt.Seed = 1,
    format: opt.Format = None,
    label_prefix: opt.LabelPrefix = opt.LABEL_PREFIX,
    header: opt.Header = True,
    on_error: opt.ErrorMode = opt.OnError.fail,
    rejects: opt.Rejects = None,
    max_field: opt.MaxField = 64,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
    no_color: opt.NoColor = False,
) -> None:
    """Measure a model on labelled rows."""
    from nlpcli.data.labelled import read_labelled
    from nlpcli.data.rows import RowFormat
    from nlpcli.runs.scoring import ece_uncalibrated, score

    conditions = [parse_condition(text, "--fail-under") for text in fail_under or []]
    console = Console(quiet=quiet, verbose=verbose, no_color=no_color)
    refuse_same_file({"TEST": test, "--model": model}, {"--rejects": rejects})
    reject = RejectFile(rejects, console)
    classifier = open_classifier(model, store, console)
    separator = (label_separator or classifier.separator) if classifier.multi_label else None
    fmt = RowFormat(
        format=format,
        header=header,
        on_error=on_error,
        max_field=max_field << 20,
        label_separator=separator,
        label_prefix=label_prefix,
    )
    rows = read_labelled(
        test, fmt, text_column=text_column, label_column=label_column,
        label_separator=separator, keep_blank=True, on_reject=reject,
    )  # fmt: skip
    reject.close()
    probabilities = classifier.probabilities(rows.texts)
    document = score(
        classifier, probabilities, rows.labels, threshold=threshold, resamples=resamples, seed=seed
    )
    before = ece_uncalibrated(
        classifier, probabilities, rows.labels, resamples=resamples, seed=seed
    )
    if before is not None:
        document["ece_uncalibrated"] = before
    if document.get("unknown_labels"):
        unknown = document["unknown_labels"]
        console.warn(f"{len(unknown)} labels the model does not know: {', '.join(unknown[:5])}")
    typer.echo(json_module.dumps(document, allow_nan=False) if json else _table(document), nl=json)
    _check_conditions(document, conditions)


def _check_conditions(document: dict[str, Any], conditions: list[Condition]) -> None:
    names = [k for k, v in document.items() if isinstance(v, dict) and "value" in v]
    for condition in conditions:
        check_metric(condition.metric, names, "--fail-under")
        failure = condition.failure(document[condition.metric]["value"])
        if failure:
            raise NegativeAnswer(failure)


def _table(document: dict[str, Any]) -> str:
    """The document for people: headline metrics with intervals, then a line a label."""
    lines = [f"{document['n']:,} rows; 95 % intervals by bootstrap", ""]
    for name in _HEADLINE:
        metric = document.get(name)
        if metric is None:
            continue
        if metric["value"] is None:
            lines.append(f"{name:<16}  undefined")
        else:
            low, high = (f"{metric[k]:.4f}" for k in ("low", "high"))
            lines.append(f"{name:<16} {metric['value']:7.4f}  {low} – {high}")
    per_label = document.get("per_label", {})
    ranked = sorted(per_label.items(), key=lambda item: (-item[1]["support"], item[0]))
    width = max([5, *(len(name) for name, _ in ranked[:_LONGEST_TABLE])])
    lines += ["", f"{'label':<{width}}  precision  recall      f1  support"]
    for name, row in ranked[:_LONGEST_TABLE]:
        lines.append(
            f"{name:<{width}}  {row['precision']:9.4f} {row['recall']:7.4f} {row['f1']:7.4f} "
            f"{row['support']:8,}"
        )
    if len(ranked) > _LONGEST_TABLE:
        lines.append(f"… {len(ranked) - _LONGEST_TABLE} more labels: --json has them all")
    return "\n".join(lines) + "\n"
