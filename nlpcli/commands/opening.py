"""Opening what a command was given: a model, with its warnings shown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nlpcli.commands.console import Console
from nlpcli.commands.options import store_root

if TYPE_CHECKING:
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
