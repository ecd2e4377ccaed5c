"""One run of train-lm, from texts to a language model in the store."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from nlpcli.batching.ngram_counts import TOKEN_BYTES, NgramCounts
from nlpcli.data.sentence_corpus import SentenceCorpus, SentenceReader
from nlpcli.data.unit_reading import Reading
from nlpcli.errors import DataError, Unavailable
from nlpcli.models.jelinek_mercer import held_out_tokens
from nlpcli.models.ngram_lm import NgramModel
from nlpcli.models.ngram_smoothing import Estimates, Smoothing, estimate
from nlpcli.runs import interrupts
from nlpcli.runs.memory import free_memory
from nlpcli.runs.reporting import Reporter
from nlpcli.store.draft import Draft
from nlpcli.store.language_model import KIND, LanguageModel, write_language_model
from nlpcli.text import parallel
from nlpcli.text.sentence_ids import SentenceCoder


@dataclass(frozen=True, kw_only=True)
class LanguageRequest:
    """A run as it was asked for, validated."""

    reading: Reading
    order: int
    smoothing: Smoothing
    min_count: int
    threads: int | None

    def record(self, corpus: SentenceCorpus, program: str) -> dict[str, Any]:
        """Everything that the model depends on, as plain JSON values."""
        reading = self.reading
        record = {
            "program": program,
            "corpus_sha256": corpus.sha256,
            "text_column": reading.text_column,
            "label_column": reading.label_column,
            "header": reading.fmt.header,
            "on_error": reading.fmt.on_error,
            "level": reading.level,
            **reading.config.to_json(),
            "order": self.order,
            "smoothing": self.smoothing,
            "min_count": self.min_count,
        }
        plain: dict[str, Any] = json.loads(json.dumps(record))
        return plain


class LanguageRun:
    """Reads, counts, smooths and publishes what a request asks for; ``run`` it once."""

    def __init__(self, request: LanguageRequest, console: Reporter) -> None:
        from nlpcli import __version__

        self._request, self._console = request, console
        self._program = f"nlpcli {__version__}"
        self._workers = request.threads or parallel.workers()
        self._stages: dict[str, float] = {}
        self._begun = self._last = time.perf_counter()

    def read(self) -> SentenceCorpus:
        """The sentences; bad ones are told of. Raises InputMissing, DataError."""
        reader = SentenceReader(self._request.reading, min_count=self._request.min_count)
        with ThreadPoolExecutor(self._workers) as pool, self._console:
            corpus = reader.read(pool, self._workers, self._show)
        if corpus.n_skipped and self._request.reading.on_reject is None:  # else that tells
            self._console.warn(f"{corpus.n_skipped:,} bad lines skipped")
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
        self._lap("read")
        return corpus

    def _show(self, words: int, share: float | None) -> None:
        rate = words / max(time.perf_counter() - self._begun, 1e-9)
        total = round(words / share) if share else None
        unit = "words" if self._request.reading.level == "word" else "characters"
        self._console.progress("reading", words, total, f"{rate:,.0f} {unit}/s")

    def plan(self) -> dict[str, Any]:
        """What ``run`` would do, with the memory that counting takes; nothing is written."""
        corpus = self.read()
        return {**self._facts(corpus), "memory_bytes": self._memory(corpus)}

    def run(self, draft: Draft) -> dict[str, Any]:
        """The report; ``path`` of the version. Raises NlpcliError, Interrupted."""
        corpus = self.read()
        self._memory(corpus)
        model, estimates = self._estimated(corpus)
        for note in estimates.notes:
            self._console.say(note)
        language = self._language(corpus, model)
        config = write_language_model(draft, language, {"estimates": estimates.details})
        with interrupts.deferred():
            path = draft.publish(
                kind=KIND,
                created_by=self._program,
                config={**config, "run": self._request.record(corpus, self._program)},
                labels=corpus.labels,
                data={
                    "sha256": corpus.sha256, "rows": len(corpus.sizes), "dev_rows": None,
                    "words": corpus.n_words, "skipped_rows": corpus.n_skipped,
                },
                seed=0,  # nothing is drawn
                metrics={},
            )  # fmt: skip
            interrupts.complete()
        self._lap("save")
        return self._report(corpus, model, estimates, path)

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

    def _memory(self, corpus: SentenceCorpus) -> int:
        """Bytes that counting takes. Raises Unavailable where there are not so many."""
        needed = len(corpus.tokens) * TOKEN_BYTES * self._request.order
        room = free_memory()
        if room is not None and needed > room:
            raise Unavailable(
                f"{corpus.n_words:,} words need up to {needed / 1e9:,.1f} GB of memory for order "
                f"{self._request.order}, {room / 1e9:,.1f} GB are free",
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
        self._console.detail(
            "n-grams by order: " + ", ".join(f"{len(level.keys):,}" for level in counts.levels)
        )
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
        self, corpus: SentenceCorpus, model: NgramModel, estimates: Estimates, path: Path
    ) -> dict[str, Any]:
        seconds = time.perf_counter() - self._begun
        return {
            "path": str(path),
            **self._facts(corpus),
            "level": self._request.reading.level,
            "ngrams": [len(level.keys) for level in model.levels],
            "estimates": estimates.details,
            "notes": estimates.notes,
            "threads": self._workers,
            "stage_seconds": self._stages,
            "seconds": round(seconds, 3),
            "tokens_per_second": round(corpus.n_words / max(seconds, 1e-9)),
            "model_bytes": sum(file.stat().st_size for file in path.iterdir()),
        }
