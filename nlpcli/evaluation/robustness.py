"""Accuracy against the strength of perturbations, and the words that answers hang on.

Each kind of perturbation is put on the same rows at rising strengths (as for images: Hendrycks &
Dietterich 2019, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations"). The texts depend on rows, kind, strength and seed, never on the model, so that
models can be compared on them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nlpcli.evaluation.bootstrap import Estimate
from nlpcli.evaluation.truths import F64, I64, Answers, Bools, Truths, mean_estimates
from nlpcli.text.perturbations import Draft, Perturbed, perturb

Ask = Callable[[Sequence[str]], F64]
"""Texts -> probabilities (B, K)."""
Tell = Callable[[str, int, int], None]
"""What is going on, how much of it is done, and of how much."""

ROWS_AT_ONCE = 1024
HELD = 10
"""Rows in which a word is taken to have flipped nothing, beside those in which it was tried."""


@dataclass(frozen=True)
class Adversarial:
    """A changed text whose answer is wrong where that of row ``row`` as it is was right."""

    row: int
    text: str
    kind: str


@dataclass
class Trials:
    """Rows in which a word was the only one changed, and those whose answer a change of it flipped;
    rows are counted, not changes, of which those of one row are alike. ``attacks``: those that
    succeeded by a change of this word, alone or with others."""

    tried: set[int] = field(default_factory=set)
    flips: set[int] = field(default_factory=set)
    attacks: int = 0

    @property
    def weight(self) -> int:
        """Flips and attacks together."""
        return len(self.flips) + self.attacks

    def add(self, row: int, *, flipped: bool) -> None:
        """Counts a change in a row."""
        self.tried.add(row)
        if flipped:
            self.flips.add(row)


@dataclass(frozen=True)
class Rows:
    """The rows that perturbations are put on: their pieces, truths and what the model answers."""

    texts: list[str]
    drafts: list[Draft]
    truths: Truths
    answers: Answers
    right: Bools

    @property
    def every(self) -> I64:
        """The numbers of all rows."""
        return np.arange(len(self.texts))


@dataclass
class Found:
    """What the perturbations of rows showed.

    ``curves``: for each kind an entry a strength, of which the first, 0, is of the texts as they
    are; ``without_effect``: kinds that could change no row; ``average``: accuracy over all kinds
    and strengths but 0; ``words``: by the word, case set aside.
    """

    curves: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    without_effect: list[str] = field(default_factory=list)
    average: Estimate | None = None
    words: dict[str, Trials] = field(default_factory=dict)
    adversarial: dict[Adversarial, None] = field(default_factory=dict)


@dataclass(frozen=True)
class _Level:
    """Of all rows at one strength: answers, and how many words were edited (B,)."""

    strength: float
    answers: Answers
    touched: I64


def measure_perturbed(
    rows: Rows,
    ask: Ask,
    *,
    kinds: Sequence[str],
    strengths: Sequence[float],
    resamples: int,
    seed: int,
    tell: Tell,
) -> Found:
    """Asks about every row at every strength (rising, above 0) of every kind."""
    found, rights = Found(), []
    untouched = np.zeros(len(rows.texts), np.int64)
    clean = _entry(_Level(0.0, rows.answers, untouched), rows, resamples, seed)
    for done, kind in enumerate(kinds):
        tell(f"robustness: {kind}", done, len(kinds))
        levels = [_Level(s, rows.answers.copy(), untouched.copy()) for s in strengths]
        for at in range(0, len(rows.texts), ROWS_AT_ONCE):
            part = range(at, min(at + ROWS_AT_ONCE, len(rows.texts)))
            changed = [perturb(rows.drafts[i], kind, strengths, seed) for i in part]
            _answer(rows, part, changed, levels, ask)
            _note(found, rows, kind, part, changed, levels)
        if not any(level.touched.any() for level in levels):
            found.without_effect.append(kind)
            continue
        found.curves[kind] = [clean, *(_entry(one, rows, resamples, seed) for one in levels)]
        rights += [rows.truths.right(level.answers, rows.every) for level in levels]
    if rights:
        share = np.mean(rights, axis=0)[:, None]
        found.average = mean_estimates(share, shares=(0,), resamples=resamples, seed=seed)[0]
    return found


def _answer(
    rows: Rows, part: range, changed: list[list[Perturbed]], levels: list[_Level], ask: Ask
) -> None:
    """Fills in the answers to some rows; every different text is asked about once."""
    different = {one.text: 0 for of_row in changed for one in of_row if one.touched}
    if not different:
        return
    place = {text: i for i, text in enumerate(different)}
    given = rows.truths.answers(ask(list(different)))
    for i, of_row in zip(part, changed, strict=True):
        for level, one in zip(levels, of_row, strict=True):
            level.touched[i] = len(one.touched)
            if one.touched:
                level.answers[i] = given[place[one.text]]


def _entry(level: _Level, rows: Rows, resamples: int, seed: int) -> dict[str, Any]:
    """One point of a curve: metrics, and beside the texts as they are what is lost and flipped."""
    n_words = sum(len(draft.words) for draft in rows.drafts)
    right = rows.truths.right(level.answers, rows.every)
    lost = rows.right.astype(np.float64) - right
    columns = np.stack([lost, differs(level.answers, rows.answers)], axis=1)
    drop, flips = mean_estimates(columns, shares=(1,), resamples=resamples, seed=seed)
    return {
        "strength": level.strength,
        **rows.truths.estimates(level.answers, resamples=resamples, seed=seed),
        "drop": drop,
        "flipped": flips,
        "rows_changed": float((level.touched > 0).mean()),
        "words_changed": float(level.touched.sum()) / n_words if n_words else 0.0,
    }


def differs(one: Answers, other: Answers) -> Bools:
    """Which answers are not the same, (B,)."""
    found: Bools = (one != other).reshape(len(one), -1).any(axis=1)
    return found


def _note(
    found: Found,
    rows: Rows,
    kind: str,
    part: range,
    changed: list[list[Perturbed]],
    levels: list[_Level],
) -> None:
    """Keeps the texts that went wrong, and the words that were changed alone; what a lower strength
    had asked already is passed over."""
    numbers = np.arange(part.start, part.stop)
    for k, level in enumerate(levels):
        answers = level.answers[numbers]
        flipped = differs(answers, rows.answers[numbers])
        wrong = rows.right[numbers] & ~rows.truths.right(answers, numbers)
        for at, (i, of_row) in enumerate(zip(part, changed, strict=True)):
            one, earlier = of_row[k], of_row[k - 1].text if k else rows.texts[i]
            if not one.touched or one.text == earlier:
                continue
            if wrong[at]:
                found.adversarial[Adversarial(i, one.text, kind)] = None
            if len(one.touched) == 1:
                word = rows.drafts[i].words[one.touched[0]].casefold()
                found.words.setdefault(word, Trials()).add(i, flipped=bool(flipped[at]))


def fragile_words(words: dict[str, Trials], most: int) -> list[dict[str, Any]]:
    """The words whose change flips answers most often: flips and attacks over the rows tried and
    ``HELD`` more, so that a word of one row is not the first."""
    some = [(word, trials) for word, trials in sorted(words.items()) if trials.weight]
    some.sort(key=lambda one: -one[1].weight / (len(one[1].tried) + HELD))
    return [
        {"word": word, "flips": len(t.flips), "tried": len(t.tried), "attacks": t.attacks}
        for word, t in some[:most]
    ]
