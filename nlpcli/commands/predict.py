"""predict: rows in, rows with predictions out, streaming."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Protocol

import typer

from nlpcli.commands import cascading, drifting
from nlpcli.commands.abstaining import abstain_from
from nlpcli.commands.asking import answer_writer, is_answerer, is_asked, question_columns
from nlpcli.commands.embedding import Pooling, Vectors, refuse_options
from nlpcli.commands.opening import (
    check_asked,
    for_encoders,
    open_answerer,
    refuse_same_file,
    tell_long,
)
from nlpcli.commands.tagging import answered_column, is_tagger, row_writer
from nlpcli.errors import DataError
from nlpcli.shell import options as opt
from nlpcli.shell.console import Console, RejectFile

if TYPE_CHECKING:
    from nlpcli.data.conll import ConllWriter
    from nlpcli.data.output import RowWriter
    from nlpcli.data.rows import RowStream
    from nlpcli.data.squad import AnswerWriter
    from nlpcli.runs.answer_columns import Answers
    from nlpcli.runs.language_scoring import SentenceScores
    from nlpcli.runs.question_answerer import AnswerColumns
    from nlpcli.runs.token_tagger import TagColumn
    from nlpcli.store.classifier import Classifier

    Columns = Answers | AnswerColumns | SentenceScores | TagColumn | Vectors

EXAMPLES = """\b
Examples:
  nlpcli predict -m reviews sample_data/new_messages.csv
  nlpcli predict -m reviews --top-k 2 --only < sample_data/new_messages.csv
