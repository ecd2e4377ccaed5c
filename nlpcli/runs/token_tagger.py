"""A fine-tuned encoder that tags the words of sentences, and what predict and eval ask of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nlpcli.data.conll import TAGS, split_blanks
from nlpcli.data.source import Source
from nlpcli.data.tagged import (
    CONLL,
    cell_of_words,
    parted_words,
    token_column,
    words_of_cell,
)
from nlpcli.errors import DataError
from nlpcli.runs.judging import Drawing, Judged, Place, judge_tags
from nlpcli.runs.long_texts import LongWords, places_of
from nlpcli.store.encoder import open_plain
from nlpcli.store.token_tagger import ARCHITECTURE, StoredTagger, Tagging
from nlpcli.text.tag_schemes import converted, legal, scheme_of
from nlpcli.text.wordpiece import WordPieceTokenizer

if TYPE_CHECKING:
    from nlpcli.batching.framing import Specials
    from nlpcli.batching.word_rows import WordRows
    from nlpcli.data.labelled import Labelled
    from nlpcli.data.rows import RowStream
    from nlpcli.models.crf import Crf
    from nlpcli.models.token_heads import TokenModel

Sentences = Sequence[Sequence[str]]


@dataclass(frozen=True)
class WordCutter:
    """Sentences of words -> rows for an encoder."""

    tokenizer: WordPieceTokenizer
    longest: int

    @property
    def specials(self) -> Specials:
        """What rows are framed with."""
        from nlpcli.batching.framing import Specials

        words = self.tokenizer
        return Specials(words.cls, words.sep, words.pad, self.longest)

    def rows(self, sentences: Sentences) -> WordRows:
        """One a sentence, more of a long one, none of one without words."""
        from nlpcli.batching.word_rows import pieced, word_rows

        counts = np.fromiter(map(len, sentences), np.int64, len(sentences))
        found = self.tokenizer.encode_tokens(sentences)
        return word_rows(pieced(found, counts, self.tokenizer.unk), self.specials)


def field_for(labels: Sequence[str], scheme: str) -> Crf:
    """A field over these tags, which forbids what the scheme does."""
    from nlpcli.models.crf import Crf

    may = legal(labels, scheme)
    return Crf(may.first, may.next, may.last)


class TokenTagger:
    """Sentences -> tags, by a model that is loaded when the first sentence comes.

    ``long_texts``: what it was asked for that is longer than it reads.
    """

    def __init__(
        self, stored: StoredTagger, *, device: str = "auto", precision: str = "auto",
        threads: int | None = None,
    ) -> None:  # fmt: skip
        self.stored, self.labels = stored, list(stored.encoder.labels)
        self._device, self._precision, self._threads = device, precision, threads
        words = WordPieceTokenizer.from_json(stored.encoder.tokenizer_json, "the model")
        self.cutter = WordCutter(words, stored.tagging.max_length)
        self.long_texts = LongWords(stored.tagging.max_length)
        self._model: TokenModel | None = None

    @property
    def scheme(self) -> str:
        """What its tags follow."""
        return self.stored.tagging.scheme

    @property
    def pair(self) -> bool:
        """It reads no pairs of texts."""
        return False

    def on(
        self, *, device: str = "auto", precision: str = "auto", threads: int | None = None
    ) -> TokenTagger:
        """The same, computed elsewhere or otherwise."""
        return TokenTagger(self.stored, device=device, precision=precision, threads=threads)

    def tags(self, sentences: Sentences) -> list[list[str]]:
        """A tag for each word; sentences that occur several times are answered once."""
        different, asked = places_of([tuple(words) for words in sentences])
        found = self._tags(different, asked)
        return [found[at] for at in asked.tolist()]

    def _tags(self, sentences: Sentences, asked: npt.NDArray[np.int64]) -> list[list[str]]:
        from nlpcli.training.tagging import best_tags

        rows = self.cutter.rows(sentences)
        self.long_texts.count(rows, asked)
        pooled = self.stored.tagging.word_decoding == "mean"
        numbers = best_tags(self.ready(), rows, self.cutter.specials, pooled=pooled)
        return by_sentence([self.labels[n] for n in numbers.tolist()], rows)

    def ready(self) -> TokenModel:
        """Loads the model if that is yet to do. Raises UsageError, Unavailable."""
        if self._model is None:
            from nlpcli.models.token_heads import TokenModel
            from nlpcli.training.device import choose_device, set_threads
            from nlpcli.training.precision import prepared

            set_threads(self._threads)
            place = choose_device(self._device)
            stored = self.stored
            crf = None if stored.crf is None else field_for(self.labels, self.scheme)
            model = TokenModel(stored.encoder.config, len(self.labels), 0.0, crf)
            model.load(stored.encoder.weights)
            if crf is not None and stored.crf is not None:
                crf.load(stored.crf)
            self._model = prepared(model, self._precision, place)
        return self._model


def open_plain_tagger(path: Path) -> TokenTagger | None:
    """A Hugging Face folder that another program made, as it is; None where it tags no words.

    Raises InputMissing, DataError, Unavailable without the memory.
    """
    from nlpcli.runs.memory import free_memory
    from nlpcli.runs.plain_folders import plain_config

    config = plain_config(path)
    if config is None or config.architecture != ARCHITECTURE:
        return None
    encoder = open_plain(path, room=free_memory()).encoder
    longest = min(512, encoder.config.max_positions)
    return TokenTagger(StoredTagger(encoder, Tagging(scheme_of(encoder.labels), "first", longest)))


def by_sentence(tags: list[str], rows: WordRows) -> list[list[str]]:
    """The tags of all words, sentence by sentence."""
    bounds = rows.indptr.tolist()
    return [tags[bounds[i] : bounds[i + 1]] for i in range(len(bounds) - 1)]


class TagColumn:
    """Cells of words -> cells of tags of the same form: the column that predict adds."""

    def __init__(self, tagger: TokenTagger, prefix: str) -> None:
        self.model = tagger
        self.columns, self.numeric = [f"{prefix}{TAGS}"], list[str]()
        self.lists = True

    def column(self, rows: RowStream, asked: str | None) -> int:
        """Where the words are; of CoNLL files no cell is a list."""
        self.lists = rows.format != CONLL
        return token_column(rows, asked)

    def __call__(self, cells: list[str]) -> list[list[str]]:
        """The column. A blank cell has no tags."""
        forms = [self._read(cell) for cell in cells]
        tags = self.model.tags([words for words, _ in forms])
        found = zip(tags, forms, strict=True)
        return [[cell_of_words(row, as_list) for row, (_, as_list) in found]]

    def _read(self, cell: str) -> tuple[list[str], bool]:
        try:
            return words_of_cell(cell, lists=self.lists)
        except ValueError:
            return split_blanks(cell), False


def judged_tags(
    tagger: TokenTagger, rows: Labelled, found: Sentences, path: str, *, resamples: int, seed: int
) -> Judged:
    """What eval says of the tags ``found`` of sentences. Raises DataError."""
    truth, words = in_scheme(rows, tagger.scheme, path), [parted_words(text) for text in rows.texts]
    judged = judge_tags(
        rows.labels, truth, found, tagger.scheme, words,
        Place([" ".join(own) for own in words], rows.lines), Drawing(resamples, seed),
    )  # fmt: skip
    unknown = sorted({tag for row in truth for tag in row} - set(tagger.labels))
    return replace(judged, document={**judged.document, "unknown_labels": unknown})


def in_scheme(rows: Labelled, scheme: str, path: str) -> list[list[str]]:
    """Tags by the rules of a scheme, whatever they followed. Raises DataError."""
    found = []
    for tags, line in zip(rows.labels, rows.lines, strict=True):
        try:
            found.append(converted(tags, scheme))
        except ValueError as error:
            raise DataError(f"{Source.name_of(path)} line {line}: {error}") from None
    return found
