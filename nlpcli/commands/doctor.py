"""doctor: labelled rows in, a list of what is wrong with them out."""

from __future__ import annotations

import json as json_module
import sys
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from nlpcli.commands.opening import refuse_same_file
from nlpcli.errors import NegativeAnswer, UsageError, shown
from nlpcli.shell import options as opt
from nlpcli.shell.console import Console, RejectFile

if TYPE_CHECKING:
    from nlpcli.runs.doctor import Diagnosis, DoctorRequest

EXAMPLES = """\b
Examples:
  nlpcli doctor sample_data/reviews_en.csv \\
      --test sample_data/reviews_en_test.csv
  nlpcli doctor sample_data/reviews_en.csv --check label --top 9 -o wrong.csv
"""
_MOST_SHOWN = 5


class Problem(StrEnum):
    """What is looked for, in the order in which it is listed."""

    label = "label"
    doubtful = "doubtful"
    conflict = "conflict"
    near_conflict = "near-conflict"
    leak = "leak"
    near_leak = "near-leak"
    duplicate = "duplicate"
    near_duplicate = "near-duplicate"
    blank = "blank"
    unlabelled = "unlabelled"
    damaged = "damaged"
    long = "long"


def doctor(
    train: Annotated[str, typer.Argument(help="Labelled rows; - for stdin.")],
    *,
    test: Annotated[
        str | None, typer.Option(help="Rows that TRAIN must not hold: looks for leaks.")
    ] = None,
    check: Annotated[
        list[Problem] | None,
        typer.Option(metavar="PROBLEM", help="Only this; may be repeated [default: all]."),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(min=1, help="So many label and doubtful rows at most [default: all]."),
    ] = None,
    near: Annotated[
        float, typer.Option(min=0.1, max=1, help="Share of words in common, from which on.")
    ] = 0.7,
    folds: Annotated[int, typer.Option(min=2, max=100, help="Of the cross-validation.")] = 5,
    rounds: Annotated[
        int, typer.Option(min=1, max=20, help="Of it; later ones without earlier suspects.")
    ] = 2,
    fail_on: Annotated[
        list[Problem] | None,
        typer.Option(metavar="PROBLEM", help="Exit 1 where there is any; may be repeated."),
    ] = None,
    output: Annotated[
        str, typer.Option("--output", "-o", help="Written beside it, renamed when complete.")
    ] = "-",
    text_column: opt.TextColumn = "text",
    label_column: opt.LabelColumn = "label",
    label_separator: opt.LabelSeparator = None,
    label_prefix: opt.LabelPrefix = opt.LABEL_PREFIX,
    format: opt.Format = None,
    header: opt.Header = True,
    on_error: opt.ErrorMode = opt.OnError.fail,
    rejects: opt.Rejects = None,
    max_field: opt.MaxField = 64,
    word_ngrams: Annotated[int, typer.Option(min=1, max=8, help="Longest run of words.")] = 2,
    min_n: Annotated[int, typer.Option(min=0, max=32, help="Shortest character n-gram.")] = 0,
    max_n: Annotated[int, typer.Option(min=0, max=32, help="Longest; 0: none.")] = 0,
    segmenter: opt.Segmenter = opt.SegmenterName.char,
    seed: opt.Seed = 1,
    threads: opt.Threads = None,
    device: opt.Device = "auto",
    json: opt.Json = False,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
    no_color: opt.NoColor = False,
    context: typer.Context,
) -> None:
    """Find what is wrong with labelled rows before a model learns from them.

    Writes row,problem,score,label,suggested_label,other_row,detail,text, a line for each problem of
    a row; rows are counted from 1, skipped ones not. No model is needed: labels are judged by
    models of train-fasttext that have seen neither the row nor a copy of it. A sum of it all goes
    to stderr, or with --json to stdout.

    Problems, in their order, each the worst first: label (likely wrong), doubtful (the models say
    otherwise, less surely), conflict and near-conflict (the same or nearly the same text with
    another label), leak and near-leak (it stands in --test), duplicate and near-duplicate, blank
    (no text), unlabelled, damaged (characters), long.
    """
    from nlpcli.runs.doctor import COLUMNS, columns_of, examine

    console = Console(quiet=quiet, verbose=verbose, no_color=no_color)
    inputs = {"TRAIN": train, "--test": test}
    refuse_same_file(inputs, {"--output": output, "--rejects": rejects})
    opt.expect_input(train)
    if train == "-" == test:
        raise UsageError("--test -: TRAIN is stdin as well")
    request = _request(context.params)
    with ExitStack() as stack:
        reject = stack.enter_context(RejectFile(rejects, console))
        stream = _opened(stack, output, as_json=json)
        diagnosis = examine(request, console, reject)
        reject.close()
        if stream is not None:
            from nlpcli.data.output import RowWriter

            writer = RowWriter(stream, COLUMNS)
            if header:
                writer.write_header()
            columns = columns_of(diagnosis, label_separator)
            writer.write([[] for _ in columns[0]], columns)
            stream.flush()
    if json:
        typer.echo(json_module.dumps(diagnosis.document, allow_nan=False))
    else:
        for line in _summary(diagnosis):
            console.say(line)
    _check(diagnosis, fail_on or [])


