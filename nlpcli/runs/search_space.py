"""What --autotune may choose: options, the values worth trying, and which to try next.

A climb from the defaults: one option a trial is moved to a neighbouring value of the best found so
far; when no neighbour is left, two options at once are drawn. The order is that of what a trial
costs and of what it usually brings.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nlpcli.runs.request import Request

Choice = dict[str, Any]
"""Values by the option's name; ``characters`` stands for min_n and max_n."""
Axis = tuple[tuple[Any, ...], bool]
"""The values, and whether they have an order, so that only the next ones are neighbours."""

CHARACTERS = ((0, 0), (2, 4), (2, 5), (3, 6), (1, 3))
_HINGE: dict[str, Axis] = {"cost": ((0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0), True)}
_GRADIENT: dict[str, Axis] = {
    "lr": ((0.02, 0.05, 0.1, 0.2, 0.5), True), "epochs": ((3, 5, 10, 20, 40), True),
}  # fmt: skip
_WIDTH: dict[str, Axis] = {"dim": ((10, 25, 50, 100, 200, 300), True)}
_CUTTING: dict[str, Axis] = {
    "characters": (CHARACTERS, False), "word_ngrams": ((1, 2, 3, 4), True),
    "lowercase": ((True, False), False), "min_count": ((1, 2, 3, 5, 10), True),
}  # fmt: skip
SEARCHED = frozenset({*_HINGE, *_GRADIENT, *_WIDTH, *_CUTTING, "min_n", "max_n"})
"""Names of the options that a search may change."""
DRAWS = 200
"""Of two options at once, before the space counts as searched."""


@dataclass(frozen=True)
class SearchSpace:
    """The options that are free, and where the climb begins."""

    axes: dict[str, Axis]
    start: Choice

    @staticmethod
    def of(request: Request, typed: frozenset[str]) -> SearchSpace:
        """All that the loss and the way of cutting know, but what was typed."""
        config = request.config
        axes = dict(_HINGE if config.loss == "squared-hinge" else _GRADIENT)
        if config.dim:
            axes |= _WIDTH
        axes |= _CUTTING
        start = {name: value_of(request, name) for name in axes}
        fixed = {*typed, *(("characters",) if typed & {"min_n", "max_n"} else ())}
        free = {n: axis for n, axis in axes.items() if n not in fixed and start[n] is not None}
        return SearchSpace(free, {name: start[name] for name in free})

    def neighbours(self, choice: Choice) -> Iterator[Choice]:
        """With one option moved, option by option."""
        for name, (values, ordered) in self.axes.items():
            others = [value for value in values if value != choice[name]]
            if ordered:
                below = [value for value in others if value < choice[name]][-1:]
                others = below + [value for value in others if value > choice[name]][:1]
            for value in others:
                yield {**choice, name: value}

    def following(self, best: Choice, tried: list[Choice], draw: random.Random) -> Choice | None:
        """What to try next; None when nothing is left."""
        for candidate in self.neighbours(best):
            if candidate not in tried:
                return candidate
        for _ in range(DRAWS):
            names = draw.sample(sorted(self.axes), min(2, len(self.axes)))
            drawn = {name: draw.choice(self.axes[name][0]) for name in names}
            if {**best, **drawn} not in tried:
                return {**best, **drawn}
        return None


def value_of(request: Request, name: str) -> Any:
    """What an option is; None where this way of cutting or training does not have it."""
    tokenizer = request.tokenizer
    if name == "characters":
        return (tokenizer.min_n, tokenizer.max_n)
    for holder in (request.config, tokenizer, getattr(tokenizer, "cleaning", None)):
        if holder is not None and name in {field.name for field in fields(holder)}:
            return getattr(holder, name)
    return None


def with_choice(request: Request, choice: Choice) -> Request:
    """The request with these options."""
    values = dict(choice)
    if "characters" in values:
        values["min_n"], values["max_n"] = values.pop("characters")
    config, tokenizer = request.config, request.tokenizer
    cleaning = getattr(tokenizer, "cleaning", None)
    of_config = {f.name for f in fields(config)}
    of_cleaning = set() if cleaning is None else {f.name for f in fields(cleaning)}
    cut = {n: v for n, v in values.items() if n not in of_config | of_cleaning}
    if cleaning is not None:
        cut["cleaning"] = replace(cleaning, **_only(values, of_cleaning))
    return replace(
        request,
        config=replace(config, **_only(values, of_config)),
        tokenizer=replace(tokenizer, **cut),
    )


def _only(values: Choice, names: set[str]) -> Choice:
    return {name: value for name, value in values.items() if name in names}


def as_options(choice: Choice) -> list[str]:
    """As they are typed: ``--cost 0.5 --min-n 2 --max-n 4 --keep-case``."""
    words: list[str] = []
    for name, value in choice.items():
        if name == "characters":
            words += ["--min-n", str(value[0]), "--max-n", str(value[1])]
        elif name == "lowercase":
            words.append("--lowercase" if value else "--keep-case")
        else:
            words += [f"--{name.replace('_', '-')}", f"{value:g}"]
    return words
