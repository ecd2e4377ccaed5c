"""What eval says of a model or of a file of predictions, whatever answers it gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nlpcli.commands.eval_tables import slices_table

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from nlpcli.data.rows import RowFormat
    from nlpcli.runs.comparing import Answered
    from nlpcli.runs.judging import Judged
    from nlpcli.runs.shown_rows import Shown

Options = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """``seconds`` that all rows took; how to ask for one, by its number; and how a fresh
    ``predict`` is asked: the names of columns, the cells of a row, and options. ``rows``: how many
    there are."""

    seconds: float
    one: Callable[[int], object]
    header: list[str]
    cells: Callable[[int], list[str]]
    arguments: list[str]
    rows: int


@dataclass(frozen=True)
class Measured:
    """What eval says of a model: the ``document`` of --json, and the ``table`` for people.

    Of a classifier also the ``rows`` of the test and their ``probabilities`` [B, K]; of a file the
    ``confidence`` [B] in its labels, NaN where there is none; of what can be compared how it is
    asked, and its answers; ``shown``: makes the rows for the page, where these
    are no labels. ``told``: of test rows that were too long.
    """

    document: dict[str, Any]
    table: str
    rows: Any = None
    probabilities: npt.NDArray[np.float64] | None = None
    asked: Asked | None = None
    answered: Answered | None = None
    shown: Callable[[], Shown] | None = None
    told: tuple[str, ...] = ()
    confidence: npt.NDArray[np.float64] | None = None


@dataclass(frozen=True)
class PlainRows:
    """Texts of rows, and the lines where they stood."""

    texts: list[str]
    lines: list[int]


def row_format(options: Options, **more: Any) -> RowFormat:
    """How the input's rows are read."""
    from nlpcli.data.rows import RowFormat

    return RowFormat(
        format=options["format"], header=options["header"], on_error=options["on_error"],
        max_field=options["max_field"] << 20, **more,
    )  # fmt: skip


def drawing(options: Options) -> dict[str, Any]:
    """Of intervals."""
    return {name: options[name] for name in ("resamples", "seed")}


def judged(
    found: Judged, table: Callable[[dict[str, Any]], str], rows: Any, options: Options, **more: Any
) -> Measured:
    """What eval says of answers that are no labels of texts; ``more`` of a ``Measured``. With
    --slices also where they are wrong."""
    document, text = dict(found.document), table(found.document)
    if (options["slices"] or options["slice_by"]) and found.right is not None:
        columns = found.columns if rows is None else rows.columns
        texts = found.shown().texts
        document["slices"] = sliced_by(found.right, texts, columns, found.right_by, options)
        text += slices_table(document["slices"])
    return Measured(document, text, rows, answered=found.answered, shown=found.shown, **more)


def sliced_by(
    right: Any, texts: Sequence[str], columns: dict[str, list[str]], metric: str, options: Options
) -> dict[str, Any]:
    """The ``slices`` part of the document. ``right``: bool [B], by the ``metric``."""
    from nlpcli.evaluation.slices import slice_document

    found = slice_document(right, texts, columns, min_rows=options["slice_rows"])
    return {**found, "metric": metric}
