"""finetune: labelled rows and an encoder in, a published classifier out."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nlpcli.commands.after_training import (
    prune_after,
    show_finetune_report,
    show_plan,
    tell_pin,
    why_not,
)
from nlpcli.commands.configuring import from_options, has_dev_part
from nlpcli.commands.opening import open_encoder, refuse_same_file
from nlpcli.commands.tagging import word_columns
from nlpcli.errors import NegativeAnswer, UsageError
from nlpcli.shell import options as opt
from nlpcli.shell.console import Console, RejectFile

if TYPE_CHECKING:
    from nlpcli.data.rows import RowFormat
    from nlpcli.models.bert_config import BertConfig

EXAMPLES = """\b
Examples:
  nlpcli finetune sample_data/reviews_en.csv --from encoder -o tuned
  nlpcli finetune sample_data/tags_en.csv --from encoder -o tuned-tags \\
      --label-column labels --label-separator ';' --epochs 1
"""
FOR_TEXTS = {
    "text_b_column": None, "weight_column": None, "label_separator": None, "class_weight": None,
    "threshold": None, "long": "truncate-tail",
}  # fmt: skip
FOR_WORDS = {
    "tag_scheme": "auto", "label_pieces": "first", "word_decoding": "first", "crf": False,
}  # fmt: skip
WITHOUT_CRF = {"label_pieces": "first", "label_smoothing": 0.0, "focal": 0.0}
"""Options that mean nothing elsewhere, as they are where they are not given."""


SHARED = (
    "output", "train", "dev", "dev_fraction", "class_weight", "threshold", "patience", "seed",
    "threads", "device", "precision", "resume", "save_every", "if_changed",
)  # fmt: skip


class TaskName(StrEnum):
    """What the model is to say."""

    sequence = "sequence"
    pair = "pair"
    token = "token"


class SchemeName(StrEnum):
    """How tags mark entities."""

    auto = "auto"
    BIO = "BIO"
    IOB1 = "IOB1"
    BIOES = "BIOES"
    BILOU = "BILOU"
    BMES = "BMES"


class LabelPieces(StrEnum):
    """Which pieces of a word learn its tag."""

    first = "first"
    all = "all"


class WordDecoding(StrEnum):
    """Which pieces of a word say its tag."""

    first = "first"
    mean = "mean"


class LongName(StrEnum):
    """What is read of a text that is too long."""

    truncate_tail = "truncate-tail"
    truncate_head = "truncate-head"
    head_tail = "head-tail"


def finetune(
    context: typer.Context,
    train: Annotated[str, typer.Argument(help="Labelled rows; - for stdin.")],
    *,
    base: Annotated[
        str, typer.Option("--from", help="The encoder: a model, or a Hugging Face folder.")
    ],
    output: Annotated[str, typer.Option("--output", "-o", help="Name in the store, or a path.")],
    task: Annotated[
        TaskName | None,
        typer.Option(help="A label of a text, of a pair, of each word [default: by the columns]."),
    ] = None,
    store: opt.Store = None,
    dev: Annotated[
        str | None, typer.Option(help="Rows to choose the best epoch and the threshold on.")
    ] = None,
    dev_fraction: Annotated[
        float, typer.Option(min=0, max=0.9, help="Or hold out so much of the rows.")
    ] = 0.1,
    format: opt.Format = None,
    header: opt.Header = True,
    text_column: opt.TextColumn = "text",
    text_b_column: opt.TextBColumn = None,
    label_column: opt.LabelColumn = "label",
    weight_column: Annotated[
        str | None, typer.Option(help="Column that holds the weight of a row.")
    ] = None,
    label_separator: opt.LabelSeparator = None,
    tag_scheme: Annotated[
        SchemeName, typer.Option(help="Words: tags to learn; auto: as they are, but BIO for IOB1.")
    ] = SchemeName.auto,
    label_pieces: Annotated[
        LabelPieces, typer.Option(help="Words: the piece that learns the tag, or all pieces.")
    ] = LabelPieces.first,
    word_decoding: Annotated[
        WordDecoding, typer.Option(help="Words: the piece that says the tag, or their mean.")
    ] = WordDecoding.first,
    crf: Annotated[
        bool, typer.Option("--crf", help="Words: a field that learns which tags follow which.")
    ] = False,
    epochs: Annotated[int, typer.Option(min=1, max=10000, help="Passes over the rows.")] = 3,
    batch_size: Annotated[int, typer.Option(min=1, max=100000, help="Rows of a step.")] = 32,
    lr: Annotated[float, typer.Option(min=1e-8, max=1, help="Highest learning rate.")] = 5e-5,
    warmup: Annotated[
        float, typer.Option(min=0, max=0.9, help="Share of the steps in which it rises.")
    ] = 0.06,
    layer_decay: Annotated[
        float, typer.Option(min=0.1, max=1, help="Rate of a layer, of that of the next one.")
    ] = 1.0,
    weight_decay: Annotated[float, typer.Option(min=0, max=1)] = 0.01,
    dropout: Annotated[float, typer.Option(min=0, max=0.9)] = 0.1,
    freeze: Annotated[
        str, typer.Option(help="none, embeddings, so many layers too, or all but the head.")
    ] = "none",
    label_smoothing: Annotated[float, typer.Option(min=0, max=0.9)] = 0.0,
    focal: Annotated[
        float, typer.Option(min=0, max=10, help="Rows that are right already count less.")
    ] = 0.0,
    class_weight: Annotated[
        str | None, typer.Option(help="balanced, or a CSV file of label,weight.")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="For several labels [default: tuned].")
    ] = None,
    max_length: Annotated[
        int | None, typer.Option(min=4, max=8192, help="Pieces of a row [default: 128, or fewer].")
    ] = None,
    long: Annotated[
        LongName, typer.Option(help="What is left out of a text that is longer.")
    ] = LongName.truncate_tail,
    patience: Annotated[
        int | None, typer.Option(min=1, help="End after so many epochs without a better one.")
    ] = None,
    publish_if: Annotated[
        list[str] | None,
        typer.Option(help="Else kept unpublished, exit 1: 'macro_f1>=0.8', or better."),
    ] = None,
    if_changed: Annotated[
        bool, typer.Option("--if-changed", help="Do nothing when data and options are the same.")
    ] = False,
    seed: opt.Seed = 1,
    threads: opt.Threads = None,
    device: opt.Device = "auto",
    precision: opt.Precision = opt.PrecisionName.auto,
    on_error: opt.ErrorMode = opt.OnError.fail,
    rejects: opt.Rejects = None,
    max_field: opt.MaxField = 64,
    resume: opt.Resume = False,
    save_every: opt.SaveEvery = 5,
    keep: opt.Keep = None,
    dry_run: opt.DryRun = False,
    force: opt.Force = False,
    wait: opt.Wait = False,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
    no_color: opt.NoColor = False,
) -> None:
    """Fine-tune an encoder on labelled texts or pairs, or on tagged words, and publish the model.

    Of the epochs the best one on the dev rows is kept: by accuracy, or with --label-separator by
    micro F1, of words by entity F1. --from takes a fine-tuned model too; its head is drawn anew.
    The model is at the same time a folder that transformers loads as
    BertForSequenceClassification or BertForTokenClassification. Words come as CoNLL files, or in
    columns tokens and tags: lists as JSON, or joined by blanks.
    """
    from nlpcli.store.store import Store
    from nlpcli.training.finetuning_config import FinetuneConfig

    console = Console(quiet=quiet, verbose=verbose, no_color=no_color)
    models = Store(opt.store_root(store))
    opt.expect_input(train)
    options = _plain(context.params)
    options["dev_fraction"] = 0.0 if dev is not None else dev_fraction
    refuse_same_file({"TRAIN": train, "--dev": dev}, {"--rejects": rejects, "--output": output})
    chosen = _task(options, console)
    opened = open_encoder(base, store, console)
    length = _length(opened.encoder.config, base, max_length, pair=text_b_column is not None)
    try:
        config = from_options(FinetuneConfig, options, max_length=length)
    except ValueError as error:
        raise UsageError(str(error)) from None
    request, run = _request(chosen, options, config, opened)
    _execute(request, run, models, console, rejects, options)


def _length(config: BertConfig, base: str, asked: int | None, *, pair: bool) -> int:
    """Positions of a row. Raises UsageError for an encoder that cannot read such rows."""
    from nlpcli.store.encoder_classifier import SHORTEST

    longest = config.max_positions
    if longest < SHORTEST:
        raise UsageError(f"--from {base}: {longest} positions, wanted {SHORTEST} or more")
    if pair and config.type_vocab < 2:
        raise UsageError(f"--text-b-column: {base} knows one segment, wanted 2 for pairs")
    if asked is not None and asked > longest:
        raise UsageError(f"--max-length {asked}: {base} has {longest} positions")
    return asked or min(128, longest)


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    return {n: v.value if isinstance(v, StrEnum) else v for n, v in options.items()}


def _format(options: dict[str, Any]) -> RowFormat:
    from nlpcli.data.rows import RowFormat

    return RowFormat(
        format=options["format"], header=options["header"], on_error=options["on_error"],
        max_field=options["max_field"] << 20, label_separator=options["label_separator"],
    )  # fmt: skip


def _task(options: dict[str, Any], console: Console) -> str:
    """The task asked for, else the one that the columns tell. Raises UsageError, InputMissing,
    DataError."""
    from nlpcli.runs.tasks import guessed_task

    task, pair = options["task"], options["text_b_column"] is not None
    if task is None:
        task = "pair" if pair else guessed_task(options["train"], _format(options))
        if task == "token":
            console.say("--task token, by the input's columns")
    if task == "pair" and not pair:
        raise UsageError("--task pair: which column is the second text?",
                         hint="--text-column text_a --text-b-column text_b")  # fmt: skip
    useless = FOR_TEXTS if task == "token" else FOR_WORDS
    for name, value in useless.items():
        if options[name] != value and not (name == "text_b_column" and task == "pair"):
            raise UsageError(f"--{name.replace('_', '-')} has no meaning for --task {task}")
    if task == "sequence" and pair:
        raise UsageError("--text-b-column has no meaning for --task sequence", hint="--task pair")
    if options["crf"]:
        for name, value in WITHOUT_CRF.items():
            if options[name] != value:
                raise UsageError(f"--{name.replace('_', '-')} has no meaning with --crf")
    return str(task)


def _request(task: str, options: dict[str, Any], config: Any, opened: Any) -> tuple[Any, Any]:
    """What is asked for, and the run that does it. Raises UsageError."""
    from nlpcli.runs.conditions import metric_names
    from nlpcli.runs.finetuning import FinetuneRun
    from nlpcli.runs.finetuning_parts import FinetuneRequest
    from nlpcli.runs.publishing import parse_gate
    from nlpcli.runs.token_finetuning import METRICS, TokenRequest, TokenRun

    words = task == "token"
    names: dict[str, str | None] = {
        name: options[name]
        for name in ("text_column", "text_b_column", "label_column", "weight_column",
                     "label_separator")
    }  # fmt: skip
    if words:
        names = word_columns(options["text_column"], options["label_column"])
    gate = parse_gate(
        options["publish_if"] or [],
        lambda: METRICS if words else metric_names(options["label_separator"] is not None),
        has_dev=has_dev_part({**options, "autotune": False}),
    )
    given = {
        **{name: options[name] for name in SHARED}, "fmt": _format(options), "columns": names,
        "pair": task == "pair", "base": opened, "config": config, "gate": gate,
    }  # fmt: skip
    if not words:
        return FinetuneRequest(**given), FinetuneRun
    more = {name: options[name] for name in ("label_pieces", "word_decoding", "crf")}
    return TokenRequest(**given, **more, scheme=options["tag_scheme"]), TokenRun


def _execute(
    request: Any, run: Any, store: Any, console: Console, rejects: Path | None,
    options: dict[str, Any],
) -> None:  # fmt: skip
    """Runs it, or shows the plan; then says how it went."""
    draft = store.begin(request.output, force=options["force"], wait=options["wait"])
    if options["dry_run"]:
        draft.probe()
        plan = run(request, store, console, RejectFile(None, console)).plan()
        show_plan(plan, as_json=options["json"])
        return
    with draft:
        report = run(request, store, console, RejectFile(rejects, console)).run(draft)
    show_finetune_report(report, console, as_json=options["json"])
    if report["refused"]:
        raise NegativeAnswer(why_not(report))
    if options["keep"] is not None and draft.versioned:
        prune_after(store, request.output, options["keep"], console)
    tell_pin(store, request.output, report, console)
