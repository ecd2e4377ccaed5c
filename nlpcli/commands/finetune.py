"""finetune: labelled rows and an encoder in, a published classifier out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nlpcli.commands import finetune_options as own
from nlpcli.commands.after_training import (
    prune_after,
    refuse_after,
    show_finetune_report,
    show_plan,
    tell_pin,
)
from nlpcli.commands.configuring import from_options
from nlpcli.commands.finetune_sources import files_read, with_sources
from nlpcli.commands.finetune_tasks import (
    TASKS,
    among_ranks,
    chosen_task,
    plain,
    request_of,
    settle_pooling,
    tell_guess,
)
from nlpcli.commands.opening import open_encoder, refuse_same_file
from nlpcli.errors import UsageError, shown
from nlpcli.shell import options as opt
from nlpcli.shell import ranks as around
from nlpcli.shell.console import Console, RejectFile
from nlpcli.shell.machine import keep_products

if TYPE_CHECKING:
    from nlpcli.models.bert_config import BertConfig

EXAMPLES = """\b
Examples:
  nlpcli finetune sample_data/reviews_en.csv --from encoder -o tuned
  nlpcli finetune sample_data/tags_en.csv --from encoder -o tuned-tags \\
      --label-column labels --label-separator ';' --epochs 1
  nlpcli finetune sample_data/spans_en.jsonl --from encoder -o tuned-spans
  nlpcli finetune sample_data/questions_en.json --from encoder -o answers
  nlpcli finetune sample_data/ratings_en.csv --from encoder -o stars \\
      --task regression --label-column stars
  nlpcli finetune --from encoder -o both --sampling sqrt \\
      --train topics=sample_data/reviews_en.csv \\
      --train themes=sample_data/messages_zh.csv
