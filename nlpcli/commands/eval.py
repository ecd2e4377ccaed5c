"""eval: labelled rows in, metrics out."""

from __future__ import annotations

import json as json_module
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nlpcli.commands.opening import check_asked, for_encoders, open_measurable, refuse_same_file
from nlpcli.commands.regression import is_regressor, measured_numbers
from nlpcli.commands.tagging import is_tagger, word_columns
from nlpcli.errors import NegativeAnswer, UsageError, shown
from nlpcli.runs.conditions import Condition, check_metric, parse_condition
from nlpcli.shell import options as opt
from nlpcli.shell.console import Console, RejectFile

if TYPE_CHECKING:
    from nlpcli.data.rows import RowFormat
    from nlpcli.store.classifier import Classifier

EXAMPLES = """\b
Examples:
  nlpcli eval -m reviews sample_data/reviews_en_test.csv
  nlpcli eval -m reviews sample_data/reviews_en_test.csv --json \\
      --fail-under 'macro_f1=0.5'
  nlpcli eval -m reviews-lm sample_data/reviews_en_test.csv
  nlpcli eval -m sample_data/words_en.vec sample_data/word_pairs_en.tsv
  nlpcli eval -m sample_data/words_en.vec sample_data/analogies_en.txt
"""
_HEADLINE = (
    "entity_precision", "entity_recall", "entity_f1", "accuracy", "sentence_accuracy",
    "macro_precision", "macro_recall", "macro_f1", "micro_f1", "weighted_f1", "mcc",
    "log_loss", "ece", "ece_uncalibrated", "subset_accuracy", "hamming_loss", "precision_at_1",
    "recall_at_1", "precision_at_3", "recall_at_3", "precision_at_5", "recall_at_5",
)  # fmt: skip
_LONGEST_TABLE = 40


def evaluate(
    test: Annotated[
        str,
        typer.Argument(
            help="Labelled rows; analogies or word pairs; texts, by the model; - for stdin."
        ),
    ],
    *,
    model: opt.Model,
    store: opt.Store = None,
    text_column: opt.TextColumn = "text",
    text_b_column: opt.TextBColumn = None,
    label_column: opt.LabelColumn = "label",
    label_separator: opt.LabelSeparator = None,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Multi-label [default: the tuned one].")
    ] = None,
    fail_under: Annotated[
        list[str] | None, typer.Option(help="METRIC=X: exit 1 below X; may be repeated.")
    ] = None,
    vocab_limit: Annotated[
        int | None,
        typer.Option(min=1, help="Word vectors: only the first N words are known, and answer."),
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
    threads: opt.Threads = None,
    device: opt.Device = "auto",
    precision: opt.Precision = opt.PrecisionName.auto,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
    no_color: opt.NoColor = False,
    context: typer.Context,
) -> None:
    """Measure a model: a classifier on labelled rows, word vectors on words, others on text.

    Word vectors are measured by analogies (four words a line, sections begin with a colon; as
    questions-words.txt) or by pairs of words with a score (as WordSim-353), case set aside. A
    language model is measured by its perplexity on texts, a sentence a line or row. A tagger of
    words is measured by its entities, as conlleval does; a regression by correlations and errors.
    """
    from nlpcli.data.rows import RowFormat
    from nlpcli.models.word_vectors import WordVectors
    from nlpcli.store.language_model import LanguageModel

    conditions = [parse_condition(text, "--fail-under") for text in fail_under or []]
    console = Console(quiet=quiet, verbose=verbose, no_color=no_color)
    refuse_same_file({"TEST": test, "--model": model}, {"--rejects": rejects})
    reject = RejectFile(rejects, console)
    opened = open_measurable(model, store, console, **for_encoders(context.params))
    check_asked(opened, context)
    if isinstance(opened, WordVectors):
        from nlpcli.runs.word_scoring import score_words

        _refuse_for_labels(threshold, label_separator, format, "word vectors")
        document = score_words(
            opened, test, limit=vocab_limit, resamples=resamples, seed=seed, on_error=on_error,
            max_field=max_field << 20, on_reject=reject,
        )  # fmt: skip
        text = _word_table(document)
    elif isinstance(opened, LanguageModel) and not opened.labels:
        from nlpcli.runs.language_scoring import score_language

        _refuse_for_labels(threshold, label_separator, None, "a language model")
        fmt = RowFormat(
            format=format, otherwise="text", header=header, on_error=on_error,
            max_field=max_field << 20, label_prefix=label_prefix,
        )  # fmt: skip
        document = score_language(
            opened, test, fmt, text_column=text_column, resamples=resamples, seed=seed,
            on_reject=reject,
        )  # fmt: skip
        text = _language_table(document)
    elif is_tagger(opened):
        from nlpcli.runs.token_tagger import score_tags

        _refuse_for_labels(threshold, label_separator, None, "a tagger of words")
        fmt = RowFormat(format=format, header=header, on_error=on_error, max_field=max_field << 20)
        document = score_tags(
            opened, test, fmt, **word_columns(text_column, label_column), resamples=resamples,
            seed=seed, on_reject=reject,
        )  # fmt: skip
        text = _table(document)
    elif is_regressor(opened):
        document, text = measured_numbers(opened, test, context.params, reject)
    else:
        if vocab_limit is not None:
            raise UsageError(f"--vocab-limit {vocab_limit}: {model} is a classifier")
        separator = (label_separator or opened.separator) if opened.multi_label else None
        fmt = RowFormat(
            format=format, header=header, on_error=on_error, max_field=max_field << 20,
            label_separator=separator, label_prefix=label_prefix,
        )  # fmt: skip
        document = _score_rows(
            opened, test, fmt, reject, text_column=text_column, text_b_column=text_b_column,
            label_column=label_column, threshold=threshold, resamples=resamples, seed=seed,
        )  # fmt: skip
        text = _table(document)
    reject.close()
    if document.get("unknown_labels"):
        unknown = document["unknown_labels"]
        console.warn(f"{len(unknown)} labels the model does not know: {', '.join(unknown[:5])}")
    typer.echo(json_module.dumps(document, allow_nan=False) if json else text, nl=json)
    _check_conditions(document, conditions)


