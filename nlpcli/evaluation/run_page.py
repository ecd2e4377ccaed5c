"""A page of curves of a pre-training run: one HTML file, which asks for nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import accumulate
from typing import Any

from nlpcli.errors import DataError, shown

TEMPLATE = "run_page.html"
OBJECTIVES = {"mlm": "masked pieces", "nsp": "next sentence", "sbo": "span borders"}
MOST_POINTS = 1500
"""Of a curve; lines with a note or with figures of rows kept apart all stay."""
MOST_LINES = 1_000_000
SMOOTHED = 40
"""Parts of a run that the thick curve is a mean over."""


@dataclass(frozen=True)
class Line:
    """A line of a log; values that are not finite are None, as a step that went wrong has."""

    step: int
    tokens: int
    seconds: float
    lr: float
    norm: float | None
    losses: dict[str, float | None]
    held_out: dict[str, float | None] = field(default_factory=dict)
    note: str | None = None


def read_log(data: bytes, where: str) -> list[Line]:
    """The lines of a log, a JSON object each. Raises DataError for the first that is none.

    Steps rise; tokens and seconds do not fall. Keys that are not known are left out.
    """
    try:
        texts = data.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: byte {error.start + 1}: not UTF-8") from None
    if len(texts) > MOST_LINES:
        raise DataError(f"{where}: {len(texts):,} lines, wanted at most {MOST_LINES:,}")
    found: list[Line] = []
    for number, text in enumerate(texts, 1):
        if not text.strip():
            continue
        at = f"{where} line {number}"
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):
            raise DataError(f"{at}: not JSON: {shown(text, 60)}") from None
        if not isinstance(values, dict):
            raise DataError(f"{at}: {shown(text, 60)}, wanted an object")
        found.append(_line(values, at))
        if len(found) > 1:
            _check_order(found[-2], found[-1], at)
    if not found:
        raise DataError(f"{where}: no line, wanted one for a step at least")
    return found


def _line(values: dict[str, Any], at: str) -> Line:
    held_out = values.get("held_out", {})
    note = values.get("note")
    if not isinstance(held_out, dict):
        raise DataError(f"{at}: held_out: {shown(str(held_out), 40)}, wanted an object")
    if note is not None and not isinstance(note, str):
        raise DataError(f"{at}: note: {shown(str(note), 40)}, wanted a text")
    for key in ("step", "tokens"):
        value = values.get(key)
        if type(value) is not int or not 0 <= value < 2**53:
            raise DataError(f"{at}: {key}: {shown(str(value), 40)}, wanted a whole number")
    seconds, lr = (_number(values.get(key), key, at) for key in ("seconds", "lr"))
    if seconds is None or lr is None or min(seconds, lr) < 0:
        raise DataError(f"{at}: seconds and lr: wanted numbers from 0")
    return Line(
        values["step"],
        values["tokens"],
        seconds,
        lr,
        _number(values.get("norm"), "norm", at),
        {key: _number(values[key], key, at) for key in OBJECTIVES if key in values},
        {key: _number(value, f"held_out.{shown(key, 40)}", at) for key, value in held_out.items()},
        note,
    )


def _number(value: Any, key: str, at: str) -> float | None:
    """None for null and for what is not finite."""
    if value is None:
        return None
    if type(value) not in (int, float):
        raise DataError(f"{at}: {key}: {shown(str(value), 40)}, wanted a number")
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _check_order(before: Line, line: Line, at: str) -> None:
    if line.step <= before.step:
        raise DataError(f"{at}: step {line.step:,} behind step {before.step:,}, wanted a later one")
    if line.tokens < before.tokens or line.seconds < before.seconds:
        raise DataError(f"{at}: fewer tokens or seconds than in the line before")


def run_page(
    log: Sequence[Line], title: str, config: Mapping[str, Any], metrics: Mapping[str, Any]
) -> str:
    """The page, as HTML; texts are escaped, nothing is loaded from anywhere.

    ``config``: how the model was made, nested at will; ``metrics``: of the finished model.
    """
    from jinja2 import Environment, StrictUndefined

    source = files("nlpcli.evaluation").joinpath(TEMPLATE).read_text(encoding="utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    last = log[-1]
    names = list(dict.fromkeys(name for line in log for name in line.held_out))
    return environment.from_string(source).render(
        title=title,
        last=last,
        minutes=last.seconds / 60,
        rate=last.tokens / last.seconds if last.seconds else 0.0,
        names=names,
        looked=[line for line in log if line.held_out],
        notes=[line for line in log if line.note],
        config=flat(config),
        metrics=flat(metrics),
        data=_data(log),
    )


def flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Names with dots, and values as texts; what was not given is left out. Texts are cut."""
    found: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            found += flat(value, f"{prefix}{name}.")
        elif value is not None:
            found.append((prefix + name, shown(str(value), 200)))
    return found


def _data(log: Sequence[Line]) -> dict[str, Any]:
    """Curves as lists of points [number of the line, value], of lines that were kept."""
    every = -(-len(log) // MOST_POINTS)
    last = len(log) - 1
    kept = [
        i for i, line in enumerate(log)
        if i % every == 0 or i == last or line.held_out or line.note
    ]  # fmt: skip
    place = {i: at for at, i in enumerate(kept)}

    def curve(values: Sequence[float | None]) -> list[list[float]]:
        pairs = ((place[i], values[i]) for i in kept)
        return [[at, _short(value)] for at, value in pairs if value is not None]

    objectives = [name for name in OBJECTIVES if any(name in line.losses for line in log)]
    losses: list[dict[str, Any]] = []
    for name in objectives:
        values = [line.losses.get(name) for line in log]
        held_out = curve([line.held_out.get(f"{name}_loss") for line in log])
        losses.append(
            {"name": name, "label": OBJECTIVES[name], "raw": curve(values),
             "smooth": curve(_smoothed(values)), "held_out": held_out}
        )  # fmt: skip
    return {
        "steps": [log[i].step for i in kept],
        "tokens": [log[i].tokens for i in kept],
        "minutes": [round(log[i].seconds / 60, 4) for i in kept],
        "losses": losses,
        "accuracies": [
            {"name": name, "label": OBJECTIVES[name],
             "points": curve([line.held_out.get(f"{name}_accuracy") for line in log])}
            for name in objectives
        ],
        "lr": curve([line.lr for line in log]),
        "norm": curve([line.norm for line in log]),
        "rate": curve(_rates(log)),
        "notes": [[place[i], log[i].note] for i in kept if log[i].note],
    }  # fmt: skip


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def _smoothed(values: Sequence[float | None]) -> list[float | None]:
    """Mean of each value and of those around it; None stays None."""
    half = len(values) // (2 * SMOOTHED)
    sums = [0.0, *accumulate(value or 0.0 for value in values)]
    counts = [0, *accumulate(int(value is not None) for value in values)]
    found: list[float | None] = []
    for i, value in enumerate(values):
        before = min(half, i)  # as many behind it, so that a steep begin does not lag
        first, last = i - before, min(i + before + 1, len(values))
        mean = (sums[last] - sums[first]) / max(1, counts[last] - counts[first])
        found.append(None if value is None else mean)
    return found


def _rates(log: Sequence[Line]) -> list[float | None]:
    """Tokens a second, over the lines shortly before each."""
    window = max(1, len(log) // (2 * SMOOTHED))
    found: list[float | None] = [None]
    for i in range(1, len(log)):
        before = log[max(0, i - window)]
        spent = log[i].seconds - before.seconds
        found.append((log[i].tokens - before.tokens) / spent if spent > 0 else None)
    return found
