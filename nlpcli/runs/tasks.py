"""Which task rows are for, where nobody says it."""

from __future__ import annotations

import os

from nlpcli.data.conll import TAGS, TOKENS
from nlpcli.data.questions import ANSWER
from nlpcli.data.rows import RowFormat, open_rows
from nlpcli.data.spanned import SPANS
from nlpcli.data.squad import ANSWERS, CONTEXT, QUESTION, SQUAD
from nlpcli.data.tagged import CONLL

OWN = {
    "span": ({TOKENS, "text"}, {SPANS}),
    "token": ({TOKENS}, {TAGS}),
    "qa": ({CONTEXT}, {ANSWER, ANSWERS}),
}
"""Columns that a task itself has, of what it reads and of what it learns."""


def guessed_task(path: str, fmt: RowFormat, text: str = "text", label: str = "label") -> str:
    """``token`` for a CoNLL file, and for columns tokens and tags; ``qa`` for SQuAD's JSON, and
    likewise for columns context and question; ``span`` for a column spans beside a text or tokens
    without a label. But ``sequence`` where there are the columns ``text`` and ``label`` as they
    were asked for, and they are not that task's own; and for the rest.

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
    task = _by_columns(set(rows.header))
    texts, labels = OWN.get(task, (set(), set()))
    if {text, label} <= set(rows.header) and not (text in texts and label in labels):
        return "sequence"
    return task


def _by_columns(there: set[str]) -> str:
    if {"text", "label"} <= there:
        return "sequence"
    if SPANS in there and there & {TOKENS, "text"} and "label" not in there:
        return "span"
    if {TOKENS, TAGS} <= there:
        return "token"
    return "qa" if {CONTEXT, QUESTION} <= there else "sequence"
