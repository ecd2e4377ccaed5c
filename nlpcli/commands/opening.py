"""Opening what a command was given: a model, with its warnings shown."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from nlpcli.errors import UsageError
from nlpcli.shell.console import Console
from nlpcli.shell.options import store_root

if TYPE_CHECKING:
    from nlpcli.store.classifier import Classifier
    from nlpcli.store.folder import ModelFolder


def open_model(model: str, store: Path | None, console: Console) -> ModelFolder:
    """The verified model meant; newer versions that do not verify are warned of.

    Raises InputMissing, DataError, UsageError as ``Store.open``.
    """
    from nlpcli.store.store import Store

    folder, warnings = Store(store_root(store)).open(model)
    for warning in warnings:
        console.warn(warning)
    return folder


def open_classifier(model: str, store: Path | None, console: Console) -> Classifier:
    """The classifier meant: a model of the store; what it is is told with -v.

    Raises InputMissing, DataError, UsageError.
    """
    from nlpcli.store.classifier import read_classifier

    folder = open_model(model, store, console)
    classifier = read_classifier(folder)
    console.detail(f"model {folder.path}: {len(classifier.labels):,} labels")
    return classifier


def refuse_same_file(
    inputs: Mapping[str, str | None], outputs: Mapping[str, str | Path | None]
) -> None:
    """Raises UsageError when an output is, perhaps by a link, a file that is read."""
    for option, target in outputs.items():
        for what, source in inputs.items():
            if target is None or source is None or "-" in (source, str(target)):
                continue
            try:
                same = os.path.samefile(source, target)
            except OSError:
                continue
            if same:
                raise UsageError(f"{option} {target}: the same file as {what}, which is read")
