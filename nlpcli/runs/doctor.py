"""What is wrong with labelled rows, before a model learns from them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nlpcli.data.rows import told_apart
from nlpcli.data.unchecked import UncheckedRows, read_unchecked
from nlpcli.errors import DataError, shown
from nlpcli.evaluation.duplicates import Duplicates, find_duplicates
from nlpcli.evaluation.findings import (
    PROBLEMS,
    Finding,
    conflicts,
    duplicates,
    leaked_test_rows,
    leaks,
    near_findings,
    ranked,
)
from nlpcli.evaluation.text_checks import damage, long_texts

if TYPE_CHECKING:
    from nlpcli.data.rows import RowFormat
    from nlpcli.runs.cross_validation import CrossValidation, Judgement
    from nlpcli.runs.reporting import Rejects, Reporter

I64 = npt.NDArray[np.int64]

FEW_ROWS = 10
"""A label of fewer rows is told as one that is hardly learnt."""
MOST_SWAPS = 20
PLAIN = {"blank", "unlabelled", "damaged", "long"}
JUDGED = {"label", "doubtful"}
NEAR = {"near-conflict", "near-leak", "near-duplicate"}
COLUMNS = ["row", "problem", "score", "label", "suggested_label", "other_row", "detail", "text"]


@dataclass(frozen=True, kw_only=True)
class DoctorRequest:
    """What is looked for, and where. ``near``: the Jaccard coefficient from which on two texts are
    nearly the same. ``top``: so many suspects of labels at most. ``empty``: a file without rows is
    no error."""

    train: str
    test: str | None
    fmt: RowFormat
    columns: dict[str, str | None]
    checks: frozenset[str]
    near: float
    top: int | None
    validation: CrossValidation
    empty: bool = True

    @property
    def separator(self) -> str | None:
        """Joins several labels; None for one label a row."""
        return self.columns["label_separator"]


@dataclass(frozen=True)
class Diagnosis:
    """The findings, ranked, on these rows, and the document that sums them up. Its ``problems``:
    those that could be looked for, labels only where they could be judged."""

    rows: UncheckedRows
    findings: list[Finding]
    document: dict[str, Any]


def examine(request: DoctorRequest, console: Reporter, reject: Rejects) -> Diagnosis:
    """Reads, compares and judges. Raises InputMissing, DataError, Unavailable."""
    columns: dict[str, Any] = request.columns
    if request.checks & JUDGED:
        from nlpcli.runs.torch_import import import_torch_aside

        import_torch_aside()
    reject_train, reject_test = told_apart(reject, request.train, request.test)
    rows = read_unchecked(request.train, request.fmt, on_reject=reject_train, **columns)
    test = None
    if request.test is not None:
        test = read_unchecked(request.test, request.fmt, on_reject=reject_test, **columns)
    for part in (rows, test):
        if part is not None and not part.texts and not request.empty:
            raise DataError(f"{part.name}: no rows")
    console.detail(f"{len(rows.texts):,} rows read")
    examination = _Examination(request, rows, test, console)
    findings = examination.run()
    return Diagnosis(rows, findings, examination.document(findings))


class _Examination:
    """One pass over the rows. ``kept``: those that can be learnt from, with a text and, where a row
    has one label, a label; ``tested``: test rows with a text."""

    def __init__(
        self, request: DoctorRequest, rows: UncheckedRows, test: UncheckedRows | None,
        console: Reporter,
    ) -> None:  # fmt: skip
        self.request, self.rows, self.test, self.console = request, rows, test, console
        single = request.separator is None
        pairs = zip(rows.texts, rows.labels, strict=True)
        good = [
            i for i, (text, names) in enumerate(pairs) if text.strip() and (names or not single)
        ]
        tested = [] if test is None else [i for i, t in enumerate(test.texts) if t.strip()]
        self.kept, self.tested = np.array(good, np.int64), np.array(tested, np.int64)
        self.leaked: tuple[int, int] | None = None
        self.judgement: Judgement | None = None

    def run(self) -> list[Finding]:
        """Everything that is asked for; rows are numbered as in the files, from 0."""
        found, checks = self._plain(), self.request.checks
        if len(self.kept) and (checks - PLAIN or self.test is not None):
            compared = self._compare()
            mine = compared.among(len(self.kept))
            labels = [self.rows.labels[i] for i in self.kept.tolist()]
            more = conflicts(mine.first, labels) + duplicates(mine.first, labels)
            more += near_findings(mine, labels)
            if checks & JUDGED:
                more += self._judge(mine.groups, labels)
            found += [self._in_file(f, self.kept) for f in more]
            if self.test is not None:
                labels += [self.test.labels[i] for i in self.tested.tolist()]
                leaky = leaks(compared, len(self.kept), labels)
                found += [self._in_file(f, self.tested) for f in leaky]
                self.leaked = leaked_test_rows(compared, len(self.kept))
        return ranked([f for f in found if f.problem in checks])

    def _in_file(self, found: Finding, others: I64) -> Finding:
        """With the numbers of rows in the files; ``others``: those of the other rows."""
        other = None if found.other is None else int(others[found.other])
        return replace(found, row=int(self.kept[found.row]), other=other)

    def _plain(self) -> list[Finding]:
        """What can be seen of a row alone, and of its length among others."""
        texts, found = self.rows.texts, []
        for i, text in enumerate(texts):
            if not text.strip():
                found.append(Finding(i, "blank"))
            reason = damage(text)
            if reason is not None:
                found.append(Finding(i, "damaged", detail=reason))
            if self.request.separator is None and not self.rows.labels[i]:
                found.append(Finding(i, "unlabelled"))
        for i in long_texts(texts)[0].tolist():
            found.append(Finding(i, "long", detail=f"{len(texts[i]):,} characters"))
        return found

    def _compare(self) -> Duplicates:
        """Of the kept rows and, behind them, the test rows."""
        request = self.request
        texts = [self.rows.texts[i] for i in self.kept.tolist()]
        if self.test is not None:
            texts += [self.test.texts[i] for i in self.tested.tolist()]
        # folds keep copies together, so near ones are looked for there too
        needed = request.checks & (NEAR | JUDGED) or self.test is not None
        near = request.near if needed else None
        self.console.detail(f"comparing {len(texts):,} texts")
        return find_duplicates(texts, near)

    def _judge(self, groups: I64, labels: list[tuple[str, ...]]) -> list[Finding]:
        """Rows whose label is doubted by models that did not see them."""
        from nlpcli.data.split import label_names
        from nlpcli.runs.cross_validation import judge

        request, names = self.request, label_names(labels)
        several = request.separator is not None
        least = 1 if several else 2
        if len(names) < least:
            seen = ", ".join(map(shown, names)) or "none"
            self.console.warn(f"labels are not judged: at least {least} needed, seen: {seen}")
            return []
        texts = [self.rows.texts[i] for i in self.kept.tolist()]
        found = judge(
            texts, labels, names, groups, request.validation, self.console, multi_label=several
        )
        if not len(found.judged):
            self.console.warn("labels are not judged: none has rows in two folds")
            return []
        self.judgement, doubts = found, found.doubts
        problems = {True: "label", False: "doubtful"}
        order = np.concatenate([doubts.order[doubts.errors[doubts.order]],
                                doubts.order[~doubts.errors[doubts.order]]])  # fmt: skip
        return [
            Finding(int(found.judged[at]), problems[bool(doubts.errors[at])],
                    float(1 - doubts.confidence[at]),
                    found.suggested(int(found.judged[at]), names, several=several))
            for at in order[: request.top].tolist()
        ]  # fmt: skip

    def document(self, findings: list[Finding]) -> dict[str, Any]:
        """What sums the findings up, as plain JSON values."""
        rows = self.rows
        counts = Counter(name for names in rows.labels for name in names)
        doubted = Counter(
            name for f in findings if f.problem in JUDGED for name in rows.labels[f.row]
        )
        per_label = {
            name: {"rows": n, "share": n / len(rows.labels), "suspects": doubted[name]}
            for name, n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        }
        problems = Counter(f.problem for f in findings)
        looked_for = self.request.checks - (JUDGED if self.judgement is None else set())
        return {
            "rows": len(rows.texts), "skipped_rows": rows.n_skipped,
            "problems": {p: problems[p] for p in PROBLEMS if p in looked_for},
            "labels": per_label,
            "imbalance": max(counts.values()) / min(counts.values()) if counts else None,
            "rare_labels": [name for name, n in counts.items() if n < FEW_ROWS],
            "swaps": _swaps(rows, findings),
            "cross_validation": self._validated(),
            "test": self._tested(),
            "near": self.request.near,
            "median_characters": long_texts(rows.texts)[1],
            "seed": self.request.validation.seed,
            "findings": [as_cells(rows, finding) for finding in findings],
        }  # fmt: skip

    def _validated(self) -> dict[str, Any] | None:
        found, plan = self.judgement, self.request.validation
        if found is None:
            return None
        return {
            "folds": plan.folds, "rounds": plan.rounds, "rows": len(found.judged),
            "accuracy": found.accuracy, "likely_errors": int(found.doubts.errors.sum()),
        }  # fmt: skip

    def _tested(self) -> dict[str, Any] | None:
        if self.test is None:
            return None
        exact, near = self.leaked or (0, 0)
        return {"rows": len(self.test.texts), "in_train": exact, "nearly_in_train": near}


def _swaps(rows: UncheckedRows, findings: list[Finding]) -> list[dict[str, Any]]:
    """Which labels stand for which others most often among the suspects."""
    swaps = Counter(
        (rows.labels[f.row], f.suggested) for f in findings if f.problem in JUDGED and f.suggested
    )
    most = sorted(swaps.items(), key=lambda item: (-item[1], item[0]))[:MOST_SWAPS]
    return [
        {"label": list(given), "suggested": list(better or ()), "rows": n}
        for (given, better), n in most
    ]


def as_cells(rows: UncheckedRows, finding: Finding) -> dict[str, Any]:
    """A finding with rows counted from 1, as plain JSON values under COLUMNS."""
    suggested = finding.suggested
    return {
        "row": finding.row + 1,
        "problem": finding.problem,
        "score": None if finding.score is None else round(finding.score, 6),
        "label": list(rows.labels[finding.row]),
        "suggested_label": None if suggested is None else list(suggested),
        "other_row": None if finding.other is None else finding.other + 1,
        "detail": finding.detail,
        "text": rows.texts[finding.row],
    }


def columns_of(diagnosis: Diagnosis, separator: str | None) -> list[list[str]]:
    """The findings as cells of a table, one list for each of COLUMNS."""
    joiner = separator or ";"
    rows = [_row_of(cells, joiner) for cells in diagnosis.document["findings"]]
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in COLUMNS]


def _row_of(cells: dict[str, Any], joiner: str) -> list[str]:
    found = {name: "" if value is None else value for name, value in cells.items()}
    score = cells["score"]
    found["score"] = "" if score is None else f"{score:.6f}"
    for name in ("label", "suggested_label"):
        found[name] = joiner.join(found[name])
    return [str(found[name]) for name in COLUMNS]
