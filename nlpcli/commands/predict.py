"""predict: rows in, rows with predictions out, streaming."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from nlpcli.commands import cascading, drifting, label_sets
from nlpcli.commands.embedding import Pooling, Vectors
from nlpcli.commands.opening import refuse_same_file, tell_long
from nlpcli.commands.predict_answers import EXPLAINED, PREFIX, answers_of
from nlpcli.commands.predict_output import (
    OutputFormat,
    Sink,
    column_of,
    row_format,
    sink_for,
)
from nlpcli.commands.selecting import Select, batches_of
from nlpcli.shell import options as opt
from nlpcli.shell.console import Console, RejectFile

if TYPE_CHECKING:
    from nlpcli.data.rows import RowBatch

EXAMPLES = """\b
Examples:
  nlpcli predict -m reviews sample_data/new_messages.csv
  nlpcli predict -m reviews --top-k 2 --only < sample_data/new_messages.csv
  nlpcli predict -m reviews --select 5 sample_data/new_messages.csv
"""


def predict(
    input: Annotated[str, typer.Argument(help="Rows; - or left out: stdin.")] = "-",
    *,
    model: opt.Model,
    output: Annotated[
        str, typer.Option("--output", "-o", help="Written beside it, renamed when complete.")
    ] = "-",
    store: opt.Store = None,
    task: opt.TaskOf = None,
    text_column: opt.TextColumn = "text",
    text_b_column: opt.TextBColumn = None,
    top_k: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Labels or answers a row, best first [default: 1; multi-label: by --threshold].",
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(help="Of several labels; or a lead above which no answer is given."),
    ] = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Add one column a label.")
    ] = False,
    abstain_below: Annotated[
        float, typer.Option(min=0, max=1, help="Leave the label empty below this probability.")
    ] = 0.0,
    abstain_error: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Or where more than this share would be wrong."),
    ] = None,
    label_set: label_sets.LabelSet = None,
    explain: Annotated[
        int,
        typer.Option(
            min=0, help="Add the N n-grams, or words, that move the label or number most."
        ),
    ] = 0,
    cascade: cascading.Small = None,
    cascade_above: cascading.Above = None,
    cascade_dev: cascading.Dev = None,
    label_column: opt.LabelColumn = "label",
    cascade_loss: cascading.Loss = cascading.LOSS,
    select: Select = None,
    embed: Annotated[
        Pooling | None, typer.Option(help="Of an encoder: add the text's vector, embedding.")
    ] = None,
    words: Annotated[
        bool, typer.Option("--words", help="A row for each word: row,word,start,end,embedding.")
    ] = False,
    only: Annotated[bool, typer.Option("--only", help="Drop the input columns.")] = False,
    prefix: Annotated[str, typer.Option(help="Of the added columns.")] = PREFIX,
    output_format: Annotated[OutputFormat, typer.Option(help="Of the output.")] = OutputFormat.csv,
    spreadsheet_safe: Annotated[
        bool, typer.Option("--spreadsheet-safe", help="Put ' before cells that look like formulas.")
    ] = False,
    format: opt.Format = None,
    label_prefix: opt.LabelPrefix = opt.LABEL_PREFIX,
    header: opt.Header = True,
    on_error: opt.ErrorMode = opt.OnError.fail,
    rejects: opt.Rejects = None,
    max_field: opt.MaxField = 64,
    line_buffered: Annotated[
        bool, typer.Option("--line-buffered", help="Write out each row as it is answered.")
    ] = False,
    drift: drifting.Drift = None,
    fail_on_drift: drifting.FailOnDrift = False,
    drift_level: drifting.DriftLevel = drifting.LEVEL,
    device: opt.Device = "auto",
    precision: opt.AnswerPrecision = opt.AnswerPrecisionName.auto,
    threads: opt.Threads = None,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
    no_color: opt.NoColor = False,
    context: typer.Context,
) -> None:
    """Add predictions to rows: one output row for each input row, in order.

    A regression adds predicted_score, a language model log10_probability and perplexity, a tagger
    predicted_tags, one a word: a list as JSON where the words are one, else joined by blanks. A
    model of spans adds predicted_spans, a list as JSON (start, end, label, score: code points of a
    text, else words), and predicted_relations where it knows some. A model that answers questions
    (columns question and context) adds predicted_answer, answer_start, in code points, and
    predicted_probability; no answer is empty and starts at -1. --threshold sets by how much the
    score of no answer must exceed that of the best one (SQuAD 2's null_score_diff_threshold), for
    models that always answer too; it is tuned in training. --explain adds
    predicted_explanation: what n-grams add to the label's logit, or of an encoder how far the
    label's log-odds, or a regression's number, fall with a word masked (with runs of words where a
    text has more than 64).
    --cascade adds predicted_by, small or encoder. --label-set 0.9 adds predicted_set: the labels
    among which the true one is in 90 % of rows like those of eval --calibrate, the likeliest first,
    joined by ; (none where no label is likely).

    An encoder gives vectors: --embed cls is the last layer's first position, mean the mean of the
    last layer over all pieces, [CLS] and [SEP] too, last4 (which --words takes) the same of the
    mean of the last four layers; a word's vector is the mean over its pieces. -o FILE.npy: vectors
    alone, float32.

    --select reads all rows and writes the N most worth a label: the model is unsure of them, and
    they are unlike each other.
    """
    from nlpcli.data.rows import open_rows

    begun = time.monotonic()
    console = Console(quiet=quiet, verbose=verbose, no_color=no_color)
    opt.expect_input(input)
    refuse_same_file(
        {"INPUT": input, "--model": model, "--cascade-dev": cascade_dev, "--cascade": cascade},
        {"--output": output, "--rejects": rejects, "--drift": drift},
    )
    cascading.check_cascading(context.params)
    drifting.check_drifting(context.params)
    answers = answers_of(context, store, console)
    with ExitStack() as stack:
        drifted = stack.enter_context(drifting.drift_file(answers, context.params))
        reject = stack.enter_context(RejectFile(rejects, console))
        stream: BinaryIO = sys.stdout.buffer
        if output != "-":
            from nlpcli.store.atomic import AtomicFile

            stream = stack.enter_context(AtomicFile(Path(output)))
        rows = open_rows(input, row_format(answers, context.params), reject)
        at = column_of(rows, answers, context.params)
        sink = sink_for(answers, rows, at, stream, context.params)
        count = _write_answers(
            batches_of(rows, answers, at, context.params), sink, stream, header=header,
            line_buffered=line_buffered, at_once=EXPLAINED if explain else 0,
        )  # fmt: skip
        reject.close()
    if isinstance(answers, Vectors):
        answers.warn_of_cut(console)
    tell_long(getattr(answers, "model", None), console)
    drifting.tell_drift(drifted, context.params, console)
    console.detail(f"{count:,} rows in {time.monotonic() - begun:.2f} s")


def _write_answers(
    batches: Iterator[RowBatch], sink: Sink, stream: BinaryIO, *, header: bool, line_buffered: bool,
    at_once: int = 0,
) -> int:  # fmt: skip
    """Reads, answers and writes batch by batch; each is flushed before the next is awaited."""
    if header:
        sink.begin()
        stream.flush()
    count = 0
    for batch in batches:
        step = 1 if line_buffered else at_once or max(1, len(batch.rows))
        for at in range(0, len(batch.rows), step):
            part = batch.rows[at : at + step]
            sink.write(part)
            stream.flush()
            count += len(part)
    sink.end()
    return count
