"""Bytes -> lines of text: UTF-8, any line end, with a cap on the length of a line."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Callable, Iterator

from nlpcli.data.source import Source
from nlpcli.errors import DataError

_BOM = b"\xef\xbb\xbf"
_MARKS = {b"\xff\xfe\0\0": "UTF-32", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_END = re.compile(b"[\r\n]")
_BAD = re.compile("[\0\udc80-\udcff]")
_NOT_UTF8 = re.compile("[\udc80-\udcff]+")
_BEYOND_ASCII = re.compile("[^\0-\x7f\udc80-\udcff]")
# cp1252 leaves these undefined
_NOT_CP1252 = re.compile("[\udc81\udc8d\udc8f\udc90\udc9d]")


class BadRow(Exception):
    """A row that cannot be used; ``fatal`` when reading on would make no sense.

    ``at`` is the line of the fault, where it is known and may be another than the row's first;
    ``where`` names the row in a file in which lines say nothing.
    """

    def __init__(
        self,
        reason: str,
        row: list[str],
        *,
        fatal: bool = False,
        hint: str | None = None,
        at: int | None = None,
        where: str | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason, self.row, self.fatal, self.hint, self.at = reason, row, fatal, hint, at
        self.where = where


class Lines:
    """Iterates lines with their ends; bytes that are not UTF-8 arrive as lone surrogates.

    ``dirty`` is set from the first block on that holds such bytes or a NUL: until then no row
    needs a check of its own. ``before_read`` is called before each wait for more bytes.
    Raises BadRow, always fatal, for a line of more than ``max_line`` bytes; DataError for UTF-16.
    """

    def __init__(self, source: Source, max_line: int, before_read: Callable[[], None]) -> None:
        self.dirty = False
        self._source, self._max_line, self._before_read = source, max_line, before_read
        self._seen_utf8 = False
        self._mark = 0
        self._watched_lines = 0
        self._fault: BadRow | None = None
        self._fault_line = 0
        self._text, self._stream = "", io.StringIO()

    def __iter__(self) -> Iterator[str]:
        return itertools.chain.from_iterable(map(self._split, self._pieces()))

    def take_fault(self, line: int) -> BadRow | None:
        """The first bad byte since the last call; ``line`` is the number of the last line taken.

        Bytes are counted from 1 in the line of the file they stand in.
        """
        fault, self._fault = self._fault, None
        if fault is not None:
            fault.at = line - (self._watched_lines - self._fault_line)
        return fault

    def last(self) -> str:
        """The line last taken, without its end."""
        text, end = self._text, self._stream.tell()
        end -= text.endswith("\n", 0, end)
        end -= text.endswith("\r", 0, end)
        begin = text.rfind("\n", 0, end) + 1
        return text[max(begin, text.rfind("\r", begin, end) + 1) : end]

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
            size += len(block)
            if size > self._max_line:
                self._check_length(size - len(block), b"" if held_cr else block)
            if not cut and not held_cr:
                held.append(block)
                continue
            piece = b"".join([*held, block[:cut]])
            held, size = [block[cut:]], len(block) - cut
            yield self._unmarked(piece) if first else piece
            first = False
        rest = b"".join(held)
        if rest:
            yield self._unmarked(rest) if first else rest

    def _check_length(self, held: int, block: bytes) -> None:
        """Raises BadRow when the line that ``held`` bytes began does not end soon enough."""
        room = max(0, self._max_line - held) + 1
        ends = [at for at in (block.find(b"\n", 0, room), block.find(b"\r", 0, room)) if at >= 0]
        if len(block) >= room and not ends:
            raise BadRow(
                f"a line of more than {self._max_line:,} bytes",
                [],
                fatal=True,
                hint=f"--max-field {2 * max(1, self._max_line >> 20)}",
            )

    def _unmarked(self, piece: bytes) -> bytes:
        self._mark = mark_length(piece, self._source.name)
        return piece[self._mark :]

    def _split(self, piece: bytes) -> Iterator[str]:
        bad = False
        try:
            text = piece.decode()
            bad = b"\0" in piece
        except UnicodeDecodeError:
            text = piece.decode("utf-8", "surrogateescape")
            bad = True
        self.dirty = self.dirty or bad
        if self.dirty:
            return self._watched(text, bad)
        self._mark = 0
        self._seen_utf8 = self._seen_utf8 or not text.isascii()
        self._text, self._stream = text, io.StringIO(text, newline="")
        return self._stream

    def _watched(self, text: str, bad: bool) -> Iterator[str]:
        """The lines of a text; the first fault since the last one that was taken is kept."""
        hint = None
        if bad:
            self._seen_utf8 = self._seen_utf8 or bool(_BEYOND_ASCII.search(text))
            hint = (
                "iconv -f cp1252 -t UTF-8" if not self._seen_utf8 and looks_cp1252(text) else None
            )
        self._text, self._stream = text, io.StringIO(text, newline="")
        for line in self._stream:
            self._watched_lines += 1
            if bad and self._fault is None:
                found = _BAD.search(line)
                if found:
                    before = line[: found.start()].encode("utf-8", "surrogateescape")
                    reason = f"byte {len(before) + self._mark + 1}: {named_fault(found.group())}"
                    self._fault = BadRow(reason, [], hint=None if found.group() == "\0" else hint)
                    self._fault_line = self._watched_lines
            self._mark = 0
            yield line


def mark_length(head: bytes, name: str) -> int:
    """Bytes of the mark that a file begins with. Raises DataError for UTF-16 and UTF-32."""
    wide = next((_MARKS[mark] for mark in _MARKS if head.startswith(mark)), None)
    wide = wide or _wide_without_mark(_END.split(head[:1024], 1)[0])
    if wide is not None:
        raise DataError(
            f"{name}: looks like {wide}, wanted UTF-8", hint=f"iconv -f {wide} -t UTF-8"
        )
    return len(_BOM) if head.startswith(_BOM) else 0


def bad_character(text: str) -> re.Match[str] | None:
    """The first NUL, or byte that is not UTF-8 (a lone surrogate)."""
    return _BAD.search(text)


def named_fault(character: str) -> str:
    """What such a character was in the file."""
    return "a NUL" if character == "\0" else f"invalid UTF-8 (0x{ord(character) & 0xFF:02x})"


def looks_cp1252(text: str) -> bool:
    """Whether the bytes that are not UTF-8 stand alone, as accented letters do in cp1252."""
    if _NOT_CP1252.search(text):
        return False
    lengths = [len(run) for run in _NOT_UTF8.findall(text)]
    return bool(lengths) and max(lengths) <= 2 and 2 * lengths.count(1) > len(lengths)


def _wide_without_mark(head: bytes) -> str | None:
    """UTF-16 or UTF-32 without a byte order mark, known by the NULs of a first line in ASCII."""
    nuls = head.count(0)
    end = "BE" if head.startswith(b"\0") else "LE"
    if nuls < 2 or nuls == len(head):
        return None
    if nuls > 0.7 * len(head):
        return f"UTF-32{end}"
    alternate = max(head[i::2].count(0) for i in (0, 1))
    return f"UTF-16{end}" if nuls > 0.35 * len(head) and alternate > 0.9 * nuls else None
