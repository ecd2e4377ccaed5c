"""predict: rows in, rows with predictions out, streaming."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Protocol

import typer

from nlpcli.commands.abstaining import abstain_from
from nlpcli.commands.embedding import Pooling, Vectors, refuse_options
from nlpcli.commands.opening import check_asked, for_encoders, open_answerer, refuse_same_file
from nlpcli.commands.tagging import answered_column, is_tagger, row_writer
from nlpcli.errors import DataError
from nlpcli.shell import options as opt
from nlpcli.shell.console import Console, RejectFile

if TYPE_CHECKING:
    from nlpcli.data.rows import RowStream
    from nlpcli.runs.answer_columns import Answers
    from nlpcli.runs.language_scoring import SentenceScores
    from nlpcli.runs.token_tagger import TagColumn

    Columns = Answers | SentenceScores | TagColumn | Vectors

EXAMPLES = """\b
Examples:
  nlpcli predict -m reviews sample_data/new_messages.csv
  nlpcli predict -m reviews --top-k 2 --only < sample_data/new_messages.csv
"""

PREFIX = "predicted_"
FOR_LABELS = {
    "top_k": 1, "threshold": None, "probabilities": False, "abstain_below": 0.0,
    "abstain_error": None, "explain": 0,
}  # fmt: skip
"""Options that mean nothing without labels, as they are where they are not given."""


class OutputFormat(StrEnum):
    """Formats of predictions."""

    csv = "csv"
    jsonl = "jsonl"
    conll = "conll"


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
    top_k: Annotated[int, typer.Option(min=1, help="Labels a row, best first.")] = 1,
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
        int, typer.Option(min=0, help="Add the N n-grams that speak most for or against the label.")
    ] = 0,
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
    list as JSON where the words are one, else joined by blanks. An encoder gives vectors: --embed
    cls is the last layer's first position, mean the mean of the last layer over all pieces, [CLS]
    and [SEP] too, last4 (which --words takes) the same of the mean of the last four layers; a
    word's vector is the mean over its pieces. -o FILE.npy: vectors alone, float32.
    """
    from nlpcli.data.rows import RowFormat, open_rows

    begun = time.monotonic()
    console = Console(quiet=quiet, verbose=verbose, no_color=no_color)
    opt.expect_input(input)
    refuse_same_file({"INPUT": input, "--model": model}, {"--output": output, "--rejects": rejects})
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
        at = answered_column(rows, text_column, answers)
        sink = _sink(answers, rows, at, stream, context.params)
        count = _write_answers(rows, sink, stream, header=header, line_buffered=line_buffered)
        reject.close()
    if isinstance(answers, Vectors):
        answers.warn_of_cut(console)
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
    if not opened.labels:
        from nlpcli.runs.language_scoring import SentenceScores
        from nlpcli.store.language_model import LanguageModel

        assert isinstance(opened, LanguageModel)
        refuse_options(options, FOR_LABELS, "the model has no labels, it is a language model")
        prefix = options["prefix"]
        return SentenceScores(opened, "" if prefix == PREFIX else prefix)
    from nlpcli.runs.answer_columns import Answers

    abstain_below = options["abstain_below"]
    if options["abstain_error"] is not None:
        abstain_below = max(abstain_below, abstain_from(opened, options["abstain_error"], console))
    return Answers(
        opened,
        prefix=options["prefix"],
        top_k=options["top_k"],
        threshold=options["threshold"],
        all_probabilities=options["probabilities"],
        abstain_below=abstain_below,
        explain=options["explain"],
    )


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
        other = options["text_b_column"]
        self._other = None if other is None else rows.column(other)
        kept = [] if self._only else rows.header
        self._writer = row_writer(
            stream,
            _checked(kept, answers.columns, rows.name) + answers.columns,
            options["output_format"],
            words=rows.format == "conll" and type(answers).__name__ == "TagColumn",
            numeric_columns=set(answers.numeric),
            json_columns=set(answers.columns) if isinstance(answers, Vectors) else None,
            spreadsheet_safe=options["spreadsheet_safe"],
        )

    def begin(self) -> None:
        self._writer.write_header()

    def write(self, rows: list[list[str]]) -> None:
        from nlpcli.data.pairs import texts_of

        columns = self._answers(texts_of(rows, self._text, self._other))
        self._writer.write([[] for _ in rows] if self._only else rows, columns)

    def end(self) -> None:
        pass


def _write_answers(
    rows: RowStream, sink: _Sink, stream: BinaryIO, *, header: bool, line_buffered: bool
) -> int:
    """Reads, answers and writes batch by batch; each is flushed before the next is awaited."""
    if header:
        sink.begin()
        stream.flush()
    count = 0
    for batch in rows.batches():
        step = 1 if line_buffered else max(1, len(batch.rows))
        for at in range(0, len(batch.rows), step):
            part = batch.rows[at : at + step]
            sink.write(part)
            stream.flush()
            count += len(part)
    sink.end()
    return count
