"""ngrams: texts in, a table of their n-grams out."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from nlpcli.commands.ngram_options import (
    CollocationName,
    LevelName,
    OutputFormat,
    SelectName,
    SortName,
    ngram_request,
    rows_wanted,
    sorted_by,
)
from nlpcli.commands.opening import refuse_same_file
from nlpcli.shell import options as opt
from nlpcli.shell.console import Console, RejectFile

if TYPE_CHECKING:
    from nlpcli.data.ngram_table import NgramTable
    from nlpcli.runs.ngrams import Counted, NgramRequest

EXAMPLES = """\b
Examples:
  nlpcli ngrams sample_data/reviews_en.csv --n 1-3 --top 20
  nlpcli ngrams sample_data/reviews_en.csv --select chi2 --top 10% \\
      --save features.csv -o scores.csv
"""


def ngrams(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(metavar="INPUT", help="Texts or rows; - or left out: stdin."),
    ] = None,
    *,
    level: Annotated[LevelName, typer.Option(help="Of words, characters, or <word>'s.")] = (
        LevelName.word
    ),
    n: Annotated[
        str | None, typer.Option("--n", help="2, or 1-3 [default: 1; --collocations: 2].")
    ] = None,
    joiner: Annotated[str, typer.Option(help="Stands between words.")] = " ",
    min_count: Annotated[int, typer.Option(min=1, help="Rarer n-grams are dropped.")] = 1,
    top: Annotated[
        str | None, typer.Option(help="The first so many rows, or 10%; of each label.")
    ] = None,
    sort: Annotated[
        SortName | None, typer.Option(help="The most first [default: score, else count].")
    ] = None,
    select: Annotated[
        SelectName | None, typer.Option(help="Score n-grams by what they tell of the labels.")
    ] = None,
    collocations: Annotated[
        CollocationName | None, typer.Option(help="Score word pairs: PMI, log-likelihood, t.")
    ] = None,
    by_label: Annotated[
        bool | None,
        typer.Option(
            "--by-label/--overall",
            help="Rows for each label [default: with --label-column; overall with --select].",
        ),
    ] = None,
    buckets: Annotated[
        int | None,
        typer.Option(min=1, max=2**31, help="Hash each order into so many [default: exact]."),
    ] = None,
    memory: Annotated[
        str, typer.Option(help="About so much at most, as 500M; the rest is in files in TMPDIR.")
    ] = "1G",
    save: Annotated[
        Path | None, typer.Option(help="The n-grams shown, for train-fasttext --features.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Page of rank and frequency, and the top n-grams (HTML).")
    ] = None,
    output: Annotated[
        str, typer.Option("--output", "-o", help="Written beside it, renamed when complete.")
    ] = "-",
    output_format: Annotated[OutputFormat, typer.Option(help="Of the table.")] = OutputFormat.csv,
    text_column: opt.TextColumn = "text",
    label_column: Annotated[
        str | None, typer.Option(help="Column of the label [default: none; with --select: label].")
    ] = None,
    label_separator: opt.LabelSeparator = None,
    label_prefix: opt.LabelPrefix = opt.LABEL_PREFIX,
    format: opt.Format = None,
    header: opt.Header = True,
    on_error: opt.ErrorMode = opt.OnError.fail,
    rejects: opt.Rejects = None,
    max_field: opt.MaxField = 64,
    segmenter: opt.Segmenter = opt.SegmenterName.char,
    unicode_form: opt.UnicodeForm = opt.UnicodeFormName.NFKC,
    lowercase: opt.Lowercase = True,
    strip_urls: opt.StripUrls = False,
    strip_mentions: opt.StripMentions = False,
    strip_html: opt.StripHtml = False,
    strip_punctuation: opt.StripPunctuation = False,
    strip_control: opt.StripControl = False,
    threads: opt.Threads = None,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
    no_color: opt.NoColor = False,
    context: typer.Context,
) -> None:
    """Count n-grams of texts, or of labelled rows; score and choose them.

    Columns: ngram, n, count, document_frequency, where asked for label and score. A row of a table,
    or a line of text, is a document. Ties come in the order of the n-grams.
    """
    from nlpcli.runs.ngrams import count_ngrams

    begun = time.perf_counter()
    console = Console(quiet=quiet, verbose=verbose, no_color=no_color)
    paths = inputs or ["-"]
    limit = rows_wanted(top)
    by = sorted_by(sort, scored=bool(select or collocations))
    outputs = {"--output": output, "--save": save, "--plot": plot, "--rejects": rejects}
    for path in paths:
        refuse_same_file({"INPUT": path}, outputs, to_stdout=("--output", "--save", "--plot"))
    with ExitStack() as stack:
        reject = stack.enter_context(RejectFile(rejects, console)) if rejects is not None else None
        request = ngram_request(context.params, paths, reject)
        opt.expect_input(*paths)
        stream, saved, page = (_opened(stack, target) for target in (output, save, plot))
        counted = count_ngrams(request, console)
        order = counted.table.order(by, *limit)
        if stream is not None:
            from nlpcli.data.ngram_output import write_table

            write_table(stream, counted.table, order, output_format.value, header=header)
            stream.flush()
        if saved is not None:
            from nlpcli.data.feature_list import write_features

            write_features(saved, level.value, _distinct_names(counted.table, order))
        if page is not None:
            from nlpcli.evaluation.ngram_page import ngram_page

            text = ngram_page(counted.table, _title(paths))
            page.write(text.encode("utf-8", "replace"))  # names of files may be any bytes
    if reject is not None:
        reject.close()
    elif counted.n_skipped:
        console.warn(f"{counted.n_skipped:,} bad rows skipped")
    if request.select not in (None, "idf") and len(counted.table.labels) < 2:
        console.warn(f"--select {request.select}: fewer than 2 labels, nothing tells them apart")
    _tell(counted, request, console, len(order), time.perf_counter() - begun)


def _opened(stack: ExitStack, target: str | Path | None) -> BinaryIO | None:
    """The stream of an output; known to be writable before any work is done."""
    if target is None:
        return None
    if str(target) == "-":
        return sys.stdout.buffer
    from nlpcli.store.atomic import AtomicFile

    return stack.enter_context(AtomicFile(Path(target)))


def _distinct_names(table: NgramTable, order: Any) -> list[str]:
    """The n-grams of some rows, each once; words between blanks, whatever the joiner is."""
    step, found = 1 << 16, dict[str, None]()
    for begin in range(0, len(order), step):
        found |= dict.fromkeys(table.rows(order[begin : begin + step], " ").names)
    return list(found)


def _title(paths: list[str]) -> str:
    names = ["stdin" if path == "-" else Path(path).name for path in paths]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _tell(
    counted: Counted, request: NgramRequest, console: Console, n_rows: int, seconds: float
) -> None:
    table = counted.table
    for n, found in counted.collisions.items():
        console.say(
            f"{n}-grams: {found.used:,} of {found.buckets:,} buckets used; "
            f"{found.mixed / max(1, found.total):.2%} of the occurrences were counted under the "
            f"name of another n-gram; about {found.distinct:,.0f} different ones, "
            f"{found.share:.1%} of them share a bucket"
        )
    for part in table.parts:
        kept = int(part.counts.sum())
        console.detail(
            f"{part.n}-grams: {len(part.counts):,} kept, with {kept:,} of {part.total:,} "
            "occurrences"
        )
    console.detail(
        f"{n_rows:,} rows; {table.n_documents:,} documents, {counted.n_units:,} "
        f"{'words' if request.reading.level == 'word' else 'characters'} in {seconds:.2f} s"
    )
