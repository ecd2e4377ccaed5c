"""ARPA files of n-gram language models, as SRILM, KenLM and others read and write them.

The format is that of the ARPA-MIT toolkit, described in SRILM's ngram-format(5): log10 of the
probability, the n-gram, and log10 of its back-off weight. -99 stands for the logarithm of 0.
Nothing is allocated that a header says, only what was read.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator, Sequence
from typing import BinaryIO, NoReturn

import numpy as np
import numpy.typing as npt

from nlpcli.batching.ngram_counts import BOS, EOS, word_bits
from nlpcli.data.source import Source
from nlpcli.errors import DataError, UsageError, shown
from nlpcli.models.ngram_lm import NgramLevel, NgramModel
from nlpcli.text.sentence_ids import SPECIAL

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]

MOST_ORDER = 6
ZERO = -99.0
BLANK = "▁"
"""Stands for a blank among characters, as SentencePiece writes it."""
_LONGEST = 1 << 16
"""Bytes of a line."""
_MOST_BEFORE = 1000
"""Lines before the data."""
_BLOCK = 1 << 15
"""N-grams written at once."""
_COUNT = re.compile(rb"ngram\s+(\d{1,3})\s*=\s*(\d{1,12})")
_FIRST = tuple(word.encode() for word in SPECIAL)


class _Lines:
    """Stripped lines of a file, and the number of the last one."""

    def __init__(self, source: Source) -> None:
        self._source, self._lines = source, self._split()
        self.number = 0

    def _split(self) -> Iterator[bytes]:
        held = b""
        for block in self._source.blocks():
            held += block
            if b"\n" not in block and len(held) > _LONGEST:
                self.number += 1
                self.bad(f"a line of more than {_LONGEST:,} bytes")
            *whole, held = held.split(b"\n")
            yield from whole
        yield held

    def next(self) -> bytes | None:
        """The next line, None at the end."""
        line = next(self._lines, None)
        if line is None:
            return None
        self.number += 1
        if len(line) > _LONGEST:
            self.bad(f"a line of more than {_LONGEST:,} bytes")
        return line.strip()

    def filled(self) -> bytes:
        """The next line that is not blank. Raises DataError at the end of the file."""
        while True:
            line = self.next()
            if line is None:
                self.bad("the file ends before \\end\\")
            if line:
                return line

    def bad(self, message: str) -> NoReturn:
        """Raises DataError naming the line."""
        raise DataError(f"{self._source.name} line {self.number}: {message}")


def is_arpa(path: str) -> bool:
    """Whether a file begins as an ARPA file does, packed or not. Raises InputMissing, DataError."""
    source = Source(path)
    try:
        head = next(iter(source.blocks()), b"")[:_LONGEST]
    finally:
        source.close()
    return re.search(rb"^\\data\\[ \t\r]*$", head, re.MULTILINE) is not None


def read_arpa(path: str) -> tuple[list[str], NgramModel]:
    """The words, <unk>, <s> and </s> first, and the model.

    Raises InputMissing; DataError naming the line for whatever is wrong.
    """
    source = Source(path)
    try:
        lines = _Lines(source)
        counts = _header(lines)
        if source.plain_size is not None:
            # a digit, n words of a byte, blanks between and the end
            least = sum(count * (2 * n + 2) for n, count in enumerate(counts, 1))
            if least > source.plain_size:
                lines.bad(f"so many n-grams take {least:,} bytes, "
                          f"the file has {source.plain_size:,}")  # fmt: skip
        words = {word: number for number, word in enumerate(_FIRST)}
        levels: list[NgramLevel] = []
        for n, count in enumerate(counts, 1):
            levels.append(_section(lines, n, count, words, levels, last=n == len(counts)))
        if lines.filled() != b"\\end\\":
            lines.bad("wanted \\end\\")
    finally:
        source.close()
    names = _names(list(words), source.name)
    return names, NgramModel(len(names), 1, levels, np.full(1, -math.inf, np.float32), chained=True)


def _header(lines: _Lines) -> list[int]:
    """How many n-grams of each order there are said to be."""
    for _ in range(_MOST_BEFORE):
        line = lines.next()
        if line is None:
            lines.bad("the file ends before \\data\\: no ARPA file")
        if line == b"\\data\\":
            break
    else:
        lines.bad(f"no \\data\\ in {_MOST_BEFORE:,} lines: no ARPA file")
    counts: list[int] = []
    while True:
        line = lines.next()
        if not line:  # a blank line ends the list
            break
        found = _COUNT.fullmatch(line)
        if found is None:
            lines.bad(f"{_told(line)}, wanted ngram N=COUNT")
        if int(found[1]) != len(counts) + 1 or len(counts) == MOST_ORDER:
            lines.bad(
                f"order {int(found[1])}, wanted orders 1 to {MOST_ORDER}, one after the other"
            )
        counts.append(int(found[2]))
    if not counts:
        lines.bad("no counts of n-grams")
    return counts


def _told(line: bytes) -> str:
    return shown(line.decode(errors="replace"), 40)


def _section(
    lines: _Lines, n: int, count: int, words: dict[bytes, int], below: list[NgramLevel], *,
    last: bool,
) -> NgramLevel:  # fmt: skip
    """The n-grams of one order; those of order 1 are the words."""
    head = lines.filled()
    if head != b"\\%d-grams:" % n:
        lines.bad(f"{_told(head)}, wanted \\{n}-grams:")
    first = lines.number
    ids: list[int] = []
    logs: list[float] = []
    weights: list[float] = []
    where: list[int] = []
    for _ in range(count):
        line = lines.filled()
        fields = line.split()
        if line.startswith(b"\\") and len(fields) == 1:
            lines.bad(f"{len(logs):,} {n}-grams, the header says {count:,}")
        if not n + 1 <= len(fields) <= n + 1 + (not last):
            lines.bad(f"{len(fields)} fields, wanted a number, {n} words"
                      + ("" if last else " and perhaps a number"))  # fmt: skip
        logs.append(_number(fields[0], lines, probability=True))
        weights.append(_number(fields[n + 1], lines) if len(fields) > n + 1 else 0.0)
        where.append(lines.number)
        if n == 1:
            ids.append(words.setdefault(fields[1], len(words)))
            continue
        for word in fields[1 : n + 1]:
            number = words.get(word)
            if number is None:
                lines.bad(f"the word {_told(word)} is not among the 1-grams")
            ids.append(number)
    table = np.array(ids, np.int32).reshape(-1, n)
    level = _level(lines, table, np.array(where), logs, weights, len(words), below, last=last)
    if n == 1:
        for number in (BOS, EOS):
            if not (table == number).any():
                lines.number = first
                lines.bad(f"{SPECIAL[number]} is not among the 1-grams")
    return level


def _number(field: bytes, lines: _Lines, *, probability: bool = False) -> float:
    try:
        value = float(field)
    except ValueError:
        value = math.nan
    if value <= ZERO:
        return -math.inf
    if not value < (1e-3 if probability else -ZERO):
        wanted = "the log10 of a probability" if probability else "the log10 of a weight"
        lines.bad(f"{_told(field)}, wanted {wanted}")
    return value


def _level(
    lines: _Lines, table: I32, where: npt.NDArray[np.int64], logs: list[float],
    weights: list[float], n_words: int, below: list[NgramLevel], *, last: bool,
) -> NgramLevel:  # fmt: skip
    """Sorted, as the number of the first words among the order below and the last word."""
    n = table.shape[1]
    prefixes = np.zeros(len(table), np.int32)
    # what words there are is known since order 1, so keys have their final width
    bits = word_bits(n_words)
    for column, level in enumerate(below):
        prefixes = level.find(prefixes, np.ascontiguousarray(table[:, column]), bits)
    _refuse(lines, where, prefixes < 0, f"its first {n - 1} words are no {n - 1}-gram")
    if n > 1:
        inner = (table[:, 1:] == BOS).any(axis=1) | (table[:, :-1] == EOS).any(axis=1)
        _refuse(lines, where, inner, "<s> behind another word, or a word behind </s>")
    keys = prefixes.astype(np.uint64) << np.uint64(bits)
    keys |= table[:, n - 1].astype(np.uint64)
    order = np.argsort(keys, kind="stable")
    again = np.zeros(len(keys), bool)
    again[order[1:]] = keys[order[1:]] == keys[order[:-1]]
    _refuse(lines, where, again, f"the same {n}-gram a second time")
    own = np.array(logs, np.float32)[order]
    return NgramLevel(
        keys[order], None, None, own,
        np.empty(0, np.float32) if last else np.array(weights, np.float32)[order],
    )  # fmt: skip


def _refuse(
    lines: _Lines, where: npt.NDArray[np.int64], wrong: npt.NDArray[np.bool_], message: str
) -> None:
    if wrong.any():
        lines.number = int(where[np.argmax(wrong)])
        lines.bad(message)


def _names(words: Sequence[bytes], where: str) -> list[str]:
    try:
        return [word.decode() for word in words]
    except UnicodeDecodeError:
        raise DataError(f"{where}: a word is not UTF-8") from None


def arpa_words(words: Sequence[str], *, characters: bool) -> list[str]:
    """The words as such a file can hold them: a blank character becomes ``BLANK``.

    Raises UsageError where that is a character already.
    """
    if not characters or " " not in words:
        return list(words)
    if BLANK in words:
        raise UsageError(f"an ARPA file has no blanks for words, and {BLANK} is one already")
    return [BLANK if word == " " else word for word in words]


def write_arpa(model: NgramModel, words: Sequence[str], stream: BinaryIO) -> None:
    """Writes a chained model of no labels; other programs give its n-grams the same probabilities.

    Numbers have nine digits, so that float32 is read back as it was. A word that order 1 does not
    have is written with what it gets there. Raises UsageError for other models.
    """
    if not model.chained and model.order > 1:
        raise UsageError(
            "an ARPA file holds models that back off, and this one does not",
            hint="train-lm --smoothing kneser-ney",
        )
    if model.n_labels > 1:
        raise UsageError("an ARPA file holds one model, this is one for each label")
    known = (model.levels[0].keys & np.uint64((1 << model.bits) - 1)).astype(np.int64)
    missing = np.setdiff1d(np.arange(model.n_words), known)
    base = float(model.root_weight[0]) + (model.uniform if model.chained else 0.0)
    missing = missing if math.isfinite(base) else missing[missing <= EOS]
    sizes = [len(level.keys) for level in model.levels]
    sizes[0] += len(missing)
    head = "".join(f"ngram {n}={size}\n" for n, size in enumerate(sizes, 1))
    stream.write(f"\\data\\\n{head}".encode())
    for n in range(1, model.order + 1):
        stream.write(f"\n\\{n}-grams:\n".encode())
        if n == 1:
            for word in missing.tolist():
                value = float(np.float32(base)) if word != BOS else ZERO
                stream.write(f"{_digits(value)}\t{words[word]}\n".encode())
        for first in range(0, len(model.levels[n - 1].keys), _BLOCK):
            stream.write(_block(model, words, n, first).encode())
    stream.write(b"\n\\end\\\n")


def _block(model: NgramModel, words: Sequence[str], n: int, first: int) -> str:
    level = model.levels[n - 1]
    part = slice(first, first + _BLOCK)
    numbers = np.arange(len(level.keys))[part]
    columns: list[list[int]] = []
    for k in range(n, 0, -1):
        keys = model.levels[k - 1].keys[numbers]
        columns.append((keys & np.uint64((1 << model.bits) - 1)).astype(np.int64).tolist())
        numbers = (keys >> np.uint64(model.bits)).astype(np.int64)
    text = io.StringIO()
    logs = level.log_prob[part].tolist()
    weights = level.log_weight[part].tolist() if n < model.order else [0.0] * len(logs)
    for log, weight, *gram in zip(logs, weights, *reversed(columns), strict=True):
        named = " ".join([words[number] for number in gram])
        ending = f"\t{_digits(weight)}\n" if weight else "\n"
        text.write(f"{_digits(log)}\t{named}{ending}")
    return text.getvalue()


def _digits(value: float) -> str:
    return f"{value:.9g}" if value > ZERO else f"{ZERO:g}"
