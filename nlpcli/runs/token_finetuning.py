"""One run of finetune for words: from tagged sentences to a tagger in the store."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nlpcli.data.rows import told_apart
from nlpcli.data.tagged import parted_words, read_tagged
from nlpcli.errors import DataError, UsageError, shown
from nlpcli.runs.finetuning import FinetuneRun
from nlpcli.runs.finetuning_parts import FinetuneRequest, begin, make_plan
from nlpcli.runs.long_texts import DEV, LongWords
from nlpcli.runs.publishing import gate_failures, version_in_use
from nlpcli.runs.request import Parts
from nlpcli.runs.token_tagger import TokenTagger, WordCutter, by_sentence, field_for, in_scheme
from nlpcli.store.token_tagger import ARCHITECTURE, KIND, StoredTagger, Tagging

if TYPE_CHECKING:
    from nlpcli.batching.word_rows import WordRows
    from nlpcli.data.labelled import Labelled
    from nlpcli.store.draft import Draft
    from nlpcli.training.finetuning import Finetuning
    from nlpcli.training.micro_batches import Objective

METRICS = (
    "entity_precision", "entity_recall", "entity_f1", "macro_f1", "accuracy", "sentence_accuracy",
)  # fmt: skip
AUTO = "auto"


@dataclass(frozen=True, kw_only=True)
class TokenRequest(FinetuneRequest):
    """A run as it was asked for. ``columns``: ``tokens`` (or None) and ``tags``.

    ``scheme``: of the tags that are learnt; auto: that of the training tags, but BIO for IOB1.
    ``label_pieces``: whether a word's first piece learns its tag, or all.
    """

    scheme: str = AUTO
    label_pieces: str = "first"
    word_decoding: str = "first"
    crf: bool = False
    by_position = True

    @property
    def separator(self) -> str | None:
        """A word has one tag."""
        return None

    def record(self, parts: Parts, program: str) -> dict[str, Any]:
        """Everything that the model depends on, as plain JSON values."""
        return {
            **super().record(parts, program), "task": "token", "scheme": self.scheme,
            "label_pieces": self.label_pieces, "word_decoding": self.word_decoding,
            "crf": self.crf,
        }  # fmt: skip

    def n_head_parameters(self, n_labels: int) -> int:
        """Numbers of what stands above the encoder, less its pooler, which words have no use
        for."""
        hidden = self.base.encoder.config.hidden
        field = n_labels * (n_labels + 2) if self.crf else 0
        return super().n_head_parameters(n_labels) + field - hidden * (hidden + 1)


class TokenRun(FinetuneRun):
    """As FinetuneRun, of sentences instead of texts."""

    _request: TokenRequest
    _scheme: str

    def plan(self) -> dict[str, Any]:
        """As FinetuneRun."""
        parts = self._read()
        words = self._word_cutter().rows(_sentences(parts.train))
        self._tell_rows(words)
        return self._planned(parts, words)

    def _planned(self, parts: Parts, words: WordRows) -> dict[str, Any]:
        n_cut = words.n_split + words.rows.n_cut
        return make_plan(self._request, parts, n_cut=n_cut, read=[words.rows])

    def _word_cutter(self) -> WordCutter:
        from nlpcli.text.wordpiece import WordPieceTokenizer

        base = self._request.base
        tokenizer = WordPieceTokenizer.from_json(base.encoder.tokenizer_json, str(base.path))
        return WordCutter(tokenizer, self._request.config.max_length)

    def _read(self) -> Parts:
        from nlpcli.runs.fitting import split_rows
        from nlpcli.text.tag_schemes import NONE, detected

        request = self._request
        columns: dict[str, Any] = request.columns
        reject_train, reject_dev = told_apart(self._reject, request.train, request.dev)
        train = read_tagged(request.train, request.fmt, on_reject=reject_train, **columns)
        seen = detected(train.labels)
        self._scheme = request.scheme
        if request.scheme == AUTO:
            self._scheme = "BIO" if seen.scheme == "IOB1" else seen.scheme
        elif seen.scheme == NONE:
            raise UsageError(f"--tag-scheme {request.scheme}: the tags follow no such scheme")
        self._tell_scheme(seen.scheme, seen.n_irregular)
        train = self._in_scheme(train, request.train)
        names = self._names(train)
        dev: Labelled | None
        if request.dev is not None:
            dev = read_tagged(request.dev, request.fmt, on_reject=reject_dev, **columns)
            dev, source = self._in_scheme(dev, request.dev), request.dev
            _expect_known(dev, names, source)
        else:
            train, dev, source = split_rows(train, request.dev_fraction, request.seed)
        self._reject.close()
        if train.n_blank:
            self._console.say(f"sentences without words, left out: {train.n_blank:,}")
        return Parts(train, dev, source, names, None)

    def _names(self, train: Labelled) -> list[str]:
        """The tags that may be answered: all that the scheme has for the types that occur, as a
        type may be met in a place where no training sentence has it. Raises DataError."""
        from nlpcli.data.split import label_names
        from nlpcli.text.tag_schemes import NONE, complete

        seen = label_names(train.labels)
        names = seen if self._scheme == NONE else complete(seen, self._scheme)
        if len(names) < 2:
            raise DataError(
                f"{self._request.train}: at least 2 tags are needed, seen: {', '.join(seen)}"
            )
        return names

    def _in_scheme(self, rows: Labelled, path: str) -> Labelled:
        found = in_scheme(rows, self._scheme, path)
        return replace(rows, labels=[tuple(tags) for tags in found])

    def _tell_scheme(self, seen: str, n_irregular: int) -> None:
        if self._scheme == "none":
            self._console.say("tags: each word's own, none of entities")
            return
        learnt = "" if seen == self._scheme else f", learnt as {self._scheme}"
        self._console.say(f"tags: {seen}{learnt}")
        if n_irregular:
            self._console.warn(f"tags that break the rules of {seen}, written anew: "
                               f"{n_irregular:,}")  # fmt: skip

    def _prepared(self, parts: Parts, answering: Any) -> tuple[Finetuning, WordCutter]:
        """The training, ready to go. Raises UsageError, Unavailable."""
        from nlpcli.models.token_heads import TokenModel
        from nlpcli.training.device import choose_device, set_threads
        from nlpcli.training.finetuning import Finetuning
        from nlpcli.training.precision import choose_precision

        request, encoder = self._request, self._request.base.encoder
        place = choose_device(request.device)
        precision = choose_precision(request.precision, place)
        self._threads = set_threads(request.threads)
        cutter = self._word_cutter()
        words = cutter.rows(_sentences(parts.train))
        self._tell_rows(words)
        self._planned(parts, words)  # refuses what does not fit into memory
        config = request.config
        model = TokenModel(
            replace(encoder.config, dropout=config.dropout, attention_dropout=config.dropout),
            len(parts.names), config.dropout,
            field_for(parts.names, self._scheme) if request.crf else None,
        )  # fmt: skip
        begin(model, encoder.weights, request.seed)  # a pooler is not used
        training = Finetuning(
            model, words.rows, self._objective(model, words, parts), cutter.specials, config,
            seed=request.seed, device=place, precision=precision,
            score=self._scorer(model, cutter, parts), patience=request.patience,
        )  # fmt: skip
        n = training.masters.n_numbers
        self._console.say(
            f"encoder: {encoder.config.n_layers} layers of {encoder.config.hidden}, {n:,} "
            f"parameters, {place}, {str(precision).removeprefix('torch.')}"
        )
        return training, cutter

    def _tell_rows(self, words: WordRows, where: str = "") -> None:
        long = LongWords(self._request.config.max_length)
        long.count(words)
        self._tell_long(long, where)

    def _objective(self, model: Any, words: WordRows, parts: Parts) -> Objective:
        from nlpcli.batching.word_rows import piece_targets
        from nlpcli.training.tagging import CrfObjective, TokenObjective

        request, config = self._request, self._request.config
        number = {name: n for n, name in enumerate(parts.names)}
        tags = np.array([number[tag] for row in parts.train.labels for tag in row], np.int64)
        if model.crf is not None:
            return CrfObjective(words, tags, model.crf, request.word_decoding == "mean")
        targets = piece_targets(words, tags, all_pieces=request.label_pieces == "all")
        return TokenObjective(words.rows, targets, config.label_smoothing, config.focal)

    def _scorer(self, model: Any, cutter: WordCutter, parts: Parts) -> Any:
        """The entity F1 of the dev sentences; of tags without entities the share that is right."""
        from nlpcli.evaluation.entities import evaluate_entities
        from nlpcli.training.tagging import best_tags

        if parts.dev is None:
            return None
        rows, truth = cutter.rows(_sentences(parts.dev)), parts.dev.labels
        self._tell_rows(rows, DEV)
        pooled, scheme = self._request.word_decoding == "mean", self._scheme
        metric = "accuracy" if scheme == "none" else "entity_f1"

        def score() -> float:
            numbers = best_tags(model, rows, cutter.specials, pooled=pooled)
            found = by_sentence([parts.names[n] for n in numbers.tolist()], rows)
            document = evaluate_entities(truth, found, scheme=scheme, resamples=0)
            return float(document[metric]["value"])

        return score

    def _measured(
        self, training: Finetuning, cutter: Any, parts: Parts, answering: Any,
        report: dict[str, Any],
    ) -> Any:  # fmt: skip
        """The model to keep; its metrics go into the report."""
        weights = training.weights()
        field = {n: weights.pop(n) for n in [n for n in weights if n.startswith("crf.")]}
        encoder = replace(
            self._request.base.encoder, weights=weights, architecture=ARCHITECTURE,
            labels=parts.names, span_boundary=None, classifier_dropout=None, problem_type=None,
        )  # fmt: skip
        tagging = Tagging(
            self._scheme, self._request.word_decoding, self._request.config.max_length
        )
        stored = StoredTagger(encoder, tagging, field or None)
        report |= {"metrics": {}, "scheme": self._scheme}
        if parts.dev is not None:
            tagger = TokenTagger(stored, **self._computing)
            report["metrics"] = self._metrics(tagger, parts.dev)
        return stored

    def _metrics(self, tagger: TokenTagger, dev: Labelled) -> dict[str, float | None]:
        from nlpcli.evaluation.entities import evaluate_entities
        from nlpcli.runs.scoring import plain_metrics

        found = tagger.tags(_sentences(dev))
        truth = in_scheme(dev, tagger.scheme, "the dev sentences")
        return plain_metrics(evaluate_entities(truth, found, scheme=tagger.scheme, resamples=0))

    def _rival(self, parts: Parts) -> dict[str, Any]:
        """Metrics of the tagger in use on the same sentences; none when its tags are others."""
        from nlpcli.store.token_tagger import read_token_tagger

        assert parts.dev is not None
        folder = version_in_use(self._store, self._request.output, self._console)
        if folder is None:
            return {}
        try:
            tagger = TokenTagger(read_token_tagger(folder), **self._computing)
            if (tagger.scheme == "none") == (self._scheme == "none"):
                return self._metrics(tagger, parts.dev)
            found = "no entities" if tagger.scheme == "none" else "entities"
            self._console.warn(
                f"--publish-if better: {folder.path} is no rival, its tags mark {found}"
            )
            return {}
        except DataError as error:  # training is over: no reason to lose what it gave
            self._console.warn(f"--publish-if better: {error.message}")
            return {}

    def _refused(self, stored: Any, parts: Parts, report: dict[str, Any]) -> list[str]:
        rival = self._rival(parts) if None in self._request.gate else None
        better = ("accuracy" if self._scheme == "none" else "entity_f1", ">")
        return gate_failures(self._request.gate, report["metrics"], better, rival)

    def _write(
        self, draft: Draft, stored: Any, options: dict[str, Any]
    ) -> tuple[str, dict[str, Any]]:
        from nlpcli.store.token_tagger import write_token_tagger

        return KIND, write_token_tagger(draft, stored, options)


def _expect_known(dev: Labelled, names: list[str], path: str) -> None:
    """Raises DataError for a tag that nothing could ever answer."""
    known = set(names)
    for tags, line in zip(dev.labels, dev.lines, strict=True):
        new = sorted(set(tags) - known)
        if new:
            raise DataError(
                f"{path} line {line}: a tag that no training sentence has: {shown(new[0])}"
            )


def _sentences(rows: Labelled) -> list[list[str]]:
    return [parted_words(text) for text in rows.texts]
