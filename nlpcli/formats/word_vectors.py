"""Word vectors of other programs: word2vec's text (fastText's ``.vec``) and binary, GloVe's text.

Sources: word2vec.c, saveVectors in fasttext.cc of fastText 0.9.2. A header is checked against the
file's size before anything is allocated, and memory grows with what was read, never with what a
header says.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from nlpcli.data.source import Source
from nlpcli.errors import DataError, Unavailable
from nlpcli.formats.decimals import is_number
from nlpcli.formats.word_vector_rows import LONGEST, BinaryRows, TextRows

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]
Keep = Callable[[list[str]], npt.NDArray[np.bool_]]
"""Of some words of a file, in its order: which to keep, bool [N]."""
Form = Literal["word2vec", "word2vec-binary", "glove"]

FORMS: dict[Form, str] = {
    "word2vec": "word2vec's text format", "word2vec-binary": "word2vec's binary format",
    "glove": "GloVe's text format, without a header",
}  # fmt: skip
"""For people."""
MOST_NUMBERS = 16_384
"""Of a vector: a row of text as long as that still fits into ``LONGEST``."""
_HEADER = re.compile(rb"\s*([+-]?\d{1,20})\s+([+-]?\d{1,20})\s*")
_CONTROL = re.compile(rb"[\0-\x08\x0e-\x1f\x7f]")
_FASTTEXT = b"\xba\x16\x4f\x2f"
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class VectorTable:
    """``words``, all different, and ``vectors`` float32 [N, D], finite; of a file whose content,
    unpacked, has this ``sha256`` and held ``n_read`` words."""

    words: list[str]
    vectors: F32
    sha256: str = ""
    n_read: int = 0


class Rows(Protocol):
    """Reads the rows of one format."""

    def feed(self, data: bytes, *, last: bool) -> tuple[list[str], F32, int]:
        """Words and vectors of whole rows that are to be kept; how many bytes were used."""

    @property
    def identities(self) -> I64:
        """A hash of each word so far, kept or not, int64 [N]."""

    def place(self, number: int) -> str:
        """Where word ``number``, from 0, stands."""


class VectorFile:
    """A file of word vectors, packed or not; known by its content.

    ``dim`` and ``form`` are known once it is open, ``count`` where it has a header. Raises
    InputMissing; DataError for what is no such file, and for a header that cannot be true.
    """

    def __init__(self, path: str) -> None:
        self._source = Source(path)
        self.name = self._source.name
        try:
            self._blocks = self._source.blocks()
            self._head = self._take_head()
            self.form, self.count, self.dim, self._begin = _detect(self._head, self.name)
            self._check_size()
        except BaseException:
            self._source.close()
            raise

    def read(self, keep: Keep | None = None, *, room: int | None = None) -> VectorTable:
        """All words, or those to keep; the file is closed then.

        ``room``: bytes of memory there are. Raises DataError naming the line, or the word of a
        binary file: for numbers that are missing, too many or not finite, a word that is there
        already or no UTF-8, a count that is not the header's; Unavailable without the memory.
        Numbers of words that are not kept are passed over unread, where the format is text.
        """
        try:
            return self._read(keep, room)
        finally:
            self._source.close()

    def _read(self, keep: Keep | None, room: int | None) -> VectorTable:
        rows: Rows
        if self.form == "word2vec-binary":
            rows = BinaryRows(self.name, self.dim, self.count or 0, keep)
        else:
            rows = TextRows(self.name, self.dim, self.count, keep)
        table = _Table(self.name, self.dim, self.count, room)
        words: list[str] = []
        held = self._head[self._begin :]
        self._head = b""
        for block in self._blocks:
            fresh, vectors, used = rows.feed(held, last=False)
            words += fresh
            table.add(vectors)
            held = held[used:] + block
        fresh, vectors, _ = rows.feed(held, last=True)
        words += fresh
        table.add(vectors)
        n_read = len(rows.identities)
        if not n_read or self.count not in (None, n_read):
            said = "" if self.count is None else f", the header says {self.count:,}"
            raise DataError(f"{self.name}: {n_read:,} words{said}")
        _refuse_twice(rows, self.name)
        return VectorTable(words, table.values(), self._source.sha256(), n_read)

    def _take_head(self) -> bytes:
        parts, size = [], 0
        for block in self._blocks:
            parts.append(block)
            size += len(block)
            if size > LONGEST:
                break
        return b"".join(parts)

    def _check_size(self) -> None:
        size = self._source.plain_size
        if self.count is None or size is None:
            return
        a_row = 2 + 4 * self.dim if self.form == "word2vec-binary" else 2 + 2 * self.dim
        needed = self._begin + self.count * a_row - 1
        if needed > size:
            raise DataError(
                f"{self.name} line 1: {self.count:,} words of {self.dim:,} numbers take "
                f"{needed:,} bytes or more, the file has {size:,}"
            )


class _Table:
    """Rows that arrive in pieces, float32 [N, D]; moved by the system when they need more room."""

    def __init__(self, name: str, dim: int, most: int | None, room: int | None) -> None:
        self._name, self._most, self._room = name, most, room
        self._values = np.empty((0, dim), dtype=np.float32)
        self._used = 0

    def add(self, rows: F32) -> None:
        used = self._used + len(rows)
        if used > len(self._values):
            wanted = max(used, len(self._values) * 3 // 2, 1024)
            wanted = wanted if self._most is None else max(used, min(wanted, self._most))
            size = wanted * self._values.shape[1] * 4
            if self._room is not None and size > self._room:
                raise Unavailable(
                    f"{self._name}: vectors of {used:,} words and more need {size / 1e9:,.1f} GB "
                    f"of memory, {self._room / 1e9:,.1f} GB are free"
                )
            self._values.resize((wanted, self._values.shape[1]), refcheck=False)
        self._values[self._used : used] = rows
        self._used = used

    def values(self) -> F32:
        self._values.resize((self._used, self._values.shape[1]), refcheck=False)
        return self._values


def _detect(head: bytes, name: str) -> tuple[Form, int | None, int, int]:
    """Format, count, numbers a word, and where the first row begins."""
    if head.startswith(_FASTTEXT):
        raise DataError(f"{name}: a fastText model, wanted its vectors: the .vec file beside it")
    mark = len(_BOM) if head.startswith(_BOM) else 0
    line, _, rest = head[mark:].partition(b"\n")
    header = _HEADER.fullmatch(line)
    if header is not None:
        count, dim = int(header[1]), int(header[2])
        if count < 1 or not 1 <= dim <= MOST_NUMBERS:
            raise DataError(
                f"{name} line 1: {count:,} words of {dim:,} numbers, "
                f"wanted 1 or more of 1 to {MOST_NUMBERS:,}"
            )
        form: Form = "word2vec-binary" if _is_binary(rest, dim) else "word2vec"
        return form, count, dim, mark + len(line) + 1
    fields = line.split()
    numbers = 0
    while numbers < len(fields) - 1 and is_number(fields[-1 - numbers]):
        numbers += 1
    if not 1 <= numbers <= MOST_NUMBERS:
        raise DataError(
            f"{name} line 1: no word vectors: wanted how many words and numbers there are, or a "
            f"word and 1 to {MOST_NUMBERS:,} numbers"
        )
    return "glove", None, numbers, mark


def _is_binary(rest: bytes, dim: int) -> bool:
    """Whether a word and bytes follow, and no line of text, however wrong."""
    fields = rest.partition(b"\n")[0].split()
    if len(fields) > dim and all(map(is_number, fields[-dim:])):
        return False
    first = rest[: rest.find(b" ") + 1 + 4 * dim]
    try:
        first.decode()
    except UnicodeDecodeError as error:
        if error.reason != "unexpected end of data":  # of a character that is cut here
            return True
    return _CONTROL.search(first) is not None


def _refuse_twice(rows: Rows, name: str) -> None:
    """Raises DataError for the first word that is there a second time."""
    identities = rows.identities
    order = np.argsort(identities, kind="stable")
    ordered = identities[order]
    again = np.flatnonzero(ordered[1:] == ordered[:-1]) + 1
    if len(again):
        at = again[np.argmin(order[again])]
        later, sooner = (rows.place(int(order[i])) for i in (at, at - 1))
        raise DataError(f"{name} {later}: the same word as in {sooner}")
