"""Answers found against answers there, as the scripts of SQuAD and of CMRC 2018 score them.

By words (Rajpurkar et al. 2016, §6.1; of questions without an answer Rajpurkar et al. 2018): texts
in lower case without ASCII punctuation and articles; F1 of the bags of what stands between blanks.
By characters (Cui et al. 2019, §4), for Chinese: texts in lower case without a list of marks, cut
into Chinese characters and runs of others; F1 of their longest common stretch. The best of the
answers there counts. Intervals are by bootstrap over questions.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Any

import numpy as np
import numpy.typing as npt

from nlpcli.errors import DataError
from nlpcli.evaluation.bootstrap import (
    UNIT,
    affordable,
    estimate,
    generator,
    resampled_sums,
    row_groups,
)

F64 = npt.NDArray[np.float64]
Answers = Sequence[Sequence[str]]

WORDS, CHARACTERS = "words", "characters"
METRICS = ("exact_match", "f1")
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_CHINESE = "\u4e00-\u9fa5"
_IS_CHINESE = re.compile(f"[{_CHINESE}]")
_MARKS = "-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』"
_NO_MARKS = str.maketrans("", "", _MARKS)
_UNITS = re.compile(rf"[{_CHINESE}]|[^\s{_CHINESE}!-/:-@\[-`{{-~]+|\S")
_STREAM = 80
_GROUPS = 5000
"""Groups of questions that are drawn as one where there are more."""


def units_of(contexts: Sequence[str]) -> str:
    """CHARACTERS where contexts have more Chinese characters than words between blanks, else
    WORDS: an English article on China stays one."""
    different = set(contexts)
    chinese = sum(len(_IS_CHINESE.findall(text)) for text in different)
    return CHARACTERS if chinese > sum(len(text.split()) for text in different) else WORDS


def plain_words(text: str) -> str:
    """A text as it is compared by words."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


def word_f1(found: str, there: str) -> float:
    """F1 of the words of two texts, 0 where they share none."""
    one, other = plain_words(found).split(), plain_words(there).split()
    shared = sum((Counter(one) & Counter(other)).values())
    return 2 * shared / (len(one) + len(other)) if shared else 0.0


def plain_characters(text: str) -> str:
    """A text as it is compared by characters."""
    return text.lower().strip().translate(_NO_MARKS)


def character_f1(found: str, there: str) -> float:
    """F1 of the longest stretch of units that two texts share.

    Units are Chinese characters, and of all else words and marks; the script has NLTK cut these.
    """
    one, other = (_UNITS.findall(plain_characters(text)) for text in (found, there))
    size = SequenceMatcher(None, one, other, autojunk=False).find_longest_match().size
    return 2 * size / (len(one) + len(other)) if size else 0.0


def answer_scores(there: Answers, found: Sequence[str], units: str) -> F64:
    """Exact match and F1 of each question, float64 [Q, 2].

    Where there is no answer, only an empty one is right; by words, as in SQuAD's script, an answer
    of nothing but articles and punctuation is none.
    """
    plain, f1 = (plain_characters, character_f1) if units == CHARACTERS else (plain_words, word_f1)
    scores = np.zeros((len(found), len(METRICS)))
    for number, (golds, answer) in enumerate(zip(there, found, strict=True)):
        if units == WORDS:
            golds = [gold for gold in golds if plain(gold)]
        if golds:
            own = plain(answer)
            exact = any(plain(gold) == own for gold in golds)
            scores[number] = exact, max(f1(answer, gold) for gold in golds)
        else:
            scores[number] = not plain(answer)
    return scores


def evaluate_answers(
    there: Answers, found: Sequence[str], *, units: str = WORDS, resamples: int = 1000,
    seed: int = 1,
) -> dict[str, Any]:  # fmt: skip
    """The document of ``eval`` for questions: ``exact_match`` and ``f1``, 0 to 1; where some
    questions have no answer the same of those that have one and of those that have not.

    Raises DataError without questions.
    """
    if not len(there):
        raise DataError("no questions to evaluate: 0, wanted at least 1")
    has = np.array([bool(golds) for golds in there])
    return answer_document(
        answer_scores(there, found, units), has, units=units, resamples=resamples, seed=seed
    )


def answer_document(
    scores: F64, has: npt.NDArray[np.bool_], *, units: str, resamples: int, seed: int
) -> dict[str, Any]:
    """The same of ``answer_scores`` [Q, 2]; ``has`` [Q]: whether there is an answer."""
    groups = {"": np.ones(len(has), bool)}
    if not has.all():
        groups |= {"has_answer_": has, "no_answer_": ~has}
    named = [(prefix + metric, prefix, metric) for prefix in groups for metric in METRICS]
    names = [name for name, _, _ in named]
    columns = np.hstack([np.column_stack([scores, np.ones(len(has))]) * own[:, None]
                         for own in groups.values()])  # fmt: skip
    order, starts = row_groups(len(columns), _GROUPS, generator(seed, _STREAM))
    grouped = np.add.reduceat(columns if order is None else columns[order], starts, axis=0)
    again = np.empty((0, len(names)))
    if resamples:
        drawn = affordable(resamples, len(grouped))
        again = _means(resampled_sums(grouped, drawn, generator(seed, _STREAM + 1)))
    values = _means(columns.sum(axis=0)[None])[0]
    return {
        "task": "qa", "n": len(has), "has_answer": int(has.sum()),
        "no_answer": int((~has).sum()), "units": units,
        **{
            name: estimate(
                float(values[i]), again[:, i],
                share_of=int(groups[prefix].sum()) if metric == METRICS[0] else None,
                bounds=UNIT,
            )
            for i, (name, prefix, metric) in enumerate(named)
        },
    }  # fmt: skip


def _means(sums: F64) -> F64:
    """Of sums of two scores and their number, group by group, [R, 3 G]: the means [R, 2 G]."""
    parts = sums.reshape(len(sums), -1, len(METRICS) + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        means: F64 = parts[:, :, :-1] / parts[:, :, -1:]
    return means.reshape(len(sums), -1)


def best_null_threshold(differences: F64, f1: F64, unanswerable: npt.NDArray[np.bool_]) -> float:
    """Above which difference to give no answer, for the highest mean F1.

    ``differences`` [Q]: the score of no answer less that of the best one, inf where there is none;
    ``f1`` [Q]: of the best answer; ``unanswerable`` [Q]. Of several that are as good the least.
    """
    order = np.argsort(differences, kind="stable")
    sorted_ = differences[order]
    answered = np.concatenate([[0.0], np.cumsum(f1[order])])
    silent = np.cumsum(unanswerable[order][::-1])[::-1]
    total = answered + np.concatenate([silent, [0]])
    may = np.isfinite(np.concatenate([[0.0], sorted_]))  # what has no answer gets none
    may[1:-1] &= sorted_[:-1] < sorted_[1:]
    best = int(np.flatnonzero(may)[np.argmax(total[may])])
    low = sorted_[best - 1] if best else sorted_[0] - 2
    high = sorted_[best] if best < len(sorted_) else low + 2
    if not np.isfinite(low):  # nothing can be answered at all
        return 0.0
    return float((low + high) / 2 if np.isfinite(high) else low + 1)
