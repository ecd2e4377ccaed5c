"""Rows with the truth and an answer in words, for the page of ``eval --report``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from nlpcli.evaluation.report_page import Answers

F64 = npt.NDArray[np.float64]
Span = tuple[int, int, str]

MOST_CHARACTERS = 200
"""Of a truth or an answer."""
NOTHING = "(none)"


@dataclass(frozen=True)
class Shown:
    """Of B rows ``texts``, the ``lines`` where they stood, ``truth`` and ``answers``; ``right``:
    bool (B,), None where answers are not just right or wrong; ``score``: (B,) how good each answer
    is, by the ``score_name``, or with ``less`` how bad."""

    texts: list[str]
    lines: list[int] | None
    truth: list[str]
    answers: list[str]
    right: npt.NDArray[np.bool_] | None
    score: F64 | None = None
    score_name: str = ""
    less: bool = False

    def for_page(self) -> Answers:
        """As the page takes them."""
        from nlpcli.evaluation.report_page import Answers

        cells: dict[str, int] = {}
        true, guess = (
            np.array([cells.setdefault(_cut(text), len(cells)) for text in column], np.int64)
            for column in (self.truth, self.answers)
        )
        return Answers(
            [(cell,) for cell in cells], true, guess, free=True, right=self.right,
            score=self.score, score_name=self.score_name, less=self.less,
        )  # fmt: skip


def _cut(text: str) -> str:
    if not text:
        return NOTHING
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1] + "…"


def several(answers: Sequence[str]) -> str:
    """Answers of which each is right."""
    return " | ".join(dict.fromkeys(answers))


def marked_words(text: str, words: Sequence[str] | None, spans: Sequence[Span]) -> str:
    """Spans as label and words; ``words`` where they are counted in these, else in characters."""
    parts = []
    for start, end, label in sorted(spans):
        inside = text[start:end] if words is None else " ".join(words[start:end])
        parts.append(f"{label}: {inside}" if label else inside)
    return "; ".join(parts)
