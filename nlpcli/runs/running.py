"""One training run from rows to a version in the store: the order of things."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from nlpcli.runs.interrupts import Interrupted
from nlpcli.runs.planning import Plan, check_plan, make_plan
from nlpcli.runs.publishing import (
    expect_dev_rows,
    find_unchanged,
    gate_failures,
    rival_metrics,
    unchanged_report,
)
from nlpcli.runs.reporting import warn_of_labels
from nlpcli.runs.request import run_record
from nlpcli.runs.resuming import Resumption
from nlpcli.runs.torch_import import import_torch_aside

if TYPE_CHECKING:
    from nlpcli.data.labelled import Labelled
    from nlpcli.runs.fitting import Outcome, Prepared
    from nlpcli.runs.reporting import Rejects, Reporter
    from nlpcli.runs.request import Parts, Request
    from nlpcli.store.draft import Draft
    from nlpcli.store.store import Store
    from nlpcli.training.fit import Fitting


class TrainingRun:
    """Reads, trains, measures and publishes what a request asks for; ``run`` or ``plan``, once."""

    def __init__(self, request: Request, store: Store, console: Reporter, reject: Rejects) -> None:
        from nlpcli import __version__

        self._request, self._store, self._console = request, store, console
        self._reject, self._program = reject, f"nlpcli {__version__}"
        self._stages: dict[str, float] = {}
        self._room: int | None = None
        self._begun = self._last = time.perf_counter()

    def plan(self) -> Plan:
        """What ``run`` would do; nothing is written. Raises as ``run`` until training begins."""
        from nlpcli.runs.fitting import prepare, settle
        from nlpcli.runs.shrinking import file_room
        from nlpcli.training.device import choose_device

        choose_device(self._request.device)
        parts = self._read()
        self._request = settle(self._request, parts)
        prepared = prepare(self._request, parts)
        plan = make_plan(self._request, parts, prepared.tokenizer, prepared.bags)
        check_plan(plan, None)
        if self._request.tuning is not None:
            from nlpcli.runs.tuning import tuning_parts

            tuning_parts(self._request, self._request.tuning, parts)
        if self._request.model_size is not None:
            record = run_record(self._request, parts, self._program)
            file_room(self._request, parts, record)
        return plan

    def run(self, draft: Draft) -> dict[str, Any]:
        """The report: ``path`` of the version; ``refused`` says why it is not served, if so.

        Raises NlpcliError; Interrupted, with a state saved when training had begun.
        """
        import_torch_aside()
        parts = self._read()
        record = run_record(self._request, parts, self._program)
        if self._request.if_changed:
            same = find_unchanged(self._store, self._request.output, record)
            if same is not None:
                return unchanged_report(same)
        report = self._train(draft, parts, record)
        seconds = time.perf_counter() - self._begun
        return {**report, "stage_seconds": self._stages, "seconds": round(seconds, 3)}

    def _lap(self, stage: str) -> float:
        now = time.perf_counter()
        took, self._last = now - self._last, now
        self._stages[stage] = round(took, 3)
        return took

    def _read(self) -> Parts:
        from nlpcli.runs.fitting import read_parts

        self._console.detail(f"reading {self._request.train}")
        parts = read_parts(self._request, self._reject)
        self._reject.close()
        asked = self._request
        expect_dev_rows(asked.train, parts, asked.dev_fraction, asked.gate, asked.patience)
        self._tell(parts.train)
        if parts.vectors is not None and self._request.vectors is not None:
            file = self._request.vectors
            self._console.say(
                f"{file.name}: {file.description}, {file.dim:,} numbers a word; "
                f"{len(parts.vectors.words):,} of {parts.vectors.n_read:,} words can be used"
            )
        self._lap("read")
        return parts

    def _tell(self, rows: Labelled) -> None:
        """What is odd about the rows and no error."""
        if rows.n_blank:
            self._console.say(f"rows with a blank text, left out: {rows.n_blank:,}")
        warn_of_labels(self._console, rows.n_conflicts, rows.label_twins)

    def _train(self, draft: Draft, parts: Parts, record: dict[str, Any]) -> dict[str, Any]:
        from nlpcli.runs.fitting import make_fitting, prepare, settle
        from nlpcli.runs.shrinking import file_room

        self._request = settle(self._request, parts)
        found = self._tune(draft, parts, record)
        resume_as = record if found is None else {**record, "chosen": found["options"]}
        request = self._request
        self._console.detail(f"cutting {len(parts.train.texts):,} texts")
        prepared = prepare(request, parts)
        self._lap("tokenize")

        from nlpcli.training.device import set_threads

        threads = set_threads(request.threads)
        plan = make_plan(request, parts, prepared.tokenizer, prepared.bags)
        check_plan(plan, draft)
        if request.features is not None:
            self._tell_missing(len(request.features.features), plan.features)
        if request.model_size is not None:
            self._room = file_room(request, parts, record)
        fitting = make_fitting(request, parts, prepared)
        self._lap("import_and_prepare")
        resumption = Resumption(draft.states, resume_as, self._console, minutes=request.save_every)
        report: dict[str, Any] = {
            "rows": plan.rows,
            "dev_rows": plan.dev_rows,
            "labels": plan.labels,
            "features": plan.features,
            "device": str(fitting.device),
            "threads": threads,
            "resumed_after_step": resumption.take_up(
                fitting, asked=request.resume, aloud=found is None or not found["resumed"]
            ),
        }
        if found is not None:
            report["autotune"] = found
        try:
            self._finish(draft, parts, prepared, fitting, resumption, record, report)
        except Interrupted:
            resumption.save(fitting)
            raise
        resumption.clear()
        return report

    def _tell_missing(self, n_chosen: int, n_found: int) -> None:
        if n_found < n_chosen:
            self._console.warn(
                f"--features: {n_chosen - n_found:,} of {n_chosen:,} n-grams are in no text as "
                "texts are cut here: --word-ngrams, --max-n and cleaning as for the list?"
            )

    def _tune(self, draft: Draft, parts: Parts, record: dict[str, Any]) -> dict[str, Any] | None:
        """The search that was asked for; the request is then what it chose."""
        from nlpcli.runs.tuning import Tuner, tuning_parts

        request = self._request
        if request.tuning is None:
            return None
        tuner = Tuner(
            request, request.tuning, tuning_parts(request, request.tuning, parts), self._console,
            draft.states, record, as_it_will_be=parts.dev is not None,
        )  # fmt: skip
        search = tuner.run()
        self._request = search.chosen(request)
        found = search.summary(request.tuning)
        found["resumed"] = tuner.resumed
        first = found["first"]
        self._console.say(
            f"autotune: {found['trials']} trials in {search.spent:.0f} s, {found['metric']} "
            f"{found['value']:.4f}" + (f", {first:.4f} as typed" if first is not None else "")
        )
        self._lap("autotune")
        return found

    def _finish(
        self,
        draft: Draft,
        parts: Parts,
        prepared: Prepared,
        fitting: Fitting,
        resumption: Resumption,
        record: dict[str, Any],
        report: dict[str, Any],
    ) -> None:
        """Trains, measures and saves; fills the report."""
        from nlpcli.runs.fitting import measure, save, watch
        from nlpcli.runs.shrinking import shrink_to_fit

        self._console.detail(
            f"training: {report['features']:,} features, {report['labels']:,} labels"
        )
        watch(fitting, self._request.config.epochs, parts, resumption, self._console)
        rows = report["rows"] * fitting.epochs
        report["rows_per_second"] = round(rows / max(self._lap("train"), 1e-9))
        small = None
        if self._room is not None:
            args = self._request, parts, prepared, fitting, self._room, self._console
            small = shrink_to_fit(*args)
            self._lap("shrink")
        self._console.detail(f"measuring on {report['dev_rows']:,} rows")
        outcome = measure(self._request, parts, prepared, fitting, report, small)
        report["refused"] = self._refused(outcome, parts)
        report["published"] = not report["refused"]
        self._lap("measure")
        if report["published"] or draft.versioned:
            self._console.detail("saving")
            path = save(draft, outcome, parts, self._request, record, published=report["published"])
            report["path"] = str(path)
            report["model_bytes"] = sum(file.stat().st_size for file in path.iterdir())
        else:
            report["path"] = None
        self._lap("save")

    def _refused(self, outcome: Outcome, parts: Parts) -> list[str]:
        """Why --publish-if says no; empty when it says yes or was not asked."""
        rival = None
        if None in self._request.gate:
            assert parts.dev is not None
            rival = rival_metrics(
                self._store, self._request.output, parts.dev, self._console,
                several=outcome.classifier.multi_label,
            )  # fmt: skip
        better = ("micro_f1" if outcome.classifier.multi_label else "macro_f1", ">")
        return gate_failures(self._request.gate, outcome.report["metrics"], better, rival)