def _score_rows(
    classifier: Classifier,
    test: str,
    fmt: RowFormat,
    reject: RejectFile,
    *,
    text_column: str,
    text_b_column: str | None,
    label_column: str,
    threshold: float | None,
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    from nlpcli.data.labelled import read_labelled
    from nlpcli.runs.scoring import ece_uncalibrated, score

    rows = read_labelled(
        test, fmt, text_column=text_column, text_b_column=text_b_column, label_column=label_column,
        label_separator=fmt.label_separator, keep_blank=True, on_reject=reject,
    )  # fmt: skip
    probabilities = classifier.probabilities(rows.texts)
    document = score(
        classifier, probabilities, rows.labels, threshold=threshold, resamples=resamples, seed=seed
    )
    before = ece_uncalibrated(
        classifier, probabilities, rows.labels, resamples=resamples, seed=seed
    )
    if before is not None:
        document["ece_uncalibrated"] = before
    return document


def _refuse_for_labels(
    threshold: float | None,
    label_separator: str | None,
    format: opt.InputFormat | None,
    kind: str,
) -> None:
    """Raises UsageError for what only classifiers have."""
    given = {"threshold": threshold, "label-separator": label_separator, "format": format}
    for name, value in given.items():
        if value is not None:
            raise UsageError(f"--{name} {value}: the model has no labels, it is {kind}")


def _check_conditions(document: dict[str, Any], conditions: list[Condition]) -> None:
    names = [k for k, v in document.items() if isinstance(v, dict) and "value" in v]
    for condition in conditions:
        check_metric(condition.metric, names, "--fail-under")
        failure = condition.failure(document[condition.metric]["value"])
        if failure:
            raise NegativeAnswer(failure)


def _table(document: dict[str, Any]) -> str:
    """The document for people: headline metrics with intervals, then a line a label."""
    more = "".join(f", {document[k]:,} {k}" for k in ("words", "entities") if k in document)
    lines = [f"{document['n']:,} rows{more}; 95 % intervals by bootstrap", ""]
    for name in _HEADLINE:
        if document.get(name) is not None:
            lines.append(_metric_line(name, document[name]))
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


def _metric_line(name: str, metric: dict[str, Any]) -> str:
    if metric["value"] is None:
        return f"{name:<16}  undefined"
    if metric["low"] is None:
        return f"{name:<16} {metric['value']:7.4f}"
    return f"{name:<16} {metric['value']:7.4f}  {metric['low']:.4f} – {metric['high']:.4f}"


def _language_table(document: dict[str, Any]) -> str:
    """The document for people."""
    lines = [
        f"{document['n']:,} tokens, ends of sentences too, of {document['sentences']:,} sentences; "
        f"{document['unknown_words']:,} unknown words; 95 % intervals by bootstrap",
        "",
    ]
    metrics = {k: v for k, v in document.items() if isinstance(v, dict)}
    width = max(map(len, metrics))
    for name, metric in metrics.items():
        shown_as = "{:.4f}" if "perplexity" not in name else "{:.2f}"
        cells = [shown_as.format(v) for v in metric.values() if v is not None]
        infinite = "infinite" if "perplexity" in name or "bits" in name else "undefined"
        more = f"  {cells[1]} – {cells[2]}" if len(cells) == 3 else ""
        lines.append(f"{name:<{width}} {cells[0] if cells else infinite:>10}{more}")
    return "\n".join(lines) + "\n"


def _word_table(document: dict[str, Any]) -> str:
    """The document for people: correlations, or accuracy in all and by section."""
    n, total = document["n"], document.get("questions", document.get("pairs"))
    what = "questions" if document["task"] == "analogies" else "pairs"
    lines = [
        f"{n:,} of {total:,} {what}, {document['out_of_vocabulary']:,} with words out of "
        f"vocabulary ({document['vocabulary']:,} words); 95 % intervals by bootstrap",
    ]
    if document.get("by_subwords"):
        lines.append(f"{document['by_subwords']:,} with words known by their sub-words alone")
    lines.append("")
    names = ("accuracy",) if document["task"] == "analogies" else ("spearman", "pearson")
    lines += [_metric_line(name, document[name]) for name in names]
    sections = document.get("per_section", {})
    if sections:
        width = max([7, *(len(shown(name)) for name in sections)])
        lines += ["", f"{'section':<{width}}  accuracy  correct        n  out of vocabulary"]
    for name, row in sections.items():
        value = row["accuracy"]["value"]
        share = "undefined" if value is None else f"{value:.4f}"
        lines.append(
            f"{shown(name):<{width}} {share:>9}  {row['correct']:7,}  {row['n']:7,}  "
            f"{row['out_of_vocabulary']:17,}"
        )
    return "\n".join(lines) + "\n"
