"""pretrain-bert: plain text in, a published encoder out."""

from __future__ import annotations

import os
from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nlpcli.commands.after_training import (
    prune_after,
    show_encoder_report,
    show_plan,
    tell_pin,
)
from nlpcli.commands.configuring import typed_options
from nlpcli.commands.opening import refuse_same_file
from nlpcli.commands.pretraining_options import (
    masks_of,
    opened_base,
    recipe_of,
    row_length,
    sizes_of,
    vocabulary_of,
)
from nlpcli.errors import CannotCreate, UsageError
from nlpcli.shell import options as opt
from nlpcli.shell import ranks as around
from nlpcli.shell.console import Console, RejectFile
from nlpcli.shell.machine import keep_products

if TYPE_CHECKING:
    pass

EXAMPLES = """\b
Examples:
  nlpcli pretrain-bert sample_data/reviews_en.csv -o encoder --size tiny \\
      --steps 20 --batch-size 8 --max-length 32
  nlpcli pretrain-bert sample_data/reviews_en.csv -o spans --mask spans \\
      --layers 2 --dim 64 --steps 20 --batch-size 8 --max-length 32
"""


class SizeName(StrEnum):
    """Layers and hidden size."""

    tiny = "tiny"
    mini = "mini"
    small = "small"
    medium = "medium"
    base = "base"


class MaskName(StrEnum):
    """What is masked together."""

    pieces = "pieces"
    words = "words"
    spans = "spans"


class ReplacementName(StrEnum):
    """How a piece is drawn that stands for another."""

    uniform = "uniform"
    unigram = "unigram"


class ScheduleName(StrEnum):
    """How the learning rate falls."""

    linear = "linear"
    cosine = "cosine"


class OptimizerName(StrEnum):
    """What moves the weights."""

    adamw = "adamw"
    muon = "muon"


