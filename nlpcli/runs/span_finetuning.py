"""One run of finetune for spans: from texts with spans to a model that finds such in the store."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nlpcli.data.rows import naming
from nlpcli.data.spanned import Spanned, divided, read_spanned
from nlpcli.errors import DataError, shown
from nlpcli.models.span_config import SpanConfig, span_head_shapes
from nlpcli.runs.encoder_planning import span_memory
from nlpcli.runs.finetuning import FinetuneRun
from nlpcli.runs.finetuning_parts import FinetuneRequest, begin, make_plan
from nlpcli.runs.long_texts import DEV, LongWords
from nlpcli.runs.publishing import gate_failures, version_in_use
from nlpcli.runs.request import Parts
from nlpcli.runs.span_cutting import (
    CutTexts,
    Lost,
    SpanCutter,
    known_of,
    made_of_words,
    overlapping,
    spans_in_words,
    texts_of,
)
from nlpcli.runs.span_model import IDENTIFIED, SpanFinder, by_text, identified, true_sets
from nlpcli.store.span_model import ARCHITECTURE, KIND, Spanning, StoredSpans

if TYPE_CHECKING:
    from nlpcli.models.span_heads import SpanModel
    from nlpcli.store.draft import Draft
    from nlpcli.training.finetuning import Finetuning
    from nlpcli.training.spans import SpanObjective

METRICS = (
    "span_precision", "span_recall", "span_f1", "identification_precision",
    "identification_recall", "identification_f1", "relation_precision", "relation_recall",
    "relation_f1", "relation_strict_precision", "relation_strict_recall", "relation_strict_f1",
    "macro_f1", "row_accuracy",
)  # fmt: skip
AUTO = "auto"


@dataclass(frozen=True, kw_only=True)
class SpanRequest(FinetuneRequest):
    """A run as it was asked for. ``columns``: ``text`` and ``marks``, or None each.

    ``decoding``: auto: nested where training spans overlap, else flat. ``negatives``: of a row, to
    learn from; None: all, 0: none. ``identify``: labels are set aside.
    """

    spans: SpanConfig
    decoding: str = AUTO
    negatives: int | None = None
    identify: bool = False
    n_relations: int = 0
    """Known when rows have been read."""
    by_position = True

    @property
    def separator(self) -> str | None:
        """A span has one label."""
        return None

    def record(self, parts: Parts, program: str) -> dict[str, Any]:
        """Everything that the model depends on, as plain JSON values."""
        return {
            **super().record(parts, program), "task": "span", **self.spans.to_json(),
            "decoding": self.decoding, "negatives": self.negatives, "identify": self.identify,
        }  # fmt: skip

    def lack_for(self, metric: str, parts: Parts) -> str | None:
        """There may be no relations."""
        if metric.startswith("relation") and not self.n_relations:
            return "no relations in the training rows"
        return None

    def n_head_parameters(self, n_labels: int) -> int:
        """Numbers of what stands above the encoder, less its pooler, which is not used."""
        hidden = self.base.encoder.config.hidden
        shapes = span_head_shapes(self.spans, hidden, n_labels, self.n_relations)
        return sum(math.prod(shape) for shape in shapes.values()) - hidden * (hidden + 1)


class SpanRun(FinetuneRun):
    """As FinetuneRun, of spans in texts instead of texts."""

    _request: SpanRequest
    _relations: list[str]
    _decoding: str

    def plan(self) -> dict[str, Any]:
        """As FinetuneRun."""
        parts = self._read()
        return self._planned(parts, self._span_cutter().cut(texts_of(_rows(parts.train))))

    def _planned(self, parts: Parts, cut: CutTexts) -> dict[str, Any]:
        from nlpcli.training.device import choose_device

        request, words = self._request, cut.rows.words
        learnt = request.negatives
        if learnt is not None:
            learnt += max(map(len, _rows(parts.train).spans), default=0)
        head_bytes = span_memory(
            request.spans, cut.rows, choose_device(request.device), n_labels=len(parts.names),
            batch_size=request.config.batch_size, most_learnt=learnt, looks=parts.dev is not None,
        )  # fmt: skip
        return make_plan(
            replace(request, n_relations=len(self._relations)), parts,
            n_cut=words.n_split + words.rows.n_cut, read=[words.rows], head_bytes=head_bytes,
        )  # fmt: skip

    def _read(self) -> Parts:
        request = self._request
        train = self._read_rows(request.train, learnt=True)
        dev: Spanned | None
        if request.dev is not None:
            dev, source = self._read_rows(request.dev), request.dev
        else:
            train, dev = divided(train, request.dev_fraction, request.seed)
            source = "none" if dev is None else f"{request.dev_fraction:g} of the rows"
        self._reject.close()
        names = sorted({label for own in train.labels for label in own})
        if not names:
            raise DataError(f"{request.train}: no spans, wanted at least 1")
        names = [IDENTIFIED] if request.identify else names
        self._relations = sorted({name for own in train.relations for *_, name in own})
        if train.has_relations and not self._relations:
            raise DataError(f"{request.train}: no relations, wanted at least 1 or no such column")
        where = request.dev or request.train
        if dev is not None and not request.identify:
            _expect_known(dev, dev.spans, names, where, "span")
        if dev is not None and self._relations:
            _expect_known(dev, dev.relations, self._relations, where, "relation")
        if train.n_blank:
            self._console.say(f"rows with a blank text, left out: {train.n_blank:,}")
        return Parts(train, dev, source, names, None)

    def _read_rows(self, path: str, *, learnt: bool = False) -> Spanned:
        """Rows that are ``learnt`` have only spans that words make up."""
        request = self._request
        other = request.dev if learnt else path
        reject = naming(self._reject, path, other)
        rows = read_spanned(
            path, request.fmt, text=request.columns["text"], marks=request.columns["marks"],
            labelled=not request.identify, on_reject=reject,
        )  # fmt: skip
        skips = request.fmt.on_error == "skip"
        if not learnt:
            return rows
        return made_of_words(rows, self._span_cutter(), path, reject if skips else None)

    def _span_cutter(self) -> SpanCutter:
        from nlpcli.text.wordpiece import WordPieceTokenizer

        request = self._request
        words = WordPieceTokenizer.from_json(
            request.base.encoder.tokenizer_json, str(request.base.path)
        )
        return SpanCutter(words, request.config.max_length, request.spans.max_span)

    def _prepared(self, parts: Parts, answering: Any) -> tuple[Finetuning, SpanCutter]:
        """The training, ready to go. Raises UsageError, Unavailable."""
        from nlpcli.models.span_heads import SpanModel
        from nlpcli.training.device import choose_device, set_threads
        from nlpcli.training.finetuning import Finetuning
        from nlpcli.training.precision import choose_precision

        request, encoder, config = self._request, self._request.base.encoder, self._request.config
        place = choose_device(request.device)
        precision = choose_precision(request.precision, place)
        self._threads = set_threads(request.threads)
        cutter = self._span_cutter()
        cut = cutter.cut(texts_of(_rows(parts.train)))
        self._tell_rows(cut)
        self._planned(parts, cut)  # refuses what does not fit into memory
        model = SpanModel(
            replace(encoder.config, dropout=config.dropout, attention_dropout=config.dropout),
            request.spans, len(parts.names), len(self._relations), config.dropout,
        )  # fmt: skip
        begin(model, encoder.weights, request.seed)  # a pooler is not used
        training = Finetuning(
            model, cut.rows.words.rows, self._objective(model, cut, parts), cutter.specials,
            config, seed=request.seed, device=place, precision=precision,
            score=self._scorer(model, cutter, parts), patience=request.patience,
        )  # fmt: skip
        n = training.masters.n_numbers
        self._console.say(
            f"encoder: {encoder.config.n_layers} layers of {encoder.config.hidden}, {n:,} "
            f"parameters, {place}, {str(precision).removeprefix('torch.')}"
        )
        return training, cutter

    def _tell_rows(self, cut: CutTexts, where: str = "") -> None:
        long = LongWords(self._request.config.max_length, "texts")
        long.count(cut.rows.words)
        self._tell_long(long, where)

    def _objective(self, model: SpanModel, cut: CutTexts, parts: Parts) -> SpanObjective:
        from nlpcli.training.spans import SpanObjective

        request, train = self._request, _rows(parts.train)
        spans, _ = spans_in_words(train, texts_of(train), cut.places)
        if request.identify:
            spans = [identified(own) for own in spans]
        nested = overlapping(spans)
        self._decoding = request.decoding
        if request.decoding == AUTO:
            self._decoding = "nested" if nested else "flat"
        what = "1 label" if len(parts.names) == 1 else f"{len(parts.names):,} labels"
        self._console.say(f"spans: {sum(map(len, spans)):,} of {what}, {self._decoding}")
        if nested and self._decoding == "flat":
            self._console.warn("spans overlap, and a flat model finds none that do")
        if request.negatives == 0:
            self._console.warn("--negatives 0: no other spans are learnt, too many may be found")
        known, lost = known_of(train, spans, cut.rows, parts.names, self._relations)
        self._tell_lost(lost)
        config = request.config
        return SpanObjective(
            model.spans, cut.rows, known, request.negatives, config.label_smoothing, config.focal
        )

    def _tell_lost(self, lost: Lost) -> None:
        told = {
            f"spans of more than {self._request.spans.max_span} words, or not read at once, not "
            "learnt": lost.long,
            "spans with several labels, the first is learnt": lost.twice,
            "relations of spans that are not learnt, or not read at once": lost.relations,
        }
        for what, count in told.items():
            if count:
                self._console.warn(f"{what}: {count:,}")

    def _scorer(self, model: SpanModel, cutter: SpanCutter, parts: Parts) -> Any:
        """The F1 of the dev part's spans; where there are relations, the mean of it and theirs."""
        from nlpcli.evaluation.spans import evaluate_spans
        from nlpcli.training.spans import find_spans

        if parts.dev is None:
            return None
        texts = texts_of(_rows(parts.dev))
        cut = cutter.cut(texts)
        self._tell_rows(cut, DEV)
        identify = self._request.identify
        truth, n_bad = true_sets(_rows(parts.dev), texts, cut.places, identify=identify)
        if n_bad:
            self._console.warn(f"spans of the dev part that cut words, never found: {n_bad:,}")

        def score() -> float:
            numbers = find_spans(model, cut.rows, cutter.specials, decoding=self._decoding)
            found = by_text(numbers, cut, parts.names, self._relations)
            document = evaluate_spans(truth, [each.as_set() for each in found], resamples=0,
                                      relations=bool(self._relations))  # fmt: skip
            wanted = ["span_f1"] + ["relation_f1"] * bool(self._relations)
            return float(sum(document[name]["value"] for name in wanted) / len(wanted))

        return score

    def _measured(
        self, training: Finetuning, cutter: Any, parts: Parts, answering: Any,
        report: dict[str, Any],
    ) -> Any:  # fmt: skip
        """The model to keep; its metrics go into the report."""
        from nlpcli.models.span_config import PREFIX

        weights = training.weights()
        head = {n: weights.pop(n) for n in [n for n in weights if n.startswith(PREFIX)]}
        encoder = replace(
            self._request.base.encoder, weights=weights, architecture=ARCHITECTURE, labels=[],
            span_boundary=None, classifier_dropout=None, problem_type=None,
        )  # fmt: skip
        spanning = Spanning(
            self._decoding, self._request.identify, self._request.config.max_length,
            self._relations,
        )  # fmt: skip
        stored = StoredSpans(encoder, parts.names, self._request.spans, spanning, head)
        report |= {"metrics": {}, "decoding": self._decoding}
        if parts.dev is not None:
            finder = SpanFinder(stored, **self._computing)
            report["metrics"] = self._metrics(finder, _rows(parts.dev))
        return stored

    def _metrics(self, finder: SpanFinder, dev: Spanned) -> dict[str, float | None]:
        from nlpcli.runs.scoring import plain_metrics
        from nlpcli.runs.span_model import score_rows

        return plain_metrics(score_rows(finder, dev, resamples=0)[0])

    def _refused(self, stored: Any, parts: Parts, report: dict[str, Any]) -> list[str]:
        rival = self._rival(parts) if None in self._request.gate else None
        return gate_failures(self._request.gate, report["metrics"], ("span_f1", ">"), rival)

    def _rival(self, parts: Parts) -> dict[str, Any]:
        """Metrics of the model in use on the same rows; none when it finds other spans."""
        from nlpcli.store.span_model import read_span_model

        folder = version_in_use(self._store, self._request.output, self._console)
        if folder is None:
            return {}
        try:
            finder = SpanFinder(read_span_model(folder), **self._computing)
        except DataError as error:  # training is over: no reason to lose what it gave
            self._console.warn(f"--publish-if better: {error.message}")
            return {}
        if finder.stored.spanning.identify != self._request.identify:
            kinds = "spans without labels", "spans with labels"
            self._console.warn(
                f"--publish-if better: {folder.path} is no rival, it finds "
                f"{kinds[self._request.identify]}"
            )
            return {}
        return self._metrics(finder, _rows(parts.dev))

    def _write(
        self, draft: Draft, stored: Any, options: dict[str, Any]
    ) -> tuple[str, dict[str, Any]]:
        from nlpcli.store.span_model import write_span_model

        return KIND, write_span_model(draft, stored, options)


def _rows(rows: Any) -> Spanned:
    assert isinstance(rows, Spanned)
    return rows


def _expect_known(
    dev: Spanned, marks: list[list[tuple[int, int, str]]], names: list[str], path: str, what: str
) -> None:
    """Raises DataError for a label that nothing could ever answer."""
    known = set(names)
    for own, line in zip(marks, dev.lines, strict=True):
        new = sorted({label for *_, label in own} - known)
        if new:
            raise DataError(
                f"{path} line {line}: a label that no training {what} has: {shown(new[0])}"
            )
