"""eval: labelled rows in, metrics out."""

from __future__ import annotations

from dataclasses import replace
from json import dumps
from typing import Any

import typer

from nlpcli.commands import calibrating
from nlpcli.commands import eval_options as own
from nlpcli.commands.eval_candidates import (
    check_candidates,
    expect_better,
    measure_all,
    rendered,
    tell_unknown,
)
from nlpcli.commands.eval_robustness import (
    STRENGTHS,
    asked_robustness,
    output_file,
    with_robustness,
)
from nlpcli.commands.opening import refuse_same_file
from nlpcli.commands.reporting import write_report
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
  nlpcli eval -m reviews sample_data/reviews_en_test.csv --robustness \\
      --write-adversarial hard.csv
  nlpcli eval -m reviews sample_data/reviews_en_test.csv --slices \\
      --slice-by label --report report.html
  nlpcli eval -m reviews sample_data/reviews_en_test.csv \\
      --calibrate temperature
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
    task: opt.TaskOf = None,
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
    robustness: own.Robustness = False,
    strengths: own.Strengths = STRENGTHS,
    perturbations: own.Perturbations = None,
    robustness_rows: own.RobustnessRows = 5000,
    attack_rows: own.AttackRows = 200,
    attack_queries: own.AttackQueries = 200,
    write_adversarial: own.WriteAdversarial = None,
    slices: own.Slices = False,
    slice_by: own.SliceBy = None,
    slice_rows: own.SliceRows = 20,
    calibrate: calibrating.Calibrate = None,
    output: calibrating.Output = None,
    conformal: calibrating.Conformal = None,
    calibration_file: calibrating.CalibrationFile = None,
    out_of_scope: calibrating.OutOfScope = None,
    report: own.Report = None,
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
    precision: opt.AnswerPrecision = opt.AnswerPrecisionName.auto,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
    no_color: opt.NoColor = False,
    context: typer.Context,
) -> None:
    """Measure a model: a classifier on labelled rows, word vectors on words, others on text.

    Word vectors are measured by analogies (four words a line, sections begin with a colon; as
    questions-words.txt) or by pairs of words with a score (as WordSim-353), case set aside. A
    language model is measured by its perplexity on texts, a sentence a line or row. A tagger of
    words is measured by the entities that it finds, as conlleval does; a model of spans by those
    whose borders and label are right, by borders alone (identification), and by its relations; a
    regression by Pearson's and Spearman's correlation and its errors; a model that answers
    questions by exact match and F1 of its answers as SQuAD's script does, of Chinese by characters
    as that of CMRC 2018. --slices tells of rows in which a model is worse than in the others beyond
    chance (Fisher's exact test, by Holm), where rows are right or wrong: not of numbers, language
    models and word vectors.

    Several -m of one kind, or files of --predictions (they come after the models), are compared on
    the same rows, by Holm for all pairs: exact McNemar (accuracy, exact match), else by swapping
    answers at random (F1 of a tagger's entities and of spans, Pearson's correlation, bits per
    character of language models, Spearman's of word pairs); paired bootstrap, and what each model
    costs. Files hold the truth and a column whose end tells what it is: predicted_label, or
    predicted_labels with --label-separator, _score, _answer, _spans, _tags.

    --robustness asks a classifier again about texts with one edit in a share of the words: typos,
    keyboard (a key beside), case, spaces, homoglyphs, punctuation, order, deletion, same-sound and
    same-shape (Chinese). The same file and --seed give the same texts, whatever the model. Then it
    searches the worst change of some rows, a word at a time, and counts the words that matter.

    --calibrate fits a classifier's probabilities to the rows, by a scale for all logits or by
    isotonic regression of the top label's probability, and saves that as a new version; what it
    brings is measured on rows that the fit has not seen. --conformal tells how often sets of labels
    (predict --label-set) hold the true one, and how large they are; of several labels a text,
    which --threshold finds so much of them.
    """
    conditions = [parse_condition(text, "--fail-under") for text in fail_under or []]
    console = Console(quiet=quiet, verbose=verbose, no_color=no_color)
    calibrating.check_calibrating(context.params)
    check_candidates(context.params)
    asked = asked_robustness(context.params)
    outputs = {"--rejects": rejects, "--write-adversarial": write_adversarial, "--report": report}
    inputs = {"TEST": test, **{f"--model {n}": n for n in model or []}}
    inputs |= {f"--predictions {n}": n for n in predictions or []}
    inputs |= {"--calibration-file": calibration_file, "--out-of-scope": out_of_scope}
    refuse_same_file(inputs, outputs)
    if calibrate is not None:
        with RejectFile(rejects, console) as reject:
            document, table = calibrating.calibrate_model(context, console, reject)
        typer.echo(dumps(document, allow_nan=False) if json else table, nl=json)
        return
    with (
        RejectFile(rejects, console) as reject,
        output_file(report) as page,
        output_file(write_adversarial) as stream,
    ):
        candidates = measure_all(context, console, reject)
        reject.close()
        if asked is not None:
            opened, found = candidates[0].opened, candidates[0].measured
            found = with_robustness(opened, found, asked, context.params, stream, console)
            candidates = [replace(candidates[0], measured=found)]
        document, table = rendered(candidates, context.params)
        write_report(page, candidates, document, context.params, console)
    tell_unknown(candidates, console)
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