def pretrain_bert(
    context: typer.Context,
    corpus: Annotated[
        list[str],
        typer.Argument(help="Text, a line a sentence, documents between blank lines; - for stdin."),
    ],
    *,
    output: Annotated[str, typer.Option("--output", "-o", help="Name in the store, or a path.")],
    store: opt.Store = None,
    size: Annotated[
        SizeName, typer.Option(help="Layers x hidden: 2x128, 4x256, 4x512, 8x512, 12x768.")
    ] = SizeName.mini,
    layers: Annotated[int | None, typer.Option(min=1, max=200, help="Instead of --size's.")] = None,
    dim: Annotated[
        int | None, typer.Option(min=1, max=65536, help="Hidden size, instead of --size's.")
    ] = None,
    heads: Annotated[
        int | None,
        typer.Option(min=1, max=1024, help="Of attention [default: one for about 64 of dim]."),
    ] = None,
    intermediate: Annotated[
        int | None, typer.Option(min=1, max=10**6, help="Inner size [default: 4 times dim].")
    ] = None,
    base: Annotated[
        str | None,
        typer.Option("--from", help="Go on from an encoder: a model, or a Hugging Face folder."),
    ] = None,
    tokenizer: Annotated[
        Path | None, typer.Option(help="A tokenizer.json or vocab.txt, instead of a new one.")
    ] = None,
    vocab_size: Annotated[
        int, typer.Option(min=100, max=10**6, help="Pieces of a new vocabulary.")
    ] = 16000,
    lowercase: Annotated[bool, typer.Option("--lowercase/--keep-case")] = True,
    max_length: Annotated[
        int | None,
        typer.Option(
            min=8,
            max=8192,
            help="Pieces of a row, the longest it will read [default: 128, or fewer].",
        ),
    ] = None,
    mask: Annotated[
        MaskName, typer.Option(help="Single pieces, whole words, or spans of words.")
    ] = MaskName.pieces,
    mask_rate: Annotated[
        float, typer.Option(min=0.01, max=0.9, help="Share of pieces that is asked for.")
    ] = 0.15,
    masked_share: Annotated[
        float, typer.Option(min=0, max=1, help="Of these, those that become [MASK].")
    ] = 0.8,
    replaced_share: Annotated[
        float, typer.Option(min=0, max=1, help="Of these, those that become another piece.")
    ] = 0.1,
    replacement: Annotated[
        ReplacementName, typer.Option(help="How other pieces are drawn.")
    ] = ReplacementName.uniform,
    span_boundary: Annotated[
        bool | None,
        typer.Option(
            "--span-boundary/--no-span-boundary",
            help="Also learn spans from their borders [default: with --mask spans].",
        ),
    ] = None,
    next_sentence: Annotated[
        bool,
        typer.Option("--next-sentence", help="Rows are pairs, half of them true ones."),
    ] = False,
    steps: Annotated[int | None, typer.Option(min=1, max=10**9, help="Length of the run.")] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0.01, max=10**6, help="Length, fixed after the warm-up.")
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, max=10**6, help="Length [default: as many as make 2,000 steps]."),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, max=10**6, help="Rows of a step.")] = 32,
    lr: Annotated[
        float | None,
        typer.Option(
            min=1e-7,
            max=1,
            help="Highest learning rate [default: 0.003, adamw 0.001; less above 256 of dim].",
        ),
    ] = None,
    warmup: Annotated[
        float, typer.Option(min=0, max=0.9, help="Share of the steps in which it rises.")
    ] = 0.06,
    schedule: Annotated[
        ScheduleName, typer.Option(help="How the rate falls afterwards, to 0.")
    ] = ScheduleName.linear,
    optimizer: Annotated[
        OptimizerName, typer.Option(help="muon: for the layers' matrices; adamw for the rest.")
    ] = OptimizerName.muon,
    weight_decay: Annotated[float, typer.Option(min=0, max=1)] = 0.01,
    dropout: Annotated[float, typer.Option(min=0, max=0.9, help="While pre-training.")] = 0.0,
    log: Annotated[
        Path | None, typer.Option(help="Append a JSON line a step, or so, to this file.")
    ] = None,
    if_changed: opt.IfChanged = False,
    seed: opt.Seed = 1,
    threads: opt.Threads = None,
    device: opt.Device = "auto",
    precision: opt.Precision = opt.PrecisionName.auto,
    on_error: opt.ErrorMode = opt.OnError.fail,
    rejects: opt.Rejects = None,
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
    """Pre-train a BERT encoder on plain text and publish it.

    The model is at the same time a folder that transformers loads as BertForPreTraining. Under
    torchrun, on one machine, each process computes a share of every step.
    """
    from nlpcli.runs.leading import joined, leading
    from nlpcli.runs.pretraining import PretrainRun, follow_pretraining
    from nlpcli.runs.pretraining_parts import PretrainRequest
    from nlpcli.store.store import Store

    console = Console(quiet=quiet, verbose=verbose, no_color=no_color)
    keep_products()
    models = Store(opt.store_root(store))
    opt.expect_input(*corpus)
    for path in corpus:
        refuse_same_file({"CORPUS": path}, {"--log": log, "--rejects": rejects}, model=output)
    _expect_log(log)
    options: dict[str, Any] = {
        n: v.value if isinstance(v, StrEnum) else v for n, v in context.params.items()
    }
    typed = typed_options(context)
    place = around.place()
    if place.size > 1 and device not in ("auto", "cpu"):
        raise UsageError(f"--device {device}: ranks train on the CPU", hint="--device cpu")
    started = opened_base(base, store, typed, console)
    spans = mask == MaskName.spans
    if span_boundary and not spans:
        raise UsageError(
            f"--span-boundary has no meaning with --mask {mask.value}", hint="--mask spans"
        )
    training, config = recipe_of(options, started)
    masks = masks_of(options)
    request = PretrainRequest(
        output=output, paths=corpus, vocabulary=vocabulary_of(options, typed, started),
        sizes=sizes_of(options) if started is None else {}, base=started,
        length=row_length(options, started), masks=masks, pairs=next_sentence,
        span_boundary=spans if span_boundary is None else span_boundary, config=config,
        training=training, seed=seed, threads=threads,
        device="cpu" if place.size > 1 else device,
        precision=precision.value, resume=resume, save_every=save_every,
        skip_bad=on_error == opt.OnError.skip, if_changed=if_changed, log=log,
    )  # fmt: skip
    if dry_run:
        if place.rank == 0:
            models.begin(output, force=force, wait=wait, if_changed=if_changed).probe()
            show_plan(PretrainRun(request, models, console).plan(), as_json=json)
        return
    ranks = joined(place.rank, place.size)
    if ranks is not None and ranks.rank:
        raise typer.Exit(follow_pretraining(request, ranks))
    with leading(ranks):
        draft = models.begin(output, force=force, wait=wait, if_changed=if_changed)
        with draft, nullcontext() if rejects is None else RejectFile(rejects, console) as reject:
            report = PretrainRun(request, models, console, reject, ranks).run(draft)
    show_encoder_report(report, console, as_json=json)
    if keep is not None and draft.versioned:
        prune_after(models, output, keep, console)
    tell_pin(models, output, report, console)


def _expect_log(log: Path | None) -> None:
    """Raises CannotCreate for a log that cannot be written, before any work."""
    if log is None:
        return
    if not log.parent.is_dir():
        raise CannotCreate(f"--log {log}: {log.parent} is no folder")
    if log.is_dir() or not os.access(log if log.exists() else log.parent, os.W_OK):
        raise CannotCreate(f"--log {log}: is no file that can be written")
