"""eval: labelled rows in, metrics out."""

from __future__ import annotations

from json import dumps
from typing import Any

import typer

from nlpcli.commands import eval_options as own
from nlpcli.commands.eval_candidates import (
    check_candidates,
    expect_better,
    measure_all,
    rendered,
)
from nlpcli.commands.opening import refuse_same_file
from nlpcli.errors import NegativeAnswer
from nlpcli.runs.conditions import Condition, check_metric, parse_condition
from nlpcli.shell import options as opt
from nlpcli.shell.console import Console, RejectFile

EXAMPLES = """\b
Examples:
  nlpcli eval -m reviews sample_data/reviews_en_test.csv
  nlpcli eval -m reviews sample_data/reviews_en_test.csv --json \\
      --fail-under 'macro_f1=0.5'
  nlpcli eval -m reviews@1 -m reviews sample_data/reviews_en_test.csv
  nlpcli eval --predictions sample_data/predictions_en.csv
  nlpcli eval -m reviews-lm sample_data/reviews_en_test.csv
  nlpcli eval -m sample_data/words_en.vec sample_data/word_pairs_en.tsv
  nlpcli eval -m sample_data/words_en.vec sample_data/analogies_en.txt
"""


def evaluate(
    test: own.Test = None,
    *,
    model: own.Models = None,
    predictions: own.PredictionFiles = None,
    store: opt.Store = None,
    text_column: opt.TextColumn = "text",
    text_b_column: opt.TextBColumn = None,
    label_column: opt.LabelColumn = "label",
    label_separator: opt.LabelSeparator = None,
    predicted_column: own.PredictedColumn = None,
    probability_column: own.ProbabilityColumn = None,
    threshold: own.Threshold = None,
    fail_under: own.FailUnder = None,
    require_better: own.RequireBetter = False,
    measure_cost: own.MeasureCost = None,
    vocab_limit: own.VocabLimit = None,
    resamples: own.Resamples = 1000,
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
    words is measured by the entities that it finds, as conlleval does; a model that answers
    questions by exact match and F1 of its answers as SQuAD's script does, of Chinese by characters
    as that of CMRC 2018. Several -m, or files of --predictions (they come after the models), are
    compared on the same rows: exact McNemar by Holm for all pairs, paired bootstrap, and what each
    model costs.
    """
    conditions = [parse_condition(text, "--fail-under") for text in fail_under or []]
    console = Console(quiet=quiet, verbose=verbose, no_color=no_color)
    names = [*(model or []), *(predictions or [])]
    check_candidates(context.params)
    inputs = {"TEST": test, **{f"--model {n}": n for n in model or []}}
    inputs |= {f"--predictions {n}": n for n in predictions or []}
    refuse_same_file(inputs, {"--rejects": rejects})
    reject = RejectFile(rejects, console)
    candidates = measure_all(context, console, reject)
    reject.close()
    for candidate in candidates:
        unknown = candidate.measured.document.get("unknown_labels")
        if unknown:
            who = f"{candidate.name}: " if len(names) > 1 else ""
            console.warn(
                f"{who}{len(unknown)} labels the model does not know: {', '.join(unknown[:5])}"
            )
    document, table = rendered(candidates, context.params)
    typer.echo(dumps(document, allow_nan=False) if json else table, nl=json)
    _check_conditions(candidates[-1].measured.document, conditions)
    if require_better:
        expect_better(document)


def _check_conditions(document: dict[str, Any], conditions: list[Condition]) -> None:
    names = [k for k, v in document.items() if isinstance(v, dict) and "value" in v]
    for condition in conditions:
        check_metric(condition.metric, names, "--fail-under")
        failure = condition.failure(document[condition.metric]["value"])
        if failure:
            raise NegativeAnswer(failure)
