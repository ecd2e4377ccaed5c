"""Which words of a text its label hangs on: each is masked, and the model is asked again.

Occlusion (Zeiler & Fergus 2014, §4; of words Li et al. 2016, "Understanding neural networks through
representation erasure"): no look at attention, any encoder with any head. The pieces of a word
become [MASK], one each: left out, they would move all that follows and bring words together that
do not stand together; masked, the row keeps its length, and [MASK] for a word is what encoders were
trained with.

Shapes: D texts or pairs, N rows, P pieces of all texts, W words, U units that are masked, K labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nlpcli.data.pairs import parted
from nlpcli.text.wordpiece import Ragged, WordPieces

if TYPE_CHECKING:
    from nlpcli.batching.framing import Rows
    from nlpcli.runs.encoder_classifier import EncoderClassifier
    from nlpcli.store.encoder_classifier import Answering

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

MOST_UNITS = 64
"""Of a text; where it has more words, runs of two, three ... words are masked together."""
AT_ONCE = 128
"""Texts whose masked rows are computed together."""

Reason = tuple[str, float] | tuple[str, float, str]
"""Words, how much they add, and of a pair in which text they stand: a or b."""


def occlude(
    model: EncoderClassifier, texts: Sequence[str], labels: Sequence[int], most: int
) -> list[list[Reason]]:
    """For each text the words that its label hangs on most, by size of what they add.

    What a word adds: how far the log-odds of the label are higher than with the word masked (of
    several labels, each answered alone, that is its calibrated logit; of a number, the number).
    Words that are not read have none. ``labels``: by text, the label's number.
    """
    asked = list(zip(texts, labels, strict=True))
    found: dict[tuple[str, int], list[Reason]] = {}
    different = list(dict.fromkeys(asked))
    for at in range(0, len(different), AT_ONCE):
        some = different[at : at + AT_ONCE]
        found |= zip(some, _reasons(model, some, most), strict=True)
    return [found[each] for each in asked]


def evidence(logits: F64, labels: I64, answering: Answering) -> F64:
    """The log-odds of a label of each text, float64 [D]; of a number the number itself."""
    z = answering.scale * logits + answering.offset
    rows = np.arange(len(z))
    own = z[rows, labels]
    if answering.separator is not None or z.shape[1] == 1:
        return own
    z[rows, labels] = -np.inf
    highest = z.max(axis=1)
    against = highest + np.log(np.exp(z - highest[:, None]).sum(axis=1))
    found: F64 = own - against
    return found


@dataclass(frozen=True)
class _Pieces:
    """Pieces of D texts, and of their second ones: ``ids`` int32 [P], those of side s (text s, or
    second text s - D) from ``indptr``[s] on, int64 [S + 1]; ``words`` and ``spans`` as of
    WordPieces."""

    texts: list[str]
    ids: npt.NDArray[np.int32]
    indptr: I64
    words: I64
    spans: npt.NDArray[np.int32]
    n: int

    def halves(self, ids: npt.NDArray[np.int32]) -> tuple[Ragged, Ragged | None]:
        """``ids`` [P] in the place of the pieces: first texts, and second ones if there are."""
        first = Ragged(ids, self.indptr[: self.n + 1])
        second = Ragged(ids, self.indptr[self.n :])
        return first, second if len(self.indptr) > self.n + 1 else None


@dataclass(frozen=True)
class _Units:
    """``of_piece`` int64 [P], the unit of a piece, -1 of what is not read; ``sides`` int64 [U]
    whose; ``names`` [U]."""

    of_piece: I64
    sides: I64
    names: list[str]


def _reasons(
    model: EncoderClassifier, asked: Sequence[tuple[str, int]], most: int
) -> list[list[Reason]]:
    pair = model.answering.pair
    pieces = _pieces(model, [text for text, _ in asked])
    rows = model.cutter.framed(*pieces.halves(pieces.ids), model.cutter.specials)
    marks = replace(model.cutter.specials, cls=-1, sep=-1, pad=-1)
    numbers = np.arange(len(pieces.ids), dtype=np.int32)
    places = model.cutter.framed(*pieces.halves(numbers), marks).ids  # the piece at each position
    units = _units(pieces, places)
    whole, without = _logits(model, rows, places, units, pieces.n)
    labels = np.array([label for _, label in asked], np.int64)
    owner = units.sides % pieces.n
    amounts = evidence(whole, labels, model.answering)[owner]
    amounts -= evidence(without, labels[owner], model.answering)
    found: list[list[Reason]] = []
    for mine in _by_owner(owner, len(asked)):
        order = mine[np.argsort(-np.abs(amounts[mine]), kind="stable")][:most]
        found.append([
            (units.names[u], float(amounts[u]), "ab"[units.sides[u] // pieces.n])
            if pair else (units.names[u], float(amounts[u]))
            for u in order.tolist()
        ])  # fmt: skip
    return found


def _by_owner(owner: I64, count: int) -> Iterator[I64]:
    """The units of each text, in their order."""
    order = np.argsort(owner, kind="stable")
    borders = np.searchsorted(owner[order], np.arange(count + 1))
    for begin, end in pairwise(borders.tolist()):
        yield order[begin:end]


def _pieces(model: EncoderClassifier, texts: Sequence[str]) -> _Pieces:
    sides = list(texts)
    if model.answering.pair:
        first, second = parted(texts)
        sides = first + second
    found: WordPieces = model.cutter.tokenizer.encode_words(sides)
    return _Pieces(
        sides, found.ids, found.indptr, found.words.astype(np.int64), found.spans, len(texts)
    )


def _units(pieces: _Pieces, places: npt.NDArray[np.int32]) -> _Units:
    """The words that are read, or runs of them."""
    side = np.repeat(np.arange(len(pieces.texts)), np.diff(pieces.indptr))
    begins = np.ones(len(side), bool)
    begins[1:] = (np.diff(side) != 0) | (np.diff(pieces.words) != 0)
    first = np.flatnonzero(begins)
    word = np.cumsum(begins) - 1
    read = np.zeros(len(first), bool)
    read[word[places[places >= 0]]] = True
    kept = np.flatnonzero(read)  # words; runs of them end where some are not read, or a text ends
    of_side = side[first[kept]]
    opens = np.ones(len(kept), bool)
    opens[1:] = (np.diff(kept) != 1) | (np.diff(of_side) != 0)
    run = np.flatnonzero(opens)
    rank = np.arange(len(kept)) - run[np.cumsum(opens) - 1]
    n_words = np.bincount(of_side % pieces.n, minlength=pieces.n)
    grown = np.maximum(-(-n_words // MOST_UNITS), 1)[of_side % pieces.n]
    unit = np.cumsum(rank % grown == 0) - 1
    of_word = np.full(len(first), -1, np.int64)
    of_word[kept] = unit
    last = np.append(first[1:], len(side))[: len(first)] - 1
    heads = np.flatnonzero(np.diff(unit, prepend=-1))
    tails = np.append(heads[1:], len(kept))[: len(heads)] - 1
    names = [
        pieces.texts[s][int(pieces.spans[a, 0]) : int(pieces.spans[b, 1])]
        for s, a, b in zip(of_side[heads], first[kept[heads]], last[kept[tails]], strict=True)
    ]
    return _Units(of_word[word], of_side[heads], names)


def _logits(
    model: EncoderClassifier, rows: Rows, places: npt.NDArray[np.int32], units: _Units, n: int
) -> tuple[F64, F64]:
    """Logits of the texts, float64 [D, K], and without each unit, [U, K].

    Of a text in several windows those are asked again in which the unit is.
    """
    from nlpcli.batching.framing import Rows
    from nlpcli.batching.word_rows import ranges

    row_at = np.repeat(np.arange(len(rows)), rows.lengths)
    unit_at = np.where(places >= 0, np.append(units.of_piece, -1)[places], -1)
    masked = unit_at >= 0
    unit, row = np.divmod(np.unique(unit_at[masked] * len(rows) + row_at[masked]), len(rows))
    sizes = rows.lengths[row]
    source = ranges(rows.indptr[row], sizes)
    ids = rows.ids[source]
    ids[unit_at[source] == np.repeat(unit, sizes)] = model.cutter.tokenizer.mask
    indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    each = model.logits_of(replace(rows, windows=None))
    moved = model.logits_of(Rows(ids, indptr, rows.second[row], 0)) - each[row]
    whole = each
    if rows.windows is not None:
        whole = rows.windows.means(each)
        moved *= rows.windows.shares[row][:, None]
    without = whole[units.sides % n]
    np.add.at(without, unit, moved)
    return whole, without
