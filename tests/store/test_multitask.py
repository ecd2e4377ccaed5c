"""Models of several tasks in folders, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nlpcli.errors import DataError
from nlpcli.models.sequence_head import head_shapes, of_task
from nlpcli.store.encoder_classifier import BARE, Answering
from nlpcli.store.folder import ModelFolder
from nlpcli.store.multitask import (
    HEADS,
    KEY,
    KIND,
    StoredTask,
    StoredTasks,
    read_tasks,
    write_tasks,
)
from nlpcli.store.store import Store

from .encoder_classifiers import small_classifier

LABELS = {"topics": ["a", "größe"], "themes": ["x", "y", "z"]}


def small_tasks(head: str = "linear", pooling: str = "cls") -> StoredTasks:
    """Two layers of 8 numbers; the second task has several labels a row."""
    whole = small_classifier().encoder
    rng = np.random.default_rng(3)
    tasks, heads = {}, {}
    for name, labels in LABELS.items():
        answering = Answering(max_length=24, head=head, pooling=pooling)
        if name == "themes":
            answering = replace(answering, separator=";", threshold=0.4)
        tasks[name] = StoredTask(labels, answering)
        for tensor, shape in head_shapes(8, len(labels), head).items():
            heads[of_task(name, tensor)] = rng.normal(size=shape).astype(np.float32)
    encoder = replace(
        whole, labels=[], problem_type=None, architecture=BARE,
        weights={n: a for n, a in whole.weights.items() if not n.startswith("classifier.")},
    )  # fmt: skip
    return StoredTasks(encoder, tasks, heads)


def store(root: Path, stored: StoredTasks, change: Any = None) -> ModelFolder:
    """As a verified folder, of which ``change`` has seen the configuration."""
    with Store(root).begin("m") as draft:
        config = write_tasks(draft, stored, {"run": {}})
        if change is not None:
            change(config[KEY])
        path = draft.publish(
            kind=KIND, created_by="test", config=config, labels=["topics/a"], data={}, seed=1,
            metrics={},
        )  # fmt: skip
    folder = ModelFolder(path)
    folder.verify()
    return folder


@pytest.mark.parametrize(("head", "pooling"), [("linear", "cls"), ("mlp", "mean")])
def test_there_and_back(tmp_path: Path, head: str, pooling: str) -> None:
    wanted = small_tasks(head, pooling)
    folder = store(tmp_path, wanted)
    found = read_tasks(folder)
    assert found.tasks == wanted.tasks
    for name in LABELS:
        own = found.classifier(name)
        assert own.labels == LABELS[name] and own.head is not None
        assert set(own.head) == set(head_shapes(8, len(LABELS[name]), head))
        for tensor, array in own.head.items():
            assert np.array_equal(array, wanted.heads[of_task(name, tensor)])
    config = json.loads((folder.path / "config.json").read_text())
    assert config["architectures"] == ["BertModel"] and (folder.path / HEADS).is_file()


def broken(**changes: Any) -> Any:
    def change(about: dict[str, Any]) -> None:
        about["tasks"]["topics"] |= changes

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda about: about.update(file="other.safetensors"), "config.multitask: wanted file"),
        (lambda about: about.update(more=1), "config.multitask: wanted file"),
        (lambda about: about.update(tasks={}), "tasks: wanted tasks by name"),
        (lambda about: about.update(tasks=["topics"]), "tasks: wanted tasks by name"),
        (lambda about: about["tasks"].update(topics=3), "tasks.topics.labels: wanted names"),
        (lambda about: about["tasks"].pop("topics"), "wanted the tensors classifier.themes_head"),
        (broken(labels=[]), "tasks.topics.labels: wanted names, each once"),
        (broken(labels=["a", "a"]), "tasks.topics.labels: wanted names, each once"),
        (broken(labels=["a", 1]), "tasks.topics.labels: wanted names, each once"),
        (broken(labels=["a", "b", "c"]), "classifier.topics_head.weight"),
        (broken(head="mlp"), "wanted the tensors"),
        (broken(scale="x"), "tasks.topics.scale: x"),
        (broken(max_length=999), "tasks.topics.max_length: 999"),
        (broken(other=1), "tasks.topics is missing or has other keys"),
    ],
)
def test_what_does_not_add_up(tmp_path: Path, change: Any, said: str) -> None:
    folder = store(tmp_path, small_tasks(), change)
    with pytest.raises(DataError, match=said.replace(".", r"\.")):
        read_tasks(folder)


def test_heads_that_would_not_be_read_again(tmp_path: Path) -> None:
    stored = small_tasks()
    name = of_task("topics", "classifier.bias")
    for array in (np.full(2, np.nan, np.float32), np.zeros(3, np.float32)):
        with pytest.raises(DataError, match=name):
            store(tmp_path, replace(stored, heads={**stored.heads, name: array}))
    bare = {n: a for n, a in stored.encoder.weights.items() if not n.startswith("pooler.")}
    with pytest.raises(DataError, match="above a pooler, which the encoder lacks"):
        store(tmp_path, replace(stored, encoder=replace(stored.encoder, weights=bare)))
