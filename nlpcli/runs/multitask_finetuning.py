"""One run of finetune for several tasks: from a file of rows for each to one model in the store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nlpcli.errors import DataError
from nlpcli.models.sequence_head import CLS, PREFIX
from nlpcli.runs.encoder_classifier import Cutter, EncoderClassifier, activated
from nlpcli.runs.finetuning import FinetuneRun
from nlpcli.runs.finetuning_parts import begin, calibrated, make_plan, scorer, targets_of
from nlpcli.runs.long_texts import DEV, LongTexts
from nlpcli.runs.multitask_parts import MEAN, MultitaskRequest, SeveralParts, TaskRows, read_tasks
from nlpcli.runs.publishing import gate_failures, version_in_use
from nlpcli.runs.reporting import tell_oddities
from nlpcli.runs.request import Parts
from nlpcli.runs.scoring import plain_metrics, score
from nlpcli.store.encoder_classifier import BARE, Answering
from nlpcli.store.multitask import KIND, StoredTask, StoredTasks
from nlpcli.store.multitask import read_tasks as read_stored

if TYPE_CHECKING:
    from nlpcli.batching.epoch_plans import TaskPlan
    from nlpcli.batching.framing import Rows
    from nlpcli.data.labelled import Labelled
    from nlpcli.models.shared_heads import SharedHeads
    from nlpcli.store.draft import Draft
    from nlpcli.training.finetuning import Finetuning

NOT_MEASURED = "too few rows to hold some out: nothing of it is measured or calibrated"
"""Of a task without dev rows among others."""
F64 = npt.NDArray[np.float64]
Metrics = dict[str, float | None]


class MultitaskRun(FinetuneRun):
    """As FinetuneRun, of several tasks that share the encoder, each with a head of its own."""

    _request: MultitaskRequest

    def plan(self) -> dict[str, Any]:
        """As FinetuneRun."""
        parts = self._read()
        return self._planned(parts, self._cut(parts, dev=False))

    def _read(self) -> SeveralParts:
        parts = read_tasks(self._request, self._reject, self._console.say)
        tell_oddities(parts.train, self._console)
        for name, task in parts.tasks.items() if parts.dev is not None else ():
            if task.parts.dev is None and self._request.dev_fraction:
                self._console.warn(f"{name}: {NOT_MEASURED}")
        return parts

    def _answering_of(self, task: TaskRows) -> Answering:
        """Before anything is measured."""
        return self._request.of(task).answering()

    def _cut(self, parts: SeveralParts, *, dev: bool) -> dict[str, Rows]:
        """The training or the dev rows of each task that has some, as the encoder reads them."""
        found = {}
        for name, task in parts.tasks.items():
            rows = task.parts.dev if dev else task.parts.train
            if rows is not None:
                found[name] = self._cutter(self._answering_of(task)).rows(rows.texts)
        return found

    def _tell_rows(self, rows: dict[str, Rows], where: str = "") -> None:
        long = LongTexts(self._request.config.max_length)
        for own in rows.values():
            long.count(own)
        self._tell_long(long, where)

    def _task_plan(self, rows: dict[str, Rows]) -> TaskPlan:
        from nlpcli.batching.epoch_plans import TaskPlan

        request = self._request
        lengths = [own.lengths for own in rows.values()]
        return TaskPlan(lengths, request.config.batch_size, request.seed, request.sampling)

    def _planned(self, parts: SeveralParts, rows: dict[str, Rows]) -> dict[str, Any]:
        """Refuses what does not fit into memory."""
        self._tell_rows(rows)
        each = list(rows.values())
        plan = make_plan(self._request, parts, n_cut=sum(own.n_cut for own in each), read=each)
        steps = self._task_plan(rows).steps * self._request.config.epochs
        return {**plan, "tasks": ", ".join(rows), "steps": steps}

    def _prepared(self, parts: Parts, answering: Answering) -> tuple[Finetuning, Any]:
        """The training, ready to go, and what cuts texts. Raises UsageError, Unavailable."""
        from nlpcli.batching.epoch_plans import joined
        from nlpcli.models.shared_heads import SharedHeads
        from nlpcli.training.device import choose_device, set_threads
        from nlpcli.training.finetuning import Finetuning
        from nlpcli.training.multitask import MultitaskObjective
        from nlpcli.training.precision import choose_precision

        request, encoder, config = self._request, self._request.base.encoder, self._request.config
        several = _several(parts)
        place = choose_device(request.device)
        precision = choose_precision(request.precision, place)
        self._threads = set_threads(request.threads)
        rows = self._cut(several, dev=False)
        self._planned(several, rows)
        model = SharedHeads(
            replace(encoder.config, dropout=config.dropout, attention_dropout=config.dropout),
            {name: len(task.parts.names) for name, task in several.tasks.items()}, config.dropout,
            head=request.head, pooling=request.pooling,
        )  # fmt: skip
        if not begin(model, encoder.weights, request.seed) and request.pooling == CLS:
            self._console.warn(f"{request.base.path} has no pooler: it begins at random")
        objectives = {
            name: targets_of(request.of(task), task.parts, rows[name])
            for name, task in several.tasks.items()
        }
        plan, cutter = self._task_plan(rows), self._cutter(answering)
        training = Finetuning(
            model, joined(list(rows.values())), MultitaskObjective(model, objectives),
            cutter.specials, config, seed=request.seed, device=place, precision=precision,
            score=self._scorer(model, several, cutter), patience=request.patience, plan=plan,
        )  # fmt: skip
        shares = ", ".join(f"{n} {q:,}" for n, q in zip(rows, plan.quotas, strict=True))
        self._console.say(f"steps of an epoch: {shares}")
        n = training.masters.n_numbers
        self._console.say(
            f"encoder: {encoder.config.n_layers} layers of {encoder.config.hidden}, {n:,} "
            f"parameters, {place}, {str(precision).removeprefix('torch.')}"
        )
        return training, cutter

    def _scorer(
        self, model: SharedHeads, parts: SeveralParts, cutter: Cutter
    ) -> Callable[[], float] | None:
        """The mean over the tasks of how good their answers to the dev rows are."""
        from nlpcli.training.multitask import task_logits

        rows = self._cut(parts, dev=True)
        self._tell_rows(rows, DEV)
        found = {
            name: scorer(task.parts, self._answering_of(task)) for name, task in parts.tasks.items()
        }
        measures = {name: measure for name, measure in found.items() if measure is not None}
        if not measures:
            return None

        def mean() -> float:
            each = [
                measure(task_logits(model, name, rows[name], cutter.specials))
                for name, measure in measures.items()
            ]
            return sum(each) / len(each)

        return mean

    def _measured(
        self, training: Finetuning, cutter: Cutter, parts: Parts, answering: Answering,
        report: dict[str, Any],
    ) -> Any:  # fmt: skip
        """The model to keep, each head calibrated on its dev part; metrics go into the report."""
        several, logits = _several(parts), self._dev_logits(training, cutter, parts)
        tasks = {}
        for name, task in several.tasks.items():
            answers = self._answering_of(task)
            if name in logits:
                answers = calibrated(answers, logits[name], task.parts, self._request.threshold)
            elif task.several:
                asked = self._request.threshold
                answers = replace(answers, threshold=0.5 if asked is None else asked)
            tasks[name] = StoredTask(task.parts.names, answers)
        stored = self._stored(training.weights(), tasks)
        found = {}
        for name, own in logits.items():
            p, dev = activated(own, tasks[name].answering), several.tasks[name].parts.dev
            assert dev is not None
            found[name] = _metrics(EncoderClassifier(stored.classifier(name)), p, dev)
        report["metrics"] = together(found)
        report["tasks"] = {
            name: {
                "rows": len(task.parts.train.texts), "labels": len(task.parts.names),
                "dev_rows": len(task.parts.dev.texts) if task.parts.dev else 0,
                "metrics": found.get(name, {}),
            }
            for name, task in several.tasks.items()
        }  # fmt: skip
        return stored

    def _dev_logits(self, training: Finetuning, cutter: Cutter, parts: Parts) -> dict[str, F64]:
        from nlpcli.models.shared_heads import SharedHeads
        from nlpcli.training.multitask import task_logits

        model = training.model
        assert isinstance(model, SharedHeads)
        rows = self._cut(_several(parts), dev=True)
        return {name: task_logits(model, name, own, cutter.specials) for name, own in rows.items()}

    def _stored(
        self, weights: dict[str, npt.NDArray[np.float32]], tasks: dict[str, StoredTask]
    ) -> StoredTasks:
        base = self._request.base.encoder
        heads = {name: array for name, array in weights.items() if name.startswith(PREFIX)}
        pooler = {name: a for name, a in base.weights.items() if name.startswith("pooler.")}
        rest = {name: array for name, array in weights.items() if name not in heads}
        encoder = replace(
            base, weights={**pooler, **rest}, architecture=BARE, labels=[], problem_type=None,
            span_boundary=None, classifier_dropout=None,
        )  # fmt: skip
        return StoredTasks(encoder, tasks, heads)

    def _refused(self, stored: Any, parts: Parts, report: dict[str, Any]) -> list[str]:
        rival = self._rival(_several(parts)) if None in self._request.gate else None
        return gate_failures(self._request.gate, report["metrics"], (MEAN, ">"), rival)

    def _rival(self, parts: SeveralParts) -> Metrics:
        """Metrics of the model in use on the same rows; none when it has not the same tasks."""
        folder = version_in_use(self._store, self._request.output, self._console)
        if folder is None:
            return {}
        request, found = self._request, {}
        try:
            stored = read_stored(folder)
        except DataError as error:  # training is over: no reason to lose what it gave
            self._console.warn(f"--publish-if better: {error.message}")
            return {}
        for name, task in parts.tasks.items():
            own, dev = stored.tasks.get(name), task.parts.dev
            if own is None or own.answering.pair != task.pair or (
                (own.answering.separator is not None) != task.several
            ):  # fmt: skip
                self._console.warn(f"--publish-if better: {folder.path} has no such task {name}")
                return {}
            if dev is not None:
                model = EncoderClassifier(
                    stored.classifier(name), device=request.device, precision=request.precision,
                    threads=request.threads,
                )  # fmt: skip
                found[name] = _metrics(model, model.probabilities(dev.texts), dev)
        return together(found)

    def _write(
        self, draft: Draft, stored: Any, options: dict[str, Any]
    ) -> tuple[str, dict[str, Any]]:
        from nlpcli.store.multitask import write_tasks

        return KIND, write_tasks(draft, stored, options)


def together(tasks: dict[str, Metrics]) -> Metrics:
    """The metrics of tasks by the names of both, and before them the mean of what decides of each:
    accuracy, or micro F1 where a row may have several labels."""
    if not tasks:
        return {}
    each = [found.get("accuracy", found.get("micro_f1")) or 0.0 for found in tasks.values()]
    whole: Metrics = {MEAN: sum(each) / len(each)}
    for name, found in tasks.items():
        whole |= {f"{name}.{metric}": value for metric, value in found.items()}
    return whole


def _metrics(model: EncoderClassifier, probabilities: F64, dev: Labelled) -> Metrics:
    return plain_metrics(score(model, probabilities, dev.labels, resamples=0))


def _several(parts: Parts) -> SeveralParts:
    assert isinstance(parts, SeveralParts)
    return parts
