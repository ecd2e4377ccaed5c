"""train-lm: plain text in, a published n-gram language model out; or one a label, a classifier."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nlpcli.commands.after_training import in_short, prune_after, refuse_after, tell_pin
from nlpcli.commands.configuring import from_options
from nlpcli.commands.opening import refuse_same_file
from nlpcli.errors import UsageError
from nlpcli.shell import options as opt
from nlpcli.shell.console import Console, RejectFile
from nlpcli.shell.streams import write_path

if TYPE_CHECKING:
    from nlpcli.runs.language_modelling import LanguageRequest

EXAMPLES = """\b
Examples:
  nlpcli train-lm sample_data/reviews_en.csv -o reviews-lm
  nlpcli train-lm sample_data/reviews_en.csv -o reviews-bayes --level char \\
      --label-column label
"""
WORD_ORDER, CHAR_ORDER = 3, 5


class LevelName(StrEnum):
    """What an n-gram is made of."""

    word = "word"
    char = "char"


class SmoothingName(StrEnum):
    """Where probability for what was not seen comes from."""

    mle = "mle"
    laplace = "laplace"
    backoff = "backoff"
    interpolated = "interpolated"
    kneser_ney = "kneser-ney"


def train_lm(
    corpus: Annotated[list[str], typer.Argument(help="A sentence a line, or a row; - for stdin.")],
    *,
    output: Annotated[str, typer.Option("--output", "-o", help="Name in the store, or a path.")],
    store: opt.Store = None,
    order: Annotated[
        int | None,
        typer.Option(min=1, max=6, help="Longest n-grams [default: 3; of characters 5]."),
    ] = None,
    smoothing: Annotated[
        SmoothingName,
        typer.Option(help="backoff: Katz; interpolated: Jelinek-Mercer; kneser-ney: modified."),
    ] = SmoothingName.kneser_ney,
    level: Annotated[LevelName, typer.Option(help="N-grams of words, or of characters.")] = (
        LevelName.word
    ),
    min_count: Annotated[int, typer.Option(min=1, help="Rarer words are unknown words.")] = 1,
    text_column: opt.TextColumn = "text",
    label_column: Annotated[
        str | None, typer.Option(help="One model for each label: a classifier by Bayes' rule.")
    ] = None,
    label_prefix: opt.LabelPrefix = opt.LABEL_PREFIX,
    format: Annotated[
        opt.InputFormat | None,
        typer.Option(
            "--format", help="Of the input [default: by ending, or text; with labels csv]."
        ),
    ] = None,
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
    dev: Annotated[
        str | None, typer.Option(help="Texts, or labelled rows, to measure on; a file.")
    ] = None,
    publish_if: Annotated[
        list[str] | None,
        typer.Option(help="'perplexity<=X', 'macro_f1>=X' or better (than the version in use)."),
    ] = None,
    if_changed: opt.IfChanged = False,
    keep: opt.Keep = None,
    dry_run: opt.DryRun = False,
    force: opt.Force = False,
    wait: opt.Wait = False,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
    no_color: opt.NoColor = False,
    context: typer.Context,
) -> None:
    """Learn an n-gram language model from texts, or one for each label, and publish it.

    It takes one pass over the texts, so a run that was stopped begins anew: there is no --resume.
    """
    import json as json_module

    from nlpcli.runs.language_modelling import LanguageRun
    from nlpcli.store.store import Store

    console = Console(quiet=quiet, verbose=verbose, no_color=no_color)
    models = Store(opt.store_root(store))
    for path in corpus:
        read = {"CORPUS": path, "--dev": dev}
        refuse_same_file(read, {"--rejects": rejects}, model=output)
    request = _request(context.params)
    draft = models.begin(output, force=force, wait=wait, if_changed=if_changed)
    if dry_run:
        draft.probe()
        _expect_inputs(corpus)
        plan = LanguageRun(request, models, console).plan()
        lines = "\n".join(f"{name}: {value}" for name, value in plan.items())
        typer.echo(json_module.dumps(plan) if json else lines)
        return
    _expect_inputs(corpus)
    with draft, nullcontext() if rejects is None else RejectFile(rejects, console) as reject:
        request = replace(request, reading=replace(request.reading, on_reject=reject))
        report = LanguageRun(request, models, console).run(draft)
    _show(report, console, as_json=json)
    if report["refused"]:
        refuse_after(report, models, output, keep if draft.versioned else None, console)
    if keep is not None and draft.versioned:
        prune_after(models, output, keep, console)
    tell_pin(models, output, report, console)


def _expect_inputs(corpus: list[str]) -> None:
    opt.expect_input(*corpus)


def _request(options: dict[str, Any]) -> LanguageRequest:
    """What is asked for. Raises UsageError for what does not go together."""
    from nlpcli.data.rows import RowFormat
    from nlpcli.data.unit_reading import Reading
    from nlpcli.runs.conditions import metric_names
    from nlpcli.runs.language_dev import PERPLEXITIES
    from nlpcli.runs.language_modelling import LanguageRequest
    from nlpcli.runs.publishing import parse_gate
    from nlpcli.text.config import TokenizerConfig
    from nlpcli.text.normalize import Cleaning

    plain: dict[str, Any] = {
        n: v.value if isinstance(v, StrEnum) else v for n, v in options.items()
    }
    level, labels = plain["level"], plain["label_column"]
    if level == "char" and plain["segmenter"] != "char":
        raise UsageError(f"--segmenter {plain['segmenter']} has no meaning with --level char")
    if level == "char" and plain["strip_punctuation"]:
        raise UsageError("--strip-punctuation has no meaning with --level char")
    fmt = RowFormat(
        format=plain["format"], otherwise="text" if labels is None else None,
        header=plain["header"], on_error=plain["on_error"],
        max_field=plain["max_field"] << 20, label_prefix=plain["label_prefix"],
    )  # fmt: skip
    config = from_options(TokenizerConfig, {"segmenter": plain["segmenter"]},
                          cleaning=from_options(Cleaning, plain), word_ngrams=1)  # fmt: skip
    dev = plain["dev"]
    if dev == "-":
        raise UsageError("--dev -: wanted a file", hint="--dev dev.txt")
    return LanguageRequest(
        output=plain["output"],
        reading=Reading(
            paths=plain["corpus"], fmt=fmt, text_column=plain["text_column"], label_column=labels,
            level=level, config=config,
        ),
        order=plain["order"] or (CHAR_ORDER if level == "char" else WORD_ORDER),
        smoothing=plain["smoothing"],
        min_count=plain["min_count"],
        threads=plain["threads"],
        dev=dev,
        gate=parse_gate(
            plain["publish_if"] or [],
            lambda: PERPLEXITIES if labels is None else metric_names(multi_label=False),
            has_dev=dev is not None, hint="--dev FILE",
        ),
        if_changed=plain["if_changed"],
    )  # fmt: skip


def _show(report: dict[str, Any], console: Console, *, as_json: bool) -> None:
    """The published path on stdout, alone or in one JSON document; a summary on stderr."""
    import json
    import resource

    report["peak_memory_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    if report.get("unchanged"):
        console.say("nothing to do: data, options and program are as in the newest version")
    else:
        unit = "characters" if report["level"] == "char" else "words"
        labels = f", {report['labels']:,} labels" if report["labels"] else ""
        console.say(
            f"{report['sentences']:,} sentences, {report['words']:,} {unit}, "
            f"{report['vocabulary']:,} different ones{labels}; {sum(report['ngrams']):,} n-grams "
            f"of order 1 to {report['order']}; {report['seconds']:.1f} s"
        )
    if report.get("dev_rows"):
        console.say(f"dev part, {report['dev_rows']:,} rows: {in_short(report['metrics'])}")
    if as_json:
        typer.echo(json.dumps(report, sort_keys=True, allow_nan=False))
    elif report["published"]:
        write_path(report["path"])
