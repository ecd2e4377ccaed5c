"""One run of train-lm, from texts to a language model in the store."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from nlpcli.batching.ngram_counts import TOKEN_BYTES, NgramCounts
from nlpcli.data.labelled import label_twins
from nlpcli.data.sentence_corpus import SentenceCorpus, SentenceReader
from nlpcli.data.unit_reading import Reading
from nlpcli.errors import DataError, Unavailable
from nlpcli.models.jelinek_mercer import held_out_tokens
from nlpcli.models.ngram_lm import NgramModel
from nlpcli.models.ngram_smoothing import Estimates, Smoothing, estimate
from nlpcli.runs import interrupts
from nlpcli.runs.conditions import Condition
from nlpcli.runs.language_dev import (
    DevTexts,
    calibrated_on,
    calibrated_on_part,
    divided,
    measure,
    read_dev,
    refusals,
    rival,
)
from nlpcli.runs.memory import free_memory
from nlpcli.runs.publishing import find_unchanged, unchanged_report
from nlpcli.runs.reporting import Reporter, warn_of_labels
from nlpcli.runs.request import BETTER
from nlpcli.store.draft import Draft
from nlpcli.store.language_model import KIND, LanguageModel, write_language_model
from nlpcli.store.store import Store
from nlpcli.text import parallel
from nlpcli.text.sentence_ids import SentenceCoder


@dataclass(frozen=True, kw_only=True)
class LanguageRequest:
    """A run as it was asked for, validated. ``dev``: a file of texts that are not learnt from."""

    output: str
    reading: Reading
    order: int
    smoothing: Smoothing
    min_count: int
    threads: int | None
    dev: str | None = None
    gate: list[Condition | None] = field(default_factory=list)
    if_changed: bool = False

    def record(self, corpus: SentenceCorpus, dev: DevTexts | None, program: str) -> dict[str, Any]:
        """Everything that the model depends on, as plain JSON values."""
        reading, fmt = self.reading, self.reading.fmt
        record = {
            "program": program,
            "corpus_sha256": corpus.sha256,
            "dev_sha256": None if dev is None else dev.sha256,
            "publish_if": [str(condition or BETTER) for condition in self.gate],
            "text_column": reading.text_column,
            "label_column": reading.label_column,
            "formats": [fmt.for_path(path) for path in reading.paths],
            "header": fmt.header,
            "label_prefix": fmt.label_prefix,
            "max_field": fmt.max_field,
            "on_error": fmt.on_error,
            "level": reading.level,
            **reading.config.to_json(),
            "order": self.order,
            "smoothing": self.smoothing,
            "min_count": self.min_count,
        }
        plain: dict[str, Any] = json.loads(json.dumps(record))
        return plain


_CHECKED = 1 << 22
"""Words after which, and then each time they have doubled, there must be memory to count them."""


class LanguageRun:
    """Reads, counts, smooths and publishes what a request asks for; ``run`` it once."""

    def __init__(self, request: LanguageRequest, store: Store, console: Reporter) -> None:
        from nlpcli import __version__

        self._request, self._store, self._console = request, store, console
        self._program = f"nlpcli {__version__}"
        self._workers = request.threads or parallel.workers()
        self._stages: dict[str, float] = {}
        self._checked = 0
        self._begun = self._last = time.perf_counter()

    def read(self) -> SentenceCorpus:
        """The sentences; bad ones are told of. Raises InputMissing, DataError."""
        reader = SentenceReader(self._request.reading, min_count=self._request.min_count)
        with ThreadPoolExecutor(self._workers) as pool, self._console:
            corpus = reader.read(pool, self._workers, self._show)
        if corpus.n_skipped and self._request.reading.on_reject is None:  # else that tells
            self._console.warn(f"{corpus.n_skipped:,} bad lines skipped")
        if corpus.n_blank:
            self._console.say(f"rows with a blank text, left out: {corpus.n_blank:,}")
        if corpus.forgotten:
            self._console.warn(
                f"too many different words: some of those met up to {corpus.forgotten:,} times "
                "are unknown words"
            )
        if corpus.owners is not None and len(corpus.labels) < 2:
            raise DataError(
                f"column {self._request.reading.label_column}: {len(corpus.labels)} label, "
                "wanted 2 or more"
            )
        warn_of_labels(self._console, corpus.n_conflicts(), label_twins(corpus.labels))
        self._lap("read")
        return corpus

    def _show(self, words: int, share: float | None) -> None:
        if words > 2 * self._checked + _CHECKED:
            self._checked = words
            self._memory(words, words, "read so far ")
        rate = words / max(time.perf_counter() - self._begun, 1e-9)
        total = round(words / share) if share else None
        unit = "words" if self._request.reading.level == "word" else "characters"
        self._console.progress("reading", words, total, f"{rate:,.0f} {unit}/s")

    def plan(self) -> dict[str, Any]:
        """What ``run`` would do, with the memory that counting takes; nothing is written."""
        self._dev()
        corpus = self.read()
        return {**self._facts(corpus), "memory_bytes": self._needed(corpus)}

    def _dev(self) -> DevTexts | None:
        """Read first: what is wrong with it is told before the work."""
        path = self._request.dev
        return None if path is None else read_dev(path, self._request.reading)

    def run(self, draft: Draft) -> dict[str, Any]:
        """The report: ``path`` of the version; ``refused`` says why it is not served, if so.

        Raises NlpcliError, Interrupted.
        """
        request, dev = self._request, self._dev()
        corpus = self.read()
        record = request.record(corpus, dev, self._program)
        same = find_unchanged(self._store, request.output, record) if request.if_changed else None
        if same is not None:
            return unchanged_report(same)
        draft.expect_free()
        self._needed(corpus)
        other = None
        if dev is not None and None in request.gate:
            other = rival(dev, self._store, request.output, self._console)
        language, estimates = self._learnt(corpus, dev)
        metrics = {} if dev is None else measure(language, dev)
        refused = [] if dev is None else refusals(request.gate, metrics, dev, other)
        self._lap("measure")
        report = self._report(corpus, language, estimates)
        report |= {
            "dev_rows": None if dev is None else len(dev.texts),
            "metrics": metrics,
            "refused": refused,
            "published": not refused,
        }
        path = None
        if not refused or draft.versioned:
            path = self._save(draft, corpus, language, report, record)
            report["model_bytes"] = sum(file.stat().st_size for file in path.iterdir())
        report["path"] = None if path is None else str(path)
        self._lap("save")
        seconds = time.perf_counter() - self._begun
        report["seconds"] = round(seconds, 3)
        report["tokens_per_second"] = round(corpus.n_words / max(seconds, 1e-9))
        return report

    def _save(
        self,
        draft: Draft,
        corpus: SentenceCorpus,
        language: LanguageModel,
        report: dict[str, Any],
        record: dict[str, Any],
    ) -> Path:
        config = write_language_model(draft, language, {"estimates": report["estimates"]})
        with interrupts.deferred():
            path = draft.publish(
                kind=KIND,
                created_by=self._program,
                config={**config, "run": record},
                labels=corpus.labels,
                data={
                    "sha256": corpus.sha256, "rows": len(corpus.sizes),
                    "dev_rows": report["dev_rows"], "words": corpus.n_words,
                    "skipped_rows": corpus.n_skipped,
                },
                seed=0,  # nothing is drawn
                metrics=report["metrics"],
                published=report["published"],
            )  # fmt: skip
            interrupts.complete()
        return path

    def _learnt(
        self, corpus: SentenceCorpus, dev: DevTexts | None
    ) -> tuple[LanguageModel, Estimates]:
        """With labels, probabilities are made honest by texts that were not learnt from: the dev
        part, or a tenth that a first model leaves out."""
        scale = None
        if corpus.labels and dev is None:
            rest, part = divided(corpus)
            scale = calibrated_on_part(self._language(rest, self._estimated(rest)[0]), part).scale
            self._lap("calibrate")
            for stage in ("count", "smooth"):  # of the first model
                self._stages["calibrate"] += self._stages.pop(stage)
        model, estimates = self._estimated(corpus)
        self._console.detail(
            "n-grams by order: " + ", ".join(f"{len(level.keys):,}" for level in model.levels)
        )
        for note in estimates.notes:
            self._console.say(note)
        language = replace(self._language(corpus, model), scale=scale)
        if corpus.labels and dev is not None:
            language = calibrated_on(language, dev)
        return language, estimates

    def _lap(self, stage: str) -> None:
        now = time.perf_counter()
        self._stages[stage] = round(now - self._last, 3)
        self._last = now

    def _facts(self, corpus: SentenceCorpus) -> dict[str, Any]:
        return {
            "sentences": len(corpus.sizes),
            "words": corpus.n_words,
            "vocabulary": len(corpus.words),
            "unknown_words": corpus.n_unknown,
            "labels": len(corpus.labels),
            "order": self._request.order,
            "smoothing": self._request.smoothing,
        }

    def _needed(self, corpus: SentenceCorpus) -> int:
        return self._memory(len(corpus.tokens), corpus.n_words)

    def _memory(self, n_tokens: int, n_words: int, which: str = "") -> int:
        """Bytes that counting takes. Raises Unavailable where there are not so many."""
        needed = n_tokens * TOKEN_BYTES * self._request.order
        room = free_memory()
        if room is not None and needed > room:
            raise Unavailable(
                f"the {n_words:,} words {which}need up to {needed / 1e9:,.1f} GB of memory for "
                f"order {self._request.order}, {room / 1e9:,.1f} GB are free",
                hint="a lower --order, or fewer texts",
            )
        return needed

    def _estimated(self, corpus: SentenceCorpus) -> tuple[NgramModel, Estimates]:
        request, n_labels = self._request, max(1, len(corpus.labels))
        held = None
        if request.smoothing == "interpolated":
            held = held_out_tokens(corpus.tokens, corpus.sizes)
        owners = corpus.owners
        with ThreadPoolExecutor(self._workers) as pool:
            counts = NgramCounts(
                corpus.tokens, len(corpus.words), request.order, pool, workers=self._workers,
                labels=None if owners is None else np.repeat(owners, corpus.sizes),
                n_labels=n_labels, held_out=held,
            )  # fmt: skip
        self._lap("count")
        estimates = estimate(counts, request.smoothing, n_labels)
        made = NgramModel.from_estimates(counts.levels, estimates, len(corpus.words), n_labels)
        self._lap("smooth")
        return made, estimates

    def _language(self, corpus: SentenceCorpus, model: NgramModel) -> LanguageModel:
        reading, counts = self._request.reading, None
        if corpus.owners is not None:
            counts = np.bincount(corpus.owners, minlength=len(corpus.labels))
        level: Literal["word", "char"] = "char" if reading.level == "char" else "word"
        coder = SentenceCoder(
            corpus.words, reading.config, level, unk_is_word=corpus.unk_is_word
        )  # fmt: skip
        return LanguageModel(model, coder, self._request.smoothing, corpus.labels, counts)

    def _report(
        self, corpus: SentenceCorpus, language: LanguageModel, estimates: Estimates
    ) -> dict[str, Any]:
        return {
            **self._facts(corpus),
            "level": self._request.reading.level,
            "ngrams": [len(level.keys) for level in language.model.levels],
            "scale": language.scale,
            "estimates": estimates.details,
            "notes": estimates.notes,
            "threads": self._workers,
            "stage_seconds": self._stages,
        }
