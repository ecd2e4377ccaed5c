"""An encoder that several tasks share as a model folder: a plain encoder for transformers, which
has no class for it, and the heads of all tasks in a second file, ``task_heads.safetensors``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nlpcli.errors import DataError, shown
from nlpcli.models.sequence_head import CLS, head_shapes, of_task
from nlpcli.store.draft import Draft
from nlpcli.store.encoder import Encoder, read_encoder, write_encoder
from nlpcli.store.encoder_classifier import (
    BARE,
    Answering,
    StoredClassifier,
    read_answering,
)
from nlpcli.store.folder import ModelFolder
from nlpcli.store.tensors import load_tensors, write_tensors
from nlpcli.store.validation import check_head_tensors

KIND = "bert-multitask"
KEY = "multitask"
HEADS = "task_heads.safetensors"

Weights = dict[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class StoredTask:
    """The labels of a task, and how it answers."""

    labels: list[str]
    answering: Answering

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values; the file of all heads is said once."""
        about = self.answering.to_json()
        del about["head_file"]
        return {"labels": self.labels, **about}


@dataclass(frozen=True, eq=False)
class StoredTasks:
    """An encoder, its tasks by name, and the tensors of all heads."""

    encoder: Encoder
    tasks: dict[str, StoredTask]
    heads: Weights

    def classifier(self, name: str) -> StoredClassifier:
        """The encoder with the head of one task, as if it had no other."""
        task = self.tasks[name]
        head = {n: self.heads[of_task(name, n)] for n in self._shapes(name)}
        return StoredClassifier(self.encoder, task.answering, head, task.labels)

    def _shapes(self, name: str) -> dict[str, tuple[int, ...]]:
        task, hidden = self.tasks[name], self.encoder.config.hidden
        return head_shapes(hidden, len(task.labels), task.answering.head)

    def check(self, where: str) -> None:
        """Raises DataError for tensors that are not those of the heads."""
        pools = any(task.answering.pooling == CLS for task in self.tasks.values())
        if pools and not self.encoder.has_pooler:
            raise DataError(f"{where}: a head above a pooler, which the encoder lacks")
        shapes = {
            of_task(name, n): shape
            for name in self.tasks
            for n, shape in self._shapes(name).items()
        }
        check_head_tensors(self.heads, shapes, where)


def write_tasks(draft: Draft, stored: StoredTasks, options: dict[str, Any]) -> dict[str, Any]:
    """Writes the files; gives what belongs into the manifest's configuration. Errors as
    ``write_encoder``, DataError for heads that would not be read again."""
    stored.check("the heads")
    write_tensors(draft, HEADS, dict(stored.heads))
    tasks = {name: task.to_json() for name, task in stored.tasks.items()}
    return write_encoder(draft, stored.encoder, {**options, KEY: {"file": HEADS, "tasks": tasks}})


def read_tasks(folder: ModelFolder) -> StoredTasks:
    """Loads a verified model. Raises DataError when it is of another kind or does not add up."""
    where = str(folder.path)
    encoder = read_encoder(folder, kind=KIND)
    if encoder.architecture != BARE:
        raise DataError(f"{where}: no encoder of several tasks: {shown(encoder.architecture)}")
    about = folder.manifest.config.get(KEY)
    if not isinstance(about, dict) or set(about) != {"file", "tasks"} or about["file"] != HEADS:
        raise DataError(f"{where}: config.{KEY}: wanted file: {HEADS}, and tasks")
    tasks = about["tasks"]
    if not isinstance(tasks, dict) or not tasks:
        raise DataError(f"{where}: config.{KEY}.tasks: wanted tasks by name")
    found = {
        name: _task(task, encoder, f"{where}: config.{KEY}.tasks.{shown(name)}")
        for name, task in tasks.items()
    }
    stored = StoredTasks(encoder, found, load_tensors(folder, HEADS))
    stored.check(str(folder.path / HEADS))
    return stored


def _task(about: Any, encoder: Encoder, where: str) -> StoredTask:
    labels = about.get("labels") if isinstance(about, Mapping) else None
    named = isinstance(labels, list) and all(isinstance(label, str) for label in labels)
    if not named or not labels or len(set(labels)) < len(labels):
        raise DataError(f"{where}.labels: wanted names, each once")
    own = {key: value for key, value in about.items() if key != "labels"}
    return StoredTask(labels, read_answering(own, encoder, where, head_file=False))
