"""Hugging Face folders into the store, and encoders of the store out as such folders."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from nlpcli.errors import InputMissing, UsageError
from nlpcli.runs import interrupts
from nlpcli.runs.memory import free_memory
from nlpcli.store.encoder import KIND, Encoder, open_plain, write_encoder
from nlpcli.store.encoder_classifier import HEAD
from nlpcli.store.folder import MANIFEST
from nlpcli.store.multitask import HEADS as TASK_HEADS
from nlpcli.store.plain_folder import check_folder_free, write_plain_folder
from nlpcli.store.span_model import HEAD as SPAN_HEAD
from nlpcli.store.token_tagger import CRF

if TYPE_CHECKING:
    from nlpcli.store.draft import Draft
    from nlpcli.store.encoder import OpenedEncoder

_SOURCES = (".safetensors", ".json", ".txt")


def import_encoder(source: Path, draft: Draft) -> tuple[Path, list[str]]:
    """Publishes a Hugging Face BERT folder as the model that ``draft`` becomes.

    Gives the path, and warnings about tensors that are left out. Raises UsageError for a model of
    this program, InputMissing, DataError, Unavailable without the memory, OutputFailed.
    """
    from nlpcli import __version__

    if os.path.lexists(source / MANIFEST):
        raise UsageError(f"SRC {source}: is a model already, not a plain Hugging Face folder")
    opened = open_plain(source, room=free_memory())
    config = write_encoder(draft, opened.encoder, {"imported_from": "Hugging Face folder"})
    sha256, size = folder_content(source)
    with interrupts.deferred():
        path = draft.publish(
            kind=KIND,
            created_by=f"nlpcli {__version__}",
            config=config,
            labels=opened.encoder.labels,
            # what it was trained on, such a folder does not say
            data={
                "sha256": None, "rows": None, "dev_rows": None,
                "imported_sha256": sha256, "imported_bytes": size,
            },
            seed=0,
            metrics={},
        )  # fmt: skip
        interrupts.complete()
    return path, opened.warnings


def folder_content(folder: Path) -> tuple[str, int]:
    """SHA-256 over the weights, configuration and tokenizer in the order of their names; bytes.

    Raises InputMissing.
    """
    digest, size = hashlib.sha256(), 0
    try:
        for name in sorted(os.listdir(folder)):
            if name.endswith(_SOURCES) and os.path.isfile(folder / name):
                with open(folder / name, "rb") as stream:
                    digest.update(hashlib.file_digest(stream, "sha256").digest())
                    size += stream.tell()
    except OSError as error:
        raise InputMissing(f"{folder}: {error.strerror}") from None
    return digest.hexdigest(), size


def export_encoder(encoder: Encoder, target: Path, *, force: bool) -> list[str]:
    """Writes a folder that transformers loads as it is; gives the heads that it has no place for.

    Raises CannotCreate for what is there unless ``force`` and only such files lie in it,
    OutputFailed.
    """
    files = encoder.files()
    check_folder_free(target, set(files), force=force)
    write_plain_folder(target, files, force=force)
    return [] if encoder.span_boundary is None else ["span-boundary"]


def head_beside(opened: OpenedEncoder) -> list[str]:
    """The head of a fine-tuned model that lies in a file beside its encoder, if one does."""
    files = {} if opened.folder is None else opened.folder.manifest.files
    heads = {SPAN_HEAD: "span", HEAD: "classification", TASK_HEADS: "multi-task", CRF: "CRF"}
    return [name for file, name in heads.items() if file in files]
