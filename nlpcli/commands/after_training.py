"""What a training command says when it is done, and what it does after publishing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import typer

from nlpcli.errors import Busy, NegativeAnswer, NlpcliError, OutputFailed
from nlpcli.shell.console import Console
from nlpcli.shell.streams import write_path

if TYPE_CHECKING:
    from nlpcli.store.store import Store


UNCHANGED = "nothing to do: data, options and program are as in the newest version"


def in_short(metrics: dict[str, Any]) -> str:
    """The metrics that people ask for first, where they are there."""
    names = (
        "mean_score", "exact_match", "f1", "entity_f1", "span_f1", "relation_f1", "accuracy",
        "macro_f1", "micro_f1", "precision_at_1", "perplexity", "pearson", "spearman", "rmse",
    )  # fmt: skip
    return ", ".join(f"{n} {metrics[n]:.4f}" for n in names if metrics.get(n) is not None)


def show_report(report: dict[str, Any], console: Console, *, as_json: bool) -> None:
    """The published path on stdout, alone or in one JSON document; a summary on stderr."""
    import json
    import resource

    report["peak_memory_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    if report.get("unchanged"):
        console.say(UNCHANGED)
    else:
        console.say(
            f"{report['rows']:,} rows, {report['labels']:,} labels, {report['features']:,} "
            f"features; {report['epochs']} epochs, loss {report['loss']:.4f}; "
            f"{report['seconds']:.1f} s"
        )
    if report["metrics"] and "dev_rows" in report:
        console.say(f"dev part, {report['dev_rows']:,} rows: {in_short(report['metrics'])}")
    if report.get("held_out"):
        console.say(
            f"{report['held_out_rows']:,} rows, before they were learnt from too: "
            f"{in_short(report['held_out'])}"
        )
    if as_json:
        typer.echo(json.dumps(report, sort_keys=True))
    elif report["published"]:
        write_path(report["path"])


def show_words_report(report: dict[str, Any], console: Console, *, as_json: bool) -> None:
    """As ``show_report``, of word vectors."""
    import json
    import resource

    report["peak_memory_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    if report.get("unchanged"):
        console.say(UNCHANGED)
    else:
        loss = "" if report["loss"] is None else f", loss {report['loss']:.4f}"
        console.say(
            f"{report['vocabulary']:,} words of {report['dim']:,} numbers{loss}; "
            f"{report['words_per_second']:,} words/s in training; {report['seconds']:.1f} s"
        )
    if as_json:
        typer.echo(json.dumps(report, sort_keys=True))
    else:
        write_path(report["path"])


def show_finetune_report(report: dict[str, Any], console: Console, *, as_json: bool) -> None:
    """As ``show_report``, of a fine-tuned encoder."""
    import json
    import resource

    windows = report.get("windows")
    of_labels = (
        "" if report.get("task") == "regression" else f", {report.get('labels', 0):,} labels"
    )
    more = of_labels if windows is None else f", {windows:,} windows"
    report["peak_memory_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    if report.get("unchanged"):
        console.say(UNCHANGED)
    else:
        console.say(
            f"{report['rows']:,} rows{more}; {report['epochs']} epochs, "
            f"loss {report['loss']:.4f}; {report['rows_per_second']:,} rows/s; "
            f"{report['seconds']:.1f} s"
        )
    if report["metrics"] and "dev_rows" in report:
        console.say(f"dev part, {report['dev_rows']:,} rows: {in_short(report['metrics'])}")
    for name, task in report.get("tasks", {}).items():
        if task["metrics"]:
            console.say(f"{name}, {task['dev_rows']:,} rows: {in_short(task['metrics'])}")
    if as_json:
        typer.echo(json.dumps(report, sort_keys=True))
    elif report["published"]:
        write_path(report["path"])


def show_encoder_report(report: dict[str, Any], console: Console, *, as_json: bool) -> None:
    """As ``show_report``, of a pre-trained encoder."""
    import json
    import resource

    report["peak_memory_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    metrics = report["metrics"]
    held_out = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in metrics.items())
    if report.get("unchanged"):
        console.say(UNCHANGED)
    else:
        console.say(
            f"{report['parameters']:,} parameters, {report['steps']:,} steps, "
            f"{report['tokens_per_second']:,} pieces/s; {held_out or 'nothing held out'}; "
            f"{report['seconds']:.1f} s"
        )
    if as_json:
        typer.echo(json.dumps(report, sort_keys=True))
    else:
        write_path(report["path"])


def show_plan(plan: dict[str, Any], *, as_json: bool) -> None:
    """What --dry-run found, on stdout: a line a value, or one JSON document."""
    import json

    if as_json:
        typer.echo(json.dumps(plan))
        return
    width = max(map(len, plan))
    for name, value in plan.items():
        if value is not None:
            shown = f"{value:,}" if isinstance(value, int) else value
            typer.echo(f"{name.replace('_', ' '):<{width}} {shown}")


def _why_not(report: dict[str, Any]) -> str:
    """Why the version is not served, and where it lies."""
    kept = f"kept unpublished: {report['path']}" if report["path"] else "nothing is written"
    return f"{'; '.join(report['refused'])}; {kept}"


def refuse_after(
    report: dict[str, Any], store: Store, name: str, keep: int | None, console: Console
) -> NoReturn:
    """Raises NegativeAnswer for a version that is not served, behind what --keep asks for."""
    if keep is not None:
        try:
            prune_after(store, name, keep, console)
        except OutputFailed as error:  # the answer is still no
            console.warn(error.message)
    raise NegativeAnswer(_why_not(report))


def prune_after(store: Store, name: str, keep: int, console: Console) -> None:
    """What --keep asks for; a run that begins meanwhile does it itself.

    Raises OutputFailed: the model is published, so no failure says that nothing was done.
    """
    try:
        removed, warnings = store.prune(name, keep)
    except Busy as error:
        console.warn(f"--keep: {error.message}; its run may prune")
        return
    except NlpcliError as error:
        raise OutputFailed(f"--keep: {error.message}") from None
    for warning in warnings:
        console.warn(warning)
    if removed:
        console.say(f"removed old versions: {', '.join(map(str, removed))}")


def tell_pin(store: Store, output: str, report: dict[str, Any], console: Console) -> None:
    """A new version is not what the bare name means while another is pinned."""
    if "/" in output or output.startswith("."):
        return
    pinned = store.pinned(output)
    if pinned is not None and pinned != int(report["path"].rpartition("/")[2]):
        console.warn(f"{output} stays at the pinned version {pinned}: nlpcli models unpin {output}")
