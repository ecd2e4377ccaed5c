"""Files of any format -> a corpus of units; texts are cut by threads, words numbered in order."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from nlpcli.data.rows import Reject, RowFormat, RowStream, naming
from nlpcli.data.source import Source
from nlpcli.data.text_runs import TextRuns
from nlpcli.data.unit_corpus import UnitCorpus
from nlpcli.errors import DataError, Unavailable
from nlpcli.text.config import TokenizerConfig
from nlpcli.text.features import hashed_joined, text_chunks
from nlpcli.text.normalize import BORDER, join_texts, normalize_joined
from nlpcli.text.parallel import ahead
from nlpcli.text.units import UnitRun, char_units, subword_units, word_units
from nlpcli.text.word_counts import CutRun, WordTable, cut_run, cut_texts

Level = Literal["word", "char", "subword"]
Progress = Callable[[int, float | None], None]
"""Units read so far, and the share of all bytes that they are where that is known."""
Cut = CutRun | UnitRun

_AHEAD = 2
"""Runs that wait for each thread."""
_ALL_LABELS = 1 << 20
"""Different sets of labels; more are a column of something else."""
I32 = npt.NDArray[np.int32]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What is read, and as what. ``label_column`` None: texts have no labels."""

    paths: Sequence[str]
    fmt: RowFormat
    text_column: str
    label_column: str | None
    level: Level
    config: TokenizerConfig
    on_reject: Reject | None = None


@dataclass
class Batch:
    """Texts that were read: a run of lines, or one text a row with its labels.

    ``share`` of the file's bytes that was read by then, where that is known; ``goes_on``: the last
    line goes on in the next batch.
    """

    text: str
    texts: Sequence[str] | None
    labels: list[str] | None
    goes_on: bool
    share: float | None = None


class UnitReader:
    """Reads once; ``n_skipped`` counts bad lines and rows that were left out. ``groups``: the sets
    of labels that were met.

    Raises InputMissing, DataError for bad rows (unless skipped), Unavailable for more than
    ``most_words`` different words.
    """

    def __init__(self, reading: Reading, most_words: int) -> None:
        self.n_skipped = 0
        self.groups: list[tuple[str, ...]] = []
        self._reading = reading
        self._most_words = most_words
        self._table = WordTable(most_words) if reading.level == "word" else None
        self._numbers: dict[str, int] = {}
        self._digest = hashlib.sha256()

    def read(
        self,
        corpus: UnitCorpus,
        pool: ThreadPoolExecutor,
        workers: int,
        *,
        min_count: int,
        progress: Progress | None = None,
    ) -> None:
        """Fills a corpus; words that occur less than ``min_count`` times become breaks.
        ``progress`` may raise, to stop."""
        one = len(self._reading.paths) == 1
        for path in self._reading.paths:
            for batch, cut in self.cuts(path, pool, workers):
                if isinstance(cut, CutRun):
                    cut = word_units(self._number(cut), cut.sizes, goes_on=batch.goes_on)
                corpus.add(cut, self.owners(batch), goes_on=batch.goes_on)
                if progress is not None:
                    progress(corpus.n_units, batch.share if one else None)
            corpus.end_text()
        if self._table is None:
            corpus.finish()
        else:
            words, _, places = self._table.packed(min_count)
            corpus.finish(words, places)

    def sha256(self) -> str:
        """Of the hashes of all files that were read to their end, in order."""
        return self._digest.hexdigest()

    def _number(self, cut: CutRun) -> I32:
        assert self._table is not None
        numbers = self._table.number(cut)
        if self._table.forgotten:
            raise Unavailable(
                f"more than {self._most_words:,} different words, which is what --memory has "
                "room for",
                hint="a higher --memory, or --buckets 1000000",
            )
        return numbers

    def owners(self, batch: Batch) -> I32 | None:
        """The group of each row, int32; None without labels. Batches come in order."""
        if batch.labels is None:
            return None
        known, separator = self._numbers, self._reading.fmt.label_separator
        for name in dict.fromkeys(batch.labels):
            if name not in known:
                parts = [name] if separator is None else name.split(separator)
                stripped = [part.strip() for part in parts] if separator is not None else parts
                self.groups.append(tuple(dict.fromkeys(part for part in stripped if part)))
                known[name] = len(known)
                if len(known) > _ALL_LABELS:
                    raise DataError(
                        f"column {self._reading.label_column}: more than {_ALL_LABELS:,} labels"
                    )
        return np.fromiter(map(known.__getitem__, batch.labels), np.int32, len(batch.labels))

    def cuts(
        self, path: str, pool: ThreadPoolExecutor, workers: int
    ) -> Iterator[tuple[Batch, Cut]]:
        """Batches of a file and their words or units, in order; a few are worked on at once."""
        yield from ahead(pool, _AHEAD * workers, self._cut, self._batches(path))

    def _cut(self, batch: Batch) -> Cut:
        config, texts = self._reading.config, batch.texts
        if self._reading.level == "word":
            return cut_run(config, batch.text) if texts is None else cut_texts(config, texts)
        if texts is None:
            text = batch.text.replace("\r\n", "\n").replace("\r", "\n")
            text = text if text.endswith("\n") else text + "\n"
            joined = normalize_joined(text.replace("\n", BORDER), config.cleaning)
        else:
            joined = join_texts(texts, config.cleaning)
        if self._reading.level == "char":
            return char_units(joined, goes_on=batch.goes_on)
        n_texts = joined.count(BORDER)
        return subword_units(hashed_joined(config, joined)[1], n_texts)

    def _batches(self, path: str) -> Iterator[Batch]:
        reading = self._reading
        plain = reading.text_column == "text" and reading.label_column is None
        if plain and reading.fmt.for_path(path) == "text" and reading.on_reject is None:
            yield from self._runs(path)
            return
        others = () if len(reading.paths) == 1 else reading.paths
        reject = naming(reading.on_reject, path, *others)
        rows = RowStream(path, reading.fmt, reject)
        text = rows.column(reading.text_column)
        label = None if reading.label_column is None else rows.column(reading.label_column)
        for batch in rows.batches():
            good = batch.rows
            if label is not None and reading.fmt.label_separator is None:
                good = [
                    row
                    for row, line in zip(batch.rows, batch.lines, strict=True)
                    if self._has_label(rows.name, row, line, label, reject)
                ]
            begin = 0
            for texts in text_chunks([row[text] for row in good]):
                end = begin + len(texts)
                labels = None if label is None else [row[label] for row in good[begin:end]]
                begin = end
                yield Batch("", texts, labels, False)
        self.n_skipped += rows.skipped
        self._digest.update(bytes.fromhex(rows.sha256()))

    def _has_label(
        self, name: str, row: list[str], line: int, label: int, reject: Reject | None
    ) -> bool:
        if row[label].strip():
            return True
        if self._reading.fmt.on_error != "skip":
            raise DataError(
                f"{name} line {line}: the label is blank", hint="--on-error skip drops such rows"
            )
        self.n_skipped += 1
        if reject is not None:
            reject(line, "the label is blank", ",".join(row))
        return False

    def _runs(self, path: str) -> Iterator[Batch]:
        source = Source(path)
        try:
            runs = TextRuns(source, skip_bad=self._reading.fmt.on_error == "skip")
            for run in runs:
                share = source.n_read / source.size if source.size else None
                yield Batch(run.text, None, None, run.goes_on, share)
            self.n_skipped += runs.n_skipped
            self._digest.update(bytes.fromhex(source.sha256()))
        finally:
            source.close()
