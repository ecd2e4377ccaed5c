"""Questions and contexts -> rows [CLS] question [SEP] window [SEP] (Devlin et al. 2019, §4.2).

A context that is too long is read in windows that overlap. Shapes: Q questions, N windows, P pieces
of a context.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nlpcli.batching.framing import Rows, Specials
from nlpcli.batching.word_rows import ranges
from nlpcli.text.wordpiece import Ragged

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

FRAME = 3
"""Positions of a row that [CLS] and the two [SEP] take."""
FAR = np.iinfo(np.int64).max // 2


@dataclass(frozen=True)
class Windows:
    """``rows``: one a window; question q has those from ``indptr``[q], int64 [Q + 1], at least one.
    Window n shows the pieces ``begins``[n] to ``ends``[n] of its context, int64 [N]; any two that
    stand together overlap, and no three do. ``cut`` bool [Q]: questions that lost pieces,
    ``rows.n_cut`` in all."""

    rows: Rows
    indptr: I64
    begins: I64
    ends: I64
    cut: npt.NDArray[np.bool_]

    @property
    def owners(self) -> I64:
        """The question of each window, int64 [N]."""
        return np.repeat(np.arange(len(self.indptr) - 1), np.diff(self.indptr))

    def neighbours(self) -> tuple[I64, I64]:
        """Where the window before ends and the one behind begins, int64 [N] each; -1 and FAR
        where the question has none."""
        before, behind = np.full(len(self.begins), -1), np.full(len(self.begins), FAR)
        same = self.owners[1:] == self.owners[:-1]
        before[1:][same] = self.ends[:-1][same]
        behind[:-1][same] = self.begins[1:][same]
        return before, behind


def question_windows(
    questions: Ragged,
    contexts: Ragged,
    context_of: I64,
    specials: Specials,
    *,
    overlap: int,
    longest_question: int,
) -> Windows:
    """Windows of at most ``specials.longest`` positions.

    ``context_of`` int64 [Q]: the context of each question. A window begins ``overlap`` pieces
    before the one ahead of it ends, or half a window where that is less. Of a question the first
    ``longest_question`` pieces are kept, and no more than half of a row.
    """
    whole = np.diff(questions.indptr)
    asked = np.minimum(whole, min(longest_question, (specials.longest - FRAME) // 2))
    room = specials.longest - FRAME - asked
    step = room - np.minimum(overlap, room // 2)
    pieces = np.diff(contexts.indptr)[context_of]
    counts = 1 + np.maximum(0, -(-(pieces - room) // step))
    indptr = _offsets(counts)
    owner = np.repeat(np.arange(len(asked)), counts)
    begins = (np.arange(len(owner)) - indptr[owner]) * step[owner]
    ends = np.minimum(pieces[owner], begins + room[owner])
    asked_of, sizes = asked[owner], ends - begins
    rows = _offsets(asked_of + sizes + FRAME)
    ids = np.full(int(rows[-1]), specials.sep, np.int32)
    ids[rows[:-1]] = specials.cls
    second = asked_of + 2
    source = ranges(questions.indptr[:-1][owner], asked_of)
    ids[ranges(rows[:-1] + 1, asked_of)] = questions.ids[source]
    source = ranges(contexts.indptr[:-1][context_of[owner]] + begins, sizes)
    ids[ranges(rows[:-1] + second, sizes)] = contexts.ids[source]
    cut = asked < whole
    return Windows(Rows(ids, rows, second, int(cut.sum())), indptr, begins, ends, cut)


def _offsets(sizes: I64) -> I64:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])


def pieces_between(spans: I32, begin: int, end: int) -> tuple[int, int]:
    """The first and the last piece that have characters ``begin`` to ``end`` of the text; (-1, -1)
    where none has. ``spans`` [P, 2] as of WordPieces, in order."""
    first = int(np.searchsorted(spans[:, 1], begin, side="right"))
    last = int(np.searchsorted(spans[:, 0], end, side="left")) - 1
    return (first, last) if first <= last else (-1, -1)


def window_targets(windows: Windows, first: I64, last: I64) -> tuple[I64, I64]:
    """Positions of start and end in each row, int64 [N] each, of answers whose ``first`` and
    ``last`` piece are given, int64 [Q], -1 for none. A window without the whole answer has [CLS],
    position 0, for both."""
    owner = windows.owners
    begin, end = first[owner], last[owner]
    inside = (begin >= 0) & (begin >= windows.begins) & (end < windows.ends)
    shift = windows.rows.second - windows.begins
    return np.where(inside, begin + shift, 0), np.where(inside, end + shift, 0)


def answer_places(windows: Windows, chosen: I64, width: int) -> npt.NDArray[np.bool_]:
    """Where an answer of the rows ``chosen`` [B] may begin or end: pieces of the context, and
    [CLS] for none; bool [B, width]."""
    place = np.arange(width)[None]
    second = windows.rows.second[chosen][:, None]
    sizes = (windows.ends - windows.begins)[chosen][:, None]
    found: npt.NDArray[np.bool_] = (place >= second) & (place < second + sizes) | (place == 0)
    return found