def _request(options: dict[str, Any]) -> DoctorRequest:
    """Raises UsageError for what does not go together."""
    from nlpcli.data.rows import RowFormat
    from nlpcli.runs.cross_validation import CrossValidation
    from nlpcli.runs.doctor import DoctorRequest
    from nlpcli.text.config import TokenizerConfig

    min_n, max_n, separator = options["min_n"], options["max_n"], options["label_separator"]
    if min_n > max_n:
        raise UsageError(f"--min-n {min_n} is more than --max-n {max_n}")
    checks = _checks(options)
    if options["top"] is not None and not checks & {"label", "doubtful"}:
        raise UsageError("--top: --check does not ask for labels", hint="--check label")
    return DoctorRequest(
        train=options["train"], test=options["test"],
        fmt=RowFormat(
            format=options["format"], header=options["header"], on_error=options["on_error"],
            max_field=options["max_field"] << 20, label_separator=separator,
            label_prefix=options["label_prefix"],
        ),
        columns={
            "text_column": options["text_column"], "label_column": options["label_column"],
            "label_separator": separator,
        },
        checks=frozenset(checks), near=options["near"], top=options["top"],
        validation=CrossValidation(
            tokenizer=TokenizerConfig(
                word_ngrams=options["word_ngrams"], segmenter=options["segmenter"].value,
                min_n=min_n if min_n or not max_n else 1, max_n=max_n,
            ),
            folds=options["folds"], rounds=options["rounds"], seed=options["seed"],
            threads=options["threads"], device=options["device"],
        ),
        empty=not options["fail_on"],  # a night's export that failed is no clean file
    )  # fmt: skip


def _checks(options: dict[str, Any]) -> set[str]:
    """What is looked for: of all that is not asked for by name, what can be. Raises UsageError."""
    without: dict[str, tuple[str, str | None]] = {}
    if options["test"] is None:
        for name in ("leak", "near-leak"):
            without[name] = f"{name} needs rows to compare with", "--test"
    if options["label_separator"] is not None:
        why = "with --label-separator a row may have no label"
        without["unlabelled"] = f"unlabelled: {why}", None
    for flag in ("check", "fail_on"):
        for problem in options[flag] or []:
            if problem.value in without:
                message, hint = without[problem.value]
                raise UsageError(f"--{flag.replace('_', '-')} {message}", hint=hint)
    checks = {str(p.value) for p in options["check"] or Problem} - set(without)
    for problem in options["fail_on"] or []:
        if problem.value not in checks:
            raise UsageError(f"--fail-on {problem.value}: not among what --check asks for")
    return checks


def _opened(stack: ExitStack, output: str, *, as_json: bool) -> BinaryIO | None:
    """The stream of the table, known to be writable; None where a document takes its place."""
    if output == "-":
        return None if as_json else sys.stdout.buffer
    from nlpcli.store.atomic import AtomicFile

    return stack.enter_context(AtomicFile(Path(output)))


def _summary(diagnosis: Diagnosis) -> list[str]:
    """The document for people."""
    document = diagnosis.document
    labels = document["labels"]
    lines = [f"{document['rows']:,} rows, {len(labels):,} labels"]
    if labels:
        most, least = (list(labels.items())[i] for i in (0, -1))
        lines[0] += (
            f": {shown(most[0], 30)} {most[1]['share']:.1%} to {shown(least[0], 30)} "
            f"{least[1]['share']:.1%}"
        )
    rare = document["rare_labels"]
    if rare:
        names = ", ".join(shown(name, 30) for name in rare[:_MOST_SHOWN])
        more = ", …" if len(rare) > _MOST_SHOWN else ""
        lines.append(f"labels of fewer than 10 rows: {len(rare):,} ({names}{more})")
    lines += [f"{p}: {n:,} rows" for p, n in document["problems"].items() if n]
    validated = document["cross_validation"]
    if validated is not None:
        lines.append(
            f"models of {validated['folds']} folds agree with {validated['accuracy']:.1%} of the "
            f"labels; {validated['likely_errors']:,} are likely enough wrong to look at"
        )
    for swap in document["swaps"][:3]:
        given, better = (shown(", ".join(swap[k]) or "none", 40) for k in ("label", "suggested"))
        lines.append(f"  {given} where {better} is meant: {swap['rows']:,}")
    test = document["test"]
    if test is not None:
        lines.append(
            f"of {test['rows']:,} test rows {test['in_train']:,} are in TRAIN, "
            f"{test['nearly_in_train']:,} nearly"
        )
    return lines


def _check(diagnosis: Diagnosis, problems: list[Problem]) -> None:
    """Raises NegativeAnswer where a problem is there that must not be, or nobody could say."""
    found = diagnosis.document["problems"]
    seen = {p.value: found.get(p.value) for p in problems}
    there = [
        f"{name}: " + ("labels could not be judged" if rows is None else f"{rows:,} rows")
        for name, rows in seen.items()
        if rows != 0
    ]
    if there:
        raise NegativeAnswer(f"--fail-on {'; '.join(there)}")
