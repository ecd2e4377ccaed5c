"""The options of eval that are its own, one Annotated type each."""

from __future__ import annotations

from typing import Annotated

import typer

Test = Annotated[
    str,
    typer.Argument(
        help="Labelled rows; analogies or word pairs; texts, by the model; - for stdin."
    ),
]
Threshold = Annotated[
    float | None, typer.Option(min=0, max=1, help="Multi-label [default: the tuned one].")
]
FailUnder = Annotated[
    list[str] | None, typer.Option(help="METRIC=X: exit 1 below X; may be repeated.")
]
VocabLimit = Annotated[
    int | None,
    typer.Option(min=1, help="Word vectors: only the first N words are known, and answer."),
]
Resamples = Annotated[int, typer.Option(min=10, max=100000, help="Of the bootstrap intervals.")]
