"""Occurrences of words in their contexts, and which of them are nearest to each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nlpcli.data.rows import RowBatch, RowStream
from nlpcli.errors import DataError
from nlpcli.models.word_vectors import F32, WordVectors
from nlpcli.runs.embedding import Embedder
from nlpcli.text.marked import Marked, read_marked

POOLING = "last4"
"""Upper layers tell senses apart, and the last one is bent towards what it was trained for."""


@dataclass(frozen=True)
class Occurrence:
    """A marked word: in which row, from 1, the text as it was given, and the word."""

    row: int
    text: str
    word: str


@dataclass(frozen=True, eq=False)
class Occurrences:
    """``found``, and ``vectors`` float32 [N, D] of each within its text."""

    found: list[Occurrence]
    vectors: F32

    def nearest(self, k: int) -> list[list[tuple[Occurrence, float]]]:
        """For each the ``k`` others of the highest cosine, highest first."""
        table = WordVectors([str(each.row) for each in self.found], self.vectors)
        rows, cosines = table.nearest(self.vectors, k, [[i] for i in range(len(self.found))])
        return [
            [(self.found[row], cosine) for row, cosine in zip(*pair, strict=True) if row >= 0]
            for pair in zip(rows.tolist(), cosines.tolist(), strict=True)
        ]


def read_occurrences(
    rows: RowStream, column: int, embedder: Embedder, skip: Callable[[DataError], None] | None
) -> Occurrences:
    """All rows, each with one word marked as ``text/marked.py`` says.

    A row that cannot be used goes to ``skip``; without, DataError is raised with its line.
    """
    found: list[Occurrence] = []
    vectors: list[F32] = []
    count = 0
    for batch in rows.batches():
        part, several = _read(rows.name, batch, count, column, embedder, skip)
        found += part
        vectors.append(several)
        count += len(batch.rows)
    if not vectors:
        return Occurrences([], np.empty((0, embedder.dim), np.float32))
    return Occurrences(found, np.concatenate(vectors))


def _read(
    name: str,
    batch: RowBatch,
    count: int,
    column: int,
    embedder: Embedder,
    skip: Callable[[DataError], None] | None,
) -> tuple[list[Occurrence], F32]:
    def refuse(line: int, error: DataError) -> None:
        located = DataError(f"{name} line {line}: {error.message}", hint=error.hint)
        if skip is None:
            raise located
        skip(located)

    read: list[tuple[int, Marked]] = []
    for at, row in enumerate(batch.rows):
        try:
            read.append((at, read_marked(row[column])))
        except DataError as error:
            refuse(batch.lines[at], error)
    spans = np.array([(m.start, m.end) for _, m in read], np.int64).reshape(-1, 2)
    vectors, wanted, seen = embedder.spans([m.text for _, m in read], spans, POOLING)
    good = (wanted > 0) & (seen == wanted)
    for number in np.flatnonzero(~good).tolist():
        most = f"{embedder.most_pieces:,} pieces of a text, which are all that the model reads"
        reason = f"the mark goes beyond the first {most}"
        if not wanted[number]:
            reason = "the marked word has no character that the model reads"
        refuse(batch.lines[read[number][0]], DataError(reason))
    kept = [read[number] for number in np.flatnonzero(good).tolist()]
    found = [Occurrence(count + at + 1, batch.rows[at][column], m.word) for at, m in kept]
    return found, vectors[good]
