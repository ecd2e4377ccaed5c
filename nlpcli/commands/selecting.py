"""predict --select: of all rows those to label next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nlpcli.errors import UsageError

if TYPE_CHECKING:
    from nlpcli.data.rows import RowBatch, RowStream

Select = Annotated[
    int | None, typer.Option(min=1, help="Only N rows: those to label next, best first.")
]


def batches_of(
    rows: RowStream, answers: Any, text: int, options: dict[str, Any]
) -> Iterator[RowBatch]:
    """The rows as they come, or with --select those chosen, after all are read.

    Raises UsageError for what does not go with it.
    """
    wanted = options["select"]
    if wanted is None:
        return rows.batches()
    if options["cascade"] is not None:
        raise UsageError("--select: not with --cascade, the small model is who learns")
    return iter([_selected(rows, answers, text, options["text_b_column"], wanted)])


def _selected(rows: RowStream, answers: Any, text: int, other: str | None, wanted: int) -> RowBatch:
    from nlpcli.data.pairs import texts_of
    from nlpcli.data.rows import RowBatch
    from nlpcli.evaluation.selection import select_rows

    second = None if other is None else rows.column(other)
    every: list[list[str]] = []
    lines: list[int] = []
    texts: list[str] = []
    doubts: list[float] = []
    for batch in rows.batches():
        here = texts_of(batch.rows, text, second)
        every += batch.rows
        lines += batch.lines
        texts += here
        doubts += answers.doubts(here).tolist()
    chosen = select_rows(doubts, texts, wanted).tolist()
    return RowBatch([every[i] for i in chosen], [lines[i] for i in chosen])
