"""Which task rows are for, where nobody says it."""

from __future__ import annotations

import os

from nlpcli.data.conll import TAGS, TOKENS
from nlpcli.data.rows import RowFormat, open_rows
from nlpcli.data.spanned import SPANS
from nlpcli.data.squad import CONTEXT, QUESTION, SQUAD
from nlpcli.data.tagged import CONLL


def guessed_task(path: str, fmt: RowFormat) -> str:
    """``token`` for a CoNLL file, and for columns tokens and tags where there is no text with a
    label; ``qa`` for SQuAD's JSON, and likewise for columns context and question; ``span`` for a
    column spans beside a text or tokens without a label; else ``sequence``.

    Only a regular file is looked into: what comes through a pipe can be read once. Raises
    InputMissing, DataError.
    """
    if fmt.for_path(path) == CONLL:
        return "token"
    if fmt.for_path(path) == SQUAD:
        return "qa"
    if not os.path.isfile(path) or not fmt.header:
        return "sequence"
    rows = open_rows(path, fmt)
    rows.close()
    there = set(rows.header)
    if {"text", "label"} <= there:
        return "sequence"
    if SPANS in there and there & {TOKENS, "text"} and "label" not in there:
        return "span"
    if {TOKENS, TAGS} <= there:
        return "token"
    return "qa" if {CONTEXT, QUESTION} <= there else "sequence"
