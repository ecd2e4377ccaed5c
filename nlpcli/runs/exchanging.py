"""Other programs' model files into the store, and models of the store out again."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from nlpcli.errors import CannotCreate, InputMissing, UsageError, shown
from nlpcli.formats.fasttext_bin import FastTextFile, read_fasttext, write_fasttext
from nlpcli.formats.fasttext_dictionary import LABEL
from nlpcli.runs import interrupts
from nlpcli.store import fasttext_folder
from nlpcli.store.atomic import AtomicFile

if TYPE_CHECKING:
    from nlpcli.store.draft import Draft
    from nlpcli.store.folder import ModelFolder


def import_fasttext(source: Path, draft: Draft, prefix: str = LABEL.decode()) -> Path:
    """Publishes a classifier of the fastText program as the model that ``draft`` becomes.

    ``prefix``: of its labels, which are shown without. Gives the path. Raises InputMissing,
    DataError for a file that is no classifier, OutputFailed.
    """
    from nlpcli import __version__

    model = read_fasttext(source, classifier=True)
    config = fasttext_folder.write_fasttext_folder(draft, model, prefix=prefix)
    origin = {"imported_sha256": _sha256(source), "imported_bytes": os.stat(source).st_size}
    with interrupts.deferred():
        path = draft.publish(
            kind=fasttext_folder.KIND,
            created_by=f"nlpcli {__version__}",
            config=config,
            labels=model.dictionary.label_names(prefix.encode()),
            # what it was trained on, such a file does not say
            data={"sha256": None, "rows": None, "dev_rows": None, **origin},
            seed=0,
            metrics={},
        )
        interrupts.complete()
    return path


def stored_fasttext(folder: ModelFolder) -> FastTextFile:
    """The model of a folder, as a file of the fastText program has it.

    Raises UsageError for a model that such a file cannot hold, DataError.
    """
    kind = folder.manifest.kind
    if kind != fasttext_folder.KIND:
        raise UsageError(
            f"{folder.path}: a fastText file cannot hold a model of kind {shown(kind)}: its way of "
            "cutting and weighting texts, or no bottleneck",
            hint="train-fasttext --fasttext-compatible",
        )
    return fasttext_folder.read_fasttext_folder(folder)


def export_fasttext(model: FastTextFile, target: Path, *, force: bool) -> None:
    """Writes a file that the fastText program reads, beside its place, then renamed into it.

    Raises CannotCreate for a file that is there unless ``force``, OutputFailed.
    """
    check_free(target, force=force)
    with AtomicFile(target) as stream:
        write_fasttext(model, stream)


def check_free(target: Path, *, force: bool) -> None:
    """A model's file is replaced only when that is asked for. Raises CannotCreate."""
    if os.path.lexists(target) and not force:
        raise CannotCreate(f"{target}: exists already", hint="--force")


def _sha256(path: Path) -> str:
    try:
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise InputMissing(f"{path}: {error.strerror}") from None
