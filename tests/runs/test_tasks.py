"""Which task rows are taken to be for."""

from __future__ import annotations

from pathlib import Path

import pytest

from nlpcli.data.rows import RowFormat
from nlpcli.runs.tasks import guessed_task


@pytest.mark.parametrize(
    ("header", "typed", "task"),
    [
        ("text,label,tokens,tags", [], "sequence"),
        ("tokens,tags", [], "token"),
        ("tokens,tags,label", [], "token"),
        ("tokens,tags,label", ["tokens"], "sequence"),
        ("tokens,tags,pos", ["text", "pos"], "token"),
        ("tokens,tags,label", ["tokens", "tags"], "token"),
        ("context,question,answer", [], "qa"),
        ("context,question,label", ["question"], "sequence"),
        ("context,question,answers,label", ["context", "answers"], "qa"),
        ("context,question,answer", ["question", "answer"], "sequence"),
        ("text,spans", ["text", "spans"], "span"),
        ("text,spans,topic", [], "span"),
        ("text,spans,topic", ["text", "topic"], "sequence"),
        ("other,columns", [], "sequence"),
    ],
)
def test_columns_that_are_asked_for_count(
    tmp_path: Path, header: str, typed: list[str], task: str
) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text(header + "\n")
    assert guessed_task(str(rows), RowFormat(), *typed) == task