"""

PREFIX = "predicted_"
EXPLAINED = 128
"""Rows that are written together where each is asked about many times."""
FOR_LABELS = {
    "top_k": 1, "threshold": None, "probabilities": False, "abstain_below": 0.0,
    "abstain_error": None, "explain": 0, "cascade": None, "drift": None,
    "fail_on_drift": False,
}  # fmt: skip
"""Options that mean nothing without labels, as they are where they are not given."""


class OutputFormat(StrEnum):
    """Formats of predictions."""

    csv = "csv"
    jsonl = "jsonl"
    conll = "conll"
    squad = "squad"


def predict(
    input: Annotated[str, typer.Argument(help="Rows; - or left out: stdin.")] = "-",
    *,
    model: opt.Model,
    output: Annotated[
        str, typer.Option("--output", "-o", help="Written beside it, renamed when complete.")
    ] = "-",
    store: opt.Store = None,
    text_column: opt.TextColumn = "text",
    text_b_column: opt.TextBColumn = None,
    top_k: Annotated[int, typer.Option(min=1, help="Labels or answers a row, best first.")] = 1,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Multi-label [default: the best].")
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
    explain: Annotated[
        int,
        typer.Option(min=0, help="Add the N n-grams, or words, that move the label most."),
    ] = 0,
    cascade: cascading.Small = None,
    cascade_above: cascading.Above = None,
    cascade_dev: cascading.Dev = None,
    label_column: opt.LabelColumn = "label",
    cascade_loss: cascading.Loss = cascading.LOSS,
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
    precision: opt.Precision = opt.PrecisionName.auto,
    threads: opt.Threads = None,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
    no_color: opt.NoColor = False,
    context: typer.Context,
) -> None:
    """Add predictions to rows: one output row for each input row, in order.

    A language model adds log10_probability and perplexity, a tagger predicted_tags, one a word: a
    list as JSON where the words are one, else joined by blanks. A model that answers questions
    (columns question and context) adds predicted_answer, answer_start, in code points, and
    predicted_probability; no answer is empty and starts at -1. --explain adds
    predicted_explanation: what n-grams add to the label's logit, or of an encoder how far the
    label's log-odds fall with a word masked (with runs of words where a text has more than 64).
    --cascade adds predicted_by, small or encoder.

    An encoder gives vectors: --embed cls is the last layer's first position, mean the mean of the
    last layer over all pieces, [CLS] and [SEP] too, last4 (which --words takes) the same of the
    mean of the last four layers; a word's vector is the mean over its pieces. -o FILE.npy: vectors
    alone, float32.
    """
    from nlpcli.data.rows import RowFormat, open_rows

    begun = time.monotonic()
    console = Console(quiet=quiet, verbose=verbose, no_color=no_color)
    opt.expect_input(input)
    refuse_same_file(
        {"INPUT": input, "--model": model, "--cascade-dev": cascade_dev, "--cascade": cascade},
        {"--output": output, "--rejects": rejects, "--drift": drift},
    )
    cascading.check_cascading(context.params)
    answers = _answers(context, store, console)
    with ExitStack() as stack:
        reject = RejectFile(rejects, console)
        stream: BinaryIO = sys.stdout.buffer
        if output != "-":
            from nlpcli.store.atomic import AtomicFile

            stream = stack.enter_context(AtomicFile(Path(output)))
        fmt = RowFormat(
            format=format,
            header=header,
            on_error=on_error,
            max_field=max_field << 20,
            label_separator=" " if format == opt.InputFormat.fasttext else None,
            label_prefix=label_prefix,
        )
        rows = open_rows(input, fmt, reject)
        at = _column(rows, answers, context.params)
        sink = _sink(answers, rows, at, stream, context.params)
        count = _write_answers(
            rows, sink, stream, header=header, line_buffered=line_buffered,
            at_once=EXPLAINED if explain else 0,
        )  # fmt: skip
        reject.close()
    if isinstance(answers, Vectors):
        answers.warn_of_cut(console)
    tell_long(getattr(answers, "model", None), console)
    drifting.tell_drift(getattr(answers, "monitor", None), context.params, console)
    console.detail(f"{count:,} rows in {time.monotonic() - begun:.2f} s")


def _answers(context: typer.Context, store: Path | None, console: Console) -> Columns:
    """What makes the columns. Raises UsageError for an option that the model has no use for."""
    options = context.params
    if options["embed"] or options["words"]:
        unused = {**FOR_LABELS, "text_b_column": None}
        refuse_options(options, unused, "not with vectors of an encoder")
        return Vectors(options, store, console, PREFIX)
    opened = open_answerer(options["model"], store, console, **for_encoders(options))
    check_asked(opened, options["model"], context)
    if is_tagger(opened):
        from nlpcli.runs.token_tagger import TagColumn

        refuse_options(options, FOR_LABELS, "the model tags words")
        return TagColumn(opened, options["prefix"])
    if is_answerer(opened):
        from nlpcli.runs.question_answerer import AnswerColumns

        unused = {name: value for name, value in FOR_LABELS.items() if name != "top_k"}
        refuse_options(options, unused, "the model answers questions")
        prefix = options["prefix"]
        return AnswerColumns(opened, prefix, usual=prefix == PREFIX, top_k=options["top_k"])
    if not opened.labels:
        from nlpcli.runs.language_scoring import SentenceScores
        from nlpcli.store.language_model import LanguageModel

        assert isinstance(opened, LanguageModel)
        refuse_options(options, FOR_LABELS, "the model has no labels, it is a language model")
        prefix = options["prefix"]
        return SentenceScores(opened, "" if prefix == PREFIX else prefix)
    return _label_columns(opened, options, store, console)


def _label_columns(
    opened: Classifier, options: dict[str, Any], store: Path | None, console: Console
) -> Answers:
    from nlpcli.runs.answer_columns import Answers

    abstain_below = options["abstain_below"]
    if options["abstain_error"] is not None:
        abstain_below = max(abstain_below, abstain_from(opened, options["abstain_error"], console))
    given = {
        **{name: options[name] for name in ("prefix", "top_k", "threshold", "explain")},
        "all_probabilities": options["probabilities"], "abstain_below": abstain_below,
    }  # fmt: skip
    if options["cascade"] is None:
        monitor = drifting.monitor_for(options, opened, store, console)
        return Answers(opened, **given, monitor=monitor)
    from nlpcli.runs.cascade import CascadeAnswers

    return CascadeAnswers(cascading.open_cascade(opened, options, store, console), **given)


def _column(rows: RowStream, answers: Columns, options: dict[str, Any]) -> int:
    """Position of the texts, words or contexts. Raises DataError."""
    if is_asked(answers):
        columns = question_columns(options)
        return answers.column(rows, columns["context"], str(columns["question"]))
    return answered_column(rows, options["text_column"], answers)


def _checked(kept: list[str], added: list[str], name: str) -> list[str]:
    clash = sorted(set(kept) & set(added))
    if clash:
        raise DataError(f"{name}: the input has a column {clash[0]} already", hint="--prefix NAME_")
    return kept


class _Sink(Protocol):
    """Takes rows and writes what is answered to them."""

    def begin(self) -> None: ...

    def write(self, rows: list[list[str]]) -> None: ...

    def end(self) -> None: ...


def _sink(
    answers: Columns,
    rows: RowStream,
    text: int,
    stream: BinaryIO,
    options: dict[str, Any],
) -> _Sink:
    own = answers.sink(stream, options, text) if isinstance(answers, Vectors) else None
    return own or _Columns(answers, rows, text, stream, options)


class _Columns:
    """The rows, with columns of answers behind them."""

    def __init__(
        self,
        answers: Columns,
        rows: RowStream,
        text: int,
        stream: BinaryIO,
        options: dict[str, Any],
    ) -> None:
        self._answers, self._text, self._only = answers, text, options["only"]
        self._writer: RowWriter | ConllWriter | AnswerWriter
        if options["output_format"] == OutputFormat.squad:
            self._writer, self._only = answer_writer(stream, rows, answers), False
            return
        other = options["text_b_column"]
        self._other = None if other is None else rows.column(other)
        kept = [] if self._only else rows.header
        self._writer = row_writer(
            stream,
            _checked(kept, answers.columns, rows.name) + answers.columns,
            options["output_format"],
            words=rows.format == "conll" and type(answers).__name__ == "TagColumn",
            numeric_columns=set(answers.numeric),
            json_columns=_json_columns(answers),
            spreadsheet_safe=options["spreadsheet_safe"],
        )

    def begin(self) -> None:
        self._writer.write_header()

    def write(self, rows: list[list[str]]) -> None:
        from nlpcli.data.pairs import texts_of

        if is_asked(self._answers):
            columns = self._answers.of_rows(rows)
        else:
            columns = self._answers(texts_of(rows, self._text, self._other))
        self._writer.write([[] for _ in rows] if self._only else rows, columns)

    def end(self) -> None:
        from nlpcli.data.squad import AnswerWriter

        if isinstance(self._writer, AnswerWriter):
            self._writer.end()


def _json_columns(answers: Columns) -> set[str] | None:
    """Columns whose cells are JSON."""
    if is_asked(answers):
        return set(answers.whole)
    return set(answers.columns) if isinstance(answers, Vectors) else None


def _write_answers(
    rows: RowStream, sink: _Sink, stream: BinaryIO, *, header: bool, line_buffered: bool,
    at_once: int = 0,
) -> int:  # fmt: skip
    """Reads, answers and writes batch by batch; each is flushed before the next is awaited."""
    if header:
        sink.begin()
        stream.flush()
    count = 0
    for batch in rows.batches():
        step = 1 if line_buffered else at_once or max(1, len(batch.rows))
        for at in range(0, len(batch.rows), step):
            part = batch.rows[at : at + step]
            sink.write(part)
            stream.flush()
            count += len(part)
    sink.end()
    return count
