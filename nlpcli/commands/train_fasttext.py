"""train-fasttext: labelled rows in, a published classifier out."""

from __future__ import annotations

import contextlib
import threading
import time
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nlpcli.commands import options as opt
from nlpcli.commands.console import Console, RejectFile
from nlpcli.errors import UsageError

if TYPE_CHECKING:
    from nlpcli.commands.fitting import Request
    from nlpcli.store.draft import Draft

EXAMPLES = """\b
Examples:
  nlpcli train-fasttext sample_data/reviews_en.csv -o reviews
  nlpcli train-fasttext sample_data/tags_en.csv -o tags \\
      --label-column labels --label-separator ';'
"""


class SegmenterName(StrEnum):
    """How runs of Chinese characters are cut."""

    char = "char"
    jieba = "jieba"


class UnicodeForm(StrEnum):
    """Unicode normal form of texts."""

    NFC = "NFC"
    NFKC = "NFKC"
    none = "none"


def train_fasttext(
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
        float, typer.Option(min=0, max=0.9, help="Or this share of the rows [multi-label: 0.1].")
    ] = 0.0,
    patience: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many epochs without a better one.")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Multi-label [default: tuned on dev].")
    ] = None,
    dim: Annotated[
        int, typer.Option(min=0, max=4096, help="Width of embeddings; 0: one number a label.")
    ] = 0,
    epochs: Annotated[int, typer.Option(min=1, max=10000)] = 3,
    lr: Annotated[float, typer.Option(min=1e-6, max=100, help="Falls linearly to 30 %.")] = 0.2,
    batch_size: Annotated[int, typer.Option(min=1, max=65536, help="Texts a step.")] = 64,
    label_smoothing: Annotated[float, typer.Option(min=0, max=0.9)] = 0.1,
    word_ngrams: Annotated[int, typer.Option(min=1, max=8, help="Longest run of words.")] = 2,
    min_n: Annotated[int, typer.Option(min=0, max=32, help="Shortest character n-gram.")] = 0,
    max_n: Annotated[int, typer.Option(min=0, max=32, help="Longest; 0: none.")] = 0,
    min_count: Annotated[int, typer.Option(min=1, help="Rarer features are dropped.")] = 1,
    buckets: Annotated[
        int | None, typer.Option(min=1, max=2**31, help="Hash n-grams [default: a row each].")
    ] = None,
    segmenter: Annotated[
        SegmenterName, typer.Option(help="Chinese: characters, or a dictionary.")
    ] = SegmenterName.char,
    unicode_form: Annotated[UnicodeForm, typer.Option()] = UnicodeForm.NFKC,
    lowercase: Annotated[bool, typer.Option("--lowercase/--keep-case")] = True,
    strip_urls: Annotated[bool, typer.Option("--strip-urls")] = False,
    strip_mentions: Annotated[bool, typer.Option("--strip-mentions")] = False,
    strip_html: Annotated[bool, typer.Option("--strip-html", help="Tags and entities.")] = False,
    strip_punctuation: Annotated[bool, typer.Option("--strip-punctuation")] = False,
    strip_control: Annotated[bool, typer.Option("--strip-control")] = False,
    seed: opt.Seed = 1,
    threads: opt.Threads = None,
    device: opt.Device = "auto",
    format: opt.Format = None,
    header: opt.Header = True,
    on_error: opt.ErrorMode = opt.OnError.fail,
    rejects: opt.Rejects = None,
    max_field: opt.MaxField = 64,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a model path that exists.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Queue when the name is busy.")] = False,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
    no_color: opt.NoColor = False,
) -> None:
    """Train a text classifier from labelled rows and publish it."""
    from nlpcli.commands.fitting import Request
    from nlpcli.data.rows import RowFormat
    from nlpcli.models.config import FastTextConfig
    from nlpcli.store.store import Store
    from nlpcli.text.normalize import Cleaning
    from nlpcli.text.tokenizer import TokenizerConfig

    if dev is not None and dev_fraction:
        raise UsageError("--dev and --dev-fraction: give one of them")
    if min_n > max_n:
        raise UsageError(f"--min-n {min_n} is more than --max-n {max_n}")
    if patience is not None and dev is None and not dev_fraction and label_separator is None:
        raise UsageError("--patience needs rows to measure on", hint="--dev-fraction 0.1")
    tokenizer_config = TokenizerConfig(
        cleaning=Cleaning(
            unicode_form=unicode_form.value,
            lowercase=lowercase,
            strip_urls=strip_urls,
            strip_mentions=strip_mentions,
            strip_html=strip_html,
            strip_punctuation=strip_punctuation,
            strip_control=strip_control,
        ),
        segmenter=segmenter.value,
        word_ngrams=word_ngrams,
        min_n=min_n if min_n or not max_n else 1,
        max_n=max_n,
        min_count=min_count,
        buckets=buckets,
    )
    config = FastTextConfig(
        dim=dim,
        loss="softmax" if label_separator is None else "one-vs-all",
        epochs=epochs,
        lr=lr,
        batch_size=batch_size,
        label_smoothing=label_smoothing,
    )
    request = Request(
        train=train,
        dev=dev,
        dev_fraction=dev_fraction,
        fmt=RowFormat(
            format=format,
            header=header,
            on_error=on_error,
            max_field=max_field << 20,
            label_separator=label_separator,
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
        tokenizer=tokenizer_config,
        seed=seed,
        threads=threads,
        device=device,
    )
    console = Console(quiet=quiet, no_color=no_color)
    with Store(opt.store_root(store)).begin(output, force=force, wait=wait) as draft:
        report = _run(request, draft, console, RejectFile(rejects))
    _show(report, console, as_json=json)


def _run(request: Request, draft: Draft, console: Console, reject: RejectFile) -> dict[str, Any]:
    """Read, fit, publish; the report of the run."""
    from nlpcli.commands.fitting import fit, publish, read_parts

    begun = time.perf_counter()
    # torch takes over a second to import: that happens while rows are read and cut
    threading.Thread(target=_import_torch, daemon=True).start()
    parts = read_parts(request, reject)
    reject.close(console)
    read = time.perf_counter()
    outcome = fit(request, parts, console)
    fitted = time.perf_counter()
    path = publish(draft, outcome, request)
    ended = time.perf_counter()
    report = outcome.report
    report["stage_seconds"]["read"] = round(read - begun, 3)
    report["stage_seconds"]["save"] = round(ended - fitted, 3)
    return {**report, "path": str(path), "seconds": round(ended - begun, 3)}


def _import_torch() -> None:
    # where it is missing, the main thread says so
    with contextlib.suppress(ImportError):
        import torch  # noqa: F401


def _show(report: dict[str, Any], console: Console, *, as_json: bool) -> None:
    """The published path on stdout, alone or in one JSON document; a summary on stderr."""
    import json
    import resource

    report["peak_memory_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    console.say(
        f"{report['rows']:,} rows, {report['labels']:,} labels, {report['features']:,} features; "
        f"{report['epochs']} epochs, loss {report['loss']:.4f}; {report['seconds']:.1f} s"
    )
    if report["metrics"]:
        names = ("accuracy", "macro_f1", "micro_f1", "precision_at_1")
        shown = [
            f"{n} {report['metrics'][n]:.4f}" for n in names if report["metrics"].get(n) is not None
        ]
        console.say(f"dev part, {report['dev_rows']:,} rows: {', '.join(shown)}")
    typer.echo(json.dumps(report, sort_keys=True) if as_json else report["path"])
