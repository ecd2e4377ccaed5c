"""The rows of files of word vectors: bytes -> words and float32, in blocks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from nlpcli.errors import DataError, shown
from nlpcli.formats.decimals import is_number, parse_decimals

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]

LONGEST = 1 << 20
"""Bytes of a line of text, and of a word in a binary file."""
_ODD_BLANKS = (b"  ", b"\t", b"\v", b"\f", b"\r")


class _Rows:
    """What both kinds share: which words to keep, and a hash of each that was seen."""

    def __init__(
        self, name: str, dim: int, keep: Callable[[list[str]], npt.NDArray[np.bool_]] | None
    ) -> None:
        self._name, self._dim, self._keep = name, dim, keep
        self._seen, self._hashes = 0, [np.empty(0, np.int64)]

    @property
    def identities(self) -> I64:
        """A hash of each word so far, kept or not, int64 [N]."""
        return np.concatenate(self._hashes)

    def place(self, number: int) -> str:
        """Where word ``number``, from 0, stands."""
        return f"word {number + 1:,}"

    def _decode(self, raw: list[bytes]) -> list[str]:
        """The words of a block; counts them as seen. Raises DataError."""
        words: list[str] = []
        try:
            if raw:
                words = b"\n".join(raw).decode().split("\n")
        except UnicodeDecodeError:
            words = []
        if len(words) != len(raw):
            words = [self._decode_one(word, i) for i, word in enumerate(raw)]
        if "" in words:
            raise DataError(f"{self._name} {self.place(self._seen + words.index(''))}: no word")
        self._hashes.append(np.fromiter(map(hash, words), dtype=np.int64, count=len(words)))
        self._seen += len(words)
        return words

    def _decode_one(self, raw: bytes, number: int) -> str:
        try:
            return raw.decode()
        except UnicodeDecodeError:
            seen = shown(raw.decode("utf-8", "backslashreplace"))
            place = self.place(self._seen + number)
            raise DataError(f"{self._name} {place}: the word {seen} is not UTF-8") from None

    def _chosen(self, words: list[str]) -> I64:
        """The numbers of the words to keep."""
        if self._keep is None or not words:
            return np.arange(len(words))
        found: I64 = np.flatnonzero(self._keep(words))
        return found

    def _refuse_infinite(self, values: F32, numbers: I64) -> None:
        """``numbers``: which word each row is, of all that were seen. Raises DataError."""
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            row, column = bad[0].tolist()
            raise DataError(
                f"{self._name} {self.place(int(numbers[row]))}: number {column + 1:,} is "
                f"{values[row, column]}, wanted a finite one within 32 bits"
            )


class TextRows(_Rows):
    """Lines of a word and its numbers; with a header the first of them is line 2."""

    def __init__(
        self, name: str, dim: int, count: int | None,
        keep: Callable[[list[str]], npt.NDArray[np.bool_]] | None,
    ) -> None:  # fmt: skip
        super().__init__(name, dim, keep)
        self._count = count

    def place(self, number: int) -> str:
        """Where word ``number``, from 0, stands."""
        return f"line {number + 1 + (self._count is not None):,}"

    def feed(self, data: bytes, *, last: bool) -> tuple[list[str], F32, int]:
        """Words and vectors of whole lines that are to be kept; how many bytes were used.

        ``last``: the final line may lack its end. Raises DataError.
        """
        end = len(data) if last else data.rfind(b"\n") + 1
        if len(data) - end > LONGEST:
            place = self.place(self._seen + data.count(b"\n"))
            raise DataError(f"{self._name} {place}: more than {LONGEST:,} bytes")
        # an empty line is an error, unless it turns out to be the end of the file
        whole = data[:end].rstrip() if last else data[:end].rstrip(b"\n")
        used = len(whole) + 1 if whole else 0
        lines = whole.rstrip(b" \r").replace(b" \n", b"\n").split(b"\n") if whole else []
        first = self._seen
        raw, numbers = self._split(lines)
        if self._count is not None and first + len(lines) > self._count:
            place = self.place(self._count)
            raise DataError(
                f"{self._name} {place}: one word more than the {self._count:,} of the header"
            )
        words = self._decode(raw)
        chosen = self._chosen(words)
        parts = [numbers[i] for i in chosen.tolist()]
        values = self._parse(parts, chosen + first)
        return [words[i] for i in chosen.tolist()], values, used

    def _split(self, lines: list[bytes]) -> tuple[list[bytes], list[bytes]]:
        """Of each line the word, and its numbers with a blank between two."""
        words, numbers, blanks = [], [], self._dim - 1
        whole = b"\n".join(lines)
        odd = any(blank in whole for blank in _ODD_BLANKS)
        for i, line in enumerate(lines):
            word, _, rest = line.partition(b" ")
            if odd or not word or not rest or rest.count(b" ") != blanks:
                word, rest = self._split_odd(line, i)
            words.append(word)
            numbers.append(rest)
        return words, numbers

    def _split_odd(self, line: bytes, number: int) -> tuple[bytes, bytes]:
        """For other blanks than one space, and for words that have blanks in them."""
        fields, dim = line.split(), self._dim
        spare = fields[1:-dim]
        if len(fields) <= dim or any(map(is_number, spare)):
            place = self.place(self._seen + number)
            raise DataError(
                f"{self._name} {place}: {max(0, len(fields) - 1):,} numbers, wanted {dim:,}"
            )
        return line.rsplit(None, dim)[0].strip(), b" ".join(fields[-dim:])

    def _parse(self, parts: list[bytes], numbers: I64) -> F32:
        if not parts:
            return np.empty((0, self._dim), dtype=np.float32)
        found = parse_decimals(b" ".join(parts), len(parts) * self._dim)
        if found is None:
            found = np.array([self._parse_one(*pair) for pair in zip(parts, numbers, strict=True)])
        with np.errstate(over="ignore"):  # too large for 32 bits is told below
            values = found.reshape(len(parts), self._dim).astype(np.float32)
        self._refuse_infinite(values, numbers)
        return values

    def _parse_one(self, part: bytes, number: int) -> list[float]:
        for field in part.split():
            if not is_number(field):
                seen = shown(field.decode("utf-8", "backslashreplace"))
                raise DataError(f"{self._name} {self.place(int(number))}: {seen} is no number")
        return [float(field) for field in part.split()]


class BinaryRows(_Rows):
    """A word, a blank and 32-bit numbers; a newline may lie between two of them."""

    def __init__(
        self, name: str, dim: int, count: int,
        keep: Callable[[list[str]], npt.NDArray[np.bool_]] | None,
    ) -> None:  # fmt: skip
        super().__init__(name, dim, keep)
        self._count = count

    def feed(self, data: bytes, *, last: bool) -> tuple[list[str], F32, int]:
        """Words and vectors of whole records that are to be kept; how many bytes were used.

        Raises DataError.
        """
        raw: list[bytes] = []
        starts: list[int] = []
        at, width, first = 0, 4 * self._dim, self._seen
        while first + len(raw) < self._count:
            end = data.find(b" ", at, at + LONGEST + 1)
            if end < 0 and len(data) - at > LONGEST:
                place = self.place(first + len(raw))
                raise DataError(f"{self._name} {place}: more than {LONGEST:,} bytes")
            if end < 0 or end + 1 + width > len(data):
                break
            raw.append(data[at:end].lstrip(b"\n"))  # word2vec ends a record so, others do not
            starts.append(end + 1)
            at = end + 1 + width
        words = self._decode(raw)
        chosen = self._chosen(words)
        values = np.empty((len(chosen), self._dim), dtype="<f4")
        target = values.reshape(-1).view(np.uint8).data
        for row, i in enumerate(chosen.tolist()):
            target[row * width : (row + 1) * width] = data[starts[i] : starts[i] + width]
        self._refuse_infinite(values, chosen + first)
        if self._seen == self._count:
            if data[at:].strip():
                raise DataError(f"{self._name}: more than the {self._count:,} words of the header")
            at = len(data)
        elif last and data[at:].strip():
            place = self.place(self._seen)
            raise DataError(f"{self._name} {place}: the file ends before its {self._dim:,} numbers")
        return [words[i] for i in chosen.tolist()], values, at