"""


def finetune(
    context: typer.Context,
    train: Annotated[
        str | None, typer.Argument(help="Labelled rows; - for stdin. Or see --train.")
    ] = None,
    *,
    trains: own.Trains = None,
    base: Annotated[
        str, typer.Option("--from", help="The encoder: a model, or a Hugging Face folder.")
    ],
    output: Annotated[str, typer.Option("--output", "-o", help="Name in the store, or a path.")],
    task: own.Task = None,
    sampling: own.Sampling = own.SamplingName.proportional,
    store: opt.Store = None,
    dev: own.Dev = None,
    dev_fraction: own.DevFraction = 0.1,
    format: opt.Format = None,
    header: opt.Header = True,
    text_column: opt.TextColumn = "text",
    text_b_column: opt.TextBColumn = None,
    label_column: opt.LabelColumn = "label",
    weight_column: own.WeightColumn = None,
    label_separator: opt.LabelSeparator = None,
    head: own.Head = own.HeadName.linear,
    pooling: own.PoolingOption = None,
    binary_sigmoid: own.BinarySigmoid = False,
    tag_scheme: own.TagScheme = own.SchemeName.auto,
    label_pieces: own.LabelPiecesOption = own.LabelPieces.first,
    word_decoding: own.WordDecodingOption = own.WordDecoding.first,
    crf: own.Crf = False,
    span_head: own.SpanHeadOption = own.SpanHeadName.boundary,
    span_decoding: own.SpanDecodingOption = own.SpanDecoding.auto,
    max_span: own.MaxSpan = 10,
    negatives: own.Negatives = None,
    identify: own.Identify = False,
    doc_stride: own.DocStride = 128,
    max_question_length: own.MaxQuestionLength = 64,
    max_answer_length: own.MaxAnswerLength = 30,
    epochs: own.Epochs = None,
    batch_size: own.BatchSize = 32,
    lr: own.Lr = None,
    warmup: own.Warmup = 0.06,
    layer_decay: own.LayerDecay = 1.0,
    weight_decay: own.WeightDecay = 0.01,
    dropout: own.Dropout = 0.1,
    freeze: own.Freeze = "none",
    label_smoothing: own.LabelSmoothing = 0.0,
    focal: own.Focal = 0.0,
    fgm: own.Fgm = 0.0,
    class_weight: own.ClassWeight = None,
    threshold: own.Threshold = None,
    max_length: own.MaxLength = None,
    long: own.Long = own.LongName.truncate_tail,
    window_overlap: own.WindowOverlap = 32,
    patience: own.Patience = None,
    publish_if: own.PublishIf = None,
    if_changed: opt.IfChanged = False,
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
    """Fine-tune an encoder on labelled texts or pairs, tagged words, spans or answered questions.

    Of the epochs the best one on the dev rows is kept: by accuracy, or with --label-separator by
    micro F1, of words by entity F1, of spans and answers by F1, of numbers by the mean of Pearson's
    and Spearman's correlation. --from takes a fine-tuned model too; its head is drawn anew, but for
    questions, if it was one for them: that goes on. The model is at the same time a folder that
    transformers loads as BertForSequenceClassification, BertForTokenClassification or
    BertForQuestionAnswering; with --head mlp, --pooling mean or spans, for which it has no class,
    as BertModel, the head beside it.

    Words come as CoNLL files, or in columns tokens and tags: lists as JSON, or joined by blanks.
    Questions come as SQuAD's JSON, or in columns context, question, answer and answer_start
    (--text-column, --text-b-column and --label-column for the first three). Spans come as words
    and tags do, or in a column spans beside text or tokens, a list of {"start", "end", "label"} as
    JSON (code points of a text, else words; ends exclusive; nested or not), and relations, if any,
    in a list of {"head", "tail", "label"} by the numbers of two spans from 0. Under torchrun, on
    one machine, each process computes a share of every step.

    Several --train NAME=FILE, in place of TRAIN, are tasks that share the encoder: labels of texts
    or pairs, each with a head of its own; predict and eval choose one by --task NAME. Columns are
    called alike in all files. A file without --text-b-column holds single texts; with
    --label-separator a task has one label a row where all its training rows have. A batch is of
    one task. The best epoch has the highest mean over the tasks. --dev NAME=FILE for some or all.
    """
    from nlpcli.store.store import Store
    from nlpcli.training.finetuning_config import FinetuneConfig, usual_lr

    console = Console(quiet=quiet, verbose=verbose, no_color=no_color)
    keep_products()
    models = Store(opt.store_root(store))
    place = around.place()
    options = among_ranks(with_sources(plain(context.params)), place.size)
    refuse_same_file(files_read(options), {"--rejects": rejects}, model=output)
    opt.expect_input(options["train"], options["dev"])
    options["dev_fraction"] = 0.0 if options["dev"] is not None else dev_fraction
    chosen = chosen_task(options)
    opened = open_encoder(base, store, console)
    _expect_layers(freeze, opened.encoder.config, base)
    pair, usual = text_b_column is not None, TASKS[chosen].length
    length = _length(opened.encoder.config, base, max_length, usual, pair=pair)
    given = settle_pooling(chosen, options, opened.encoder.pooling)
    if options["lr"] is None:
        options["lr"] = TASKS[chosen].pace * usual_lr(opened.encoder.config.hidden)
    try:
        config = from_options(FinetuneConfig, options, max_length=length)
    except ValueError as error:
        name, _, rest = str(error).partition(":")
        raise UsageError(f"--{name.replace('_', '-')}:{rest}") from None
    request, run = request_of(chosen, options, config, opened)
    if not place.rank:
        tell_guess(chosen, options, given, console)
    _execute(request, run, models, console, rejects, options, place)


def _length(config: BertConfig, base: str, asked: int | None, usual: int, *, pair: bool) -> int:
    """Positions of a row. Raises UsageError for an encoder that cannot read such rows."""
    from nlpcli.store.encoder_classifier import SHORTEST

    longest = config.max_positions
    if longest < SHORTEST:
        raise UsageError(f"--from {base}: {longest} positions, wanted {SHORTEST} or more")
    if pair and config.type_vocab < 2:
        raise UsageError(f"--text-b-column: {base} knows one segment, wanted 2 for pairs")
    if asked is not None and asked > longest:
        raise UsageError(f"--max-length {asked}: {base} has {longest} positions")
    return asked or min(usual, longest)


def _expect_layers(freeze: str, config: BertConfig, base: str) -> None:
    """Raises UsageError for more layers to freeze than there are."""
    if freeze.isdecimal() and (len(freeze) > 9 or int(freeze) > config.n_layers):
        raise UsageError(
            f"--freeze {shown(freeze)}: {base} has {config.n_layers} layers",
            hint=f"--freeze {config.n_layers}, or all for all but the head",
        )


def _execute(
    request: Any, run: Any, store: Any, console: Console, rejects: Path | None,
    options: dict[str, Any], place: around.Place,
) -> None:  # fmt: skip
    """Runs it, or shows the plan; then says how it went. Rank 0 alone has a draft."""
    from nlpcli.runs.leading import joined, leading

    if place.rank:
        if options["dry_run"]:
            return
        ranks = joined(place.rank, place.size)
        unseen = RejectFile(None, console)
        raise typer.Exit(run(request, store, console, unseen, ranks).follow())
    asked = {name: options[name] for name in ("force", "wait", "if_changed")}
    draft = store.begin(request.output, **asked)
    if options["dry_run"]:
        draft.probe()
        plan = run(request, store, console, RejectFile(None, console)).plan()
        show_plan(plan, as_json=options["json"])
        return
    ranks = joined(place.rank, place.size)
    with leading(ranks):
        with draft, RejectFile(rejects, console) as reject:
            report = run(request, store, console, reject, ranks).run(draft)
        show_finetune_report(report, console, as_json=options["json"])
        if report["refused"]:
            kept = options["keep"] if draft.versioned else None
            refuse_after(report, store, request.output, kept, console)
    if options["keep"] is not None and draft.versioned:
        prune_after(store, request.output, options["keep"], console)
    tell_pin(store, request.output, report, console)
