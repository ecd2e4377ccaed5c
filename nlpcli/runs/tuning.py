"""--autotune: trials of options on rows set apart, until the time is over; the best is kept."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from nlpcli.errors import NlpcliError, UsageError
from nlpcli.runs import interrupts
from nlpcli.runs.conditions import check_metric, less_is_better, metric_names
from nlpcli.runs.request import Parts, differences
from nlpcli.runs.search_space import SEARCHED, Choice, SearchSpace, as_options, with_choice

if TYPE_CHECKING:
    from nlpcli.runs.fitting import Outcome, Prepared
    from nlpcli.runs.reporting import Reporter
    from nlpcli.runs.request import Request
    from nlpcli.store.states import RunStates

DEV_FRACTION = 0.2
STATES = "autotune"


@dataclass(frozen=True)
class Goal:
    """What is to be made large (or small): a metric, or the F1 of one label."""

    metric: str
    label: str | None = None

    def __str__(self) -> str:
        return self.metric if self.label is None else f"f1:{self.label}"

    @property
    def lower_is_better(self) -> bool:
        """Whether it is to be made small."""
        return less_is_better(self.metric)

    def value(self, document: dict[str, Any]) -> float | None:
        """From a metrics document; None where it is undefined."""
        if self.label is not None:
            found = document["per_label"].get(self.label)
            return float(found["f1"]) if found else 0.0
        value = document[self.metric]["value"]
        return None if value is None else float(value)


def parse_goal(text: str | None, *, multi_label: bool) -> Goal:
    """``accuracy``, another metric, or ``f1:LABEL``. Raises UsageError."""
    if text is None:
        return Goal("micro_f1" if multi_label else "accuracy")
    if text.startswith("f1:"):
        return Goal("f1", text[3:])
    check_metric(text, metric_names(multi_label), "--autotune-metric")
    return Goal(text)


@dataclass(frozen=True)
class Tuning:
    """A search as it was asked for; ``typed`` options are not touched."""

    minutes: float
    goal: Goal
    fraction: float
    typed: frozenset[str]

    def to_json(self) -> dict[str, Any]:
        """What the choice depends on, the speed of the machine apart."""
        return {
            "minutes": self.minutes, "metric": str(self.goal), "fraction": self.fraction,
            "typed": sorted(self.typed & SEARCHED),
        }  # fmt: skip


@dataclass(frozen=True)
class Trial:
    """One choice and its metric: None where it could not be trained, or is undefined."""

    choice: Choice
    score: float | None
    seconds: float


@dataclass
class Search:
    """Trials so far; what a killed run is taken up from. ``lower``: a small metric is good."""

    lower: bool = False
    trials: list[Trial] = field(default_factory=list)
    spent: float = 0.0
    finished: bool = False

    @property
    def best(self) -> Trial | None:
        """The first of the best."""
        sign = -1 if self.lower else 1
        scored = [(sign * t.score, -i) for i, t in enumerate(self.trials) if t.score is not None]
        return self.trials[-max(scored)[1]] if scored else None

    def chosen(self, request: Request) -> Request:
        """The request with the best options."""
        return request if self.best is None else with_choice(request, self.best.choice)

    def summary(self, tuning: Tuning) -> dict[str, Any]:
        """For the report: values of the metric, and the options to type for the same model."""
        assert self.best is not None and self.best.score is not None
        start = self.trials[0].choice
        moved = {n: v for n, v in self.best.choice.items() if v != start[n]}
        first = self.trials[0].score
        return {
            "metric": str(tuning.goal), "value": round(self.best.score, 6),
            "first": None if first is None else round(first, 6),
            "trials": len(self.trials), "seconds": round(self.spent, 1),
            "options": as_options(moved),
        }  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        trials = [[list(t.choice.items()), t.score, t.seconds] for t in self.trials]
        return {
            "lower": self.lower, "trials": trials, "spent": self.spent, "finished": self.finished,
        }  # fmt: skip

    @staticmethod
    def from_json(values: dict[str, Any]) -> Search:
        """The inverse. Raises ValueError, TypeError, KeyError for what is none."""
        trials = [
            Trial({n: tuple(v) if isinstance(v, list) else v for n, v in choice}, score, seconds)
            for choice, score, seconds in values["trials"]
        ]
        lower, finished = bool(values["lower"]), bool(values["finished"])
        return Search(lower, trials, float(values["spent"]), finished)


class OutOfTime(Exception):
    """The trial that is running will not be finished."""


class Tuner:
    """Tries options on the training rows of ``parts``, measured on its dev part."""

    def __init__(
        self, request: Request, tuning: Tuning, parts: Parts, console: Reporter,
        states: RunStates, record: dict[str, Any], *, as_it_will_be: bool,
    ) -> None:  # fmt: skip
        """``as_it_will_be``: the model will be trained beside this dev part, not on it too."""
        self._request, self._tuning, self._console = request, tuning, console
        self._parts, self._dev = parts, parts.dev
        if not as_it_will_be:
            self._parts = replace(parts, dev=None)
        self._states, self._record = states.part(STATES), record
        self._space = SearchSpace.of(request, tuning.typed)
        self._cut: tuple[Any, Prepared] | None = None
        self.resumed = False
        """Whether trials of an earlier run were taken up."""
        self._search = Search(tuning.goal.lower_is_better)

    def run(self) -> Search:
        """All trials there is time for. Whatever ends it sooner, finished trials are saved."""
        from nlpcli.training.device import set_threads

        set_threads(self._request.threads)
        self._search = search = self._taken_up()
        begun = time.monotonic() - search.spent
        deadline = begun + 60 * self._tuning.minutes
        draw = random.Random(self._request.seed)
        while not search.finished:
            if search.trials and time.monotonic() >= deadline:
                break
            choice = self._following(draw)
            if choice is None:
                self._console.say("autotune: everything near is tried")
                break
            # the first trial is what would be trained without a search: it is always finished
            if not self._try(choice, deadline if search.trials else None):
                break
            search.spent = time.monotonic() - begun
            self._save()
        self._cut = None
        search.finished = True
        self._save()
        return search

    def _following(self, draw: random.Random) -> Choice | None:
        best, tried = self._search.best, [trial.choice for trial in self._search.trials]
        if not tried:
            return self._space.start
        if not self._space.axes:
            return None
        return self._space.following(best.choice if best else self._space.start, tried, draw)

    def _try(self, choice: Choice, deadline: float | None) -> bool:
        """Whether there was time for it; then it is among the trials."""
        begun, number = time.monotonic(), len(self._search.trials) + 1
        score: float | None = None
        words = " ".join(as_options(choice))
        try:
            with self._console:
                score = self._score(with_choice(self._request, choice), deadline, number)
        except OutOfTime:
            return False
        except NlpcliError as error:
            if number == 1:  # what was typed does not work
                raise
            self._console.detail(f"trial {number}: {words}: {error.message}")
        if score is None and number == 1:
            metric = self._tuning.goal
            raise UsageError(f"--autotune-metric {metric}: it is undefined on the dev rows")
        seconds = round(time.monotonic() - begun, 2)
        trial = Trial(choice, score, seconds)
        self._search.trials.append(trial)
        if score is not None:
            shown = f"trial {number}: {self._tuning.goal} {score:.4f}, {seconds:.1f} s: {words}"
            better = self._search.best is trial
            (self._console.say if better else self._console.detail)(shown)
        return True

    def _score(self, request: Request, deadline: float | None, number: int) -> float | None:
        from nlpcli.runs.fitting import make_fitting, prepare
        from nlpcli.runs.planning import check_plan, make_plan
        from nlpcli.runs.scoring import score

        key = _cut_by(request)
        if self._cut is None or self._cut[0] != key:
            self._cut = None  # two at a time would take twice the memory
            self._cut = key, prepare(request, self._parts)
        prepared = self._cut[1]
        check_plan(make_plan(request, self._parts, prepared.tokenizer, prepared.bags), None)
        fitting = make_fitting(request, self._parts, prepared)
        for now in fitting:
            step = now.step
            self._console.progress(
                f"trial {number}", step.step, step.steps, f"loss {step.loss:.4f}"
            )
            if deadline is not None and time.monotonic() > deadline:
                raise OutOfTime
        outcome = self._finished(request, prepared, fitting)
        assert self._dev is not None
        probabilities = outcome.classifier.probabilities(self._dev.texts)
        document = score(outcome.classifier, probabilities, self._dev.labels, resamples=0)
        return self._tuning.goal.value(document)

    def _finished(self, request: Request, prepared: Prepared, fitting: Any) -> Outcome:
        """The model of a trial as it would be saved: no larger than allowed."""
        from nlpcli.runs.fitting import measure
        from nlpcli.runs.shrinking import file_room, shrink_to_fit

        small = None
        if request.model_size is not None:
            room = file_room(request, self._parts, self._record)
            small = shrink_to_fit(request, self._parts, prepared, fitting, room, self._console)
        return measure(request, self._parts, prepared, fitting, {}, small)

    def _taken_up(self) -> Search:
        state, warnings = self._states.newest()
        for warning in warnings:
            self._console.warn(warning)
        afresh = Search(self._tuning.goal.lower_is_better)
        if state is None:
            return afresh
        other = differences(state.options, self._record)
        if other and self._request.resume:
            what = ", ".join(other[:6])
            self._console.say(f"--resume: the unfinished search differs: {what}; starting afresh")
        elif not self._request.resume and not other:
            self._console.say("an unfinished search of these options is there: see --resume")
        if other or not self._request.resume:
            return afresh
        try:
            found = Search.from_json(state.numbers)
        except (ValueError, TypeError, KeyError) as error:
            self._console.warn(f"the unfinished search does not fit: {error}; starting afresh")
            return afresh
        self.resumed = True
        self._console.say(f"resuming a search after {len(found.trials)} trials")
        return found

    def _save(self) -> None:
        from nlpcli.errors import OutputFailed
        from nlpcli.store.states import RunState

        with interrupts.deferred():
            try:
                trials = len(self._search.trials)
                self._states.save(trials, RunState(self._record, {}, self._search.to_json()))
            except OutputFailed as error:
                self._console.warn(f"the search is not saved: {error.message}")


def _cut_by(request: Request) -> tuple[Any, ...]:
    """What the cut texts depend on: fastText's way of cutting holds the sizes of the model too."""
    from nlpcli.text.config import TokenizerConfig

    ours = isinstance(request.tokenizer, TokenizerConfig)
    return (request.tokenizer,) if ours else (request.tokenizer, request.config)


def tuning_parts(request: Request, tuning: Tuning, parts: Parts) -> Parts:
    """The rows that trials learn and those they are measured on.

    Raises UsageError when they are too few, and for a label that there is not.
    """
    from nlpcli.runs.fitting import split_rows

    if tuning.goal.label is not None and tuning.goal.label not in parts.names:
        raise UsageError(f"--autotune-metric {tuning.goal}: no such label in the rows")
    if parts.dev is not None:
        return parts
    train, dev, source = split_rows(parts.train, tuning.fraction, request.seed)
    if dev is None:
        raise UsageError(
            f"--autotune: {len(parts.train.texts)} rows are too few to set some apart",
            hint="--dev FILE",
        )
    return replace(parts, train=train, dev=dev, source=source)
