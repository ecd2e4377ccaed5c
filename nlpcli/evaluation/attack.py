"""A bounded search for the change of a text that makes its answer wrong.

Greedy, by the model's own probabilities alone, in the manner of TextBugger (Li et al. 2019) and
TextFooler (Jin et al. 2020), section 3: words are ranked by what leaving them out does; then, the
most important first, each is changed in several ways, and the change that brings the row nearest
to a wrong answer stays. Changes are those after which a reader would still say the same.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nlpcli.evaluation.robustness import Ask, Tell
from nlpcli.evaluation.truths import F64, I64, Bools, Truths
from nlpcli.text.perturbations import KEEPS_MEANING, KINDS, Draft, cut

ROWS_AT_ONCE = 128
CHARACTERS_AT_ONCE = 50_000_000
DRAWS = 2
"""Ways in which a word is changed by each kind."""
MOST_CHANGED = 0.4
"""Of the words, or one: beyond that it would be another text."""


@dataclass(frozen=True)
class Attacked:
    """How the attack on a row ended: the last text, the words that differ in it and by which kinds,
    the number of ``queries`` and whether the answer is wrong now.

    ``alone``: words that were changed while no other one was, and whether that made the answer
    wrong.
    """

    row: int
    text: str
    flipped: bool
    words: tuple[str, ...]
    kinds: tuple[str, ...]
    share: float
    queries: int
    alone: tuple[tuple[str, bool], ...]


Verdict = tuple[Bools, F64]
"""Of the texts asked about: whether the answer is right, and the margin."""
Search = Generator[list[str], Verdict, Attacked]


def attack(
    texts: Sequence[str],
    truths: Truths,
    margins: F64,
    rows: I64,
    ask: Ask,
    *,
    queries: int,
    seed: int,
    kinds: Sequence[str] = KEEPS_MEANING,
    tell: Tell,
) -> list[Attacked]:
    """Attacks rows whose answer is right, with at most ``queries`` questions about each.

    margins: (B,) of the texts as they are. Rows go on side by side: one question to the model is
    about the next candidates of all of them.
    """
    found: list[Attacked] = []
    for part in _parts(rows.tolist(), texts, queries):
        tell("robustness: attack", len(found), len(rows))
        searches = [
            (row, _search(row, cut(texts[row]), float(margins[row]), queries, kinds, seed))
            for row in part
        ]
        found += _side_by_side(searches, truths, ask)
    return sorted(found, key=lambda one: one.row)


def _parts(rows: list[int], texts: Sequence[str], queries: int) -> Iterator[list[int]]:
    """Rows that go side by side: so many that one step's texts fit into memory easily."""
    part: list[int] = []
    room = CHARACTERS_AT_ONCE
    for row in rows:
        need = len(texts[row]) * queries
        if part and (len(part) == ROWS_AT_ONCE or need > room):
            yield part
            part, room = [], CHARACTERS_AT_ONCE
        part.append(row)
        room -= need
    if part:
        yield part


def _side_by_side(searches: list[tuple[int, Search]], truths: Truths, ask: Ask) -> list[Attacked]:
    """Runs searches to their ends, each step of all of them one question."""
    found: list[Attacked] = []
    waiting: list[tuple[int, Search, list[str]]] = []

    def step(row: int, search: Search, verdict: Verdict | None) -> None:
        try:
            asked = next(search) if verdict is None else search.send(verdict)
        except StopIteration as end:
            found.append(end.value)
        else:
            waiting.append((row, search, asked))

    for row, search in searches:
        step(row, search, None)
    while waiting:
        now, waiting = waiting, []
        owners = np.repeat([row for row, _, _ in now], [len(asked) for _, _, asked in now])
        probabilities = ask([text for _, _, asked in now for text in asked])
        right = truths.right(truths.answers(probabilities), owners)
        margins = truths.margins(probabilities, owners)
        at = 0
        for row, search, asked in now:
            mine = slice(at, at + len(asked))
            at += len(asked)
            step(row, search, (right[mine], margins[mine]))
    return found


def _search(
    row: int, draft: Draft, margin: float, queries: int, kinds: Sequence[str], seed: int
) -> Search:
    """The attack on one row: yields texts, is sent what came of them."""
    words = tuple(draft.words)
    runs = _runs(len(words), queries // 2)
    _, left_out = (yield [_without(draft, run) for run in runs]) if runs else (None, np.empty(0))
    used, ways, alone = len(runs), dict[int, str](), list[tuple[str, bool]]()
    most = max(1, int(MOST_CHANGED * len(words)))
    rng = _generator(draft.text, seed)
    for place in np.argsort(left_out, kind="stable").tolist():
        for i in runs[place]:
            options = _candidates(draft, i, kinds, rng)[: queries - used]
            if not options or len(ways) == most:
                continue
            right, margins = yield [option.text for _, option in options]
            used += len(options)
            if not ways:
                alone.append((words[i], not right.all()))
            best = int(np.where(right, margins, margins - 2).argmin())  # margins lie within -1…1
            if margins[best] < margin or not right[best]:
                margin, draft, ways[i] = float(margins[best]), options[best][1], options[best][0]
            if not right[best]:
                return _ended(row, draft, words, ways, used, alone, flipped=True)
    return _ended(row, draft, words, ways, used, alone, flipped=False)


def _ended(
    row: int,
    draft: Draft,
    words: tuple[str, ...],
    ways: dict[int, str],
    used: int,
    alone: list[tuple[str, bool]],
    *,
    flipped: bool,
) -> Attacked:
    share = len(ways) / len(words) if words else 0.0
    changed, kinds = tuple(words[i] for i in ways), tuple(dict.fromkeys(ways.values()))
    return Attacked(row, draft.text, flipped, changed, kinds, share, used, tuple(alone))


def _generator(text: str, seed: int) -> random.Random:
    key = hashlib.blake2b(f"{seed}\0attack\0{text}".encode("utf-8", "replace"), digest_size=8)
    return random.Random(int.from_bytes(key.digest(), "big"))


def _runs(words: int, most: int) -> list[range]:
    """At most ``most`` runs of neighbouring words, of nearly equal length."""
    count = min(words, max(most, 1))
    return [range(words * k // count, words * (k + 1) // count) for k in range(count)]


def _without(draft: Draft, run: range) -> str:
    less = draft.copy()
    for i in run:
        KINDS["deletion"](less, i, 0.0, 0.0)
    return less.text


def _candidates(
    draft: Draft, i: int, kinds: Sequence[str], rng: random.Random
) -> list[tuple[str, Draft]]:
    """Ways to change a word, all different, in an order that favours no kind."""
    found: dict[str, tuple[str, Draft]] = {}
    draws = [
        (rng.random(), kind, rng.random(), rng.random()) for kind in kinds for _ in range(DRAWS)
    ]
    for _, kind, which, where in sorted(draws):
        option = draft.copy()
        if KINDS[kind](option, i, which, where):
            found.setdefault(option.text, (kind, option))
    return list(found.values())
