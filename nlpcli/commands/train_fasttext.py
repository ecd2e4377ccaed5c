"""train-fasttext: labelled rows in, a published classifier out."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nlpcli.commands import options as opt
from nlpcli.commands.console import Console, RejectFile
from nlpcli.errors import UsageError

if TYPE_CHECKING:
    from nlpcli.data.labelled import Labelled
    from nlpcli.models.config import FastTextConfig
    from nlpcli.store.classifier import TextClassifier
    from nlpcli.text.tokenizer import TokenizerConfig

EXAMPLES = (
    "Examples: nlpcli train-fasttext sample_data/reviews_en.csv -o reviews -- "
    "nlpcli train-fasttext sample_data/tags_en.csv -o tags --label-column labels "
    "--label-separator ';'"
)
MULTI_LABEL_DEV = 0.1
"""A multi-label model needs rows to tune its threshold on, when no dev part is given."""


class SegmenterName(StrEnum):
    """How runs of Chinese characters are cut."""

    char = "char"
    jieba = "jieba"


class UnicodeForm(StrEnum):
    """Unicode normal form of texts."""

    NFC = "NFC"
    NFKC = "NFKC"
    none = "none"


@dataclass(frozen=True)
class _Parts:
    """The training and the dev part, and where the dev part came from."""

    train: Labelled
    dev: Labelled | None
    source: str


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
    # torch takes over a second to import: that happens while rows are read and cut
    threading.Thread(target=_import_torch, daemon=True).start()
    console, started = Console(quiet=quiet, no_color=no_color), time.perf_counter()
    reject = RejectFile(rejects)
    from nlpcli.data.rows import RowFormat

    fmt = RowFormat(
        format=format,
        header=header,
        on_error=on_error,
        max_field=max_field << 20,
        label_separator=label_separator,
    )
    with Store(opt.store_root(store)).begin(output, force=force, wait=wait) as draft:
        parts = _read_parts(
            train, dev, dev_fraction, fmt, seed, reject,
            columns={
                "text_column": text_column,
                "label_column": label_column,
                "weight_column": weight_column,
                "label_separator": label_separator,
            },
        )  # fmt: skip
        reject.close(console)
        classifier, report = _train(
            config, tokenizer_config, parts, class_weight, console,
            seed=seed, threads=threads, device=device, patience=patience,
            separator=label_separator, threshold=threshold,
        )  # fmt: skip
        path = _publish(draft, classifier, config, parts, report, seed)
    report["path"], report["seconds"] = str(path), round(time.perf_counter() - started, 3)
    _show(report, console, as_json=json)


def _import_torch() -> None:
    import torch  # noqa: F401


def _read_parts(
    train: str,
    dev: str | None,
    fraction: float,
    fmt: Any,
    seed: int,
    reject: RejectFile,
    columns: dict[str, Any],
) -> _Parts:
    """Training and dev rows; the dev part from a file, or held out, or none."""
    from dataclasses import replace

    from nlpcli.data.labelled import read_labelled
    from nlpcli.data.split import holdout
    from nlpcli.errors import DataError

    rows = read_labelled(train, fmt, on_reject=reject, **columns)
    if dev is not None:
        other = replace(fmt, format=None) if fmt.format is None else fmt
        dev_rows = read_labelled(dev, other, on_reject=reject, **{**columns, "weight_column": None})
        parts = _Parts(rows, dev_rows, dev)
    else:
        if columns["label_separator"] is not None and not fraction:
            fraction = MULTI_LABEL_DEV
        if not fraction:
            parts = _Parts(rows, None, "none")
        else:
            kept, held = holdout(rows.labels, fraction, seed)
            dev_part = _subset(rows, held) if len(held) else None
            parts = _Parts(_subset(rows, kept), dev_part, f"{fraction:g} of the rows")
    names = {name for row in parts.train.labels for name in row}
    if len(names) < (1 if columns["label_separator"] is not None else 2):
        seen = ", ".join(sorted(names)) or "none"
        raise DataError(f"{train}: at least 2 labels are needed, seen: {seen}")
    return parts


def _subset(rows: Labelled, chosen: Any) -> Labelled:
    from dataclasses import replace

    at = chosen.tolist()
    return replace(
        rows,
        texts=[rows.texts[i] for i in at],
        labels=[rows.labels[i] for i in at],
        lines=[rows.lines[i] for i in at],
        weights=None if rows.weights is None else rows.weights[chosen],
    )


def _train(
    config: FastTextConfig,
    tokenizer_config: TokenizerConfig,
    parts: _Parts,
    class_weight: str | None,
    console: Console,
    *,
    seed: int,
    threads: int | None,
    device: str,
    patience: int | None,
    separator: str | None,
    threshold: float | None,
) -> tuple[TextClassifier, dict[str, Any]]:
    """The classifier, and the report of the run."""
    from nlpcli.commands.class_weights import read_class_weights
    from nlpcli.data.split import label_names
    from nlpcli.store.classifier import TextClassifier
    from nlpcli.text.tokenizer import Tokenizer

    names = label_names(parts.train.labels)
    by_class = read_class_weights(class_weight, names)
    before = time.perf_counter()
    tokenizer, bags = Tokenizer.fit(tokenizer_config, parts.train.texts)
    cut = time.perf_counter()

    from nlpcli.batching.bags import LabelSets
    from nlpcli.training.device import choose_device, set_threads
    from nlpcli.training.fit import Examples, Fitting, class_importance

    used = choose_device(device)
    n_threads = set_threads(threads)
    sets = LabelSets.of(parts.train.labels, names)
    importance = class_importance(sets, by_class, parts.train.weights)
    dev = None
    if parts.dev is not None:
        dev = Examples(tokenizer.bags(parts.dev.texts), LabelSets.of(parts.dev.labels, names))
    fitting = Fitting(
        config, Examples(bags, sets, importance), dev,
        n_features=tokenizer.n_features, seed=seed, device=used, patience=patience,
    )  # fmt: skip
    loss, epochs, begun = 0.0, 0, time.perf_counter()
    with console:
        for now in fitting:
            loss, epochs = now.step.loss, now.step.epoch
            note = f"loss {loss:.4f}"
            if now.dev_score is not None:
                note += f"  dev {now.dev_score:.4f}"
            console.progress(f"epoch {epochs}/{config.epochs}", now.step.step, now.step.steps, note)
    trained = time.perf_counter()
    scorer = fitting.scorer
    classifier = TextClassifier(tokenizer, scorer, names, None, separator)
    rate = len(parts.train.texts) * epochs / max(trained - begun, 1e-9)
    report: dict[str, Any] = {
        "rows": len(parts.train.texts),
        "dev_rows": 0 if parts.dev is None else len(parts.dev.texts),
        "labels": len(names),
        "features": tokenizer.n_features,
        "epochs": epochs,
        "loss": round(loss, 6),
        "device": str(used),
        "threads": n_threads,
        "rows_per_second": round(rate),
        "stage_seconds": {"tokenize": round(cut - before, 3), "train": round(trained - begun, 3)},
        "metrics": {},
    }
    return _tune_and_measure(classifier, parts, threshold, report), report


def _tune_and_measure(
    classifier: TextClassifier, parts: _Parts, threshold: float | None, report: dict[str, Any]
) -> TextClassifier:
    """Sets the multi-label threshold from the dev part and measures the model on it."""
    from dataclasses import replace

    from nlpcli.batching.bags import LabelSets
    from nlpcli.commands.scoring import score
    from nlpcli.evaluation.multilabel import best_threshold

    if parts.dev is None:
        return (
            replace(classifier, threshold=threshold or 0.5)
            if classifier.multi_label
            else classifier
        )
    probabilities = classifier.probabilities(parts.dev.texts)
    if classifier.multi_label and threshold is None:
        import numpy as np

        sets = LabelSets.of(parts.dev.labels, classifier.labels)
        true = sets.dense(np.arange(len(parts.dev.texts))).astype(bool)
        threshold = round(best_threshold(true, probabilities)[0], 6)
    if classifier.multi_label:
        classifier = replace(classifier, threshold=threshold)
    document = score(classifier, probabilities, parts.dev.labels, resamples=200, seed=1)
    report["metrics"] = {
        key: value["value"]
        for key, value in document.items()
        if isinstance(value, dict) and "value" in value
    }
    if classifier.multi_label:
        report["threshold"] = threshold
    return classifier


def _publish(
    draft: Any,
    classifier: TextClassifier,
    config: FastTextConfig,
    parts: _Parts,
    report: dict[str, Any],
    seed: int,
) -> Path:
    from nlpcli import __version__
    from nlpcli.store.classifier import KIND, write_classifier

    written = write_classifier(draft, classifier)
    train = parts.train
    published: Path = draft.publish(
        kind=KIND,
        created_by=f"nlpcli {__version__}",
        config={**config.to_json(), **written, "dev": parts.source},
        labels=classifier.labels,
        data={
            "sha256": train.sha256,
            "rows": len(train.texts),
            "dev_rows": report["dev_rows"],
            "blank_rows": train.n_blank,
            "skipped_rows": train.n_skipped,
            "conflicting_texts": train.n_conflicts,
            "threads": report["threads"],
        },
        seed=seed,
        metrics=report["metrics"],
    )
    return published


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
