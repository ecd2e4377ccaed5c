"""Spans out of logits, against all spans tried one by one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from nlpcli.batching.framing import Specials
from nlpcli.batching.question_windows import Windows, question_windows, window_targets
from nlpcli.models.question_heads import QuestionModel
from nlpcli.text.wordpiece import Ragged
from nlpcli.training.answers import answers
from nlpcli.training.question_answering import AnswerObjective, best_spans

from ..formats.bert_folder import TINY, random_weights

SPECIALS = Specials(cls=2, sep=3, pad=0, longest=14)


def ragged(*sizes: int) -> Ragged:
    bounds = np.cumsum([0, *sizes]).astype(np.int64)
    return Ragged((5 + np.arange(bounds[-1]) % 5).astype(np.int32), bounds)


def windows() -> Windows:
    of = np.array([0, 1, 2, 0], np.int64)
    contexts = ragged(31, 4, 0)
    return question_windows(ragged(2, 3, 1, 0), contexts, of, SPECIALS, overlap=4,
                            longest_question=8)  # fmt: skip


def model() -> QuestionModel:
    made = QuestionModel(TINY).eval()
    made.load(random_weights("BertForQuestionAnswering"))
    return made


def logits_by_window(given: Windows) -> dict[int, Any]:
    found = {}
    for chosen, logits in answers(model(), given.rows, SPECIALS):
        for row, n in enumerate(chosen.tolist()):
            found[n] = logits[row].double().numpy()
    return found


@pytest.mark.parametrize("longest", [1, 3, 40])
def test_each_span_once_and_the_best_first(longest: int) -> None:
    given = windows()
    found = best_spans(model(), given, SPECIALS, longest=longest, keep=400)
    logits = logits_by_window(given)
    for q in range(4):
        own = range(given.indptr[q], given.indptr[q + 1])
        wanted: dict[tuple[int, int], list[tuple[int, float]]] = {}
        for n in own:
            shift = given.rows.second[n] - given.begins[n]
            for first in range(given.begins[n], given.ends[n]):
                for last in range(first, min(first + longest, given.ends[n])):
                    score = logits[n][first + shift, 0] + logits[n][last + shift, 1]
                    least = min(first - given.begins[n], given.ends[n] - 1 - last)
                    wanted.setdefault((first, last), []).append((least, score))
        seen = {}
        for n in own:
            there = np.isfinite(found.scores[n])
            assert (np.diff(found.scores[n][there]) <= 0).all()
            for i in np.flatnonzero(there).tolist():
                span = int(found.firsts[n, i]), int(found.lasts[n, i])
                assert span not in seen
                seen[span] = found.scores[n, i]
            total = np.log(np.exp(found.scores[n][there]).sum()) if there.any() else -np.inf
            assert found.totals[n] == pytest.approx(total)
            assert found.nulls[n] == pytest.approx(logits[n][0].sum())
        assert seen.keys() == wanted.keys()
        for span, several in wanted.items():
            most = max(least for least, _ in several)  # the window that shows more around it
            assert any(seen[span] == pytest.approx(s) for least, s in several if least == most)


def test_a_few_of_them() -> None:
    given = windows()
    every = best_spans(model(), given, SPECIALS, longest=3, keep=400)
    few = best_spans(model(), given, SPECIALS, longest=3, keep=2)
    np.testing.assert_array_equal(few.scores, every.scores[:, :2])
    there = np.isfinite(few.scores)
    for name in ("firsts", "lasts"):
        some, all_ = getattr(few, name), getattr(every, name)[:, :2]
        np.testing.assert_array_equal(some[there], all_[there])
    np.testing.assert_array_equal(few.totals, every.totals)


def test_mean_of_start_and_end() -> None:
    given = windows()
    first, last = np.array([20, 1, -1, -1]), np.array([22, 1, -1, -1])
    starts, ends = window_targets(given, first, last)
    chosen = np.array([int(given.indptr[1]), 0])  # the second question, and a window without
    logits = torch.randn(2, 14, 2, generator=torch.Generator().manual_seed(1))
    found = AnswerObjective(given, starts, ends).loss(logits, chosen)
    second = int(given.rows.second[chosen[0]])
    assert starts[chosen].tolist() == [second + 1, 0]
    wanted = 0.0
    for row, (at, size) in enumerate(((second + 1, 4), (0, int(given.ends[0])))):
        begin = int(given.rows.second[chosen[row]])
        places = [0, *range(begin, begin + size)]
        for which in (0, 1):
            values = logits[row, :, which]
            log_z = math.log(sum(math.exp(values[place]) for place in places))
            wanted += (log_z - float(values[at])) / 4
    assert found.item() == pytest.approx(wanted, abs=1e-5)
