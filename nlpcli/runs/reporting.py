"""What a run tells the world; the shell's console is one that does it."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from nlpcli.errors import shown

if TYPE_CHECKING:
    from nlpcli.data.labelled import Labelled

MOST_TWINS = 5
"""Pairs of labels that are told."""


class Reporter(Protocol):
    """Messages and progress; enter it while progress is to be shown."""

    def say(self, message: str) -> None:
        """One line."""

    def warn(self, message: str) -> None:
        """A line that somebody should look at."""

    def detail(self, message: str) -> None:
        """A line for those who want to know more."""

    def progress(self, what: str, done: int, total: int | None, note: str = "") -> None:
        """Where the work stands."""

    def __enter__(self) -> Reporter: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def warn_of_labels(console: Reporter, n_conflicts: int, twins: list[tuple[str, str]]) -> None:
    """Of texts that occur with several labels, and of labels that differ in their Unicode normal
    form alone."""
    if n_conflicts:
        console.warn(f"texts that occur with different labels: {n_conflicts:,}")
    for one, other in twins[:MOST_TWINS]:
        console.warn(
            f"the labels {shown(one)} and {shown(other)} look alike and are not the same "
            f"characters: {one!a}, {other!a}"
        )


class Rejects(Protocol):
    """Takes bad rows that are skipped; told when there will be no more."""

    def __call__(self, line: int, reason: str, row: str) -> None:
        """One row."""

    def close(self) -> None:
        """The end of the rows."""


def tell_oddities(rows: Labelled, console: Reporter) -> None:
    """What is odd about training rows and no error."""
    if rows.n_blank:
        console.say(f"rows with a blank text, left out: {rows.n_blank:,}")
    warn_of_labels(console, rows.n_conflicts, rows.label_twins)
