"""What finetune of several tasks was asked for, and the rows of each task."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from nlpcli.data.labelled import Labelled, read_labelled
from nlpcli.data.rows import RowFormat, naming, open_rows
from nlpcli.data.split import label_names
from nlpcli.errors import DataError, shown
from nlpcli.models.sequence_head import n_parameters
from nlpcli.runs.class_weights import read_class_weights
from nlpcli.runs.finetuning_parts import FinetuneRequest, check_dev_labels
from nlpcli.runs.fitting import split_rows
from nlpcli.runs.request import Parts

if TYPE_CHECKING:
    from nlpcli.runs.reporting import Rejects

MEAN = "mean_score"
"""The metric that decides: the mean over the tasks of what decides of each."""
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class MultitaskRequest(FinetuneRequest):
    """A run as it was asked for. ``tasks``: files of training rows by the names of the tasks;
    ``devs``: of dev rows, where a task has a file. ``sampling``: of ``batching/epoch_plans.py``.

    ``columns`` are of all files alike, but a file without the second text's column holds single
    texts, and with a separator a task has one label a row where all its training rows have.
    """

    tasks: dict[str, str]
    devs: dict[str, str]
    sampling: str

    def of(self, task: TaskRows) -> MultitaskRequest:
        """The same for one task, now that its rows are known."""
        columns = {
            **self.columns,
            "text_b_column": self.columns["text_b_column"] if task.pair else None,
            "label_separator": self.separator if task.several else None,
        }
        return replace(self, columns=columns, pair=task.pair)

    def record(self, parts: Parts, program: str) -> dict[str, Any]:
        """Everything that the model depends on, as plain JSON values."""
        return {
            **super().record(parts, program), "task": "multitask", "sampling": self.sampling,
            "tasks": list(self.tasks),
        }  # fmt: skip

    def lack_for(self, metric: str, parts: Parts) -> str | None:
        """A task may have no dev rows, and has the metrics of one label a row or of several."""
        from nlpcli.runs.conditions import metric_names

        name, _, plain = metric.partition(".")
        task = parts.tasks.get(name) if isinstance(parts, SeveralParts) else None
        if task is None:
            return None
        if task.parts.dev is None:
            return f"no dev rows of {name}, wanted --dev {name}=FILE"
        if plain not in metric_names(task.several):
            return f"no metric {plain} of {name}, whose rows have {_count(several=task.several)}"
        return None

    def n_head_parameters(self, n_labels: int) -> int:
        """Numbers of all heads, which have so many labels together."""
        hidden = self.base.encoder.config.hidden
        between = n_parameters(hidden, 0, self.head)
        return super().n_head_parameters(n_labels) + (len(self.tasks) - 1) * between


@dataclass(frozen=True)
class TaskRows:
    """Of one task ``parts``; whether a row is a ``pair``, and whether it may have ``several``
    labels."""

    parts: Parts
    pair: bool
    several: bool


@dataclass(frozen=True)
class SeveralParts(Parts):
    """The rows of all tasks one behind the other, and ``tasks`` by name; a name is a task's and a
    label's."""

    tasks: dict[str, TaskRows] = field(default_factory=dict)


def read_tasks(request: MultitaskRequest, reject: Rejects, say: Say) -> SeveralParts:
    """The rows of all tasks. Raises InputMissing, and DataError for bad rows, fewer labels than a
    classifier needs, labels that are in dev rows alone, or a second text that no task has."""
    for path in (*request.tasks.values(), *request.devs.values()):
        if not os.path.exists(path):  # found before the first file is read
            open_rows(path, request.fmt)
    second = request.columns["text_b_column"]
    if second is not None and not any(
        _has_column(path, request.fmt, second) for path in request.tasks.values()
    ):
        raise DataError(f"--text-b-column {second}: no --train file has such a column")
    tasks = {name: _read(request, name, reject, say) for name in request.tasks}
    reject.close()
    held = {name: rows.parts.dev for name, rows in tasks.items()}
    names = [f"{name}/{label}" for name, rows in tasks.items() for label in rows.parts.names]
    sources = ", ".join(f"{name}: {rows.parts.source}" for name, rows in tasks.items())
    return SeveralParts(
        _joined({name: rows.parts.train for name, rows in tasks.items()}),
        _joined({name: dev for name, dev in held.items() if dev is not None}, or_none=True),
        sources, names, None if request.class_weight is None else {}, tasks=tasks,
    )  # fmt: skip


