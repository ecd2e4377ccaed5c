"""ngrams: texts in, a table of their n-grams out."""

from __future__ import annotations

import re
import sys
import time
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from nlpcli.commands.configuring import from_options
from nlpcli.commands.opening import refuse_same_file
from nlpcli.errors import UsageError, shown
from nlpcli.shell import options as opt
from nlpcli.shell.console import Console, RejectFile
from nlpcli.shell.sizes import parse_size

if TYPE_CHECKING:
    from nlpcli.data.ngram_table import NgramTable
    from nlpcli.runs.ngrams import Counted, NgramRequest

EXAMPLES = """\b
Examples:
  nlpcli ngrams sample_data/reviews_en.csv --n 1-3 --top 20
  nlpcli ngrams sample_data/reviews_en.csv --select chi2 --top 10% \\
      --save features.csv -o scores.csv
"""
MOST_N = 100
LEAST_MEMORY = 100_000_000


class LevelName(StrEnum):
    """What an n-gram is made of."""

    word = "word"
    char = "char"
    subword = "subword"


class SortName(StrEnum):
    """What the first rows have the most of."""

    count = "count"
    document_frequency = "document-frequency"
    score = "score"
    ngram = "ngram"


class SelectName(StrEnum):
    """How much an n-gram tells of the labels."""

    chi2 = "chi2"
    entropy = "entropy"
    mutual_information = "mutual-information"
    idf = "idf"


class CollocationName(StrEnum):
    """How closely two words belong together."""

    pmi = "pmi"
    llr = "llr"
    t = "t"


class OutputFormat(StrEnum):
    """Of the table."""

    csv = "csv"
    jsonl = "jsonl"


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
    limit = _top(top)
    by = _sort(sort, scored=bool(select or collocations))
    outputs = {"--output": output, "--save": save, "--plot": plot, "--rejects": rejects}
    for path in paths:
        refuse_same_file({"INPUT": path}, outputs)
    _expect_different(outputs)
    reject = RejectFile(rejects, console) if rejects is not None else None
    request = _request(context.params, paths, reject)
    for path in paths:
        opt.expect_input(path)
    with ExitStack() as stack:
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

            page.write(ngram_page(counted.table, _title(paths)).encode())
    if reject is not None:
        reject.close()
    elif counted.n_skipped:
        console.warn(f"{counted.n_skipped:,} bad rows skipped")
    _tell(counted, request, console, len(order), time.perf_counter() - begun)


def _opened(stack: ExitStack, target: str | Path | None) -> BinaryIO | None:
    """The stream of an output; known to be writable before any work is done."""
    if target is None:
        return None
    if str(target) == "-":
        return sys.stdout.buffer
    from nlpcli.store.atomic import AtomicFile

    return stack.enter_context(AtomicFile(Path(target)))


def _expect_different(outputs: dict[str, str | Path | None]) -> None:
    """Raises UsageError where two outputs are one file."""
    seen: dict[str, str] = {}
    for option, target in outputs.items():
        if target is None:
            continue
        name = str(target) if str(target) == "-" else str(Path(target).absolute())
        if name in seen:
            raise UsageError(f"{option} {target}: the same as {seen[name]}")
        seen[name] = option


