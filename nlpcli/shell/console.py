"""What a person sees: messages and progress on stderr, plain off a terminal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Console:
    """Messages to stderr; a live line on a terminal, else one plain line every ``interval`` s.

    NO_COLOR, TERM=dumb and ``no_color`` make a terminal a plain one. A closed stderr never
    stops the work.
    """

    def __init__(
        self,
        *,
        quiet: bool = False,
        verbose: bool = False,
        no_color: bool = False,
        interval: float = 10,
    ) -> None:
        self.quiet, self.verbose = quiet, verbose and not quiet
        plain = no_color or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        self.live = not quiet and not plain and sys.stderr.isatty()
        self._interval = interval
        self._shown = time.monotonic()
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def say(self, message: str) -> None:
        """One plain line, unless quiet."""
        if self.quiet:
            return
        try:
            if self._progress is not None:
                self._progress.console.print(message, markup=False, highlight=False)
            else:
                sys.stderr.write(message + "\n")
                sys.stderr.flush()
        except OSError:
            self.quiet = True

    def detail(self, message: str) -> None:
        """One plain line that only --verbose shows."""
        if self.verbose:
            self.say(message)

    def warn(self, message: str) -> None:
        """A warning line."""
        self.say(f"warning: {message}")

    def __enter__(self) -> Self:
        if self.live:
            from rich.console import Console as RichConsole
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            console = RichConsole(stderr=True)
            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[note]}"),
                TimeRemainingColumn(),
                console=console,
                refresh_per_second=10,
                transient=True,
            )
            self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = self._task = None

    def progress(self, what: str, done: int, total: int | None, note: str = "") -> None:
        """Moves the live line, or writes a plain one when the last is ``interval`` s old."""
        if self._progress is not None:
            if self._task is None:
                self._task = self._progress.add_task(what, total=total, note=note)
            self._progress.update(
                self._task, completed=done, total=total, description=what, note=note
            )
        elif time.monotonic() - self._shown >= self._interval:
            self._shown = time.monotonic()
            self.say(f"{what}: {done:,}{f' of {total:,}' if total else ''}  {note}".rstrip())


class RejectFile:
    """Writes skipped rows as CSV: line, reason, row; counts them. No path: only counts."""

    def __init__(self, path: Path | None, console: Console) -> None:
        import csv

        from nlpcli.errors import CannotCreate

        self.count, self._console = 0, console
        self._write: Callable[[list[str]], object] | None = None
        if path is not None:
            try:
                self._stream = path.open("w", encoding="utf-8", newline="", errors="replace")
            except OSError as error:
                raise CannotCreate(f"--rejects {path}: {error.strerror}") from None
            self._write = csv.writer(self._stream, lineterminator="\n").writerow
            self._write(["line", "reason", "row"])

    def __call__(self, line: int, reason: str, row: str) -> None:
        self.count += 1
        if self._write is not None:
            self._write([str(line), reason, row])

    def close(self) -> None:
        """Tells how many rows were skipped and closes the file."""
        if self.count:
            self._console.warn(f"{self.count:,} bad rows skipped")
        if self._write is not None:
            self._stream.close()
