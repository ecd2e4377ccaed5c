"""Sentences of words -> rows of their pieces that an encoder reads, with the place of each word.

Shapes: S sentences of W words in all, N rows; a sentence that is too long becomes several rows,
cut between words, with words around them to look at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nlpcli.batching.framing import Rows, Specials
from nlpcli.text.wordpiece import WordPieces

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

CONTEXT = 4
"""One in so many of a row's pieces, on each side of those that it answers, is only looked at."""
UNLABELLED = -100


@dataclass(frozen=True)
class PiecedWords:
    """``ids`` of the pieces of all words, int32; ``sizes`` int64 [W], pieces of each; the words of
    sentence s from ``indptr``[s], int64 [S + 1]."""

    ids: I32
    sizes: I64
    indptr: I64


@dataclass(frozen=True)
class WordRows:
    """``rows`` to read. Row r answers the words ``words``[r] to ``words``[r + 1], int64 [N + 1].

    ``firsts`` int64 [W]: where in ``rows.ids`` the first piece of a word lies; ``sizes`` int64
    [W]: pieces of it there. ``indptr`` as of PiecedWords. ``split`` bool [S]: sentences of several
    rows; ``lost`` int64 [S]: of each the words that alone are longer than a row, and lost pieces,
    ``rows.n_cut`` in all.
    """

    rows: Rows
    words: I64
    firsts: I64
    sizes: I64
    indptr: I64
    split: npt.NDArray[np.bool_]
    lost: I64

    @property
    def n_split(self) -> int:
        """Sentences of several rows."""
        return int(self.split.sum())

    @property
    def opens(self) -> npt.NDArray[np.bool_]:
        """Whether a row has the beginning of its sentence, [N]."""
        return np.isin(self.words[:-1], self.indptr)

    @property
    def closes(self) -> npt.NDArray[np.bool_]:
        """Whether a row has the end of its sentence, [N]."""
        return np.isin(self.words[1:], self.indptr)


def _offsets(sizes: I64) -> I64:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])


def ranges(begins: I64, sizes: I64) -> I64:
    """The numbers from each beginning on, so many of each, one range behind the other."""
    return np.repeat(begins - _offsets(sizes)[:-1], sizes) + np.arange(int(sizes.sum()))


def pieced(found: WordPieces, n_words: I64, unknown: int) -> PiecedWords:
    """Pieces by word; ``n_words`` int64 [S]. A word without pieces gets the piece ``unknown``."""
    indptr = _offsets(n_words)
    sentence = np.repeat(np.arange(len(n_words)), np.diff(found.indptr))
    sizes = np.bincount(indptr[sentence] + found.words, minlength=int(indptr[-1])).astype(np.int64)
    empty = np.flatnonzero(sizes == 0)
    ids = np.insert(found.ids, _offsets(sizes)[empty], np.int32(unknown))
    sizes[empty] = 1
    return PiecedWords(ids, sizes, indptr)


def word_rows(given: PiecedWords, specials: Specials) -> WordRows:
    """Rows of at most ``specials.longest`` positions; of a word that alone is longer its head."""
    room = specials.longest - 2
    sizes = np.minimum(given.sizes, room)
    read = _offsets(sizes)
    windows = _windows(given.indptr, read, room)
    first, behind, core, core_end = windows.T
    pieces = read[behind] - read[first]
    indptr = _offsets(pieces + 2)
    ids = np.full(int(indptr[-1]), specials.sep, np.int32)
    ids[indptr[:-1]] = specials.cls
    word = ranges(first, behind - first)
    place = ranges(indptr[:-1] + 1, pieces)
    source = ranges(_offsets(given.sizes)[word], sizes[word])
    ids[place] = given.ids[source]
    own = (word >= np.repeat(core, behind - first)) & (word < np.repeat(core_end, behind - first))
    firsts = np.zeros(len(sizes), np.int64)
    firsts[word[own]] = place[_offsets(sizes[word])[:-1][own]]
    n_sentences, cut = len(given.indptr) - 1, given.sizes > room
    sentence = np.repeat(np.arange(n_sentences), np.diff(given.indptr))
    return WordRows(
        Rows(ids, indptr, pieces + 2, int(cut.sum())),
        np.append(core, core_end[-1:]) if len(core) else np.zeros(1, np.int64),
        firsts, sizes, given.indptr,
        read[given.indptr[1:]] - read[given.indptr[:-1]] > room,
        np.bincount(sentence[cut], minlength=n_sentences),
    )  # fmt: skip


def _windows(indptr: I64, read: I64, room: int) -> I64:
    """Words of each row, int64 [N, 4]: the first and the one behind the last, those it answers."""
    found: list[tuple[int, int, int, int]] = []
    border = room // CONTEXT
    lengths = read[indptr[1:]] - read[indptr[:-1]]
    bounds = zip(indptr[:-1].tolist(), indptr[1:].tolist(), lengths.tolist(), strict=True)
    for begin, end, length in bounds:
        if length <= room:
            if end > begin:
                found.append((begin, end, begin, end))
            continue
        core = begin
        while core < end:
            first = max(begin, int(np.searchsorted(read, read[core] - border)))
            if read[core + 1] - read[first] > room:
                first = core
            behind = min(end, int(np.searchsorted(read, read[first] + room, side="right")) - 1)
            after = end
            if behind < end:
                after = int(np.searchsorted(read, read[behind] - border, side="right")) - 1
                after = max(core + 1, after)
            found.append((first, behind, core, after))
            core = after
    return np.array(found, np.int64).reshape(-1, 4)


def piece_targets(given: WordRows, tags: I64, *, all_pieces: bool) -> I64:
    """The tag of each position of the rows, int64 [len(rows.ids)]; UNLABELLED where it has none.

    ``tags`` int64 [W]. A word's first piece has it, or all of its pieces.
    """
    targets = np.full(len(given.rows.ids), UNLABELLED, np.int64)
    if all_pieces:
        targets[ranges(given.firsts, given.sizes)] = np.repeat(tags, given.sizes)
    else:
        targets[given.firsts] = tags
    return targets
