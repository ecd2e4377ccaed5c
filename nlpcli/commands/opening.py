"""Opening what a command was given: a model of the store, or another program's file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from nlpcli.errors import DataError, UsageError
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


def fasttext_file(model: str, store: Path | None) -> Path | None:
    """The fastText file that is meant, by its content; None when it is a model of the store.

    A name that the store has goes before a file of that name. Raises DataError for a path of a
    file that is no model.
    """
    if not os.path.isfile(model):
        return None
    from nlpcli.formats.fasttext_bin import MAGIC, is_fasttext
    from nlpcli.store.store import Store

    is_path = "/" in model or model.startswith(".")
    if not is_path and Store(store_root(store)).versions(model.partition("@")[0]):
        return None
    if is_fasttext(Path(model)):
        return Path(model)
    if is_path:
        raise DataError(
            f"{model}: neither a model folder nor a fastText file, which begins with {MAGIC}"
        )
    return None


def open_classifier(model: str, store: Path | None, console: Console) -> Classifier:
    """The classifier meant: a model of the store, a model folder, or a fastText file as it is.

    Raises InputMissing, DataError, UsageError.
    """
    path = fasttext_file(model, store)
    classifier: Classifier
    if path is not None:
        from nlpcli.formats.fasttext_model import open_fasttext

        classifier = open_fasttext(path)
    else:
        from nlpcli.store.opening import open_stored

        folder = open_model(model, store, console)
        path, classifier = folder.path, open_stored(folder)
    console.detail(f"model {path}: {len(classifier.labels):,} labels")
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
