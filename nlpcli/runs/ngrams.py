"""An n-gram table from files: read, count, score; what the command asks for, without a terminal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nlpcli.data.bucket_counts import (
    BUCKET_BYTES,
    LABEL_BYTES,
    BucketCounts,
    Collisions,
    HashedRun,
    count_all,
)
from nlpcli.data.hashed_runs import HashedRuns
from nlpcli.data.ngram_levels import Counting, NgramCounter, NgramLevel, units_of
from nlpcli.data.ngram_table import NgramTable, Part
from nlpcli.data.spool import Room
from nlpcli.data.unit_corpus import UnitCorpus
from nlpcli.data.unit_reading import Reading, UnitReader
from nlpcli.errors import Unavailable
from nlpcli.runs.reporting import Reporter
from nlpcli.text import parallel
from nlpcli.text.collocations import association

I64 = npt.NDArray[np.int64]

FIXED_BYTES = 150_000_000
"""Memory of the program itself and of the texts that are read."""
_LEAST_ROOM = 50_000_000
_WORD_BYTES = 60
_PIECE_BYTES = 200
"""Memory that a unit takes while its piece is counted, by each thread."""
_SMALLEST, _LARGEST = 1 << 16, 1 << 20
_MANY_WORDS = 1 << 20
"""Strings of so many words are kept at hand."""


@dataclass(frozen=True, kw_only=True)
class NgramRequest:
    """What is counted, and how; validated.

    ``by_label``: rows are n-grams of a label. ``select``, ``collocations``: the name of a score.
    ``memory`` in bytes.
    """

    reading: Reading
    min_n: int
    max_n: int
    min_count: int
    joiner: str
    memory: int
    threads: int | None
    buckets: int | None
    by_label: bool
    select: str | None
    collocations: str | None


@dataclass(frozen=True)
class Counted:
    """The table, and what a person may want to know of it. ``collisions`` by order."""

    table: NgramTable
    n_units: int
    n_skipped: int
    collisions: dict[int, Collisions]


def count_ngrams(request: NgramRequest, console: Reporter) -> Counted:
    """Reads and counts. Raises InputMissing, DataError, Unavailable, OutputFailed."""
    workers = request.threads or parallel.workers()
    with ThreadPoolExecutor(workers) as pool, console:
        if request.buckets is not None:
            found = _in_buckets(request, request.buckets, console, pool, workers)
        else:
            found = _exactly(request, console, pool, workers)
        if request.select is not None:
            found.table.score(request.select)
    return found


def _exactly(
    request: NgramRequest, console: Reporter, pool: ThreadPoolExecutor, workers: int
) -> Counted:
    reading = request.reading
    room = max(_LEAST_ROOM, request.memory - FIXED_BYTES)
    # half of it for what is kept, a quarter for the pieces that are worked on
    size = room // 4 // workers // _PIECE_BYTES
    piece = max(_SMALLEST, min(_LARGEST, size))
    kept = Room(room // 2)
    corpus = UnitCorpus(kept, piece, request.max_n, borders=reading.level == "subword")
    reader = UnitReader(reading, max(1, room // 2 // _WORD_BYTES))
    reader.read(
        corpus, pool, workers, min_count=request.min_count, progress=_Progress(console, "reading")
    )
    labels = _labels(reader)
    numbers = {label: number for number, label in enumerate(labels)}
    groups = [[numbers[label] for label in group] for group in reader.groups]
    total = len(corpus)
    counting = Counting(
        pool, workers, kept, piece,
        lambda n, done: console.progress(f"counting {n}-grams", done, total),
    )  # fmt: skip
    labelled = reading.label_column is not None
    counter = NgramCounter(corpus, request.min_count, counting, groups if labelled else None)
    lowest = 1 if request.collocations else request.min_n
    levels = {level.n: level for level in counter.levels(lowest, request.max_n)}
    names = _Names(levels, corpus, counter.unit_bits)
    parts = [names.part(levels[n]) for n in range(request.min_n, request.max_n + 1)]
    if request.collocations is not None:
        parts[0].scores = _associated(request.collocations, levels, counter, corpus.n_units)
    table = NgramTable(
        parts,
        labels,
        _label_sizes(labels, reader, corpus.group_sizes),
        corpus.n_documents,
        request.by_label,
        request.joiner,
        kept,
        [level.keys for level in levels.values()],
    )
    return Counted(table, corpus.n_units, reader.n_skipped, {})


def _associated(
    name: str, levels: dict[int, NgramLevel], counter: NgramCounter, n_words: int
) -> npt.NDArray[np.float64]:
    """The score of each word pair. Words of frequent pairs are frequent, so they are all known."""
    pairs, words = levels[2], levels[1]
    counts = np.zeros(int(words.keys[-1]) + 1 if len(words) else 0, np.int64)
    counts[words.keys.astype(np.int64)] = words.counts
    first = (pairs.keys >> np.uint64(counter.unit_bits)).astype(np.int64)
    second = (pairs.keys & np.uint64((1 << counter.unit_bits) - 1)).astype(np.int64)
    return association(name, pairs.counts, counts[first], counts[second], n_words)


def _in_buckets(
    request: NgramRequest,
    buckets: int,
    console: Reporter,
    pool: ThreadPoolExecutor,
    workers: int,
) -> Counted:
    reading = request.reading
    orders = range(request.min_n, request.max_n + 1)
    reader = UnitReader(reading, 1)
    groups: list[list[int]] = []
    counts = [BucketCounts(n, buckets, groups, borders=reading.level == "subword") for n in orders]
    _expect_room(buckets * len(orders), 0, request)
    runs = HashedRuns(
        reading, reader, pool, workers, joiner=request.joiner, most_n=request.max_n,
        progress=_Progress(console, "counting"),
    )  # fmt: skip
    first: dict[str, int] = {}
    labelled = reading.label_column is not None

    def known() -> Iterator[HashedRun]:
        for run in runs:
            for group in reader.groups[len(groups) :]:
                groups.append([first.setdefault(label, len(first)) for label in group])
                _expect_room(buckets * len(orders), len(first), request)
            yield run

    count_all(counts, known(), pool, workers)
    labels = _labels(reader)
    numbers = {label: number for number, label in enumerate(labels)}
    ranks = np.array([numbers[label] for label in first], np.int64)
    table = NgramTable(
        [order.part(request.min_count, ranks if labelled else None) for order in counts],
        labels,
        _label_sizes(labels, reader, runs.group_sizes),
        runs.n_documents,
        request.by_label,
        request.joiner,
    )
    collisions = {order.n: order.collisions() for order in counts}
    return Counted(table, runs.n_units, reader.n_skipped, collisions)


def _expect_room(buckets: int, n_labels: int, request: NgramRequest) -> None:
    needed = buckets * (BUCKET_BYTES + n_labels * LABEL_BYTES) + FIXED_BYTES
    if needed > request.memory:
        raise Unavailable(
            f"--buckets {request.buckets:,}: {request.max_n - request.min_n + 1} orders and "
            f"{n_labels:,} labels need about {needed / 1e6:,.0f} MB, --memory is "
            f"{request.memory / 1e6:,.0f} MB",
            hint="fewer --buckets, or a higher --memory",
        )


def _labels(reader: UnitReader) -> list[str]:
    return sorted({label for group in reader.groups for label in group})


def _label_sizes(labels: list[str], reader: UnitReader, group_sizes: list[int]) -> I64:
    """How many documents have each label, int64 [L]."""
    found = dict.fromkeys(labels, 0)
    sizes = group_sizes if reader.groups else []  # texts without labels are one group
    for group, size in zip(reader.groups, sizes, strict=True):
        for label in group:
            found[label] += size
    return np.array([found[label] for label in labels], np.int64)


class _Progress:
    """Shows how far reading has come, and how fast."""

    def __init__(self, console: Reporter, what: str) -> None:
        self._console, self._what, self._begun = console, what, time.perf_counter()

    def __call__(self, units: int, share: float | None) -> None:
        total = round(units / share) if share else None
        rate = units / max(time.perf_counter() - self._begun, 1e-9)
        self._console.progress(self._what, units, total, f"{rate:,.0f}/s")


class _Names:
    """Texts of n-grams, from the numbers of their units."""

    def __init__(self, levels: dict[int, NgramLevel], corpus: UnitCorpus, unit_bits: int) -> None:
        self._levels, self._unit_bits = levels, unit_bits
        self._words = corpus.words
        self._strings: list[str] | None = None

    def part(self, level: NgramLevel) -> Part:
        """A level as a part of a table."""
        return Part(
            level.n,
            level.counts,
            level.documents,
            level.total,
            level.by_label,
            lambda chosen, joiner: self._of(level.n, chosen, joiner),
        )

    def _of(self, n: int, chosen: I64, joiner: str) -> list[str]:
        units = units_of(self._levels, n, chosen, self._unit_bits)
        if self._words is None:
            return ["".join(map(chr, row)) for row in units.tolist()]
        if len(self._words) <= _MANY_WORDS:
            if self._strings is None:
                self._strings = self._words.strings(range(len(self._words)))
            known = self._strings.__getitem__
        else:
            numbers = np.unique(units)
            texts = self._words.strings(numbers.tolist())
            known = dict(zip(numbers.tolist(), texts, strict=True)).__getitem__
        columns = [map(known, units[:, k].tolist()) for k in range(n)]
        if n == 1:
            return list(columns[0])
        return list(map(joiner.join, zip(*columns, strict=True)))
