"""eval --robustness: what perturbed texts do to a classifier."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from nlpcli.commands.eval_measured import Measured, Options
from nlpcli.errors import UsageError, nearest, shown
from nlpcli.shell.console import Console

if TYPE_CHECKING:
    from nlpcli.runs.robustness import Robustness

STRENGTHS = "0.05,0.1,0.2,0.4"
ONLY_WITH_IT: Options = {
    "strengths": STRENGTHS, "perturbations": None, "robustness_rows": 5000, "attack_rows": 200,
    "attack_queries": 200, "write_adversarial": None,
}  # fmt: skip
"""Options that mean nothing without --robustness, as they are where they are not given."""
_WORDS_SHOWN = 12


def asked_robustness(options: Options) -> Robustness | None:
    """What the options ask for; None without --robustness. Raises UsageError for what is no kind
    or strength, and for an option that then means nothing."""
    if not options["robustness"]:
        for name, value in ONLY_WITH_IT.items():
            if options[name] != value:
                flag = name.replace("_", "-")
                raise UsageError(f"--{flag} {options[name]}: only with --robustness")
        return None
    from nlpcli.runs.robustness import Robustness

    return Robustness(
        kinds=_kinds(options["perturbations"]),
        strengths=_strengths(options["strengths"]),
        rows=options["robustness_rows"],
        attack_rows=options["attack_rows"],
        attack_queries=options["attack_queries"],
    )


def _kinds(text: str | None) -> tuple[str, ...]:
    from nlpcli.text.perturbations import KINDS

    if text is None:
        return tuple(KINDS)
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in KINDS:
            near = nearest(name, list(KINDS))
            raise UsageError(
                f"--perturbations {shown(name)}: wanted some of {', '.join(KINDS)}",
                hint=f"--perturbations {near}" if near else None,
            )
    return tuple(kind for kind in KINDS if kind in names)


def _strengths(text: str) -> tuple[float, ...]:
    found = set()
    for part in text.split(","):
        try:
            strength = float(part)
        except ValueError:
            strength = -1.0
        if not 0 < strength <= 1:
            raise UsageError(
                f"--strengths {shown(part)}: wanted shares of the words, above 0 and at most 1, "
                "joined by commas"
            )
        found.add(strength)
    return tuple(sorted(found))


@contextlib.contextmanager
def output_file(path: Path | None) -> Iterator[BinaryIO | None]:
    """What is written besides the table, made before any work; None without a path. Raises
    CannotCreate, OutputFailed."""
    if path is None:
        yield None
        return
    from nlpcli.store.atomic import AtomicFile

    with AtomicFile(path) as stream:
        yield stream


def with_robustness(
    classifier: Any,
    found: Measured,
    asked: Robustness,
    options: Options,
    stream: BinaryIO | None,
    console: Console,
) -> Measured:
    """What eval says, and what it says of perturbed texts; writes those that go wrong."""
    from nlpcli.runs.robustness import measure_robustness, write_adversarial

    assert found.rows is not None and found.probabilities is not None
    with console:
        measured = measure_robustness(
            classifier, found.rows.texts, found.rows.labels, found.probabilities, asked,
            threshold=options["threshold"], resamples=options["resamples"], seed=options["seed"],
            tell=console.progress,
        )  # fmt: skip
    if stream is not None:
        separator = options["label_separator"] or classifier.separator
        count = write_adversarial(stream, measured, _columns(options), separator)
        console.detail(f"{options['write_adversarial']}: {count:,} changed texts that go wrong")
    document = {**found.document, **measured.document}
    return replace(found, document=document, table=found.table + _table(measured.document))


def _columns(options: Options) -> list[str]:
    """Names of the columns of texts and label: those of the test file, where these can be."""
    pair = options["text_b_column"] is not None
    plain = ["text_a", "text_b", "label"] if pair else ["text", "label"]
    of_test = ["text_column", *["text_b_column"] * pair, "label_column"]
    given = [options[name] for name in of_test]
    taken = {*given, "original", "original_b", "kind"}
    return given if options["header"] and len(taken) == len(given) + 3 else plain


def _table(document: dict[str, Any]) -> str:
    """Curves, attack and fragile words for people."""
    run, curves = document["robustness_run"], document["robustness"]
    strengths = [f"{share:g}" for share in run["strengths"]]
    lines = ["", f"robustness: an edit in a share of the words of {run['rows']:,} rows"]
    if curves:
        name = next(
            n for n in ("accuracy", "subset_accuracy") if n in next(iter(curves.values()))[0]
        )
        heads = "".join(f"{share:>14}" for share in ("0", *strengths))
        lines += ["", f"{name:<16}{heads}  words changed"]
        for kind, points in curves.items():
            cells = "".join(_point(point[name]) for point in points)
            lines.append(f"{kind:<16}{cells}{points[-1]['words_changed']:15.3f}")
        lines += ["", _line("perturbed_accuracy", document["perturbed_accuracy"])]
    if run["without_effect"]:
        lines.append(f"nothing to change here for: {', '.join(run['without_effect'])}")
    if "attack" in document:
        lines += ["", *_attack_lines(document["attack"])]
    words = [
        f"{shown(w['word'], 30)} ({w['flips']} of {w['tried']}"
        + (f", {w['attacks']} attacks)" if w["attacks"] else ")")
        for w in document["fragile_words"][:_WORDS_SHOWN]
    ]
    if words:
        lines += ["", "rows whose answer flipped when only this word was changed, of so many:"]
        lines += [f"  {word}" for word in words]
    return "\n".join(lines) + "\n"


def _point(metric: dict[str, float | None]) -> str:
    value, low, high = metric["value"], metric["low"], metric["high"]
    if value is None:
        return f"{'undefined':>14}"
    if low is None or high is None:
        return f"{value:>14.3f}"
    return f"{f'{value:.3f} ±{(high - low) / 2:.3f}':>14}"


def _line(name: str, metric: dict[str, float | None]) -> str:
    return f"{name:<22}{_point(metric)}"


def _attack_lines(attack: dict[str, Any]) -> list[str]:
    lines = [
        f"attack on {attack['rows']:,} rows, at most {attack['most_queries']:,} questions each:",
        _line("  accuracy", attack["accuracy"]),
        _line("  under attack", attack["accuracy_under_attack"]),
    ]
    if attack["queries"] is not None:
        lines.append(f"{'  questions a row':<22}{attack['queries']:>14.1f}")
    if attack["words_changed"] is not None:
        share = f"  ({attack['share_changed']:.0%} of the words)"
        lines.append(f"{'  words to flip it':<22}{attack['words_changed']:>14.1f}{share}")
    return lines
