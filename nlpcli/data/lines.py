"""Bytes -> lines of text: UTF-8, any line end, with a cap on the length of a line."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterator

from nlpcli.data.source import Source
from nlpcli.errors import DataError

_BOM = b"\xef\xbb\xbf"
_WIDE = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"\xff\xfe\0\0": "UTF-32"}


class Lines:
    """Iterates lines with their ends; bytes that are not UTF-8 arrive as lone surrogates.

    ``dirty`` is set from the first block on that holds such bytes or a NUL: until then no row
    needs a check of its own. ``before_read`` is called before each wait for more bytes.
    """

    def __init__(self, source: Source, max_line: int, before_read: Callable[[], None]) -> None:
        self.dirty = False
        self._source, self._max_line, self._before_read = source, max_line, before_read

    def __iter__(self) -> Iterator[str]:
        return itertools.chain.from_iterable(map(self._split, self._pieces()))

    def _pieces(self) -> Iterator[bytes]:
        """Runs of whole lines; a last line without an end is closed by the end of the input."""
        blocks = self._source.blocks()
        held: list[bytes] = []
        size, first = 0, True
        while True:
            self._before_read()
            block = next(blocks, b"")
            if not block:
                break
            # a CR at the end of a block may be half of a CRLF
            cut = max(block.rfind(b"\n"), block.rfind(b"\r", 0, len(block) - 1)) + 1
            held_cr = bool(held) and held[-1].endswith(b"\r") and not block.startswith(b"\n")
            if not cut and not held_cr:
                held.append(block)
                size += len(block)
                if size > self._max_line:
                    raise DataError(
                        f"{self._source.name}: a line of more than {self._max_line:,} bytes",
                        hint="a larger --max-field, if this is no accident",
                    )
                continue
            piece = b"".join([*held, block[:cut]])
            held, size = [block[cut:]], len(block) - cut
            yield self._unmarked(piece) if first else piece
            first = False
        rest = b"".join(held)
        if rest:
            yield self._unmarked(rest) if first else rest

    def _unmarked(self, piece: bytes) -> bytes:
        for mark in sorted(_WIDE, key=len, reverse=True):
            if piece.startswith(mark):
                raise DataError(
                    f"{self._source.name}: looks like {_WIDE[mark]}, wanted UTF-8",
                    hint=f"iconv -f {_WIDE[mark]} -t UTF-8",
                )
        return piece.removeprefix(_BOM)

    def _split(self, piece: bytes) -> Iterator[str]:
        try:
            text = piece.decode()
            self.dirty = self.dirty or b"\0" in piece
        except UnicodeDecodeError:
            text = piece.decode("utf-8", "surrogateescape")
            self.dirty = True
        return io.StringIO(text, newline="")


def byte_fault(text: str) -> str | None:
    """What is wrong with a text's bytes: ``byte 34: invalid UTF-8 (0xff)``, NUL, or None."""
    nul = text.find("\0")
    if nul >= 0:
        return f"byte {len(text[:nul].encode('utf-8', 'surrogateescape')) + 1}: a NUL"
    try:
        text.encode()
    except UnicodeEncodeError as error:
        value = ord(text[error.start]) & 0xFF
        at = len(text[: error.start].encode("utf-8", "surrogateescape")) + 1
        return f"byte {at}: invalid UTF-8 (0x{value:02x})"
    return None
