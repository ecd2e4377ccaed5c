"""One run of finetune, from rows to a classifier in the store."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nlpcli.errors import DataError, Unavailable, shown
from nlpcli.models.sequence_head import CLS, Folding
from nlpcli.runs import interrupts
from nlpcli.runs.drift import keep_reference
from nlpcli.runs.encoder_classifier import Cutter, EncoderClassifier, activated
from nlpcli.runs.finetuning_parts import (
    NO_DEV,
    FinetuneRequest,
    begin,
    calibrated,
    check_dev_labels,
    digest,
    hint_at_numbers,
    make_plan,
    scorer,
    targets_of,
    tuned,
)
from nlpcli.runs.finetuning_watch import Watch
from nlpcli.runs.interrupts import Interrupted
from nlpcli.runs.leading import follow, tell_ready
from nlpcli.runs.long_texts import DEV, Long, LongTexts
from nlpcli.runs.publishing import find_unchanged, gate_failures, rival_metrics, unchanged_report
from nlpcli.runs.reporting import tell_oddities
from nlpcli.runs.request import Parts
from nlpcli.runs.resuming import Resumption
from nlpcli.runs.torch_import import import_torch_aside
from nlpcli.store.encoder_classifier import Answering, StoredClassifier

if TYPE_CHECKING:
    from nlpcli.batching.framing import Rows
    from nlpcli.data.labelled import Labelled
    from nlpcli.runs.reporting import Rejects, Reporter
    from nlpcli.store.draft import Draft
    from nlpcli.store.store import Store
    from nlpcli.training.answers import SequenceObjective
    from nlpcli.training.finetuning import Finetuning
    from nlpcli.training.ranks import Ranks

F64 = npt.NDArray[np.float64]


class FinetuneRun:
    """Reads, trains, measures and publishes what a request asks for; ``run`` or ``plan``, once.

    With ``ranks`` rank 0 runs, and the others ``follow``.
    """

    def __init__(
        self, request: FinetuneRequest, store: Store, console: Reporter, reject: Rejects,
        ranks: Ranks | None = None,
    ) -> None:  # fmt: skip
        from nlpcli import __version__

        self._request, self._store, self._console = request, store, console
        self._reject, self._program = reject, f"nlpcli {__version__}"
        self._ranks = ranks
        self._begun, self._threads = time.perf_counter(), 0
        self._folding: Folding | None = None
        self._seen: tuple[list[str], F64] | None = None

    def run(self, draft: Draft) -> dict[str, Any]:
        """The report: ``path`` of the version; ``refused`` says why it is not served, if so.

        Raises NlpcliError, Interrupted; with a state saved, where one is of use.
        """
        request = self._request
        import_torch_aside()
        parts = self._read()
        record = request.record(parts, self._program)
        if request.if_changed:
            same = find_unchanged(self._store, request.output, record)
            if same is not None:
                return unchanged_report(same)
            draft.expect_free()
        if parts.dev is None and request.dev_fraction:
            self._console.warn(NO_DEV)
        if self._ranks is not None:
            tell_ready(digest(record), self._ranks)
        answering = request.answering()
        training, cutter = self._prepared(parts, answering)
        training.join(self._ranks, interrupts.pending)
        self._tell_frozen(training)
        draft.need(4 * training.masters.n_numbers)
        states = Resumption(draft.states, record, self._console, minutes=request.save_every)
        report: dict[str, Any] = {
            "rows": len(parts.train.texts), "labels": len(parts.names),
            "dev_rows": 0 if parts.dev is None else len(parts.dev.texts),
            "device": str(training.device), "threads": self._threads,
            "precision": str(training.precision).removeprefix("torch."),
            "ranks": request.ranks,
            "resumed_after_step": states.take_up(training, asked=request.resume),
        }  # fmt: skip
        watch = Watch(training, self._console, n_rows=len(parts.train.texts), ranks=request.ranks)
        with states.saving(training, Interrupted, Unavailable):
            watch.run(states)
            with states.saving(training, Exception):  # it is trained, whatever goes wrong now
                report |= watch.figures()
                stored = self._measured(training, cutter, parts, answering, report)
                self._publish(draft, stored, parts, record, report)
        states.clear()
        if report["path"] is not None:
            files = Path(report["path"]).iterdir()
            report["model_bytes"] = sum(file.stat().st_size for file in files)
        report["seconds"] = round(time.perf_counter() - self._begun, 3)
        return report

    def follow(self) -> int:
        """Trains as another rank than 0; gives the exit code."""
        assert self._ranks is not None

        def train(told: str) -> None:
            parts = self._read()
            if digest(self._request.record(parts, self._program)) != told:
                raise DataError("the data are others than those that rank 0 has read")
            training, _ = self._prepared(parts, self._request.answering())
            training.join(self._ranks, interrupts.pending)
            with interrupts.deferred():
                for now in training:
                    if now.stop:
                        break

        return follow(self._ranks, train)

    def plan(self) -> dict[str, Any]:
        """What ``run`` would do; nothing is written. Raises as ``run`` until training begins."""
        parts, answering = self._read(), self._request.answering()
        rows = self._cutter(answering).rows(parts.train.texts)
        self._tell_cut(rows, answering)
        return make_plan(self._request, parts, n_cut=rows.n_cut, read=[rows])

    def _read(self) -> Parts:
        from nlpcli.data.labelled import read_labelled
        from nlpcli.data.rows import told_apart
        from nlpcli.data.split import label_names
        from nlpcli.runs.class_weights import read_class_weights
        from nlpcli.runs.fitting import split_rows

        request = self._request
        columns: dict[str, Any] = request.columns
        reject_train, reject_dev = told_apart(self._reject, request.train, request.dev)
        train = read_labelled(request.train, request.fmt, on_reject=reject_train, **columns)
        dev: Labelled | None
        names = label_names(train.labels)
        if len(names) < (1 if request.separator is not None else 2):
            seen = ", ".join(map(shown, names)) or "none"
            raise DataError(f"{request.train}: at least 2 labels are needed, seen: {seen}")
        if request.binary_sigmoid and len(names) != 2:
            raise DataError(f"{request.train}: {len(names)} labels, --binary-sigmoid wants 2")
        hint = hint_at_numbers(names)
        if hint is not None and request.separator is None:
            self._console.say(hint)
        if request.dev is not None:
            columns = {**columns, "weight_column": None}
            dev = read_labelled(request.dev, request.fmt, on_reject=reject_dev, **columns)
            source = request.dev
        else:
            train, dev, source = split_rows(train, request.dev_fraction, request.seed)
        self._reject.close()
        if dev is not None:
            check_dev_labels(request.dev or request.train, dev, names)
        tell_oddities(train, self._console)
        weights = read_class_weights(request.class_weight, names)
        return Parts(train, dev, source, names, weights)

    def _tell_frozen(self, training: Finetuning) -> None:
        if training.config.freeze != "all" or not training.model.splits:
            return
        how = "once" if training.keeps_features else "in each epoch: all do not fit into memory"
        self._console.say(f"the encoder is frozen, its features are computed {how}")

    def _tell_cut(self, rows: Rows, answering: Answering, where: str = "") -> None:
        long = LongTexts(answering.max_length)
        long.count(rows)
        self._tell_long(long, where)

    def _tell_long(self, long: Long, where: str = "") -> None:
        for line in long.lines():
            self._console.say(where + line)

    def _cutter(self, answering: Answering) -> Cutter:
        from nlpcli.text.wordpiece import WordPieceTokenizer

        base = self._request.base
        words = WordPieceTokenizer.from_json(base.encoder.tokenizer_json, str(base.path))
        return Cutter(words, answering)

    def _prepared(self, parts: Parts, answering: Answering) -> tuple[Finetuning, Any]:
        """The training, ready to go, and what cuts texts. Raises UsageError, Unavailable."""
        from nlpcli.models.encoder_heads import SequenceModel
        from nlpcli.training.answers import logits_of
        from nlpcli.training.device import choose_device, set_threads
        from nlpcli.training.finetuning import Finetuning
        from nlpcli.training.precision import choose_precision

        request, encoder = self._request, self._request.base.encoder
        place = choose_device(request.device)
        precision = choose_precision(request.precision, place)
        self._threads = set_threads(request.threads)
        cutter = self._cutter(answering)
        rows = cutter.rows(parts.train.texts)
        self._tell_cut(rows, answering)
        # refuses what does not fit into memory
        make_plan(request, parts, n_cut=rows.n_cut, read=[rows])
        config = request.config
        model = SequenceModel(
            replace(encoder.config, dropout=config.dropout, attention_dropout=config.dropout),
            1 if request.binary_sigmoid else len(parts.names), config.dropout,
            head=answering.head, pooling=answering.pooling,
        )  # fmt: skip
        if not begin(model, encoder.weights, request.seed) and answering.pooling == CLS:
            self._console.warn(f"{request.base.path} has no pooler: it begins at random")
        objective, self._folding = self._targets(parts, rows)
        dev = None if parts.dev is None else cutter.rows(parts.dev.texts)
        if dev is not None:
            self._tell_cut(dev, answering, DEV)
        measure = self._dev_scorer(parts, answering)

        def score() -> float:
            assert dev is not None and measure is not None
            return measure(self._folded(logits_of(model, dev, cutter.specials)))

        training = Finetuning(
            model, rows, objective, cutter.specials, config, seed=request.seed, device=place,
            precision=precision,
            score=None if dev is None else score, patience=request.patience,
        )  # fmt: skip
        n = training.masters.n_numbers
        self._console.say(
            f"encoder: {encoder.config.n_layers} layers of {encoder.config.hidden}, {n:,} "
            f"parameters, {place}, {str(precision).removeprefix('torch.')}"
        )
        return training, cutter

    def _targets(self, parts: Parts, rows: Rows) -> tuple[SequenceObjective, Folding | None]:
        """What is learnt about the texts, and how its outputs are kept, where that is otherwise."""
        folding = Folding.of_logit() if self._request.binary_sigmoid else None
        return targets_of(self._request, parts, rows), folding

    def _dev_scorer(self, parts: Parts, answering: Answering) -> Callable[[F64], float] | None:
        """How good the outputs for the dev rows are."""
        return scorer(parts, answering)

    def _folded(self, outputs: F64) -> F64:
        return outputs if self._folding is None else self._folding.outputs(outputs)

    def _kept_weights(self, training: Finetuning) -> dict[str, npt.NDArray[np.float32]]:
        weights = training.weights()
        return weights if self._folding is None else self._folding.weights(weights)

    @property
    def _computing(self) -> dict[str, Any]:
        """Where and how, so that rounding decides nothing between this model and another."""
        request = self._request
        return {
            "device": request.device, "precision": request.precision, "threads": request.threads,
        }  # fmt: skip

    def _measured(
        self, training: Finetuning, cutter: Cutter, parts: Parts, answering: Answering,
        report: dict[str, Any],
    ) -> StoredClassifier:  # fmt: skip
        """The model to keep, calibrated on the dev part; its metrics go into the report."""
        from nlpcli.models.encoder_heads import SequenceModel
        from nlpcli.runs.scoring import plain_metrics, score
        from nlpcli.training.answers import logits_of

        report["metrics"] = {}
        if parts.dev is not None:
            assert isinstance(training.model, SequenceModel)
            outputs = logits_of(training.model, cutter.rows(parts.dev.texts), cutter.specials)
            logits = self._folded(outputs)
            answering = calibrated(answering, logits, parts, self._request.threshold)
        elif answering.separator is not None:
            asked = self._request.threshold
            answering = replace(answering, threshold=0.5 if asked is None else asked)
        several = answering.separator is not None
        stored = tuned(
            self._request.base.encoder, self._kept_weights(training), answering, parts.names,
            "multi_label_classification" if several else "single_label_classification",
        )  # fmt: skip
        if parts.dev is not None:
            found = activated(logits, answering)
            self._seen = parts.dev.texts, found
            classifier = EncoderClassifier(stored)
            document = score(classifier, found, parts.dev.labels, resamples=0)
            report["metrics"] = plain_metrics(document)
        return stored

    def _refused(self, stored: StoredClassifier, parts: Parts, report: dict[str, Any]) -> list[str]:
        """Why the model is not to be served."""
        rival, several = None, stored.answering.separator is not None
        if None in self._request.gate:
            assert parts.dev is not None
            rival = rival_metrics(
                self._store, self._request.output, parts.dev, self._console, several=several,
                pair=stored.answering.pair, **self._computing,
            )  # fmt: skip
        better = ("micro_f1" if several else "macro_f1", ">")
        return gate_failures(self._request.gate, report["metrics"], better, rival)

    def _write(
        self, draft: Draft, stored: StoredClassifier, options: dict[str, Any]
    ) -> tuple[str, dict[str, Any]]:
        """Writes the files; gives the kind of model and its configuration for the manifest."""
        from nlpcli.store.encoder_classifier import write_encoder_classifier

        return stored.answering.kind, write_encoder_classifier(draft, stored, options)

    def _publish(
        self, draft: Draft, stored: StoredClassifier, parts: Parts, record: dict[str, Any],
        report: dict[str, Any],
    ) -> None:  # fmt: skip
        refused = self._refused(stored, parts, report)
        report |= {"refused": refused, "published": not refused, "path": None}
        if refused and not draft.versioned:
            return
        if self._seen is not None:
            keep_reference(draft, parts.train.texts, *self._seen, parts.names)
        with interrupts.deferred():
            kind, config = self._write(draft, stored, {"run": record, "dev": parts.source})
            path = draft.publish(
                kind=kind, created_by=self._program, config=config, labels=parts.names,
                data={
                    "sha256": parts.train.sha256, "rows": len(parts.train.texts),
                    "dev_rows": report["dev_rows"], "blank_rows": parts.train.n_blank,
                    "skipped_rows": parts.train.n_skipped,
                },
                seed=self._request.seed, metrics=report["metrics"], published=not refused,
            )  # fmt: skip
            interrupts.complete()  # a signal now must not make the next run publish it again
        report["path"] = str(path)
