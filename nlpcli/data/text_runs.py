"""Bytes of a corpus -> runs of whole lines, cut at the same places however the bytes arrive."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nlpcli.data.lines import bad_character, looks_cp1252, mark_length, named_fault
from nlpcli.data.source import Source
from nlpcli.errors import DataError

if TYPE_CHECKING:
    from nlpcli.data.rows import Reject

RUN_BYTES = 1 << 18
LONG_LINE = 1 << 20
"""Bytes from which on a line is handed on in parts, cut at blanks."""

_END = re.compile(rb"\r\n|\n|\r")
_BLANKS = (b" ", b"\t")


@dataclass(frozen=True)
class TextRun:
    """Text, and whether its last line goes on in the next run of the same file."""

    text: str
    goes_on: bool


class TextRuns:
    """Iterates the runs of a source; ``n_skipped`` counts lines that were left out.

    A line with a NUL or bytes that are not UTF-8 is a DataError that names line and byte, unless
    such lines are skipped; ``on_reject`` is told of those. Raises what ``Source.blocks`` raises.
    """

    def __init__(
        self, source: Source, *, skip_bad: bool = False, on_reject: Reject | None = None
    ) -> None:
        self.n_skipped = 0
        self._source, self._skip_bad, self._on_reject = source, skip_bad, on_reject
        self._n_lines = 0
        self._n_held = 0
        self._seen_utf8 = False

    def __iter__(self) -> Iterator[TextRun]:
        for piece, goes_on in self._pieces():
            yield TextRun(self._decoded(piece), goes_on)

    def _pieces(self) -> Iterator[tuple[bytes, bool]]:
        held, wanted, first = bytearray(), RUN_BYTES, True
        for block in self._source.blocks():
            held += block
            while len(held) >= wanted:
                cut, goes_on = _place_to_cut(held, wanted)
                if not cut:
                    wanted += RUN_BYTES
                    continue
                piece, wanted = bytes(held[:cut]), RUN_BYTES
                del held[:cut]
                yield (self._unmarked(piece) if first else piece), goes_on
                first = False
        if held:
            yield (self._unmarked(bytes(held)) if first else bytes(held)), False

    def _unmarked(self, piece: bytes) -> bytes:
        self._n_held = mark_length(piece, self._source.name)
        return piece[self._n_held :]

    def _decoded(self, piece: bytes) -> str:
        try:
            text = piece.decode()
            bad = b"\0" in piece
        except UnicodeDecodeError:
            text = piece.decode("utf-8", "surrogateescape")
            bad = True
        found = bad_character(text) if bad else None
        if found is not None:
            if not self._skip_bad:
                raise self._fault(text, found)
            text = self._without_bad_lines(text)
        self._seen_utf8 = self._seen_utf8 or not text.isascii()
        self._count_lines(piece)
        return text

    def _count_lines(self, piece: bytes) -> None:
        n_ends = piece.count(b"\n")
        if b"\r" in piece:
            n_ends = len(_END.findall(piece))
        self._n_lines += n_ends
        at_end = max(piece.rfind(b"\n"), piece.rfind(b"\r")) + 1
        self._n_held = len(piece) - at_end + (0 if n_ends else self._n_held)

    def _fault(self, text: str, found: re.Match[str]) -> DataError:
        before = text[: found.start()].encode("utf-8", "surrogateescape")
        self._count_lines(before)
        hint = None
        if found.group() != "\0" and not self._seen_utf8 and looks_cp1252(text):
            hint = "iconv -f cp1252 -t UTF-8"
        return DataError(
            f"{self._source.name} line {self._n_lines + 1} byte {self._n_held + 1}: "
            f"{named_fault(found.group())}",
            hint=hint or "--on-error skip drops such lines",
        )

    def _without_bad_lines(self, text: str) -> str:
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        good = []
        for number, line in enumerate(lines, self._n_lines + 1):
            found = bad_character(line)
            if found is None:
                good.append(line)
            elif self._on_reject is not None:
                before = line[: found.start()].encode("utf-8", "surrogateescape")
                held = self._n_held if number == self._n_lines + 1 else 0
                reason = f"byte {held + len(before) + 1}: {named_fault(found.group())}"
                self._on_reject(number, reason, line)
        self.n_skipped += len(lines) - len(good)
        return "\n".join(good)


def _place_to_cut(held: bytearray, wanted: int) -> tuple[int, bool]:
    """Where to cut the first ``wanted`` bytes, and whether that is inside a line; 0: nowhere."""
    # a CR at the end may be half of a CRLF
    cut = max(held.rfind(b"\n", 0, wanted), held.rfind(b"\r", 0, wanted - 1)) + 1
    if cut or wanted < LONG_LINE:
        return cut, False
    cut = max(held.rfind(blank, 1, wanted) for blank in _BLANKS)
    if cut > 0:
        return cut, True
    cut = wanted - 1
    while cut and held[cut] & 0xC0 == 0x80:  # inside a character
        cut -= 1
    return cut or wanted, True
