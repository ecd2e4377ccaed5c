"""A fine-tuned encoder that answers questions, and what predict and eval ask of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nlpcli.data.questions import NOWHERE, START, context_column
from nlpcli.errors import DataError
from nlpcli.evaluation.answers import evaluate_answers, units_of
from nlpcli.runs.judging import Drawing, Judged, Place, judge_questions
from nlpcli.runs.long_texts import LongQuestions, places_of
from nlpcli.store.encoder import Encoder, open_plain
from nlpcli.store.question_answerer import ARCHITECTURE, SHORTEST, Asking, StoredAnswerer
from nlpcli.text.wordpiece import WordPieces, WordPieceTokenizer

if TYPE_CHECKING:
    from nlpcli.batching.framing import Specials
    from nlpcli.batching.question_windows import Windows
    from nlpcli.data.questions import Questions
    from nlpcli.data.rows import RowStream
    from nlpcli.models.question_heads import QuestionModel
    from nlpcli.training.question_answering import SpanScores

N_BEST = 20
"""Spans of a window that are looked at: some have the same text."""
Pairs = Sequence[tuple[str, str]]
"""Questions, each with its context."""


@dataclass(frozen=True)
class Answer:
    """``text`` stands in the context at ``start``, in code points; an empty one at NOWHERE means
    that the context has no answer. ``probability``: of all answers that it could give."""

    text: str
    start: int
    probability: float


@dataclass(frozen=True)
class Candidates:
    """What a model finds for a question: ``answers`` best first, no text twice, and as the last one
    that there is none. ``lead``: the score of that less that of the best answer, inf where there is
    none."""

    answers: list[Answer]
    lead: float


@dataclass(frozen=True)
class CutQuestions:
    """Questions as rows for an encoder: ``windows``; ``pieces`` of the distinct contexts, of which
    question q has ``context_of``[q], and these contexts' texts."""

    windows: Windows
    pieces: WordPieces
    context_of: npt.NDArray[np.int64]
    contexts: list[str]

    def spans(self, question: int) -> npt.NDArray[np.int32]:
        """Where the pieces of a question's context stand in it, [P, 2]."""
        at = self.context_of[question]
        return self.pieces.spans[self.pieces.indptr[at] : self.pieces.indptr[at + 1]]


@dataclass(frozen=True)
class QuestionCutter:
    """Questions and contexts -> windows for an encoder."""

    tokenizer: WordPieceTokenizer
    asking: Asking

    @property
    def specials(self) -> Specials:
        """What rows are framed with."""
        from nlpcli.batching.framing import Specials

        words = self.tokenizer
        return Specials(words.cls, words.sep, words.pad, self.asking.max_length)

    def cut(self, pairs: Pairs) -> CutQuestions:
        """Each context is cut once, however many questions are asked about it."""
        from nlpcli.batching.question_windows import question_windows

        number: dict[str, int] = {}
        context_of = [number.setdefault(context, len(number)) for _, context in pairs]
        at = np.array(context_of, np.int64)
        pieces = self.tokenizer.encode_words(list(number))
        windows = question_windows(
            self.tokenizer.encode([question for question, _ in pairs]), pieces, at, self.specials,
            overlap=self.asking.doc_stride, longest_question=self.asking.max_question_length,
        )  # fmt: skip
        return CutQuestions(windows, pieces, at, list(number))


def find_candidates(
    model: QuestionModel, cut: CutQuestions, cutter: QuestionCutter, *, keep: int = 1
) -> list[Candidates]:
    """The ``keep`` best answers to each question, from all windows of its context."""
    from nlpcli.training.question_answering import best_spans

    found = best_spans(
        model, cut.windows, cutter.specials, longest=cutter.asking.max_answer_length,
        keep=N_BEST * keep,
    )  # fmt: skip
    silent = cutter.asking.null_threshold is not None
    bounds = cut.windows.indptr.tolist()
    return [
        _candidates(found, slice(bounds[q], bounds[q + 1]), cut, q, keep, silent)
        for q in range(len(bounds) - 1)
    ]