def _request(options: dict[str, Any], paths: list[str], reject: RejectFile | None) -> NgramRequest:
    """What is asked for. Raises UsageError for what does not go together."""
    from nlpcli.data.rows import RowFormat
    from nlpcli.data.unit_reading import Reading
    from nlpcli.runs.ngrams import NgramRequest
    from nlpcli.text.config import TokenizerConfig
    from nlpcli.text.normalize import Cleaning

    _check(options)
    select, collocations = (_value(options[name]) for name in ("select", "collocations"))
    label_column = options["label_column"]
    if label_column is None and (options["by_label"] or select not in (None, "idf")):
        label_column = "label"
    by_label = options["by_label"]
    if by_label is None:
        by_label = label_column is not None and select is None
    low, high = _orders(options["n"], collocations)
    config = from_options(
        TokenizerConfig, {"segmenter": options["segmenter"].value},
        cleaning=from_options(Cleaning, {**options, "unicode_form": options["unicode_form"].value}),
        word_ngrams=1, min_count=1, buckets=None,
    )  # fmt: skip
    fmt = RowFormat(
        format=_value(options["format"]),
        header=options["header"],
        on_error=options["on_error"],
        max_field=options["max_field"] << 20,
        label_separator=options["label_separator"],
        label_prefix=options["label_prefix"],
    )
    reading = Reading(
        paths=paths,
        fmt=fmt,
        text_column=options["text_column"],
        label_column=label_column,
        level=options["level"].value,
        config=config,
        on_reject=reject,
    )
    return NgramRequest(
        reading=reading,
        min_n=low,
        max_n=high,
        min_count=options["min_count"],
        joiner=options["joiner"],
        memory=_memory(options["memory"]),
        threads=options["threads"],
        buckets=options["buckets"],
        by_label=by_label,
        select=select,
        collocations=collocations,
    )


def _value(option: Any) -> Any:
    return getattr(option, "value", option)


def _check(options: dict[str, Any]) -> None:
    """Raises UsageError for two options that do not go together."""
    level, save = options["level"].value, options["save"]
    joiner: str = options["joiner"]
    if not joiner.isprintable():
        raise UsageError(f"--joiner {shown(joiner)}: wanted characters that can be printed")
    if options["collocations"] is not None:
        for name in ("select", "buckets"):
            if options[name] is not None:
                raise UsageError(f"--collocations and --{name}: give one of them")
        if options["by_label"]:
            raise UsageError("--collocations has no --by-label: pairs of all texts are scored")
        if level != "word":
            raise UsageError(f"--collocations is of words, --level is {level}")
    if save is not None and options["buckets"] is not None:
        raise UsageError("--save and --buckets: a bucket has the name of one of its n-grams only")
    if save is not None and level == "char":
        raise UsageError(
            "--save: characters across words are no features of train-fasttext",
            hint="--level subword",
        )


def _orders(typed: str | None, collocations: str | None) -> tuple[int, int]:
    """The shortest and the longest n-gram. Raises UsageError."""
    if typed is None:
        return (2, 2) if collocations else (1, 1)
    found = re.fullmatch(r"([0-9]{1,9})(?:-([0-9]{1,9}))?", typed.strip(), re.ASCII)
    if found is None:
        raise UsageError(f"--n {shown(typed)}: wanted a number or a range, as 2 or 1-3")
    low, high = int(found[1]), int(found[2] or found[1])
    if not (1 <= low <= MOST_N and 1 <= high <= MOST_N):
        raise UsageError(f"--n {typed}: wanted numbers from 1 to {MOST_N}")
    if low > high:
        raise UsageError(f"--n {typed}: {low} is more than {high}", hint=f"--n {high}-{low}")
    if collocations and (low, high) != (2, 2):
        raise UsageError(f"--n {typed}: --collocations is of word pairs", hint="--n 2")
    return low, high


def _top(typed: str | None) -> tuple[int | None, float | None]:
    """So many rows, or this share of them. Raises UsageError."""
    if typed is None:
        return None, None
    found = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)(%?)", typed.strip(), re.ASCII)
    number = float(found[1]) if found is not None else 0.0
    if (
        found is None
        or not number
        or (found[2] and number > 100)
        or (not found[2] and "." in found[1])
    ):
        raise UsageError(f"--top {shown(typed)}: wanted a number of rows, or a share, as 20 or 10%")
    return (None, number / 100) if found[2] else (int(number), None)


def _sort(typed: SortName | None, *, scored: bool) -> str:
    """What rows are sorted by. Raises UsageError."""
    if typed == SortName.score and not scored:
        raise UsageError("--sort score: there is none", hint="--select chi2, or --collocations llr")
    if typed is not None:
        return typed.value
    return "score" if scored else "count"


def _memory(typed: str) -> int:
    size = parse_size(typed, "--memory")
    if size < LEAST_MEMORY:
        raise UsageError(f"--memory {typed}: wanted {LEAST_MEMORY // 10**6}M or more")
    return size


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
