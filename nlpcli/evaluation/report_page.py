"""The report of ``eval``: one HTML file with every figure and the rows, which asks for nothing.

Drawings are SVG of a few lines: a plotting library would take 1 to 5 MB, and cells that lead to
rows would still be a script of our own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt

from nlpcli.evaluation.abstention import abstention_curve
from nlpcli.evaluation.bootstrap import generator, wilson
from nlpcli.evaluation.calibration import BINS, confidence_bins
from nlpcli.evaluation.run_page import flat

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]

TEMPLATE, STYLE, SCRIPT = "report_page.html", "report_page.css", "report_page.js"
MOST_ROWS = 50_000
"""Rows in the page; of more a sample is drawn."""
MOST_CHARACTERS = 500
"""Of a text; fewer where all texts together would have more than ``ALL_CHARACTERS``."""
FEWEST_CHARACTERS = 80
ALL_CHARACTERS = 12_000_000
NO_ANSWER = "(no answer)"
DRAWN = 20
"""Stream of random numbers that draws the sample."""
_UNSAFE = re.compile("[<>&\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True)
class Answers:
    """What a model answered: of each of B rows the truth and the answer, numbers of ``cells``.

    A cell is the label of a row, or its labels; ``free``: or a text, of which nearly each is
    another. ``confidence``: float64 [B] in the answer, 0 to 1, NaN where nothing is answered; or
    None. ``right``: bool [B]; by default where both are one cell; of free answers None says that
    they are not right or wrong.
    ``score``: float64 [B] how good each is, by the ``score_name``, or with ``less`` how bad.
    """

    cells: list[tuple[str, ...]]
    true: I64
    guess: I64
    confidence: F64 | None = None
    free: bool = False
    right: npt.NDArray[np.bool_] | None = None
    score: F64 | None = None
    score_name: str = ""
    less: bool = False


@dataclass(frozen=True)
class Reported:
    """A model: its ``document`` of --json, what is ``known`` of it (nested at will: its manifest),
    and its ``answers`` where there is one for each row."""

    name: str
    document: Mapping[str, Any]
    known: Mapping[str, Any] = field(default_factory=dict)
    answers: Answers | None = None


@dataclass(frozen=True)
class RowsSeen:
    """The rows: ``texts`` [B] and ``lines`` [B] where they stood, None where these are not known;
    what is ``known`` of the run."""

    known: Mapping[str, Any]
    texts: Sequence[str] | None = None
    lines: Sequence[int] | None = None
    seed: int = 1


def report_page(
    title: str, models: Sequence[Reported], tested: RowsSeen, compared: Mapping[str, Any] | None
) -> str:
    """The page, as HTML; texts are escaped, nothing is loaded from anywhere.

    ``models``: one at least, all of the same rows; ``compared``: the document of several.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    folder = files("nlpcli.evaluation")
    source, style, script = (
        folder.joinpath(name).read_text(encoding="utf-8") for name in (TEMPLATE, STYLE, SCRIPT)
    )
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(source).render(
        title=title,
        n=models[0].document["n"],
        known=[("This run", flat(tested.known)), *((m.name, flat(m.known)) for m in models)],
        data=Markup(embedded(_data(models, tested, compared))),
        style=Markup(style),
        script=Markup(script),
    )