def _candidates(
    found: SpanScores, rows: slice, cut: CutQuestions, question: int, keep: int, silent: bool
) -> Candidates:
    """Of one question. ``silent``: whether no answer is one of those that share probability."""
    null = float(found.nulls[rows].min())  # as the least sure window says
    total = np.logaddexp.reduce(found.totals[rows])
    if silent or not np.isfinite(total):
        total = np.logaddexp(total, null)
    scores = found.scores[rows].ravel()
    firsts, lasts = found.firsts[rows].ravel(), found.lasts[rows].ravel()
    spans, context = cut.spans(question), cut.contexts[cut.context_of[question]]
    texts: dict[str, Answer] = {}
    best = -np.inf
    for i in np.argsort(-scores, kind="stable").tolist():
        if not np.isfinite(scores[i]) or len(texts) == keep:
            break
        begin, end = int(spans[firsts[i], 0]), int(spans[lasts[i], 1])
        text = context[begin:end]
        if text.strip() and text not in texts:
            best = max(best, float(scores[i]))
            texts[text] = Answer(text, begin, float(np.exp(scores[i] - total)))
    nothing = Answer("", NOWHERE, float(np.exp(null - total)))
    return Candidates([*texts.values(), nothing], null - best)


def chosen_answers(found: Candidates, threshold: float | None) -> list[Answer]:
    """Best first, no answer among them where a ``threshold`` lets it be one; it alone where
    nothing was found."""
    *answers, nothing = found.answers
    if not answers:
        return [nothing]
    if threshold is None:
        return answers
    if found.lead > threshold:
        return [nothing, *answers]
    first, *rest = answers
    return [first, *sorted([*rest, nothing], key=lambda answer: -answer.probability)]


class QuestionAnswerer:
    """Questions and contexts -> answers, by a model that is loaded when it is first asked.

    ``long_texts``: what it was asked that is longer than it reads.
    """

    def __init__(
        self, stored: StoredAnswerer, *, device: str = "auto", precision: str = "auto",
        threads: int | None = None,
    ) -> None:  # fmt: skip
        self.stored, self.labels = stored, list[str]()
        self._device, self._precision, self._threads = device, precision, threads
        words = WordPieceTokenizer.from_json(stored.encoder.tokenizer_json, "the model")
        self.cutter = QuestionCutter(words, stored.asking)
        self.long_texts = LongQuestions()
        self._model: QuestionModel | None = None

    def on(
        self, *, device: str = "auto", precision: str = "auto", threads: int | None = None
    ) -> QuestionAnswerer:
        """The same, computed elsewhere or otherwise."""
        return QuestionAnswerer(self.stored, device=device, precision=precision, threads=threads)

    def be_silent_above(self, lead: float) -> None:
        """No answer is given from now on where its score exceeds that of the best answer by more,
        even if the model was made to answer always."""
        asking = replace(self.stored.asking, null_threshold=lead)
        self.stored = replace(self.stored, asking=asking)
        self.cutter = replace(self.cutter, asking=asking)

    def answers(self, pairs: Pairs, top_k: int = 1) -> list[list[Answer]]:
        """The ``top_k`` best answers to each question, at least one; what is asked several times is
        answered once."""
        different, asked = places_of(pairs)
        cut = self.cutter.cut(different)
        self.long_texts.count(cut.windows, asked)
        candidates = find_candidates(self.ready(), cut, self.cutter, keep=top_k)
        limit = self.stored.asking.null_threshold
        found = [chosen_answers(each, limit)[:top_k] for each in candidates]
        return [found[at] for at in asked.tolist()]

    def ready(self) -> QuestionModel:
        """Loads the model if that is yet to do. Raises UsageError, Unavailable."""
        if self._model is None:
            from nlpcli.models.question_heads import QuestionModel
            from nlpcli.training.device import choose_device, set_threads
            from nlpcli.training.precision import prepared

            set_threads(self._threads)
            place = choose_device(self._device)
            model = QuestionModel(self.stored.encoder.config)
            model.load(self.stored.encoder.weights)
            bare = replace(self.stored.encoder, weights={})  # not twice in memory
            self.stored = replace(self.stored, encoder=bare)
            self._model = prepared(model, self._precision, place)
        return self._model


