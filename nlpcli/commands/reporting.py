"""eval --report: what was measured, as a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import nlpcli
from nlpcli.commands.eval_candidates import Candidate
from nlpcli.commands.opening import model_place
from nlpcli.shell.console import Console

if TYPE_CHECKING:
    from nlpcli.evaluation.report_page import Answers, RowsSeen
    from nlpcli.runs.shown_rows import Shown

Options = dict[str, Any]
_OF_THE_RUN = (
    "text_column", "text_b_column", "label_column", "label_separator", "threshold", "resamples",
    "seed",
)  # fmt: skip
_OF_A_MODEL = (
    "name", "version", "kind", "created", "created_by", "seed", "data", "config", "metrics",
)  # fmt: skip


def write_report(
    stream: BinaryIO | None,
    candidates: Sequence[Candidate],
    document: dict[str, Any],
    options: Options,
    console: Console,
) -> None:
    """Writes the page where one is asked for. ``document``: that of --json, of one or several."""
    if stream is None:
        return
    from nlpcli.evaluation.report_page import Reported, report_page

    several = len(candidates) > 1
    names = [candidate.name for candidate in candidates]
    title = " and ".join(names) if len(names) < 3 else f"{len(names)} models"
    source = options["test"] or ", ".join(options["predictions"] or [])
    shown = [c.measured.shown() if c.measured.shown is not None else None for c in candidates]
    models = [
        Reported(c.name, c.measured.document, _manifest(c, options), _answers(c, rows))
        for c, rows in zip(candidates, shown, strict=True)
    ]  # fmt: skip
    page = report_page(
        f"{title} on {source}", models, _tested(candidates, shown, source, options),
        document if several else None,
    )  # fmt: skip
    stream.write(page.encode("utf-8", "replace"))  # names of files may be any bytes
    console.detail(f"{options['report']}: report of {document['n']:,} rows, {len(page):,} bytes")


def _answers(candidate: Candidate, shown: Shown | None) -> Answers | None:
    """None where there is no answer to a row."""
    from nlpcli.evaluation.report_page import Answers

    if shown is not None:
        return shown.for_page()
    measured = candidate.measured
    found = measured.answered
    whole = candidate.opened is None or measured.probabilities is not None
    if found is None or found.guess is None or not whole:
        return None
    sure = measured.confidence
    if measured.probabilities is not None and found.metric == "accuracy":
        sure = measured.probabilities.max(axis=1)
    return Answers(found.cells, found.true, found.guess, sure)


def _tested(
    candidates: Sequence[Candidate], shown: Sequence[Shown | None], source: str, options: Options
) -> RowsSeen:
    from nlpcli.data.pairs import SEPARATOR
    from nlpcli.evaluation.report_page import RowsSeen

    rows = (c.measured.rows for c in candidates)
    read = next((found for found in rows if hasattr(found, "texts")), None)
    known = {"program": f"nlpcli {nlpcli.__version__}", "rows": source}
    digest = getattr(read, "sha256", None)
    if digest is not None:
        known["rows_sha256"] = digest
    known |= {name: options[name] for name in _OF_THE_RUN if options[name] is not None}
    words = next((found for found in shown if found is not None), None)
    if words is not None:
        return RowsSeen(known, words.texts, words.lines, options["seed"])
    if read is None:
        return RowsSeen(known, seed=options["seed"])
    texts = [text.replace(SEPARATOR, "\n") for text in read.texts]
    return RowsSeen(known, texts, read.lines, options["seed"])


def _manifest(candidate: Candidate, options: Options) -> dict[str, Any]:
    """What is recorded with the model; of a file of predictions, or of another program, little."""
    from nlpcli.store.manifest import MANIFEST_NAME, Manifest

    if candidate.opened is None:
        return {"predictions": candidate.name}
    place: Path = model_place(candidate.name, options["store"])
    file = place / MANIFEST_NAME
    if not file.is_file():
        return {"model": candidate.name}
    found = Manifest.from_json(file.read_bytes(), str(file))
    return {
        **{name: getattr(found, name) for name in _OF_A_MODEL},
        "labels": len(found.labels),
        "files": {name: entry.sha256 for name, entry in found.files.items()},
    }
