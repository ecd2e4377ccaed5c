"""The rows of an n-gram table: which there are, what they score, in which order they come."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from nlpcli.data.ngram_levels import ByLabel
from nlpcli.data.sorted_runs import SortedKeys
from nlpcli.data.spool import Room, Spool, let_go
from nlpcli.text import select

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]
Rank = npt.NDArray[np.uint32] | npt.NDArray[np.int64]
"""Numbers of rows."""

_DENSE = 1 << 20
"""Cells of a table of features and labels that are looked at together."""
_SORTED = 1 << 20
"""Rows that are sorted at once."""


@dataclass
class Part:
    """The K n-grams of one order, ascending. ``names`` gives the texts of some of them, words
    joined by a string."""

    n: int
    counts: I64
    documents: I64
    total: int
    by_label: ByLabel | None
    names: Callable[[I64, str], list[str]]
    scores: F64 | None = None
    """Of the n-grams or, in a table by label, of the entries of ``by_label``."""


@dataclass(frozen=True)
class Rows:
    """Rows of a table, columns beside one another; ``labels`` and ``scores`` where there are."""

    names: list[str]
    orders: list[int]
    counts: list[int]
    documents: list[int]
    labels: list[str] | None
    scores: list[float] | None


@dataclass
class NgramTable:
    """``parts``, one an order; ``labels`` by name and ``label_sizes`` int64 [L], the documents of
    each, of ``n_documents``. ``by_label``: rows are n-grams of a label, else of all documents.
    ``joiner`` stands between the words of an n-gram. ``room`` is what the order of the rows may
    take in memory, unless it is that of scores; the rest is in a file. ``behind``: what names are
    made from."""

    parts: list[Part]
    labels: list[str]
    label_sizes: I64
    n_documents: int
    by_label: bool
    joiner: str = " "
    room: Room = field(default_factory=lambda: Room(1 << 28))
    behind: Sequence[npt.NDArray[Any]] = ()

    def sizes(self) -> list[int]:
        """Rows of each part."""
        return [len(self._column(part, "counts")) for part in self.parts]

    def _column(self, part: Part, name: str) -> I64:
        if not self.by_label:
            return part.counts if name == "counts" else part.documents
        assert part.by_label is not None
        return part.by_label.counts if name == "counts" else part.by_label.documents

    def score(self, name: str) -> None:
        """Gives every row its score, as ``select`` has them by name."""
        for part in self.parts:
            if name == "idf" and not self.by_label:
                part.scores = select.idf(part.documents, self.n_documents)
                continue
            assert part.by_label is not None
            size = len(part.by_label.ngrams) if self.by_label else len(part.counts)
            part.scores = np.empty(size)
            for begin, end, table in self._tables(part):
                if not self.by_label:
                    part.scores[begin:end] = select.overall(name, table)
                    continue
                entries = slice(*np.searchsorted(part.by_label.ngrams, (begin, end)).tolist())
                labels = part.by_label.labels[entries]
                found = np.empty(len(labels))
                for label in range(len(self.labels)):
                    mine = np.flatnonzero(labels == label)
                    if len(mine):
                        rows = part.by_label.ngrams[entries][mine] - begin
                        found[mine] = select.of_label(name, table, label)[rows]
                part.scores[entries] = found

    def _tables(self, part: Part) -> Iterator[tuple[int, int, select.Table]]:
        """The n-grams of a part, some at a time, with all labels."""
        by_label, n_labels = part.by_label, len(self.labels)
        assert by_label is not None
        step = max(1, _DENSE // max(1, n_labels))
        for begin in range(0, len(part.counts), step):
            end = min(begin + step, len(part.counts))
            entries = slice(*np.searchsorted(by_label.ngrams, (begin, end)).tolist())
            rows, columns = by_label.ngrams[entries] - begin, by_label.labels[entries]
            dense = np.zeros((2, end - begin, n_labels), np.int64)
            dense[0, rows, columns] = by_label.counts[entries]
            dense[1, rows, columns] = by_label.documents[entries]
            yield (
                begin,
                end,
                select.Table(
                    part.counts[begin:end],
                    part.documents[begin:end],
                    dense[0],
                    dense[1],
                    self.label_sizes,
                    self.n_documents,
                ),
            )

    def typical(self, most: int, most_labels: int) -> list[dict[str, Any]]:
        """The n-grams that are most typical of each label, of all orders: by ``chi2_of_label``, of
        those that the label has more of than its share.

        One document a label: ``label`` and ``rows`` of ``name``, ``count`` and ``share``, in
        percent of the highest score.
        """
        shares = self.label_sizes / max(1, self.n_documents)
        found: list[list[tuple[float, int, int, int]]] = [[] for _ in self.labels[:most_labels]]
        for number, part in enumerate(self.parts):
            for begin, _, table in self._tables(part):
                for label, best in enumerate(found):
                    counts = table.label_counts[:, label]
                    scores = select.chi2_of_label(table, label)
                    scores[counts <= table.counts * shares[label]] = 0
                    rows = np.argsort(-scores, kind="stable")[:most]
                    rows = rows[scores[rows] > 0]
                    best += [(-scores[row], number, begin + row, counts[row]) for row in rows]
        documents = []
        for name, best in zip(self.labels, found, strict=False):
            best.sort()
            listed = [
                {
                    "name": self.parts[part_number].names(np.array([row]), self.joiner)[0],
                    "count": int(count),
                    "share": round(100 * float(score / best[0][0]), 1),
                }
                for score, part_number, row, count in best[:most]
            ]
            documents.append({"label": name, "rows": listed})
        return documents

    def let_go(self) -> None:
        """What lies in files need not stay in memory until it is asked for again."""
        for part in self.parts:
            let_go(part.counts)
            let_go(part.documents)
        for array in self.behind:
            let_go(array)

    def order(self, by: str, top: int | None, share: float | None) -> Rank:
        """The numbers of the rows as they come: label by label; then by ``by``, the most first;
        then by order and n-gram. ``by``: count, document-frequency, score or ngram.

        ``top``: so many of each label, ``share``: this share of each label's rows, at least one.
        """
        if by == "score":
            scores = np.concatenate(
                [np.empty(0), *(p.scores for p in self.parts if p.scores is not None)]
            )
            keys = (-scores, self._labels()) if self.by_label else (-scores,)
            order: Rank = np.lexsort(keys)
        else:
            order = self._order_of_keys(by)
        if top is None and share is None:
            return order
        sizes = np.bincount(self._labels(), minlength=len(self.labels)).tolist()
        borders = np.cumsum([0, *(sizes if self.by_label else [len(order)])]).tolist()
        kept = []
        for begin, end in pairwise(borders):
            room = top if share is None else max(1, round(share * (end - begin)))
            kept.append(order[begin : min(end, begin + (room or 0))])
        return np.concatenate([order[:0], *kept])

    def _labels(self) -> I64:
        """The label of each row, 0 without labels."""
        if not self.by_label:
            return np.empty(0, np.int64)
        return np.concatenate(
            [np.empty(0, np.int64), *(p.by_label.labels for p in self.parts if p.by_label)]
        )

    def _order_of_keys(self, by: str) -> Rank:
        """The numbers of the rows, by their keys and then as they stand.

        Both are sorted as one number, some rows at a time, in runs that are merged.
        """
        n_rows = sum(self.sizes())
        column = {"count": "counts", "document-frequency": "documents"}.get(by)
        most = 0
        if column is not None:
            most = max(int(self._column(p, column).max(initial=0)) for p in self.parts)
        bits = max(1, (n_rows - 1).bit_length())
        label_bits = (len(self.labels) - 1).bit_length() if self.by_label and self.labels else 0
        if most.bit_length() + label_bits + bits > 64:
            keys = [np.empty(0, np.uint64), *(key for key, _ in self._keys(column, most))]
            return np.argsort(np.concatenate(keys), kind="stable")
        runs = SortedKeys(self.room)
        for keys_of_some, first in self._keys(column, most):
            packed = keys_of_some << np.uint64(bits)
            packed |= np.arange(first, first + len(packed), dtype=np.uint64)
            packed.sort()
            runs.add_keys(packed)
        order = Spool(np.uint32 if bits <= 32 else np.int64, self.room)
        for packed in runs.ordered(_SORTED):
            order.add(packed & np.uint64((1 << bits) - 1))
        runs.clear()
        return order.whole()

    def _keys(self, column: str | None, most: int) -> Iterator[tuple[U64, int]]:
        """What rows are sorted by, as one number, some at a time, and the number of the first."""
        before = 0
        for part, size in zip(self.parts, self.sizes(), strict=True):
            for begin in range(0, size, _SORTED):
                end = min(begin + _SORTED, size)
                keys = np.zeros(end - begin, np.uint64)
                if column is not None:
                    keys[:] = most - self._column(part, column)[begin:end]
                if self.by_label and part.by_label is not None:
                    labels = part.by_label.labels[begin:end].astype(np.uint64)
                    keys |= labels << np.uint64(most.bit_length())
                yield keys, before + begin
            before += size
            self.let_go()

    def rows(self, chosen: Rank, joiner: str | None = None) -> Rows:
        """Some of the rows, by their numbers; words joined by another string if one is given."""
        begins = np.cumsum([0, *self.sizes()])
        owners = np.searchsorted(begins, chosen, side="right") - 1
        names, orders = np.empty(len(chosen), object), np.empty(len(chosen), np.int64)
        counts, documents, labels = (np.empty(len(chosen), np.int64) for _ in range(3))
        scores = np.empty(len(chosen))
        for number, part in enumerate(self.parts):
            mine = np.flatnonzero(owners == number)
            if not len(mine):
                continue
            own = chosen[mine].astype(np.int64) - begins[number]
            counts[mine] = self._column(part, "counts")[own]
            documents[mine] = self._column(part, "documents")[own]
            orders[mine] = part.n
            if part.scores is not None:
                scores[mine] = part.scores[own]
            if self.by_label and part.by_label is not None:
                labels[mine] = part.by_label.labels[own]
                own = part.by_label.ngrams[own]
            names[mine] = part.names(own, self.joiner if joiner is None else joiner)
        scored = any(part.scores is not None for part in self.parts)
        return Rows(
            names.tolist(),
            orders.tolist(),
            counts.tolist(),
            documents.tolist(),
            [self.labels[k] for k in labels.tolist()] if self.by_label else None,
            scores.tolist() if scored else None,
        )
