"""Texts with spans marked in them, and relations between spans, kept as labelled texts.

A row is a text, whose spans are counted in code points, or words, whose spans are counted in words;
ends are exclusive, and spans may lie within one another. In files: a column ``text`` or ``tokens``
and a column ``spans``, a list of objects ``start``, ``end``, ``label`` as JSON; ``relations``,
where there are any: objects ``head``, ``tail`` (numbers of spans from 0), ``label``. Or words and
tags as ``data/tagged.py`` reads them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nlpcli.data.conll import TAGS, TOKENS
from nlpcli.data.labelled import Labelled
from nlpcli.data.rows import Reject, RowFormat, RowStream, open_rows
from nlpcli.data.split import holdout, with_carriers
from nlpcli.data.tagged import (
    CONLL,
    joined_words,
    tag_column,
    token_column,
    words_and_tags,
    words_of_cell,
)
from nlpcli.errors import DataError, UsageError, shown
from nlpcli.text.tag_schemes import entities

SPANS, RELATIONS = "spans", "relations"

Span = tuple[int, int, str]
"""Where it begins, what is behind it, its label."""
Relation = tuple[int, int, str]
"""Numbers of two spans of a row, head and tail, and a label."""


@dataclass(frozen=True)
class Spanned(Labelled):
    """Rows with ``spans`` and ``relations``; ``words`` of a row, None where it is a text.

    ``labels``: those of its spans in their order. ``has_relations``: whether there is a column.
    """

    words: list[list[str] | None] = field(default_factory=list)
    spans: list[list[Span]] = field(default_factory=list)
    relations: list[list[Relation]] = field(default_factory=list)
    has_relations: bool = False


@dataclass(frozen=True)
class MarkedRow:
    """``words`` None where ``text`` is no list of them; spans and relations as of ``Spanned``."""

    words: list[str] | None
    text: str
    spans: list[Span]
    relations: list[Relation]


@dataclass(frozen=True)
class _Columns:
    """Where things are; ``are_words``: the cell holds words, list or not."""

    text: int
    marks: int
    relations: int | None
    are_tags: bool
    are_words: bool
    lists: bool


def words_of_row(cell: str, *, are_words: bool, lists: bool = True) -> list[str] | None:
    """The words of a cell, None where it is a text. Raises ValueError as ``words_of_cell``."""
    if not are_words and not cell.startswith(('["', "[]")):
        return None
    try:
        words, is_list = words_of_cell(cell, lists=lists)
    except ValueError:
        if are_words:
            raise
        return None
    return words if is_list or are_words else None


def read_spanned(
    path: str, fmt: RowFormat, *, text: str | None = None, marks: str | None = None,
    labelled: bool = True, other_columns: Sequence[str] = (), on_reject: Reject | None = None,
) -> Spanned:  # fmt: skip
    """Reads a whole file; blank rows without spans are dropped and counted.

    ``text``: the column of words or texts, else ``tokens`` or ``text``; ``marks``: that of spans,
    else ``spans`` or ``tags``; one whose name ends in tags holds tags. ``labelled``: whether spans
    need a label. Raises InputMissing; UsageError for one column as both; DataError for a bad row
    (unless skipped), or when no row is left.
    """
    rows = open_rows(path, fmt, on_reject)
    at = _columns(rows, text, marks)
    more = {name: rows.column(name) for name in other_columns}
    cells: dict[str, list[str]] = {name: [] for name in more}
    kept: list[MarkedRow] = []
    lines: list[int] = []
    n_rows = n_blank = skipped = 0
    for batch in rows.batches():
        for row, line in zip(batch.rows, batch.lines, strict=True):
            n_rows += 1
            try:
                found = _row(row, at, labelled)
            except ValueError as error:
                if fmt.on_error != "skip":
                    raise DataError(
                        f"{rows.name} line {line}: {error}", hint="--on-error skip drops such rows"
                    ) from None
                skipped += 1
                if on_reject is not None:
                    on_reject(line, str(error), ",".join(row))
                continue
            if not found.text.strip():
                n_blank += 1
                continue
            kept.append(found)
            lines.append(line)
            for name, place in more.items():
                cells[name].append(row[place])
    if not kept:
        raise DataError(f"{rows.name}: no rows with a text and its spans")
    return Spanned(
        [row.text for row in kept], [tuple(label for *_, label in row.spans) for row in kept],
        None, lines, rows.sha256(), n_rows, n_blank, rows.skipped + skipped, 0, columns=cells,
        words=[row.words for row in kept], spans=[row.spans for row in kept],
        relations=[row.relations for row in kept], has_relations=at.relations is not None,
    )  # fmt: skip


def _columns(rows: RowStream, text: str | None, marks: str | None) -> _Columns:
    if marks is None:
        marks = TAGS if rows.format == CONLL or _only_tags(rows.header) else SPANS
    are_tags = rows.format == CONLL or marks.endswith(TAGS)
    at_text = token_column(rows, text)
    at_marks = tag_column(rows, marks) if are_tags else rows.column(marks)
    if at_text == at_marks:
        raise UsageError(f"{rows.name}: words and spans are the same column, {at_text + 1}")
    related = not are_tags and RELATIONS in rows.header
    return _Columns(
        at_text, at_marks, rows.column(RELATIONS) if related else None, are_tags,
        are_tags or rows.header[at_text] == TOKENS, rows.format != CONLL,
    )  # fmt: skip


def row_reader(
    rows: RowStream, text: str | None, marks: str | None
) -> Callable[[list[str]], MarkedRow]:
    """What reads a row, whose spans need no label; it raises ValueError with the reason why a row
    is bad. Columns as of ``read_spanned``. Raises UsageError, DataError."""
    at = _columns(rows, text, marks)
    return lambda row: _row(row, at, labelled=False)


def _only_tags(header: list[str]) -> bool:
    return TAGS in header and SPANS not in header


def _row(row: list[str], at: _Columns, labelled: bool) -> MarkedRow:
    """Raises ValueError with the reason why a row is bad."""
    if at.are_tags:
        words, tags = words_and_tags(row[at.text], row[at.marks], lists=at.lists)
        return MarkedRow(words, joined_words(words), list(entities(tags)), [])
    cell = row[at.text]
    found = words_of_row(cell, are_words=at.are_words)
    spans = parse_spans(
        row[at.marks], len(cell) if found is None else len(found),
        "characters" if found is None else "words", labelled=labelled,
    )  # fmt: skip
    relations: list[Relation] = []
    if at.relations is not None:
        relations = parse_relations(row[at.relations], len(spans))
    return MarkedRow(found, cell if found is None else joined_words(found), spans, relations)


def parse_spans(cell: str, length: int, unit: str, *, labelled: bool = True) -> list[Span]:
    """Spans of a cell; other keys than theirs are left alone. ``unit``: what ``length`` counts.

    Raises ValueError with the reason, which names the span by its number from 0.
    """
    found: list[Span] = []
    for number, item in enumerate(_objects(cell, SPANS)):
        start, end = (_number(item, name, f"span {number}") for name in ("start", "end"))
        if start >= end:
            raise ValueError(f"span {number}: start {start}, end {end}, wanted start below end")
        if not 0 <= start < end <= length:
            raise ValueError(f"span {number}: {start} to {end}, there are {length:,} {unit}")
        found.append((start, end, _label(item, f"span {number}", labelled)))
    return found


def parse_relations(cell: str, n_spans: int) -> list[Relation]:
    """Relations of a cell, as ``parse_spans``."""
    found: list[Relation] = []
    for number, item in enumerate(_objects(cell, RELATIONS)):
        where = f"relation {number}"
        head, tail = (_number(item, name, where) for name in ("head", "tail"))
        for name, span in (("head", head), ("tail", tail)):
            if not 0 <= span < n_spans:
                raise ValueError(f"{where}: {name} {span}, there are {n_spans:,} spans, from 0")
        if head == tail:
            raise ValueError(f"{where}: head and tail are both span {head}")
        found.append((head, tail, _label(item, where, True)))
    return found


def _objects(cell: str, name: str) -> list[dict[str, Any]]:
    if not cell.strip():
        return []
    try:
        found = json.loads(cell)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise ValueError(f"{name}: wanted a list of objects as JSON, seen {shown(cell, 40)}")
    return found


def _number(item: dict[str, Any], name: str, where: str) -> int:
    value = item.get(name)
    if type(value) is not int:
        seen = "nothing" if name not in item else shown(json.dumps(value), 40)
        raise ValueError(f"{where}: {name}: wanted a whole number, seen {seen}")
    return value


def _label(item: dict[str, Any], where: str, needed: bool) -> str:
    label = item.get("label", "")
    if not isinstance(label, str) or (needed and not label.strip()):
        seen = shown(json.dumps(label), 40) if label != "" else "nothing"
        raise ValueError(f"{where}: label: wanted a text, seen {seen}")
    return label


def cell_of_objects(objects: Sequence[dict[str, Any]]) -> str:
    """A list as JSON: what a cell holds."""
    return json.dumps(list(objects), ensure_ascii=False)


def divided(rows: Spanned, fraction: float, seed: int) -> tuple[Spanned, Spanned | None]:
    """Rows to learn, and rows set apart, None when they are too few; by the first span's label.

    All labels of spans and of relations are among the rows to learn.
    """
    carried = [
        {*labels, *(("relation", name) for *_, name in related)}
        for labels, related in zip(rows.labels, rows.relations, strict=True)
    ]
    kept, held = with_carriers(*holdout(rows.labels, fraction, seed), carried)
    if not len(held):
        return rows, None
    return chosen(rows, kept.tolist()), chosen(rows, held.tolist())


def chosen(rows: Spanned, at: list[int]) -> Spanned:
    """Some of the rows."""
    return replace(
        rows,
        texts=[rows.texts[i] for i in at],
        labels=[rows.labels[i] for i in at],
        lines=[rows.lines[i] for i in at],
        words=[rows.words[i] for i in at],
        spans=[rows.spans[i] for i in at],
        relations=[rows.relations[i] for i in at],
    )
