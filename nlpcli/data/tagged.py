"""Sentences of words with a tag each, kept as labelled texts, so that they go the way of all rows.

The words of a sentence are one text, joined by a separator that no word has; its tags are a
tuple of labels. In files both are a CoNLL sentence, or two cells: lists as JSON, or joined by
blanks.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from nlpcli.data.conll import TAGS, TOKENS, split_blanks
from nlpcli.data.labelled import Labelled
from nlpcli.data.rows import Reject, RowFormat, RowStream, open_rows
from nlpcli.errors import DataError, UsageError, shown

SEPARATOR = "\x1f"
"""ASCII's unit separator, which an encoder's cleaning would drop from a word anyway."""
CONLL = "conll"


def joined_words(words: Sequence[str]) -> str:
    """The words as one text; a separator within is a blank."""
    return SEPARATOR.join(word.replace(SEPARATOR, " ") for word in words)


def parted_words(text: str) -> list[str]:
    """The words of such a text."""
    return text.split(SEPARATOR) if text else []


def words_of_cell(cell: str, *, lists: bool = True) -> tuple[list[str], bool]:
    """Words of a cell, and whether they were a list as JSON; else they are cut at blanks.

    ``lists``: whether they may be one. Raises ValueError for a list as Python shows it, or of
    anything but texts; ``[1]`` is a word as it stands, and so is a bracket before a blank.
    """
    found = _parsed(cell) if lists and cell[1:2].strip() else None
    if found is not None and not (len(found) == 1 and not isinstance(found[0], str)):
        return _texts(found), True
    _expect_no_python(cell, lists, "words")
    return split_blanks(cell), False


def tags_of_cell(cell: str, *, lists: bool = True) -> list[str]:
    """Tags of a cell, as ``words_of_cell``; in a list they may be whole numbers.

    Raises ValueError for other lists, also as numpy shows them.
    """
    found = _parsed(cell) if lists else None
    if found is not None:
        return _texts([str(tag) if type(tag) is int else tag for tag in found])
    _expect_no_python(cell, lists, "tags")
    tags = split_blanks(cell)
    in_brackets = lists and cell.startswith("[") and cell.rstrip().endswith("]")
    if in_brackets and (tags[0], tags[-1]) != ("[", "]"):  # brackets may be tags themselves
        raise ValueError(f"{shown(cell, 40)} is no list as JSON, nor tags joined by blanks")
    return tags


def _parsed(cell: str) -> list[object] | None:
    """The list that a cell is as JSON."""
    if not cell.startswith("["):
        return None
    try:
        found = json.loads(cell)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) else None


def _texts(found: list[object]) -> list[str]:
    """Raises ValueError for an element that is none."""
    texts = []
    for number, one in enumerate(found, 1):
        if not isinstance(one, str):
            raise ValueError(f"element {number} is {shown(json.dumps(one), 40)}, wanted text")
        texts.append(one)
    return texts


def _expect_no_python(cell: str, lists: bool, what: str) -> None:
    if lists and cell.startswith("['") and cell.rstrip().endswith("']"):
        raise ValueError(f"a list as Python shows it, wanted JSON or {what} joined by blanks")


def cell_of_words(words: Sequence[str], as_list: bool) -> str:
    """The inverse."""
    return json.dumps(list(words), ensure_ascii=False) if as_list else " ".join(words)


def tag_column(rows: RowStream, asked: str) -> int:
    """Position of the column of tags; of a CoNLL file it may be a number from 1.

    Raises DataError where it is not there.
    """
    if rows.format == CONLL and asked.isdecimal() and asked not in rows.header:
        number, width = int(asked), len(rows.header)
        if not 1 <= number <= width:
            raise DataError(f"{rows.name}: column {number}, there are {width}")
        return number - 1
    return rows.column(asked)


def token_column(rows: RowStream, asked: str | None) -> int:
    """Position of the column of words: the one asked for, else ``tokens``, else ``text``."""
    if asked is None:
        asked = TOKENS if TOKENS in rows.header or "text" not in rows.header else "text"
    return rows.column(asked)


def read_tagged(
    path: str,
    fmt: RowFormat,
    *,
    tokens: str | None = None,
    tags: str = TAGS,
    keep_blank: bool = False,
    other_columns: Sequence[str] = (),
    on_reject: Reject | None = None,
) -> Labelled:
    """Reads a whole file of tagged sentences; those without words are dropped and counted.

    Raises InputMissing; UsageError for one column as both; DataError for a bad row, also where
    words and tags differ in number (unless skipped), or when no row is left.
    """
    rows = open_rows(path, fmt, on_reject)
    at_words, at_tags = token_column(rows, tokens), tag_column(rows, tags)
    if at_words == at_tags:
        raise UsageError(f"{rows.name}: words and tags are the same column, {at_words + 1}")
    more = {name: rows.column(name) for name in other_columns}
    cells: dict[str, list[str]] = {name: [] for name in more}
    texts: list[str] = []
    labels: list[tuple[str, ...]] = []
    lines: list[int] = []
    n_rows = n_blank = skipped = 0
    names: dict[str, str] = {}
    for batch in rows.batches():
        for row, line in zip(batch.rows, batch.lines, strict=True):
            n_rows += 1
            try:
                words, found = words_and_tags(
                    row[at_words], row[at_tags], lists=rows.format != CONLL
                )
            except ValueError as error:
                if fmt.on_error != "skip":
                    raise DataError(
                        f"{rows.name} line {line}: {error}", hint="--on-error skip drops such rows"
                    ) from None
                skipped += 1
                if on_reject is not None:
                    on_reject(line, str(error), ",".join(row))
                continue
            text = joined_words(words)
            if not text and not keep_blank:
                n_blank += 1
                continue
            texts.append(text)
            # one empty word is, as a text, none, and so has no tag
            labels.append(tuple(names.setdefault(tag, tag) for tag in found if text))
            lines.append(line)
            for name, at in more.items():
                cells[name].append(row[at])
    if not texts:
        raise DataError(f"{rows.name}: no sentences with words and tags")
    return Labelled(
        texts, labels, None, lines, rows.sha256(), n_rows, n_blank, rows.skipped + skipped, 0,
        columns=cells,
    )  # fmt: skip


def words_and_tags(words: str, tags: str, *, lists: bool) -> tuple[list[str], list[str]]:
    """Words and as many tags. Raises ValueError with the reason."""
    tokens, labels = words_of_cell(words, lists=lists)[0], tags_of_cell(tags, lists=lists)
    if len(tokens) != len(labels):
        raise ValueError(f"{len(labels):,} tags, {len(tokens):,} tokens")
    if not all(label.strip() for label in labels):
        raise ValueError("a tag is blank")
    return tokens, labels