def plain_answerer(encoder: Encoder, where: str) -> QuestionAnswerer:
    """Another program's model. Whether it was made to give no answer such folders do not say, so
    that it always gives one. Raises DataError for one that cannot be asked."""
    positions, segments = encoder.config.max_positions, encoder.config.type_vocab
    if positions < SHORTEST:
        raise DataError(f"{where}: {positions} positions, wanted {SHORTEST} or more")
    if segments < 2:
        raise DataError(f"{where}: knows one segment, wanted 2 for questions")
    usual = Asking()
    asking = replace(usual, max_length=min(usual.max_length, positions))
    return QuestionAnswerer(StoredAnswerer(encoder, asking))


def open_plain_answerer(path: Path) -> QuestionAnswerer | None:
    """A Hugging Face folder that another program made, as it is; None where it answers no
    questions. Raises InputMissing, DataError, Unavailable without the memory."""
    from nlpcli.formats.bounded import open_bounded
    from nlpcli.formats.hf_config import parse_config
    from nlpcli.formats.hf_folder import CONFIG, LARGEST_JSON
    from nlpcli.runs.memory import free_memory

    with open_bounded(path / CONFIG) as reader:
        if reader.remaining > LARGEST_JSON:
            return None
        config = parse_config(reader.read(reader.remaining, "the file"), str(path / CONFIG))
    if config.architecture != ARCHITECTURE:
        return None
    return plain_answerer(open_plain(path, room=free_memory()).encoder, str(path))


class AnswerColumns:
    """Rows with a question and a context -> the columns that predict adds."""

    def __init__(self, answerer: QuestionAnswerer, prefix: str, *, usual: bool, top_k: int) -> None:
        self.model, self._top_k = answerer, top_k
        start = START if usual else f"{prefix}{START}"  # so that another one may be there
        tails = ["", *(f"_{k}" for k in range(2, top_k + 1))]
        names = (f"{prefix}answer", start, f"{prefix}probability")
        self.columns = [name + tail for tail in tails for name in names]
        self.numeric = [name for name in self.columns if name.startswith(names[2])]
        self.json_columns = {name for name in self.columns if name.startswith(start)}
        self._context = self._question = 0

    def column(self, rows: RowStream, context: str | None, question: str) -> int:
        """Finds the columns; gives the context's. Raises DataError."""
        self._context, self._question = context_column(rows, context), rows.column(question)
        return self._context

    def __call__(self, texts: list[str]) -> list[list[str]]:
        """Of texts alone there is no question to answer."""
        raise NotImplementedError

    def of_rows(self, rows: list[list[str]]) -> list[list[str]]:
        """The columns; cells are empty where there are less than ``top_k`` answers."""
        pairs = [(row[self._question], row[self._context]) for row in rows]
        cells = []
        for answers in self.model.answers(pairs, self._top_k):
            own = [
                cell for answer in answers
                for cell in (answer.text, str(answer.start), f"{answer.probability:.6f}")
            ]  # fmt: skip
            cells.append(own + [""] * (len(self.columns) - len(own)))
        return [list(column) for column in zip(*cells, strict=True)]


def judged_questions(rows: Questions, found: Sequence[str], *, resamples: int, seed: int) -> Judged:
    """What eval says of answers to questions. Raises DataError without questions."""
    asked = [f"{q}\n{context}" for q, context in zip(rows.texts, rows.contexts, strict=True)]
    return judge_questions(
        rows.labels, rows.contexts, found, Place(asked, rows.lines), Drawing(resamples, seed)
    )


def measured(
    answerer: QuestionAnswerer, rows: Questions, *, resamples: int, seed: int = 1
) -> dict[str, Any]:
    """How good the best answers are."""
    found = answerer.answers(list(zip(rows.texts, rows.contexts, strict=True)))
    return evaluate_answers(
        rows.labels, [answers[0].text for answers in found], units=units_of(rows.contexts),
        resamples=resamples, seed=seed,
    )  # fmt: skip
