"""train-fasttext: labelled rows in, a published classifier out."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nlpcli.commands.after_training import prune_after, refuse_after, show_report, tell_pin
from nlpcli.commands.configuring import (
    LossName,
    check_loss,
    configuration,
    files_read,
    has_dev_part,
    learnt_without,
    open_features,
    same_again,
    tuning_of,
    typed_options,
)
from nlpcli.commands.opening import refuse_same_file
from nlpcli.errors import UsageError
from nlpcli.shell import options as opt
from nlpcli.shell.console import Console, RejectFile
from nlpcli.shell.machine import expect_small_operations
from nlpcli.shell.sizes import size_limit

if TYPE_CHECKING:
    from nlpcli.runs.request import Request
    from nlpcli.store.store import Store

EXAMPLES = """\b
Examples:
  nlpcli train-fasttext sample_data/reviews_en.csv -o reviews
  nlpcli train-fasttext sample_data/tags_en.csv -o tags \\
      --label-column labels --label-separator ';'
"""


def train_fasttext(
    context: typer.Context,
    train: Annotated[str, typer.Argument(help="Labelled rows; - for stdin.")],
    *,
    output: Annotated[str, typer.Option("--output", "-o", help="Name in the store, or a path.")],
    store: opt.Store = None,
    text_column: opt.TextColumn = "text",
    label_column: opt.LabelColumn = "label",
    label_separator: opt.LabelSeparator = None,
    weight_column: Annotated[str | None, typer.Option(help="Weight of a row.")] = None,
    class_weight: Annotated[
        str | None, typer.Option(help="balanced, or a CSV file label,weight.")
    ] = None,
    dev: Annotated[str | None, typer.Option(help="Rows to measure and choose on.")] = None,
    dev_fraction: Annotated[
        float, typer.Option(min=0, max=0.9, help="Or this share of the rows.")
    ] = 0.0,
    patience: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many epochs without a better one.")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Multi-label [default: the best].")
    ] = None,
    dim: Annotated[
        int | None,
        typer.Option(min=0, max=4096, help="Of embeddings [default: 0, none; 100 for sparse]."),
    ] = None,
    loss: Annotated[
        LossName,
        typer.Option(help="auto: a linear SVM; sparse, for many labels: hs, ns, adaptive."),
    ] = LossName.auto,
    negatives: Annotated[
        int | None, typer.Option(min=1, max=10000, help="Draws a text, for ns [default: 20].")
    ] = None,
    cost: Annotated[
        float | None, typer.Option(min=1e-6, max=1e6, help="C of squared-hinge [default: 1].")
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, max=10000, help="Passes over the rows.")] = 5,
    lr: Annotated[
        float | None,
        typer.Option(min=1e-6, max=100, help="Falls to 30 % [default: 0.2; sparse: 0.1]."),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, max=65536, help="Texts a step [default: by their length].")
    ] = None,
    label_smoothing: Annotated[
        float | None, typer.Option(min=0, max=0.9, help="Of softmax [default: 0.1].")
    ] = None,
    word_ngrams: Annotated[int, typer.Option(min=1, max=8, help="Longest run of words.")] = 2,
    min_n: Annotated[int, typer.Option(min=0, max=32, help="Shortest character n-gram.")] = 0,
    max_n: Annotated[int, typer.Option(min=0, max=32, help="Longest; 0: none.")] = 0,
    min_count: Annotated[int, typer.Option(min=1, help="Rarer features are dropped.")] = 1,
    features: Annotated[
        str | None, typer.Option(help="Only these n-grams, as ngrams --save wrote them.")
    ] = None,
    pretrained_vectors: Annotated[
        str | None,
        typer.Option(help="Words begin at these: a model of word vectors, or a file [sets --dim]."),
    ] = None,
    buckets: Annotated[
        int | None, typer.Option(min=1, max=2**31, help="Hash n-grams [default: a row each].")
    ] = None,
    fasttext_compatible: Annotated[
        bool,
        typer.Option(
            "--fasttext-compatible",
            help="Train what models export can write [--dim 100, --buckets 2000000].",
        ),
    ] = False,
    model_size: Annotated[
        str | None, typer.Option(help="At most so many bytes, as 2M: pruned and quantised.")
    ] = None,
    segmenter: opt.Segmenter = opt.SegmenterName.char,
    unicode_form: opt.UnicodeForm = opt.UnicodeFormName.NFKC,
    lowercase: opt.Lowercase = True,
    strip_urls: opt.StripUrls = False,
    strip_mentions: opt.StripMentions = False,
    strip_html: opt.StripHtml = False,
    strip_punctuation: opt.StripPunctuation = False,
    strip_control: opt.StripControl = False,
    seed: opt.Seed = 1,
    threads: opt.Threads = None,
    device: opt.Device = "auto",
    format: opt.Format = None,
    label_prefix: opt.LabelPrefix = opt.LABEL_PREFIX,
    header: opt.Header = True,
    on_error: opt.ErrorMode = opt.OnError.fail,
    rejects: opt.Rejects = None,
    max_field: opt.MaxField = 64,
    autotune: Annotated[
        bool,
        typer.Option("--autotune/--no-autotune", help="Search for the best of untyped options."),
    ] = False,
    minutes: Annotated[float, typer.Option(min=0, max=100000, help="Of --autotune.")] = 5.0,
    autotune_metric: Annotated[
        str | None, typer.Option(help="Or f1:LABEL [default: accuracy, multi-label micro_f1].")
    ] = None,
    continue_from: Annotated[
        str | None, typer.Option(help="Go on from this model; new words and labels may join.")
    ] = None,
    resume: opt.Resume = False,
    save_every: opt.SaveEvery = 5,
    publish_if: Annotated[
        list[str] | None,
        typer.Option(help="'METRIC>=X' or better (than the version in use), on the dev part."),
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
) -> None:
    """Train a text classifier from labelled rows and publish it."""
    from nlpcli.data.rows import RowFormat
    from nlpcli.runs.conditions import metric_names
    from nlpcli.runs.pretrained import open_vectors
    from nlpcli.runs.publishing import parse_gate
    from nlpcli.runs.request import Request
    from nlpcli.store.store import Store
    from nlpcli.text.config import TokenizerConfig

    console = Console(quiet=quiet, verbose=verbose, no_color=no_color)
    models = Store(opt.store_root(store))
    if dev is not None and dev_fraction:
        raise UsageError("--dev and --dev-fraction: give one of them")
    refuse_same_file(files_read(context.params), {"--rejects": rejects}, model=output)
    typed = typed_options(context)
    vectors, options = open_vectors(context.params, models)
    tokenizer, config = configuration(options, typed)
    base = None
    if continue_from is not None and isinstance(tokenizer, TokenizerConfig):
        from nlpcli.runs.continuing import read_base

        base = read_base(continue_from, models, console)
        tokenizer, config, label_separator = base.inherit(tokenizer, config, label_separator, typed)
    check_loss(config, typed)
    several = label_separator is not None or (
        fasttext_compatible and config.loss == "one-vs-all"  # whose answers such files decide
    )
    tuning = tuning_of(options, typed, several=several)
    has_dev = has_dev_part(options)
    dev_fraction = learnt_without(options, tuning, must=several and config.loss != "squared-hinge")
    request = Request(
        output=output,
        train=train,
        dev=dev,
        dev_fraction=dev_fraction,
        fmt=RowFormat(
            format=format,
            header=header,
            on_error=on_error,
            max_field=max_field << 20,
            label_separator=label_separator,
            label_prefix=label_prefix,
        ),
        columns={
            "text_column": text_column,
            "label_column": label_column,
            "weight_column": weight_column,
            "label_separator": label_separator,
        },
        class_weight=class_weight,
        threshold=threshold,
        patience=patience,
        config=config,
        auto_loss=loss == LossName.auto and base is None,
        tokenizer=tokenizer,
        seed=seed,
        threads=threads,
        device=device,
        base=base,
        resume=resume,
        save_every=save_every,
        gate=parse_gate(publish_if or [], lambda: metric_names(several), has_dev=has_dev),
        if_changed=if_changed,
        tuning=tuning,
        vectors=vectors,
        features=open_features(context.params),
        model_size=size_limit(model_size, continued=base is not None),
    )
    _execute(request, models, console, rejects, force=force, wait=wait, keep=keep,
             dry_run=dry_run, as_json=json)  # fmt: skip


def _execute(
    request: Request,
    store: Store,
    console: Console,
    rejects: Path | None,
    *,
    force: bool,
    wait: bool,
    keep: int | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Runs it, or shows the plan; then says how it went."""
    import json

    from nlpcli.runs.running import TrainingRun

    expect_small_operations()
    opt.expect_input(request.train, request.dev)
    draft = store.begin(request.output, force=force, wait=wait, if_changed=request.if_changed)
    if dry_run:
        draft.probe()
        plan = TrainingRun(request, store, console, RejectFile(None, console)).plan()
        typer.echo(json.dumps(dataclasses.asdict(plan)) if as_json else plan.lines())
        return
    with draft, RejectFile(rejects, console) as reject:
        report = TrainingRun(request, store, console, reject).run(draft)
    if "autotune" in report:
        again = same_again(sys.argv[1:], report["autotune"]["options"], request.dev_fraction)
        report["autotune"]["command"] = again
        console.say(f"the same again: {again}")
    show_report(report, console, as_json=as_json)
    if report["refused"]:
        kept = keep if draft.versioned else None
        refuse_after(report, store, request.output, kept, console)
    if keep is not None and draft.versioned:
        prune_after(store, request.output, keep, console)
    tell_pin(store, request.output, report, console)