def _read(request: MultitaskRequest, name: str, reject: Rejects, say: Say) -> TaskRows:
    path, separator = request.tasks[name], request.separator
    second = request.columns["text_b_column"]
    pair = second is not None and _has_column(path, request.fmt, second)
    columns: dict[str, Any] = {**request.columns, "text_b_column": second if pair else None}
    train = read_labelled(path, request.fmt, on_reject=naming(reject, path, path), **columns)
    several = separator is not None and any(len(row) != 1 for row in train.labels)
    names = label_names(train.labels)
    if len(names) < (1 if several else 2):
        seen = ", ".join(map(shown, names)) or "none"
        raise DataError(f"{path}: at least 2 labels are needed, seen: {seen}")
    dev: Labelled | None
    if name in request.devs:
        columns["weight_column"], source = None, request.devs[name]
        told = naming(reject, source, path)
        dev = read_labelled(source, request.fmt, on_reject=told, **columns)
    else:
        train, dev, source = split_rows(train, request.dev_fraction, request.seed)
    if dev is not None:
        where = request.devs.get(name, path)
        check_dev_labels(where, dev, names)
        _check_count(dev, where, name, several=several)
    what = "pairs" if pair else "texts"
    more = ", any number a row" if several else ""
    say(f"{name}: {len(train.texts):,} {what}, {len(names):,} labels{more}")
    weights = read_class_weights(request.class_weight, names)
    return TaskRows(Parts(train, dev, source, names, weights), pair, several)


def _has_column(path: str, fmt: RowFormat, column: str) -> bool:
    """Whether a file has a column; of what can be read but once that is taken for granted."""
    if not os.path.isfile(path):
        return True
    rows = open_rows(path, fmt)
    rows.close()
    if not fmt.header:
        return not column.isdecimal() or int(column) <= len(rows.header)
    return column in rows.header


def _check_count(dev: Labelled, source: str, name: str, *, several: bool) -> None:
    for line, labels in zip(dev.lines, dev.labels, strict=True):
        if not several and len(labels) != 1:
            raise DataError(
                f"{source} line {line}: {len(labels)} labels, and each training row of {name} has 1"
            )


def _count(*, several: bool) -> str:
    return "any number of labels" if several else "1 label"


def _joined(tasks: dict[str, Labelled], *, or_none: bool = False) -> Any:
    """One behind the other; ``or_none`` of no tasks."""
    if or_none and not tasks:
        return None
    each = list(tasks.values())
    told = "".join(f"{name} {rows.sha256}\n" for name, rows in tasks.items())
    return Labelled(
        texts=[text for rows in each for text in rows.texts],
        labels=[
            tuple(f"{name}/{label}" for label in row)
            for name, rows in tasks.items() for row in rows.labels
        ],
        weights=None,
        lines=[line for rows in each for line in rows.lines],
        sha256=hashlib.sha256(told.encode()).hexdigest(),
        n_rows=sum(rows.n_rows for rows in each),
        n_blank=sum(rows.n_blank for rows in each),
        n_skipped=sum(rows.n_skipped for rows in each),
        n_conflicts=sum(rows.n_conflicts for rows in each),
        label_twins=[
            (f"{name}/{one}", f"{name}/{other}")
            for name, rows in tasks.items() for one, other in rows.label_twins
        ],
    )  # fmt: skip
