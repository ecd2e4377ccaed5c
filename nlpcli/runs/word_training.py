"""One run of train-w2v, from texts to word vectors in the store."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import tempfile
import time
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nlpcli.errors import OutputFailed
from nlpcli.runs import interrupts
from nlpcli.runs.corpus import corpus_on_disk
from nlpcli.runs.interrupts import Interrupted
from nlpcli.runs.leading import follow, tell_folder, threads_of_rank
from nlpcli.runs.publishing import find_unchanged
from nlpcli.runs.resuming import Resumption
from nlpcli.runs.torch_import import import_torch_aside
from nlpcli.runs.word_prediction import make_prediction, training_sizes

if TYPE_CHECKING:
    from nlpcli.batching.cooccurrence import Window
    from nlpcli.data.id_corpus import IdCorpus
    from nlpcli.data.phrases import PhraseConfig
    from nlpcli.models.count_vectors import CountConfig
    from nlpcli.models.word2vec_config import Word2VecConfig
    from nlpcli.models.word_vectors import WordVectors
    from nlpcli.runs.counting import Contexts
    from nlpcli.runs.reporting import Rejects, Reporter
    from nlpcli.store.draft import Draft
    from nlpcli.store.store import Store
    from nlpcli.text.config import TokenizerConfig
    from nlpcli.training.ranks import Ranks
    from nlpcli.training.word2vec import Word2VecTraining


@dataclass(frozen=True)
class Counting:
    """The recipe of ``--algorithm svd``."""

    config: CountConfig
    window: Window
    contexts: Contexts

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        window = {f"window_{name}": value for name, value in asdict(self.window).items()}
        return {"algorithm": "svd", **asdict(self.config), **window, "contexts": self.contexts}


@dataclass(frozen=True, kw_only=True)
class WordRequest:
    """A run as it was asked for, validated."""

    output: str
    paths: list[str]
    tokenizer: TokenizerConfig
    recipe: Word2VecConfig | Counting
    phrases: PhraseConfig | None
    min_count: int
    seed: int
    threads: int | None
    device: str
    resume: bool
    save_every: float
    skip_bad: bool
    if_changed: bool = False

    def record(
        self, corpus: IdCorpus, program: str, threads: int, ranks: int = 1
    ) -> dict[str, Any]:
        """Everything that the vectors depend on, as plain JSON values."""
        record = {
            "program": program,
            "corpus_sha256": corpus.sha256,
            **self.tokenizer.to_json(),
            **self.recipe.to_json(),
            "phrases": None if self.phrases is None else asdict(self.phrases),
            "min_count": self.min_count,
            "seed": self.seed,
            "threads": threads,
            "device": self.device,
        }
        if ranks > 1:
            record["ranks"] = ranks
        plain: dict[str, Any] = json.loads(json.dumps(record))
        return plain


class WordRun:
    """Reads, trains and publishes what a request asks for; ``run`` or ``plan``, once.

    With ``ranks`` this is rank 0, and the others ``follow``. ``reject`` is told of skipped lines.
    """

    def __init__(
        self, request: WordRequest, store: Store, console: Reporter,
        reject: Rejects | None = None, ranks: Ranks | None = None,
    ) -> None:  # fmt: skip
        from nlpcli import __version__

        self._ranks, self._n_ranks = ranks, ranks.size if ranks else 1
        self._request, self._store, self._console = request, store, console
        self._reject = reject
        self._program = f"nlpcli {__version__}"
        self._stages: dict[str, float] = {}
        self._begun = self._last = time.perf_counter()

    def plan(self) -> dict[str, Any]:
        """What ``run`` would do. Words are counted in a temporary folder; nothing else is written.

        Raises as ``run`` until training begins.
        """
        request = self._request
        with self._corpus(Path(tempfile.gettempdir())) as corpus:
            plan = {
                "output": request.output, "words": corpus.n_raw, "used_words": len(corpus.ids),
                "sentences": len(corpus.starts) - 1, "vocabulary": len(corpus.words),
            }  # fmt: skip
            if isinstance(request.recipe, Counting):
                dim = request.recipe.config.dim
                return plan | {"dim": dim, "parameters": dim * len(corpus.words)}
            return plan | training_sizes(len(corpus.words), request.recipe, request.device)

    def _corpus(self, place: Path) -> AbstractContextManager[IdCorpus]:
        request = self._request
        return corpus_on_disk(
            request.paths, request.tokenizer, place, self._console,
            min_count=request.min_count, threads=request.threads, skip_bad=request.skip_bad,
            on_reject=self._reject, phrases=request.phrases,
        )  # fmt: skip

    def run(self, draft: Draft) -> dict[str, Any]:
        """The report; ``path`` of the version.

        Raises NlpcliError, Interrupted; with a state saved, where one is of use.
        """
        request = self._request
        import_torch_aside()
        report: dict[str, Any] = {"resumed_after_step": 0, "loss": None}
        with self._corpus(draft.path) as corpus:
            self._lap("read")
            if self._reject is not None:
                self._reject.close()
            threads = threads_of_rank(request.threads, self._n_ranks)
            record = request.record(corpus, self._program, threads, self._n_ranks)
            if request.if_changed:
                same = find_unchanged(self._store, request.output, record)
                if same is not None:
                    return {"path": str(same.path), "unchanged": True}
                draft.expect_free()
            if self._ranks is not None:
                _hand_over(corpus, self._ranks)
            data = {
                "sha256": corpus.sha256, "rows": len(corpus.starts) - 1, "dev_rows": None,
                "words": corpus.n_raw, "used_words": len(corpus.ids),
                "skipped_rows": corpus.n_skipped, "threads": threads,
            }  # fmt: skip
            vectors, unfinished = self._vectors(draft, corpus, record, threads, report)
        n_read = data["words"] * report.get("epochs", 1)
        report |= {"words": data["words"], "vocabulary": len(vectors.words), "threads": threads}
        if self._ranks is not None:
            report["ranks"] = self._n_ranks
        report["words_per_second"] = round(n_read / max(self._stages["train"], 1e-9))
        with contextlib.ExitStack() as saving:
            if unfinished is not None:
                states, training = unfinished
                saving.enter_context(states.saving(training, Interrupted, Exception))
            path = self._save(draft, vectors, record, data)
        if unfinished is not None:
            states.clear()
        self._lap("save")
        report |= {"path": str(path), "stage_seconds": self._stages}
        report["model_bytes"] = sum(file.stat().st_size for file in path.iterdir())
        report["seconds"] = round(time.perf_counter() - self._begun, 3)
        return report

    def _lap(self, stage: str) -> None:
        now = time.perf_counter()
        self._stages[stage] = round(now - self._last, 3)
        self._last = now

    def _vectors(
        self, draft: Draft, corpus: IdCorpus, record: dict[str, Any], threads: int,
        report: dict[str, Any],
    ) -> tuple[WordVectors, tuple[Resumption, Word2VecTraining] | None]:  # fmt: skip
        """The vectors, and what is to be saved should they be lost."""
        request = self._request
        if isinstance(request.recipe, Counting):
            from nlpcli.runs.counting import counted_vectors

            recipe = request.recipe
            vectors = counted_vectors(
                corpus, recipe.config, recipe.window, self._console, contexts=recipe.contexts,
                seed=request.seed, threads=threads,
            )  # fmt: skip
            self._lap("train")
            report |= {"device": "cpu", "epochs": 1, "dim": recipe.config.dim}
            return vectors, None
        prediction = make_prediction(
            corpus, request.recipe, seed=request.seed, threads=threads, device=request.device,
            ranks=self._ranks, stop=interrupts.pending,
        )  # fmt: skip
        draft.need(prediction.model_bytes)
        self._lap("prepare")
        training = prediction.training
        resumption = Resumption(draft.states, record, self._console, minutes=request.save_every)
        report["resumed_after_step"] = resumption.take_up(training, asked=request.resume)
        report |= {
            "device": prediction.device, "epochs": request.recipe.epochs, "dim": request.recipe.dim,
        }  # fmt: skip
        with resumption.saving(training, Interrupted):
            self._watch(training, request.recipe.epochs, resumption, corpus)
            with resumption.saving(training, Exception):  # it is trained
                report["loss"] = None if training.loss is None else round(training.loss, 6)
                vectors = prediction.vectors(corpus)
        self._lap("train")
        return vectors, (resumption, training)

    def _watch(
        self, training: Word2VecTraining, epochs: int, resumption: Resumption, corpus: IdCorpus
    ) -> None:
        """Trains to the end, shows how it goes and saves states."""
        begun, first, stopped = time.perf_counter(), None, False
        raw = corpus.n_raw / max(1, len(corpus.ids))
        with self._console, interrupts.deferred():
            for now in training:
                first = now.words if first is None else first
                seconds = max(time.perf_counter() - begun, 1e-9)
                rate = (now.words - first) * raw / seconds
                note = f"{rate:,.0f} words/s"
                if now.loss is not None:
                    note += f"  loss {now.loss:.4f}"
                what = f"epoch {now.epoch}/{epochs}"
                self._console.progress(what, now.words, now.total, note)
                if stopped := now.stop:
                    resumption.save(training)
                    break
                resumption.save_if_due(training)
        if stopped:  # no signal came to this rank, but to another one
            raise Interrupted(signal.SIGTERM)

    def _save(
        self, draft: Draft, vectors: WordVectors, record: dict[str, Any], data: dict[str, Any]
    ) -> Path:
        from nlpcli.store.word_vectors import KIND, write_word_vectors

        config = write_word_vectors(draft, vectors, {**self._request.recipe.to_json()})
        with interrupts.deferred():
            path = draft.publish(
                kind=KIND,
                created_by=self._program,
                config={**config, "run": record},
                labels=[],
                data=data,
                seed=self._request.seed,
                metrics={},
            )
            interrupts.complete()  # a signal now must not make the next run publish it again
        return path


def follow_words(request: WordRequest, ranks: Ranks) -> int:
    """Learns word vectors as another rank than 0; gives the exit code."""

    def train(told: str) -> None:
        from nlpcli.data.id_corpus import taken_over
        from nlpcli.models.word2vec_config import Word2VecConfig

        assert isinstance(request.recipe, Word2VecConfig)
        prediction = make_prediction(
            taken_over(Path(told)), request.recipe, seed=request.seed,
            threads=threads_of_rank(request.threads, ranks.size), device=request.device,
            ranks=ranks, stop=interrupts.pending,
        )  # fmt: skip
        with interrupts.deferred():
            for now in prediction.training:
                if now.stop:
                    break

    return follow(ranks, train)


def _hand_over(corpus: IdCorpus, ranks: Ranks) -> None:
    """To the other ranks. Raises OutputFailed."""
    from nlpcli.data.id_corpus import hand_over

    assert isinstance(corpus.ids, np.memmap) and corpus.ids.filename is not None
    folder = Path(os.fsdecode(corpus.ids.filename)).resolve().parent
    try:
        hand_over(corpus, folder)
    except OSError as error:
        raise OutputFailed(f"{folder}: {error.strerror}") from None
    tell_folder(folder, ranks)
