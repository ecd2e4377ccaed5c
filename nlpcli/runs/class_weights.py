"""--class-weight: ``balanced`` or a CSV file of label,weight."""

from __future__ import annotations

import math

from nlpcli.errors import DataError, nearest, shown


def read_class_weights(given: str | None, names: list[str]) -> dict[int, float] | None:
    """Weight by label position; an empty dict means balanced; labels not named weigh 1.

    Raises DataError for a label that the training rows lack or a weight that is no number >= 0.
    """
    if given is None:
        return None
    if given == "balanced":
        return {}
    from nlpcli.data.rows import RowFormat, open_rows

    rows = open_rows(given, RowFormat(format="csv"))
    label, weight = rows.column("label"), rows.column("weight")
    position = {name: i for i, name in enumerate(names)}
    found: dict[int, float] = {}
    for batch in rows.batches():
        for row, line in zip(batch.rows, batch.lines, strict=True):
            if row[label] not in position:
                near = nearest(row[label], names)
                raise DataError(
                    f"{given} line {line}: no training row has the label {shown(row[label])}",
                    hint=f"did you mean {near}?" if near else None,
                )
            found[position[row[label]]] = _number(row[weight], f"{given} line {line}")
    return found


def _number(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise DataError(f"{where}: weight {shown(text)}, wanted a number of 0 or more")
    return value
