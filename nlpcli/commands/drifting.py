"""predict --drift: what the answered rows are like, beside those the model was measured on."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nlpcli.commands.opening import fasttext_file, hf_folder_meant, open_model
from nlpcli.errors import NegativeAnswer, UsageError
from nlpcli.shell.console import Console

if TYPE_CHECKING:
    from nlpcli.runs.drift import DriftMonitor
    from nlpcli.store.classifier import Classifier

Drift = Annotated[
    Path | None,
    typer.Option(help="Write to this JSON file how far the rows are from the model's dev rows."),
]
FailOnDrift = Annotated[
    bool, typer.Option("--fail-on-drift", help="With --drift: exit 1 after answering drifted rows.")
]
DriftLevel = Annotated[
    float, typer.Option(min=1e-3, max=0.5, help="Share of false alarms that --drift may give.")
]
LEVEL, LEAST = 0.01, 0.1
"""An index of 0.1 is where practice begins to look (Siddiqi 2006, chapter 11)."""


def check_drifting(options: dict[str, Any]) -> None:
    """Raises UsageError for options that mean nothing without --drift."""
    for name, value in {"fail_on_drift": False, "drift_level": LEVEL}.items():
        if options["drift"] is None and options[name] != value:
            raise UsageError(f"--{name.replace('_', '-')}: wanted with --drift FILE.json")


def monitor_for(
    options: dict[str, Any], opened: Classifier, store: Path | None, console: Console
) -> DriftMonitor | None:
    """What counts the rows, if --drift is there. Raises UsageError, DataError for a model without
    statistics."""
    if options["drift"] is None:
        return None
    from nlpcli.runs.drift import DriftMonitor
    from nlpcli.store.reference import read_reference

    model = options["model"]
    if fasttext_file(model, store) is not None or hf_folder_meant(model) is not None:
        raise UsageError(f"--drift: {model} keeps no statistics of rows, it is another program's")
    reference = read_reference(open_model(model, store, console))
    return DriftMonitor(reference, opened.labels)


@contextlib.contextmanager
def drift_file(answers: object, options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The file, made before any row is read; written after all, and then in the document that is
    given. Raises CannotCreate, OutputFailed."""
    monitor: DriftMonitor | None = getattr(answers, "monitor", None)
    document: dict[str, Any] = {}
    if monitor is None:
        yield document
        return
    from nlpcli.store.atomic import AtomicFile

    with AtomicFile(options["drift"]) as file:
        try:
            yield document
        except OSError as error:  # of stdout: the file shall not take it for its own
            error.filename = error.filename or "output"
            raise
        document |= monitor.document(level=options["drift_level"], least=LEAST)
        file.write(json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n")


def tell_drift(document: dict[str, Any], options: dict[str, Any], console: Console) -> None:
    """Says what drifted; nothing without a document. Raises NegativeAnswer with --fail-on-drift."""
    if not document:
        return
    parts = document["features"].items()
    said = [f"{name} {part['psi']:.2f} (limit {part['limit']:.2f})" for name, part in parts
            if part["drifted"]]  # fmt: skip
    if not said:
        console.detail(f"no drift in {document['rows']:,} rows")
        return
    message = f"drift in {document['rows']:,} rows, stability index: {', '.join(said)}"
    if options["fail_on_drift"]:
        raise NegativeAnswer(message)
    console.warn(message)
