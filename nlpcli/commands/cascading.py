"""predict --cascade: its options, and the two models as one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nlpcli.commands.opening import for_encoders, open_classifier
from nlpcli.errors import DataError, UsageError, shown
from nlpcli.shell.console import Console, RejectFile

if TYPE_CHECKING:
    from nlpcli.runs.cascade import Cascade
    from nlpcli.runs.encoder_classifier import EncoderClassifier
    from nlpcli.store.classifier import Classifier

LOSS = 0.002
Small = Annotated[
    str | None, typer.Option("--cascade", help="A small model answers first, what it is sure of.")
]
Above = Annotated[
    float | None, typer.Option(min=0, max=1, help="From which of its probabilities on.")
]
Dev = Annotated[
    str | None, typer.Option(help="Or labelled rows to choose that on, in the same columns.")
]
Loss = Annotated[
    float, typer.Option(min=0, max=1, help="Accuracy that may be lost there, as a share.")
]
UNUSED = {"cascade_above": None, "cascade_dev": None, "cascade_loss": LOSS}
"""Options that mean nothing without --cascade, or without --cascade-dev."""


def check_cascading(options: dict[str, Any]) -> None:
    """Raises UsageError for options that do not go together."""
    small = options["cascade"]
    for name, value in UNUSED.items():
        needs = "--cascade" if name in ("cascade_above", "cascade_dev") else "--cascade-dev"
        there = options[needs[2:].replace("-", "_")] is not None
        if options[name] != value and not there:
            raise UsageError(f"--{name.replace('_', '-')} has no meaning without {needs}")
    if small is None:
        return
    if (options["cascade_above"] is None) == (options["cascade_dev"] is None):
        raise UsageError(
            f"--cascade {small}: from when on may it answer? Either --cascade-above or "
            "--cascade-dev",
            hint="--cascade-dev FILE of labelled rows",
        )
    for name, value in {"explain": 0, "abstain_error": None, "drift": None}.items():
        if options[name] != value:
            raise UsageError(f"--{name.replace('_', '-')}: not with --cascade")


def open_cascade(
    opened: Classifier, options: dict[str, Any], store: Path | None, console: Console
) -> Cascade:
    """The encoder with a small model in front of it. Raises UsageError, DataError, InputMissing."""
    from nlpcli.runs.cascade import Cascade, check_cascade

    asked = for_encoders(options)
    small = open_classifier(options["cascade"], store, console, **asked)
    check_cascade(small, opened, (options["cascade"], options["model"]))
    encoder: EncoderClassifier = opened  # type: ignore[assignment]  # as was just checked
    above = options["cascade_above"]
    if above is None:
        above = _chosen(small, encoder, options, console)
    return Cascade(small, encoder, above)


def _chosen(
    small: Classifier, encoder: EncoderClassifier, options: dict[str, Any], console: Console
) -> float:
    """The threshold by the dev rows; says what it brings there."""
    from nlpcli.data.labelled import read_labelled
    from nlpcli.data.rows import RowFormat
    from nlpcli.runs.cascade import Judged, threshold_on

    path, loss = options["cascade_dev"], options["cascade_loss"]
    if path == "-" and options["input"] == "-":
        raise UsageError("--cascade-dev -: INPUT is stdin already")
    # --format is of INPUT: of these rows only where their file's ending tells nothing
    fmt = RowFormat(
        otherwise=options["format"], header=options["header"], on_error=options["on_error"],
        max_field=options["max_field"] << 20, label_prefix=options["label_prefix"],
    )  # fmt: skip
    reject = RejectFile(None, console)
    rows = read_labelled(
        path, fmt, text_column=options["text_column"], text_b_column=options["text_b_column"],
        label_column=options["label_column"], keep_blank=True, on_reject=reject,
    )  # fmt: skip
    reject.close()
    labels = [names[0] for names in rows.labels]
    unknown = sorted(set(labels) - set(encoder.labels))
    if len(unknown) == len(set(labels)):
        raise DataError(f"{path}: no label that the models know")
    if unknown:
        some = ", ".join(map(shown, unknown[:5]))
        console.warn(f"{path}: labels that the models do not know: {some}")
    point = threshold_on(small, encoder, Judged(rows.texts, labels), loss)
    console.say(
        f"cascade, {len(labels):,} dev rows: {options['cascade']} answers "
        + (f"{point.share:.1%}, from {point.above!r} on" if point.share else "none")
        + f"; accuracy {point.small:.4f} alone, the encoder {point.large:.4f}, both "
        f"{point.together:.4f}"
    )
    if point.share:
        lost, most = (
            100 * max(share, 0.0) for share in (point.large - point.together, point.most_loss)
        )
        console.say(
            f"chosen on these rows, so on others it may lose more: here {lost:.2f} points, with "
            f"95 % confidence at most {most:.2f}; without these rows next time: --cascade-above "
            f"{point.above!r}"
        )
    return point.above
