"""One run of finetune for questions: from questions with answers to a model that answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nlpcli.data.questions import Questions, read_questions, split_questions
from nlpcli.data.rows import told_apart
from nlpcli.errors import DataError
from nlpcli.evaluation.answers import METRICS, answer_scores, best_null_threshold, units_of
from nlpcli.runs.finetuning import FinetuneRun
from nlpcli.runs.finetuning_parts import FinetuneRequest, begin, make_plan
from nlpcli.runs.long_texts import DEV, LongQuestions
from nlpcli.runs.publishing import gate_failures, version_in_use
from nlpcli.runs.question_answerer import (
    Candidates,
    CutQuestions,
    QuestionAnswerer,
    QuestionCutter,
    chosen_answers,
    find_candidates,
    measured,
)
from nlpcli.runs.request import Parts
from nlpcli.store.question_answerer import ARCHITECTURE, KIND, Asking, StoredAnswerer

if TYPE_CHECKING:
    import numpy.typing as npt

    from nlpcli.batching.question_windows import Windows
    from nlpcli.store.draft import Draft
    from nlpcli.training.finetuning import Finetuning

    I64 = npt.NDArray[np.int64]

GATE = METRICS
"""What --publish-if may name."""


@dataclass(frozen=True, kw_only=True)
class QuestionRequest(FinetuneRequest):
    """A run as it was asked for. ``columns``: ``context``, ``question`` and ``answer`` (or None);
    the rest as Asking."""

    doc_stride: int = 128
    max_question_length: int = 64
    max_answer_length: int = 30
    by_position = True

    @property
    def separator(self) -> str | None:
        """There are no labels."""
        return None

    @property
    def asking(self) -> Asking:
        """How questions are read, before anything is measured."""
        return Asking(
            self.config.max_length, self.doc_stride, self.max_question_length,
            self.max_answer_length,
        )  # fmt: skip

    def n_head_parameters(self, n_labels: int) -> int:
        """Numbers of what stands above the encoder, less its pooler, which has no use here."""
        hidden = self.base.encoder.config.hidden
        return (2 - hidden) * (hidden + 1)

    def record(self, parts: Parts, program: str) -> dict[str, Any]:
        """Everything that the model depends on, as plain JSON values."""
        return {
            **super().record(parts, program), "task": "qa", "doc_stride": self.doc_stride,
            "max_question_length": self.max_question_length,
            "max_answer_length": self.max_answer_length,
        }  # fmt: skip


class QuestionRun(FinetuneRun):
    """As FinetuneRun, of questions about contexts instead of texts."""

    _request: QuestionRequest
    _asking: Asking
    _n_windows = 0

    def plan(self) -> dict[str, Any]:
        """What ``run`` would do; nothing is written. Raises as ``run`` until training begins."""
        parts, request = self._read(), self._request
        cut, _, _ = self._learnable(self._question_cutter(), _questions(parts.train))
        rows = cut.windows.rows
        found = make_plan(request, parts, n_cut=rows.n_cut, read=[rows])
        return {**found, "labels": None, "windows": len(rows)}

    def _read(self) -> Parts:
        request = self._request
        columns: dict[str, Any] = request.columns
        reject_train, reject_dev = told_apart(self._reject, request.train, request.dev)
        train = read_questions(request.train, request.fmt, on_reject=reject_train, **columns)
        dev: Questions | None
        if request.dev is not None:
            dev = read_questions(
                request.dev, request.fmt, need_starts=False, on_reject=reject_dev, **columns
            )
            source = request.dev
        else:
            train, dev, source = split_questions(train, request.dev_fraction, request.seed)
        self._reject.close()
        if train.n_unanswerable == len(train.texts):
            raise DataError(f"{request.train}: no question has an answer, wanted 1 or more")
        self._asking = request.asking
        if train.n_blank:
            self._console.say(f"blank questions or contexts, left out: {train.n_blank:,}")
        if train.n_unanswerable:
            self._asking = replace(request.asking, null_threshold=0.0)
            self._console.say(
                f"questions without an answer: {train.n_unanswerable:,} of {len(train.texts):,}"
            )
        return Parts(train, dev, source, [], None)

    def _question_cutter(self) -> QuestionCutter:
        from nlpcli.text.wordpiece import WordPieceTokenizer

        base = self._request.base
        words = WordPieceTokenizer.from_json(base.encoder.tokenizer_json, str(base.path))
        return QuestionCutter(words, self._asking)

    def _prepared(self, parts: Parts, answering: Any) -> tuple[Finetuning, QuestionCutter]:
        """The training, ready to go. Raises UsageError, Unavailable."""
        from nlpcli.batching.question_windows import window_targets
        from nlpcli.models.question_heads import QuestionModel
        from nlpcli.training.device import choose_device, set_threads
        from nlpcli.training.finetuning import Finetuning
        from nlpcli.training.precision import choose_precision
        from nlpcli.training.question_answering import AnswerObjective

        request, encoder, config = self._request, self._request.base.encoder, self._request.config
        place = choose_device(request.device)
        precision = choose_precision(request.precision, place)
        self._threads = set_threads(request.threads)
        cutter = self._question_cutter()
        cut, first, last = self._learnable(cutter, _questions(parts.train))
        rows = cut.windows.rows
        make_plan(request, parts, n_cut=rows.n_cut, read=[rows])  # refuses what has no memory
        starts, ends = window_targets(cut.windows, first, last)
        self._tell_windows(cut, starts, first)
        model = QuestionModel(
            replace(encoder.config, dropout=config.dropout, attention_dropout=config.dropout)
        )
        begin(model, encoder.weights, request.seed)  # a head for questions, if any, goes on
        objective = AnswerObjective(cut.windows, starts, ends, config.label_smoothing, config.focal)
        training = Finetuning(
            model, rows, objective, cutter.specials, config, seed=request.seed,
            device=place, precision=precision, score=self._scorer(model, cutter, parts),
            patience=request.patience,
        )  # fmt: skip
        n = training.masters.n_numbers
        self._console.say(
            f"encoder: {encoder.config.n_layers} layers of {encoder.config.hidden}, {n:,} "
            f"parameters, {place}, {str(precision).removeprefix('torch.')}"
        )
        return training, cutter

    def _learnable(self, cutter: QuestionCutter, rows: Questions) -> tuple[CutQuestions, I64, I64]:
        """The questions, cut, and the first and the last piece of the first answer to each, -1 for
        none; without those whose answer the tokenizer drops. Raises DataError where none is left.
        """
        from nlpcli.batching.question_windows import pieces_between

        cut = cutter.cut(_pairs(rows))
        places = [
            pieces_between(cut.spans(q), starts[0], starts[0] + len(answers[0]))
            if answers else (-1, -1)
            for q, (answers, starts) in enumerate(zip(rows.labels, rows.starts, strict=True))
        ]  # fmt: skip
        good = [
            q for q, (place, answers) in enumerate(zip(places, rows.labels, strict=True))
            if place[0] >= 0 or not answers
        ]  # fmt: skip
        if len(good) < len(places):
            self._console.warn(
                f"questions whose answer has no piece, left out: {len(places) - len(good):,}"
            )
            if not good:
                raise DataError(f"{self._request.train}: no answer has a piece to be learnt")
            return self._learnable(cutter, rows.chosen(good))
        at = np.array(places, np.int64).reshape(-1, 2)
        return cut, at[:, 0], at[:, 1]

    def _tell_windows(self, cut: CutQuestions, starts: I64, first: I64) -> None:
        windows, asked = cut.windows, len(first)
        self._n_windows = len(windows.rows)
        if len(windows.rows) > asked:
            self._console.say(
                f"contexts of more than one window: {int((np.diff(windows.indptr) > 1).sum()):,} "
                f"of {asked:,} questions; {len(windows.rows):,} windows"
            )
        self._tell_cut_questions(windows)
        whole = np.add.reduceat(starts > 0, windows.indptr[:-1]) > 0
        split = int((~whole & (first >= 0)).sum())
        if split:
            self._console.warn(f"answers that no window has as a whole: {split:,}")

    def _tell_cut_questions(self, windows: Windows, where: str = "") -> None:
        long = LongQuestions()
        long.count(windows)
        self._tell_long(long, where)

    def _scorer(self, model: Any, cutter: QuestionCutter, parts: Parts) -> Any:
        """F1 on the dev questions, with the threshold for no answer that is best there."""
        if parts.dev is None:
            return None
        dev = _questions(parts.dev)
        cut, units = cutter.cut(_pairs(dev)), units_of(dev.contexts)
        self._tell_cut_questions(cut.windows, DEV)

        def score() -> float:
            found = find_candidates(model, cut, cutter)
            limit = _threshold(found, dev, cutter.asking)
            texts = [chosen_answers(each, limit)[0].text for each in found]
            return float(answer_scores(dev.labels, texts, units)[:, 1].mean())

        return score

    def _measured(
        self, training: Finetuning, cutter: Any, parts: Parts, answering: Any,
        report: dict[str, Any],
    ) -> Any:  # fmt: skip
        """The model to keep, its threshold tuned; its metrics go into the report."""
        from nlpcli.models.question_heads import QuestionModel

        encoder = replace(
            self._request.base.encoder, weights=training.weights(), architecture=ARCHITECTURE,
            labels=[], span_boundary=None, classifier_dropout=None, problem_type=None,
        )  # fmt: skip
        report |= {"metrics": {}, "windows": self._n_windows}
        asking = self._asking
        if parts.dev is not None and asking.null_threshold is not None:
            dev = _questions(parts.dev)
            assert isinstance(training.model, QuestionModel)
            found = find_candidates(training.model, cutter.cut(_pairs(dev)), cutter)
            limit = _threshold(found, dev, asking)
            asking = replace(asking, null_threshold=None if limit is None else round(limit, 6))
        report["null_threshold"] = asking.null_threshold
        stored = StoredAnswerer(encoder, asking)
        if parts.dev is not None:
            report["metrics"] = self._metrics(stored, _questions(parts.dev))
        return stored

    def _metrics(self, stored: StoredAnswerer, dev: Questions) -> dict[str, float | None]:
        from nlpcli.runs.scoring import plain_metrics

        answerer = QuestionAnswerer(stored, **self._computing)
        return plain_metrics(measured(answerer, dev, resamples=0))

    def _rival(self, parts: Parts) -> dict[str, Any]:
        """Metrics of the model in use on the same questions."""
        from nlpcli.store.question_answerer import read_question_answerer

        assert parts.dev is not None
        folder = version_in_use(self._store, self._request.output, self._console)
        if folder is None:
            return {}
        try:
            stored = read_question_answerer(folder)
        except DataError as error:  # training is over: no reason to lose what it gave
            self._console.warn(f"--publish-if better: {error.message}")
            return {}
        return self._metrics(stored, _questions(parts.dev))

    def _refused(self, stored: Any, parts: Parts, report: dict[str, Any]) -> list[str]:
        rival = self._rival(parts) if None in self._request.gate else None
        return gate_failures(self._request.gate, report["metrics"], ("f1", ">"), rival)

    def _write(
        self, draft: Draft, stored: Any, options: dict[str, Any]
    ) -> tuple[str, dict[str, Any]]:
        from nlpcli.store.question_answerer import write_question_answerer

        return KIND, write_question_answerer(draft, stored, options)


def _questions(rows: Any) -> Questions:
    assert isinstance(rows, Questions)
    return rows


def _pairs(rows: Questions) -> list[tuple[str, str]]:
    return list(zip(rows.texts, rows.contexts, strict=True))


def _threshold(found: list[Candidates], dev: Questions, asking: Asking) -> float | None:
    """The best one for these questions; 0 where all have an answer, or none has."""
    without = np.array([not answers for answers in dev.labels])
    if asking.null_threshold is None or without.all() or not without.any():
        return asking.null_threshold
    texts = [each.answers[0].text for each in found]
    f1 = answer_scores(dev.labels, texts, units_of(dev.contexts))[:, 1]
    return best_null_threshold(np.array([each.lead for each in found]), f1, without)
