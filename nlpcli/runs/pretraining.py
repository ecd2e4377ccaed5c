"""One run of pretrain-bert, from texts to an encoder in the store."""

from __future__ import annotations

import json
import math
import signal
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlpcli.errors import OutputFailed
from nlpcli.runs import interrupts
from nlpcli.runs.encoder_corpus import (
    TOKENIZER,
    mapped_stream,
    pieces_on_disk,
    read_tokenizer,
    stream_of,
)
from nlpcli.runs.interrupts import Interrupted
from nlpcli.runs.leading import follow, tell_folder, threads_of_rank
from nlpcli.runs.pretraining_parts import Parts, PretrainRequest, make_plan, make_training
from nlpcli.runs.publishing import find_unchanged
from nlpcli.runs.resuming import Resumption
from nlpcli.runs.torch_import import import_torch_aside

if TYPE_CHECKING:
    from nlpcli.runs.reporting import Rejects, Reporter
    from nlpcli.store.draft import Draft
    from nlpcli.store.store import Store
    from nlpcli.text.wordpiece import WordPieceTokenizer
    from nlpcli.training.pretraining import Pretraining, PretrainStep
    from nlpcli.training.ranks import Ranks

LOG = "log.jsonl"
MOST_ENTRIES = 2000
"""Lines of the log, about."""


