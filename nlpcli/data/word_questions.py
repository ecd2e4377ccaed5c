"""Files that word vectors are measured by: analogies, and pairs of words with a score."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from nlpcli.data.rows import RowFormat, open_rows
from nlpcli.errors import DataError, shown

Reject = Callable[[int, str, str], None]
_COMMENT = "#"


@dataclass(frozen=True)
class Analogies:
    """``a b c d``: d is to c as b is to a; by section, in the order of the file."""

    sections: dict[str, list[tuple[str, str, str, str]]]


@dataclass(frozen=True)
class WordPairs:
    """Two words and how alike people find them."""

    pairs: list[tuple[str, str]] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)


def read_word_questions(
    path: str, *, on_error: str = "fail", max_field: int = 64 << 20, on_reject: Reject | None = None
) -> Analogies | WordPairs:
    """Analogies where the first line names a section (``: capitals``), else pairs.

    Analogies are four words a line, as in questions-words.txt of word2vec. A pair's line has two
    words, then columns by tabs, else commas, else blanks; the score is the first that is a number,
    as in WordSim-353, MEN, Rare Words and SimLex-999. A first line without one is a header. Blank
    lines and those that begin with # are passed over. Raises InputMissing, DataError.
    """
    rows = open_rows(
        path, RowFormat(format="text", on_error=on_error, max_field=max_field), on_reject
    )
    lines = (
        (number, row[0].strip())
        for batch in rows.batches()
        for number, row in zip(batch.lines, batch.rows, strict=True)
    )
    told = _Faults(rows.name, on_error, on_reject)
    filled = ((n, line) for n, line in lines if line and not line.startswith(_COMMENT))
    first = next(filled, None)
    if first is None:
        raise DataError(f"{rows.name}: no lines")
    found: Analogies | WordPairs
    if first[1].startswith(":"):
        found = _analogies(first, filled, told)
        n_found = sum(map(len, found.sections.values()))
    else:
        found = _pairs(first, filled, told)
        n_found = len(found.pairs)
    if not n_found:
        raise DataError(f"{rows.name}: no analogies and no pairs of words")
    return found


class _Faults:
    """What a bad line does."""

    def __init__(self, name: str, on_error: str, on_reject: Reject | None) -> None:
        self._name, self._skips, self._on_reject = name, on_error == "skip", on_reject

    def __call__(self, number: int, reason: str, line: str) -> None:
        """Raises DataError, unless bad lines are skipped."""
        if not self._skips:
            raise DataError(
                f"{self._name} line {number:,}: {reason}", hint="--on-error skip drops such rows"
            )
        if self._on_reject is not None:
            self._on_reject(number, reason, line)


def _analogies(
    first: tuple[int, str], rest: Iterator[tuple[int, str]], fault: _Faults
) -> Analogies:
    questions: list[tuple[str, str, str, str]] = []
    sections = {_section(first[1]): questions}
    for number, line in rest:
        words = line.split()
        if line.startswith(":"):
            questions = sections.setdefault(_section(line), [])
        elif len(words) != 4:
            fault(number, f"{len(words):,} words, wanted four", line)
        else:
            questions.append((words[0], words[1], words[2], words[3]))
    return Analogies(sections)


def _section(line: str) -> str:
    return line.lstrip(": ").strip()


def _pairs(first: tuple[int, str], rest: Iterator[tuple[int, str]], fault: _Faults) -> WordPairs:
    found = WordPairs()
    fields = _fields(first[1])
    # the words of a pair may be numbers, those of a header are not
    if _score(fields) is not None or len(fields) < 3:
        _add(found, *first, fault)
    for number, line in rest:
        _add(found, number, line, fault)
    return found


def _add(found: WordPairs, number: int, line: str, fault: _Faults) -> None:
    fields = _fields(line)
    score = _score(fields)
    if len(fields) < 3 or not (fields[0] and fields[1]):
        fault(number, f"{len(fields):,} columns, wanted two words and a score", line)
    elif score is None:
        fault(number, f"no score after {shown(fields[0])} and {shown(fields[1])}", line)
    else:
        found.pairs.append((fields[0], fields[1]))
        found.scores.append(score)


def _fields(line: str) -> list[str]:
    separator = next((mark for mark in ("\t", ",") if mark in line), None)
    return [part.strip() for part in line.split(separator)]


def _score(fields: list[str]) -> float | None:
    """The first column after the words that is a finite number."""
    for text in fields[2:]:
        try:
            value = float(text)
        except ValueError:
            continue
        if math.isfinite(value):
            return value
    return None
