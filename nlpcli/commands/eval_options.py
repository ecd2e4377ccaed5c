"""The options of eval that are its own, one Annotated type each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Test = Annotated[
    str | None,
    typer.Argument(
        help="Labelled rows; analogies or word pairs; texts, by the model; - for stdin."
    ),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model", "-m",
        help="A name, NAME@VERSION, a path with a /, or a fastText file; several are compared.",
    ),
]  # fmt: skip
PredictionFiles = Annotated[
    list[str] | None,
    typer.Option(
        "--predictions", help="In place of a model: rows with the truth and a prediction."
    ),
]
PredictedColumn = Annotated[
    str | None,
    typer.Option(help="Of --predictions [default: predicted_label, or what predict adds]."),
]
ProbabilityColumn = Annotated[
    str | None,
    typer.Option(help="Of the prediction [default: predicted_probability, if there]."),
]
RequireBetter = Annotated[
    bool,
    typer.Option("--require-better", help="Exit 1 unless the last model is better than the first."),
]
MeasureCost = Annotated[
    bool | None,
    typer.Option(
        "--measure-cost/--no-cost",
        help="Speed, memory and disk of models [default: where several are compared].",
    ),
]
Threshold = Annotated[
    float | None,
    typer.Option(help="Of several labels, or as predict has it for questions [default: tuned]."),
]
FailUnder = Annotated[
    list[str] | None,
    typer.Option(help="METRIC=X: exit 1 below X (the last model); may be repeated."),
]
VocabLimit = Annotated[
    int | None,
    typer.Option(min=1, help="Word vectors: only the first N words are known, and answer."),
]
Resamples = Annotated[int, typer.Option(min=10, max=100000, help="Of the bootstrap intervals.")]
Robustness = Annotated[
    bool, typer.Option("--robustness", help="Perturb the texts, and attack some of them.")
]
Strengths = Annotated[str, typer.Option(help="Robustness: shares of the words to change.")]
Perturbations = Annotated[
    str | None, typer.Option(help="Robustness: of what kinds, joined by commas [default: all].")
]
RobustnessRows = Annotated[int, typer.Option(min=1, help="Robustness: rows to perturb, at most.")]
AttackRows = Annotated[
    int, typer.Option(min=0, help="Robustness: rows to search the worst change for.")
]
AttackQueries = Annotated[
    int, typer.Option(min=10, help="Robustness: texts that an attack asks about, for each row.")
]
WriteAdversarial = Annotated[
    Path | None,
    typer.Option(help="Robustness: write changed texts that go wrong (CSV, to train on)."),
]
Slices = Annotated[
    bool, typer.Option("--slices", help="Where it fails: by length, by words and pairs of them.")
]
SliceBy = Annotated[
    list[str] | None, typer.Option(help="And by the values of this column; may be repeated.")
]
SliceRows = Annotated[int, typer.Option(min=2, help="Of a slice, at least.")]
Report = Annotated[
    Path | None, typer.Option(help="Write all of it, and the rows, as an HTML page.")
]