class PretrainRun:
    """Reads, trains and publishes what a request asks for; ``run`` or ``plan``, once.

    With ``ranks`` this is rank 0, and the others ``follow_pretraining``. ``reject`` is told of
    skipped lines.
    """

    def __init__(
        self, request: PretrainRequest, store: Store, console: Reporter,
        reject: Rejects | None = None, ranks: Ranks | None = None,
    ) -> None:  # fmt: skip
        from nlpcli import __version__

        self._request, self._console, self._ranks = request, console, ranks
        self._store, self._reject = store, reject
        self._n_ranks = ranks.size if ranks else 1
        self._program = f"nlpcli {__version__}"
        self._begun = time.perf_counter()
        self._peak = self._flops = 0.0

    def plan(self) -> dict[str, Any]:
        """What ``run`` would do. Pieces are counted in a temporary folder; nothing else is written.

        Raises as ``run`` until training begins.
        """
        request = self._request
        with pieces_on_disk(
            request.paths, request.vocabulary, Path(tempfile.gettempdir()), self._console,
            threads=request.threads, skip_bad=request.skip_bad,
        ) as (corpus, tokenizer, _):  # fmt: skip
            return make_plan(request, stream_of(corpus), tokenizer)

    def run(self, draft: Draft) -> dict[str, Any]:
        """The report; ``path`` of the version.

        Raises NlpcliError, Interrupted; with a state saved, where one is of use.
        """
        request = self._request
        import_torch_aside()
        with pieces_on_disk(
            request.paths, request.vocabulary, draft.path, self._console,
            threads=request.threads, skip_bad=request.skip_bad, on_reject=self._reject,
        ) as (corpus, tokenizer, folder):  # fmt: skip
            if self._reject is not None:
                self._reject.close()
            threads = threads_of_rank(request.threads, self._n_ranks)
            record = request.record(corpus.sha256, self._program, threads, self._n_ranks)
            if request.if_changed:
                same = find_unchanged(self._store, request.output, record)
                if same is not None:
                    metrics = same.manifest.metrics
                    return {"path": str(same.path), "unchanged": True, "metrics": metrics}
                draft.expect_free()
            if self._ranks is not None:
                tell_folder(folder, self._ranks)
            data = {
                "sha256": corpus.sha256, "rows": len(corpus.lines) - 1, "dev_rows": None,
                "pieces": len(corpus.pieces), "documents": len(corpus.documents) - 1,
                "skipped_rows": corpus.n_skipped, "threads": threads,
            }  # fmt: skip
            parts = make_training(request, stream_of(corpus), tokenizer, self._ranks)
            training = parts.training
            draft.need(4 * training.masters.n_numbers)
            self._tell(parts)
            states = Resumption(draft.states, record, self._console, minutes=request.save_every)
            resumed = states.take_up(training, asked=request.resume)
            with states.saving(training, Interrupted):
                self._watch(training, states)
                with states.saving(training, Exception):  # it is trained
                    metrics = self._metrics(parts)
        report = self._report(parts, resumed, metrics) | {"pieces": data["pieces"]}
        with states.saving(training, Interrupted, Exception):
            path = self._save(draft, parts, tokenizer, record, data, metrics, states)
        report |= {"path": str(path), "threads": threads}
        report["model_bytes"] = sum(file.stat().st_size for file in path.iterdir())
        report["seconds"] = round(time.perf_counter() - self._begun, 3)
        return report

    def _tell(self, parts: Parts) -> None:
        from nlpcli.training.precision import matmul_peak

        training = parts.training
        self._peak = matmul_peak(training.device, training.precision)
        self._flops = training.flops_per_token
        n = training.masters.n_numbers
        self._console.say(
            f"encoder: {parts.config.n_layers} layers of {parts.config.hidden}, {n:,} parameters, "
            f"{training.device}, {str(training.precision).removeprefix('torch.')}; "
            f"products at {self._peak / 1e9:,.0f} GFLOP/s"
        )

    def _watch(self, training: Pretraining, states: Resumption) -> None:
        """Trains to the end, shows how it goes, writes the log and saves states."""
        stopped = False
        with self._console, interrupts.deferred():
            for now in training:
                self._note(training, now)
                self._console.progress("pre-training", now.step, now.total, self._line(now))
                if stopped := now.stop:
                    states.save(training)
                    break
                states.save_if_due(training)
        if stopped:  # no signal came to this rank, but to another one
            raise Interrupted(signal.SIGTERM)

    def _line(self, now: PretrainStep) -> str:
        losses = "  ".join(f"{name} {loss:.3f}" for name, loss in now.losses.items())
        rate = now.tokens_per_second
        share = rate * self._flops / max(self._peak * self._n_ranks, 1.0)
        return f"{losses}  {rate:,.0f} pieces/s  {share:.0%} of peak"

    def _note(self, training: Pretraining, now: PretrainStep) -> None:
        """A line of the log, for some of the steps, and whatever went wrong."""
        if now.note:
            self._console.warn(now.note)
        every = 1 if now.total is None else max(1, now.total // MOST_ENTRIES)
        if now.step % every and not now.held_out and not now.note:
            return
        entry: dict[str, Any] = {
            "step": now.step, "tokens": now.tokens, "seconds": round(now.seconds, 3),
            "lr": now.rate, "norm": _number(now.norm),
            **{name: _number(loss) for name, loss in now.losses.items()},
        }  # fmt: skip
        if now.held_out:
            entry["held_out"] = {name: round(value, 6) for name, value in now.held_out.items()}
            shown = ", ".join(f"{name.replace('_', ' ')} {value:.4f}"
                              for name, value in now.held_out.items())  # fmt: skip
            self._console.say(f"step {now.step:,}, held out: {shown}")
        if now.note:
            entry["note"] = now.note
        training.history.append(entry)
        if self._request.log is not None:
            try:
                with open(self._request.log, "a", encoding="utf-8") as stream:
                    stream.write(json.dumps(entry) + "\n")
            except OSError as error:
                raise OutputFailed(f"{self._request.log}: {error.strerror}") from None

    def _metrics(self, parts: Parts) -> dict[str, Any]:
        """Of the rows kept apart, at the end."""
        from nlpcli.training.pseudo_perplexity import pseudo_perplexity

        if parts.held_out is None:
            return {}
        entry = next((e for e in reversed(parts.training.history) if "held_out" in e), None)
        found: dict[str, Any] = dict(entry["held_out"]) if entry else {}
        perplexity = pseudo_perplexity(
            parts.training.model, parts.held_out, parts.mask, parts.special, self._request.seed
        )
        if perplexity is not None:
            found["pseudo_perplexity"] = round(perplexity, 4)
        return found

    def _report(self, parts: Parts, resumed: int, metrics: dict[str, Any]) -> dict[str, Any]:
        training = parts.training
        rate = training.tokens / max(training.step_seconds, 1e-9)
        return {
            "resumed_after_step": resumed, "steps": training.steps_done,
            "warmup_steps": training.warmup_steps, "tokens": training.tokens,
            "tokens_per_second": round(rate), "train_seconds": round(training.seconds, 3),
            "share_of_peak": round(
                rate * training.flops_per_token / max(self._peak * self._n_ranks, 1.0), 4
            ),
            "device": str(training.device),
            "precision": str(training.precision).removeprefix("torch."),
            "ranks": self._n_ranks, "vocabulary": parts.config.vocab_size,
            "parameters": training.masters.n_numbers,
            "metrics": metrics,
        }  # fmt: skip

    def _save(
        self, draft: Draft, parts: Parts, tokenizer: WordPieceTokenizer, record: dict[str, Any],
        data: dict[str, Any], metrics: dict[str, Any], states: Resumption,
    ) -> Path:  # fmt: skip
        from nlpcli.models.bert_config import BertConfig
        from nlpcli.store.encoder import KIND, Encoder, write_encoder

        weights, boundary = parts.training.weights()
        base = self._request.base  # dropout is of this run, what is saved is for fine-tuning
        kept = BertConfig.dropout if base is None else base.config.dropout
        attention = BertConfig.attention_dropout if base is None else base.config.attention_dropout
        encoder = Encoder(
            config=replace(parts.config, dropout=kept, attention_dropout=attention),
            weights=weights,
            tokenizer_json=tokenizer.to_json(), architecture="BertForPreTraining",
            span_boundary=boundary, pooling=self._request.pooling,
        )  # fmt: skip
        lines = "".join(json.dumps(entry) + "\n" for entry in parts.training.history)
        with interrupts.deferred():
            config = write_encoder(draft, encoder, {"run": record})
            draft.write(LOG, lines.encode())
            path = draft.publish(
                kind=KIND, created_by=self._program, config=config, labels=[], data=data,
                seed=self._request.seed, metrics=metrics,
            )  # fmt: skip
            interrupts.complete()  # a signal now must not make the next run publish it again
        states.clear()
        return path


def _number(value: float) -> float | None:
    """As JSON has it: None for what is not finite, as in a step that is left out."""
    return round(value, 6) if math.isfinite(value) else None


def follow_pretraining(request: PretrainRequest, ranks: Ranks) -> int:
    """Trains as another rank than 0; gives the exit code."""

    def train(told: str) -> None:
        folder = Path(told)
        tokenizer = read_tokenizer(folder / TOKENIZER, lowercase=True)
        stream = mapped_stream(folder, tokenizer.n_pieces)
        parts = make_training(request, stream, tokenizer, ranks)
        with interrupts.deferred():
            for now in parts.training:
                if now.stop:
                    break

    return follow(ranks, train)