def embedded(value: Any) -> str:
    """JSON that may stand in a script of a page: no ``<`` of a text, and no lone surrogate, stands
    there as it is. Raises ValueError for NaN and infinity."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _data(
    models: Sequence[Reported], tested: RowsSeen, compared: Mapping[str, Any] | None
) -> dict[str, Any]:
    """What the script of the page reads."""
    answered = [model.answers for model in models if model.answers is not None]
    n_rows = len(answered[0].true) if answered else 0
    kept = _sample(n_rows, tested.seed)
    labels: dict[str, int] = {}
    parts = [_model(model, kept, labels) for model in models]
    texts = tested.texts if answered else None
    lines = tested.lines if answered else None
    chosen, most = (None, 0) if texts is None else _cut([texts[i] for i in kept.tolist()])
    truth: list[int] = []
    if answered:
        truth = _names(answered[0].cells, labels)[answered[0].true[kept]].tolist()
    return {
        "models": parts,
        "compared": _compared(compared),
        "free": any(each.free for each in answered),
        "judged": not any(each.free and each.right is None for each in answered),
        "score": [answered[0].score_name, answered[0].less] if answered else ["", False],
        "labels": list(labels),
        "n": n_rows,
        "n_bins": BINS,
        "cut": most,
        "rows": {
            "line": [int(i) + 1 if lines is None else int(lines[i]) for i in kept.tolist()],
            "lines": lines is not None,
            "text": chosen,
            "true": truth,
        },
    }


def _sample(n_rows: int, seed: int) -> I64:
    """The rows that are in the page, rising."""
    rows = np.arange(n_rows, dtype=np.int64)
    if n_rows <= MOST_ROWS:
        return rows
    return np.sort(generator(seed, DRAWN).choice(rows, size=MOST_ROWS, replace=False))


def _cut(texts: list[str]) -> tuple[list[str], int]:
    """Texts of at most so many characters, and how many these are."""
    most = MOST_CHARACTERS
    sizes = np.array([len(text) for text in texts], dtype=np.int64)
    while most > FEWEST_CHARACTERS and int(np.minimum(sizes, most).sum()) > ALL_CHARACTERS:
        most = max(FEWEST_CHARACTERS, most * 4 // 5)
    return [text if len(text) <= most else text[: most - 1] + "…" for text in texts], most


def _name(label: str) -> str:
    """What a label is called; a blank one is where a file of predictions abstains."""
    return label or NO_ANSWER


def _names(cells: Sequence[tuple[str, ...]], labels: dict[str, int]) -> I64:
    """The number of each cell's name among the page's labels; new ones are added."""
    names = [_name(", ".join(cell)) if cell else "(none)" for cell in cells]
    return np.array([labels.setdefault(name, len(labels)) for name in names], dtype=np.int64)


def _model(model: Reported, kept: I64, labels: dict[str, int]) -> dict[str, Any]:
    document = model.document
    part: dict[str, Any] = {
        "name": model.name,
        "metrics": _metrics(document),
        "per_label": [
            [name, *(_short(row.get(key)) for key in ("precision", "recall", "f1", "support"))]
            for name, row in document.get("per_label", {}).items()
        ],
        "confusion": _confusion(document.get("confusion")),
        "cost": document.get("cost"),
        "slices": document.get("slices"),
        "robustness": document.get("robustness"),
        "robustness_rows": (document.get("robustness_run") or {}).get("rows"),
        "attack": document.get("attack"),
        "fragile_words": document.get("fragile_words"),
        "guess": None,
        "right": None,
        "score": None,
        "sure": None,
        "bin": None,
        "bins": None,
        "risk": None,
    }
    answers = model.answers
    if answers is not None:
        names = _names(answers.cells, labels)
        part["guess"] = names[answers.guess[kept]].tolist()
        if answers.right is not None:
            part["right"] = answers.right[kept].astype(int).tolist()
        if answers.score is not None:
            part["score"] = [_short(value) for value in answers.score[kept].tolist()]
        if answers.confidence is not None:
            part |= _confidence(
                answers.confidence, names[answers.true] == names[answers.guess], kept
            )
    return part


def _confidence(confidence: F64, right: npt.NDArray[np.bool_], kept: I64) -> dict[str, Any]:
    """What the page draws of confidences (B,), of those rows that have an answer."""
    has = ~np.isnan(confidence)
    share, filled = float(has.mean()), np.where(has, confidence, 0.0)[kept]
    there, sure = has[kept].tolist(), (filled * 1000).round().astype(int).tolist()
    bins = confidence_bins(filled).tolist()  # of the number as it is, not as the page shows it
    return {
        "sure": [n if known else None for n, known in zip(sure, there, strict=True)],
        "bin": [n if known else None for n, known in zip(bins, there, strict=True)],
        "bins": reliability(confidence[has], right[has]),
        "risk": [
            [p.below, round(p.share * share, 4), p.error]
            for p in abstention_curve(confidence[has], right[has])
        ],
    }


def _metrics(document: Mapping[str, Any]) -> list[list[Any]]:
    """Name, value, and ends of the interval of every metric of the document."""
    return [
        [name, *(_short(entry.get(key)) for key in ("value", "low", "high"))]
        for name, entry in document.items()
        if isinstance(entry, Mapping) and "value" in entry
    ]


def _short(value: float | None) -> float | None:
    return value if value is None or isinstance(value, int) else float(f"{value:.6g}")


def _confusion(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The labels, and the cells that are not 0: of the truth, of the answer, rows."""
    if found is None:
        return None
    if found["matrix"] is None:
        return {"labels": list(map(_name, found["labels"])), "cells": found["cells"]}
    matrix = np.array(found["matrix"], dtype=np.int64)
    true, guess = np.nonzero(matrix)
    cells = np.stack([true, guess, matrix[true, guess]], axis=1)
    return {"labels": list(map(_name, found["labels"])), "cells": cells.tolist()}


def _compared(document: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if document is None:
        return None
    names = ("comparisons", "best", "cheapest_as_good", "assumptions")
    return {name: document.get(name) for name in names}


def reliability(confidence: F64, right: npt.NDArray[np.bool_]) -> list[list[float]]:
    """The bins of a reliability diagram that hold rows, as the calibration error has them.

    confidence, right: (B,). Each: its number of ``BINS``, rows, mean confidence, share of right
    answers and the ends of its 95 % interval (Wilson). Guo et al. 2017, figure 1.
    """
    bins = confidence_bins(confidence)
    counts = np.bincount(bins, minlength=BINS).tolist()
    sums = np.bincount(bins, weights=confidence, minlength=BINS).tolist()
    hits = np.bincount(bins, weights=right, minlength=BINS).tolist()
    found: list[list[float]] = []
    for i, n in enumerate(counts):
        if n:
            shares = (sums[i] / n, hits[i] / n, *wilson(hits[i], n))
            found.append([i, n, *(round(share, 5) for share in shares)])
    return found
