"""A stream of pieces -> rows of one length for pre-training, without padding.

Rows run over the borders of documents, at which a [SEP] stands in the stream (FULL-SENTENCES of
Liu et al. 2019, "RoBERTa", §4.2). Each epoch cuts the stream at other places and masks afresh.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nlpcli.batching.masking import I64, Flags, MaskConfig, Masked, Pieces, mask_rows

MOST_HELD_OUT = 65_536
"""Pieces that are kept from training, at most."""
_UNITS = 100
"""Documents of which some are held out; of fewer, runs of lines."""
_RUNS_HELD_OUT = 16
"""Runs of lines that are held out, about."""
_ROWS, _MASKS, _HELD = 0, 1, 2
"""What a generator is for."""
_SHORTEST = 8
"""Pieces of a segment of a pair."""


@dataclass(frozen=True)
class Stream:
    """``pieces`` [T] of any whole-number type, one document after the other; ``lines`` int64
    [S + 1] where lines begin, ``documents`` int64 [D + 1]; from 0 to T."""

    pieces: npt.NDArray[np.generic]
    lines: I64
    documents: I64


@dataclass(frozen=True)
class Specials:
    """Ids of [CLS] and [SEP], which are not masked, and of [PAD]."""

    cls: int
    sep: int
    pad: int


@dataclass(frozen=True)
class PretrainingBatch:
    """``ids`` and ``segments`` int64 [B, T]; ``masked``: as the model sees them. ``is_next``
    int64 [B] with pairs: 0 when the second segment follows the first."""

    ids: I64
    segments: I64 | None
    masked: Masked
    is_next: I64 | None


def held_out_ranges(stream: Stream, share: float, seed: int) -> I64:
    """Ranges of the stream that are kept from training, int64 [U, 2], ascending.

    Whole documents, or runs of lines where these are few or long, of at most ``share`` of all
    pieces; none where a line is longer than that.
    """
    total = int(stream.documents[-1])
    room = min(share * total, MOST_HELD_OUT)
    borders = stream.documents
    if len(borders) > _UNITS:
        found = _fitting(borders, room, seed)
        if 2 * np.sum(found[:, 1] - found[:, 0]) > room:
            return found
    n_runs = max(2 * _UNITS, int(_RUNS_HELD_OUT * total / max(1.0, room)))
    every = max(1, (len(stream.lines) - 1) // n_runs)
    return _fitting(np.append(stream.lines[:-1:every], total), room, seed)


def _fitting(borders: I64, room: float, seed: int) -> I64:
    """Ranges between borders, drawn at random, those that would take more than ``room`` left out;
    int64 [U, 2], ascending."""
    sizes = np.diff(borders)
    taken, left = [], room
    for unit in np.random.default_rng([seed, _HELD]).permutation(len(sizes)).tolist():
        if sizes[unit] <= left:
            taken.append(unit)
            left -= sizes[unit]
        if left < room / _RUNS_HELD_OUT:
            break
    chosen = np.sort(np.array(taken, np.int64))
    return np.stack([borders[chosen], borders[chosen + 1]], axis=1)


def kept_apart(stream: Stream, ranges: I64) -> Stream:
    """The parts of a stream in ``ranges`` [U, 2], as a stream in memory."""
    parts = [stream.pieces[first:last] for first, last in ranges.tolist()]
    sizes = np.array([0, *(len(part) for part in parts)], np.int64)
    documents = np.cumsum(sizes)
    lines = [
        stream.lines[slice(*np.searchsorted(stream.lines, (first, last)))] - first + at
        for (first, last), at in zip(ranges.tolist(), documents.tolist(), strict=False)
    ]
    pieces = np.concatenate(parts) if parts else np.empty(0, stream.pieces.dtype)
    return Stream(pieces, np.concatenate([*lines, documents[-1:]]), documents)


class PretrainingRows:
    """Rows of ``length`` pieces of a stream but for the ranges in ``without`` [U, 2].

    ``pairs``: two segments, the second one half of the time from elsewhere (Devlin et al. 2019,
    §3.1, task 2). The same seed gives the same rows. Raises ValueError when there is less than one
    row of pieces.
    """

    def __init__(
        self, stream: Stream, without: I64, length: int, specials: Specials, pieces: Pieces,
        config: MaskConfig, *, pairs: bool = False, seed: int = 1,
    ) -> None:  # fmt: skip
        self._stream, self._specials, self._pieces = stream, specials, pieces
        self._config, self._pairs, self._seed = config, pairs, seed
        self.length = length
        self._inside = length - (3 if pairs else 2)
        gone = without[:, 1] - without[:, 0]
        self._shift = np.concatenate([np.zeros(1, np.int64), np.cumsum(gone)])
        self._cuts = without[:, 0] - self._shift[:-1]
        self._order = (-1, 0, without[:0, 0])
        self.n_pieces = int(stream.documents[-1] - self._shift[-1])
        if self.n_pieces < self._inside:
            raise ValueError(f"{self.n_pieces:,} pieces, a row has {self._inside:,}")

    def __len__(self) -> int:
        """Rows of an epoch."""
        return -(-self.n_pieces // self._inside)

    @property
    def masked_share(self) -> float:
        """Of all pieces, those that are asked for, about."""
        return self._config.rate * self._inside / self.length

    def batch(self, epoch: int, first: int, n: int) -> PretrainingBatch:
        """Rows ``first`` to ``first + n`` of an epoch, in its order."""
        generator = np.random.default_rng([self._seed, _MASKS, epoch, first])
        nominal = self._nominal(epoch, first, n)
        starts = self._at_sentences(nominal)
        segments: I64 | None = None
        is_next: I64 | None = None
        if self._pairs:
            ids, segments, is_next = self._in_pairs(starts, generator)
        else:
            ids = np.empty((n, self.length), np.int64)
            ids[:, 0], ids[:, -1] = self._specials.cls, self._specials.sep
            ids[:, 1:-1] = self._taken(starts, self._inside)
        maskable = self._maskable(ids)
        masked = mask_rows(ids, maskable, self._pieces, self._config, generator)
        return PretrainingBatch(ids, segments, masked, is_next)

    def _nominal(self, epoch: int, first: int, n: int) -> I64:
        """Where rows begin before that is moved to a sentence, int64 [n]."""
        if self._order[0] != epoch:
            generator = np.random.default_rng([self._seed, _ROWS, epoch])
            phase = int(generator.integers(0, self._inside))
            self._order = (epoch, phase, generator.permutation(len(self)))
        _, phase, order = self._order
        found = phase + (order[first : first + n] - 1) * self._inside
        clipped: I64 = np.clip(found, 0, self.n_pieces - self._inside)
        return clipped

    def _real(self, places: I64) -> I64:
        """Places in the whole stream of places in what is left of it."""
        real: I64 = places + self._shift[np.searchsorted(self._cuts, places, side="right")]
        return real

    def _taken(self, starts: I64, n: int) -> I64:
        """``n`` pieces from each start on, int64 [B, n]."""
        real = self._real(starts[:, None] + np.arange(n)[None])
        taken: I64 = self._stream.pieces[real].astype(np.int64)
        return taken

    def _at_sentences(self, starts: I64) -> I64:
        """Moved back to the begin of the sentence unless that is over half a row away."""
        lines, real = self._stream.lines, self._real(starts)
        back = real - lines[np.searchsorted(lines, real, side="right") - 1]
        moved: I64 = np.where(back <= self._inside // 2, starts - back, starts)
        return np.maximum(moved, 0)

    def _maskable(self, ids: I64) -> Flags:
        """Everything but the special pieces."""
        special = self._specials
        flags: Flags = (ids != special.cls) & (ids != special.sep) & (ids != special.pad)
        return flags

    def _in_pairs(self, starts: I64, generator: np.random.Generator) -> tuple[I64, I64, I64]:
        """[CLS] A [SEP] B [SEP], a row full; A ends with a sentence where it can."""
        n, width = len(starts), self._inside
        sizes = self._first_sizes(starts, generator)
        strange = generator.random(n) < 0.5
        follow = starts + sizes
        # from elsewhere: not near, so that most are of another document
        away = generator.integers(0, max(1, self.n_pieces - width), n)
        near = np.abs(away - starts) < 4 * width
        away[near] = (away[near] + self.n_pieces // 2) % max(1, self.n_pieces - width)
        away = self._at_sentences(away)
        strange &= away != follow  # a small corpus may have drawn what does follow
        second = np.where(strange, away, follow)
        place = np.arange(self.length)[None]
        border = sizes[:, None] + 1
        in_first = (place >= 1) & (place < border)
        source = np.where(
            in_first, starts[:, None] + place - 1, second[:, None] + place - border - 1
        )
        source = np.clip(source, 0, self.n_pieces - 1)
        ids = self._stream.pieces[self._real(source)].astype(np.int64)
        ids[:, 0], ids[:, -1] = self._specials.cls, self._specials.sep
        ids[place == border] = self._specials.sep
        return ids, (place > border).astype(np.int64), strange.astype(np.int64)

    def _first_sizes(self, starts: I64, generator: np.random.Generator) -> I64:
        """Pieces of the first segment, int64 [B]: to the end of a sentence near a random place.

        What follows is of the same document then, unless a document has a single piece.
        """
        width = self._inside
        least = min(_SHORTEST, width // 3)
        wanted = generator.integers(least, width - least + 1, len(starts))
        lines, real = self._stream.lines, self._real(starts + wanted)
        back = real - lines[np.searchsorted(lines, real, side="right") - 1]
        ended = wanted - back
        good = (ended >= least) & ~self._is_break(starts + ended)
        sizes: I64 = np.where(good, ended, wanted)
        for _ in range(2):  # past the end of a document, and past the begin of the next one
            sizes += self._is_break(starts + sizes) & (sizes < width - 1)
        return sizes

    def _is_break(self, places: I64) -> Flags:
        """Whether a document ends or begins there, or what stood before is held out."""
        cuts, documents = self._cuts, self._stream.documents
        real = self._real(np.minimum(places, self.n_pieces - 1))
        found: Flags = self._stream.pieces[real] == self._specials.sep
        found |= documents[np.searchsorted(documents, real, side="right") - 1] == real
        if len(cuts):
            found |= cuts[np.minimum(np.searchsorted(cuts, places), len(cuts) - 1)] == places
        return found
